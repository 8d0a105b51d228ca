"""What needs no training: blank, copy, the mean digit, and the true operator (the ceiling).

All share one signature, `predict(start, before, after)`: the frame to start from, the true factors of it and of the
frame to predict (batch, 3); so that a roll-out feeds each its own output.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ergosum.data.render import render, turn_hue, warp

__all__ = ["Predict", "trivial"]

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]


def _blank(start: Tensor, before: Tensor, after: Tensor) -> Tensor:
    return torch.zeros_like(start)


def _copy(start: Tensor, before: Tensor, after: Tensor) -> Tensor:
    return start


def _operator(start: Tensor, before: Tensor, after: Tensor) -> Tensor:
    moved = warp(start, after[:, 1] - before[:, 1], after[:, 2] / before[:, 2])
    return turn_hue(moved.clamp(0, 1), after[:, 0] - before[:, 0])


def trivial(mean_digit: Tensor) -> Mapping[str, Predict]:
    """The four predictors by name.

    The mean image of a level is the mean digit drawn at that level, since drawing is linear in the digit.

    Args:
        mean_digit: mean of the training digits, (1, 1, side, side).
    """

    def mean_image(start: Tensor, before: Tensor, after: Tensor) -> Tensor:
        return render(mean_digit.expand(len(start), -1, -1, -1), after)

    return {"blank": _blank, "copy": _copy, "mean image": mean_image, "true operator": _operator}
