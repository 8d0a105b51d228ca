"""Numbers as a reader wants them: a true minus, an en dash for nothing, equal decimals down a column; enumerations."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

__all__ = ["decimals_for", "duration", "enumeration", "is_number", "number", "percent"]


def is_number(value: Any) -> TypeGuard[float]:
    """Whether `value` is a finite int or float; a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def decimals_for(values: Iterable[Any]) -> int:
    """Decimals that give the largest value three significant digits and the smallest two, 0 .. 5.

    Whole numbers alone get none. What is no finite number is passed over.
    """
    numbers = [v for v in values if is_number(v)]
    sizes = [abs(v) for v in numbers if v != 0]
    if not sizes or all(isinstance(v, int) for v in numbers):
        return 0
    for_largest = 2 - math.floor(math.log10(max(sizes)))
    for_smallest = 1 - math.floor(math.log10(min(sizes)))
    return min(5, max(0, for_largest, for_smallest))


def number(value: Any, decimals: int | None = None) -> str:
    """`value` as text: "–" for None and NaN, "∞" for infinity, "−" as minus, thousands apart.

    Args:
        decimals: digits after the point; None chooses three significant digits.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is None:
        decimals = decimals_for([value])
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(c in "123456789" for c in text)
    return f"−{text}" if negative else text


def enumeration(words: Sequence[str]) -> str:
    """Words as "colour", "colour and angle" or "colour, angle and scale"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(seconds: float) -> str:
    """Seconds as "52 s", "3 min 40 s" or "1 h 12 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{number(100 * share, 1)}%"
