"""Rows that share a factor's value, drawn from a table of rows: what interventions on one factor are when no simulator
is at hand."""

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["draw_groups", "draw_pairs"]


def draw_pairs(
    levels: Values, count: int, batch: int, generator: Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of different rows that share the level of a random factor; each of `count` batches has its own factor.

    Args:
        levels: (rows, factors), whole numbers. count: batches. batch: pairs in a batch.
        generator: of all draws; PyTorch's default one if None.
    Shape:
        Returns the factor of each batch (count,) and the rows of its pairs, (count, batch) twice.
    Raises:
        ValueError: if no two rows share a level of some factor.
    """
    (levels,) = tensors("draw_pairs", levels=levels)
    kept = torch.randint(levels.shape[1], (count,), generator=generator)
    first, second = torch.empty(2, count, batch, dtype=torch.long).unbind(0)
    for k in range(levels.shape[1]):
        table = _Sharing(levels[:, k], k)
        mine = (kept == k).nonzero()[:, 0]
        place = table.draw((len(mine), batch), generator)
        step = 1 + (torch.rand(place.shape, generator=generator) * (table.size[place] - 1)).long()
        other = table.start[place] + (place - table.start[place] + step) % table.size[place]
        first[mine], second[mine] = table.order[place], table.order[other]
    return kept, first, second


def draw_groups(levels: Values, count: int, batch: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Batches of rows, drawn with replacement, that all share the level of a random factor.

    A level is drawn as often as rows show it. Arguments, shapes and errors as of `draw_pairs`; returns (count,) and
    (count, batch).
    """
    (levels,) = tensors("draw_groups", levels=levels)
    kept = torch.randint(levels.shape[1], (count,), generator=generator)
    rows = torch.empty(count, batch, dtype=torch.long)
    for k in range(levels.shape[1]):
        table = _Sharing(levels[:, k], k)
        mine = (kept == k).nonzero()[:, 0]
        place = table.draw((len(mine), 1), generator)
        inside = torch.rand(len(mine), batch, generator=generator) * table.size[place]
        rows[mine] = table.order[table.start[place] + inside.long()]
    return kept, rows


class _Sharing:
    """Rows in the order of their level; for each place in it, where its level starts and how many rows have it."""

    def __init__(self, level: Tensor, factor: int) -> None:
        self.order = level.argsort(stable=True)
        _, inverse, counts = level[self.order].unique_consecutive(return_inverse=True, return_counts=True)
        self.size = counts[inverse]
        self.start = (counts.cumsum(0) - counts)[inverse]
        self.shared = (self.size > 1).nonzero()[:, 0]
        if not len(self.shared):
            raise ValueError(f"draw: no two rows share a level of factor {factor}; give more rows or fewer levels.")

    def draw(self, shape: tuple[int, int], generator: Generator | None) -> Tensor:
        """Random places among those whose level some other row has too."""
        return self.shared[torch.randint(len(self.shared), shape, generator=generator)]
