"""Numbers as text."""

import math

import pytest

from ergosum.report.numerals import decimals_for, duration, enumeration, number


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(None, 2, "–"), (math.nan, 2, "–"), (math.inf, 2, "∞"), (-math.inf, 2, "−∞"), (-1.5, 2, "−1.50"),
     (-0.001, 2, "0.00"), (12345, 0, "12,345"), (0.00083, None, "0.00083"), (32.15, None, "32.1"), (0.0, None, "0")],
)  # fmt: skip
def test_numbers(value, decimals, text):
    assert number(value, decimals) == text


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([1, 2, 300], 0), ([0.0203, 0.00083], 5), ([31.25, 12.1], 1), ([0.97, None, math.nan], 3), ([], 0), ([1e-12], 5)],
)
def test_decimals_are_shared(values, decimals):
    assert decimals_for(values) == decimals


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (52.3, "52 s"), (59.7, "1 min"), (220, "3 min 40 s"), (4320, "1 h 12 min"), (7199, "2 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_enumerations():
    assert [enumeration(list("abc")[:n]) for n in (0, 1, 2, 3)] == ["", "a", "a and b", "a, b and c"]
