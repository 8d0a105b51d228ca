"""Tables of numbers as HTML, and targets."""

import pytest

from ergosum.report.tables import as_html, target, targets_html
from ergosum.training.task import Table


@pytest.mark.parametrize("value, at_least, met", [(1.0, True, True), (0.9, True, False), (0.9, False, True)])
def test_a_target_is_a_bound_from_below_or_above(value, at_least, met):
    assert target("what", value, 1.0, at_least)["met"] is met


def test_the_direction_of_a_target_is_shown():
    text = targets_html([target("skill", 0.97, 0.9, True), target("error", 12.0, 10.0, False)])
    assert "≥ 0.900" in text and "≤ 10.0" in text and "✓ yes" in text and "✗ no" in text
    assert targets_html([]) == ""


def test_columns_that_no_row_has_are_left_out_and_so_is_a_table_without_numbers():
    rows = [{"card": "mine", "error": 0.25, "fg_ari": None}, {"card": "other", "error": 0.5}]
    text = as_html(Table(("card",), {"error": 2, "fg_ari": 3}, rows, "Scores"))
    assert "<h3>Scores</h3>" in text and "0.25" in text and "foreground ARI" not in text
    assert as_html(Table(("card",), {"fg_ari": 3}, rows)) == ""


def test_columns_are_called_by_words_and_not_by_keys():
    row = {"row": "ours", "test_set": "mixed", "fg_ari": 0.9, "+-": 0.1, "own_name": 1.0}
    text = as_html(Table(("row", "test_set"), {"fg_ari": 3, "+-": 2, "own_name": 1}, [row]))
    for word in ("<th></th>", "test set", "foreground ARI", "±", "own name"):
        assert word in text.replace(" class=words", "")
    assert "fg_ari" not in text and "+-" not in text
