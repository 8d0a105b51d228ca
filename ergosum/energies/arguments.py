"""What closed forms ask of their arguments: real tensors, positive numbers, noise levels, and x of the event shape."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["fits", "level", "positive", "real"]


def real(owner: str, what: str, value: Tensor) -> Tensor:
    """The tensor itself.

    Raises:
        ValueError: if it is no tensor of finite floating-point numbers with at least one dimension.
    """
    if not (isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0):
        came = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{owner}: expected {what} as a float tensor with at least one dimension, got {came}; "
                         f"pass e.g. torch.tensor([0.0, 1.0]).")  # fmt: skip
    if not torch.isfinite(value).all():
        raise ValueError(f"{owner}: expected a finite {what}, got inf or nan; mend the tensor before it is an energy.")
    return value


def positive(owner: str, what: str, value: float | Tensor) -> None:
    """Nothing.

    Raises:
        ValueError: if a number or an element is not finite and > 0.
    """
    held = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    wrong = held[~((held > 0) & torch.isfinite(held))]
    if wrong.numel():
        raise ValueError(f"{owner}: expected {what} > 0 and finite, got {wrong[0].item():g}; pass a larger one.")


def level(owner: str, sigma: float) -> float:
    """The variance $sigma^2$ that noise adds.

    Raises:
        ValueError: if sigma is not finite and >= 0.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"{owner}: expected a noise level sigma >= 0 and finite, got {sigma}.")
    return float(sigma) ** 2


def fits(owner: str, x: Tensor, event: Sequence[int]) -> None:
    """Nothing.

    Raises:
        ValueError: if x is not (batch, *event); without this check a wrong shape could broadcast to a wrong energy.
    """
    if x.ndim == 0 or tuple(x.shape[1:]) != tuple(event):
        wanted = ", ".join(["batch", *map(str, event)])
        raise ValueError(f"{owner}: expected x of shape ({wanted}), got {tuple(x.shape)}; reshape x.")
