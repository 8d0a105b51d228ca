"""Sums over the steps of a run, taken many steps at a time."""

import torch
from torch import Tensor

__all__ = ["Tally"]

TOGETHER = 64
"""Steps whose numbers are added up in one operation."""


class Tally:
    """Sums and counts of what steps tell; what was not tried in a step is not a number there and does not count."""

    def __init__(self) -> None:
        self.sums: dict[int, tuple[Tensor, Tensor]] = {}
        self.waiting: list[tuple[Tensor | None, ...]] = []

    def add(self, told: tuple[Tensor | None, ...]) -> None:
        """One step's numbers; None where it has none."""
        self.waiting.append(told)
        if len(self.waiting) == TOGETHER:
            self._settle()

    def total(self, place: int) -> Tensor | None:
        """The sum of the numbers at a place, or None if there were none."""
        self._settle()
        return self.sums[place][0] if place in self.sums else None

    def mean(self, place: int) -> Tensor | None:
        """The mean of the numbers at a place, or None if there were none."""
        self._settle()
        return self.sums[place][0] / self.sums[place][1] if place in self.sums else None

    def _settle(self) -> None:
        for place, column in enumerate(zip(*self.waiting, strict=True)):
            values = [value for value in column if value is not None]
            if values:
                stacked = torch.stack(values)
                known = ~torch.isnan(stacked)
                total, count = torch.where(known, stacked, 0).sum(0), known.sum(0)
                before = self.sums.get(place)
                self.sums[place] = (total, count) if before is None else (before[0] + total, before[1] + count)
        self.waiting.clear()
