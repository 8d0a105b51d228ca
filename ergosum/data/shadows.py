"""Masks of solids with the shadows that they cast."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["CastsShadows", "with_shadows"]


@runtime_checkable
class CastsShadows(Protocol):
    """A set of images whose shadows are known from the attributes and factors of its records."""

    def shadows(self, attributes: Tensor, factors: Tensor) -> Tensor:
        """Whose shadow falls on each pixel of the background: (n, objects, side, side), bool."""
        ...


def with_shadows(masks: Tensor, shadows: Tensor) -> Tensor:
    """Masks in which each object has the pixels of the background that its shadow falls on.

    Shape:
        masks: (n, 1 + objects, side, side), bool, the background first. shadows: (n, objects, side, side), bool.
        Returns masks as they came in.
    Raises:
        ValueError: if shapes differ, two shadows share a pixel, or a shadow leaves the background.
    """
    if shadows.shape != masks[:, 1:].shape:
        raise ValueError(
            f"with_shadows: expected shadows {tuple(masks[:, 1:].shape)}, one for each object, got "
            f"{tuple(shadows.shape)}."
        )
    if (shadows.sum(1) > masks[:, 0]).any():
        raise ValueError("with_shadows: a pixel of the background is in one shadow at most, any other pixel in none.")
    return torch.cat([masks[:, :1] & ~shadows.any(1, keepdim=True), masks[:, 1:] | shadows], 1)
