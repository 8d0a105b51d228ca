"""Which factors move along a clip and how fast, and where they start so that they stay in range.

What every dataset of clips draws in the same way: one speed for each factor and clip, in units of a *usual* step; half
of the steps are a whole unit, the others anything shorter, each forwards or backwards with equal probability.
"""

from typing import Literal

import torch
from torch import Generator, Tensor

__all__ = ["MODES", "Mode", "draw_speeds", "draw_starts", "refuse_unlike"]

Mode = Literal["single", "sparse"]
MODES: tuple[Mode, ...] = ("single", "sparse")
"""One factor moves at a time (`single`), or each with probability one half and one at least (`sparse`)."""


def draw_speeds(n: int, active: Tensor, mode: Mode, generator: Generator) -> Tensor:
    """Units that each factor moves from one frame to the next, zero for those that rest.

    Args:
        active: which factors may move. mode: one of `MODES`.
    Shape:
        active: (factors,), bool. Returns (n, factors) in [-1, 1].
    """
    free = active.float().expand(n, -1)
    shape = free.shape
    one = torch.zeros(shape).scatter_(1, torch.multinomial(free, 1, generator=generator), 1.0)
    moving = one
    if mode == "sparse":
        some = (torch.rand(shape, generator=generator) < 0.5) * free
        moving = torch.where(some.sum(1, keepdim=True) == 0, one, some)
    short = torch.rand(shape, generator=generator) < 0.5
    size = torch.where(short, torch.rand(shape, generator=generator), 1.0)
    sign = 1 - 2 * torch.randint(0, 2, shape, generator=generator).float()
    return moving * size * sign


def draw_starts(
    travel: Tensor, low: Tensor, high: Tensor, circular: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Where factors start so that they stay in range, and their travel, shortened where none would fit.

    Args:
        travel: from the first frame to the last. low, high: range of each factor. circular: factors that start
        anywhere in their range and may pass its ends.
    Shape:
        travel: (n, factors). low, high, circular: (factors,). Returns two of (n, factors).
    """
    room = high - low
    travel = torch.where(circular, travel, travel.maximum(-room).minimum(room))
    lowest = torch.where(circular, low, low - travel.clamp(max=0))
    highest = torch.where(circular, high, high - travel.clamp(min=0))
    return lowest + (highest - lowest) * torch.rand(travel.shape, generator=generator), travel


def refuse_unlike(n: int, steps: int) -> None:
    """Refuse a number of clips or steps below 1.

    Raises:
        ValueError: if there is one.
    """
    if n < 1 or steps < 1:
        raise ValueError(f"clips: expected n >= 1 clips of steps >= 1, got n = {n!r}, steps = {steps!r}.")
