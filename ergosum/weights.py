"""Weights of terms: numbers, or tensors that differ from sample to sample or learn."""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn

__all__ = ["Weight", "expect_shares", "keep", "per_batch", "positive_weight", "shown", "tiled"]

Weight = float | Tensor
"""A number, a scalar tensor, or a tensor (batch,) with one weight per sample."""


def positive_weight(value: Weight, expected: str, advice: str = "") -> Weight:
    """The weight as a float, or as the tensor itself if it learns or holds one weight per sample.

    A tensor that requires gradients is checked now and not again: a weight that learns stays positive if it is made
    so, for example as `theta.exp()`.

    Args:
        expected: how the message begins, e.g. "Scaled: expected a finite weight > 0". advice: how it ends.
    Raises:
        ValueError: if a weight is not finite and > 0, or a tensor has another shape than () or (batch,).
    """
    if isinstance(value, Tensor) and (value.requires_grad or value.ndim > 0):
        if value.ndim > 1 or not value.is_floating_point():
            raise ValueError(
                f"{expected}, a number or a float tensor of shape () or (batch,), got {value.dtype} of shape "
                f"{tuple(value.shape)}."
            )
        wrong = value[~((value > 0) & torch.isfinite(value))].detach()
        if wrong.numel():
            raise ValueError(f"{expected}, got {wrong.reshape(-1)[0].item()}{advice}.")
        return value
    number = float(value)
    if not (isfinite(number) and number > 0):
        raise ValueError(f"{expected}, got {number}{advice}.")
    return number


def keep(owner: nn.Module, name: str, value: Weight) -> None:
    """Keep a weight on a module: a parameter learns with it, another tensor moves and is saved with it."""
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        owner.register_buffer(name, value)
    else:
        setattr(owner, name, value)


def per_batch(weight: Weight, value: Tensor, owner: str) -> Weight:
    """The weight in the precision of values (batch,), one for each of them if it is one per sample."""
    if not isinstance(weight, Tensor):
        return weight
    return (tiled(weight, len(value), owner, "weight") if weight.ndim else weight).to(value.dtype)


def shown(weight: Weight) -> str:
    """A weight in a formula; one per sample is told by their number, and cannot be read back."""
    if not isinstance(weight, Tensor):
        return repr(weight)
    return f"<{len(weight)} weights>" if weight.ndim else repr(weight.item())


def tiled(held: Tensor, batch: int, owner: str, what: str) -> Tensor:
    """Rows for a batch, of a tensor with one row per sample: x may hold several such batches one after the other.

    Raises:
        ValueError: if the batch is no multiple of the rows.
    """
    if len(held) == batch:
        return held
    if len(held) == 0 or batch % len(held):
        raise ValueError(
            f"{owner}: the energy holds one {what} for each of {len(held)} samples, but x has {batch}; pass as many "
            f"samples, a multiple of them, or one {what} for all."
        )
    return held.repeat(batch // len(held), *[1] * (held.ndim - 1))


def expect_shares(shares: Sequence[float]) -> None:
    """Refuse shares whose sum is not 1 within 0.01: thirds may be written as 0.33.

    Raises:
        ValueError: with what came, and its sum.
    """
    if abs(sum(shares) - 1) > 0.01 + 1e-9:
        told = ", ".join(f"{share:g}" for share in shares)
        raise ValueError(f"shares: expected numbers of sum 1, got {told}, of sum {sum(shares):g}.")
