"""Principal components: the stated rule by which sets of latents come down to a fixed width before they are judged."""

from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["Principal", "principal"]


class Principal(NamedTuple):
    """A centre (codes,), orthonormal axes (codes, width) and the variance along each, falling; call it to project."""

    centre: Tensor
    axes: Tensor
    variance: Tensor

    def __call__(self, latents: Values) -> Tensor:
        """(rows, codes) -> (rows, width), in the latents' precision."""
        (latents,) = tensors("Principal", latents=latents)
        if latents.ndim != 2 or latents.shape[1] != len(self.centre):
            raise ValueError(f"Principal: expected (rows, {len(self.centre)}), got {tuple(latents.shape)}.")
        projected = (latents.double() - self.centre) @ self.axes
        return projected.to(latents.dtype) if latents.is_floating_point() else projected


def principal(latents: Values, width: int = 64) -> Principal:
    """The `width` directions of most variance, to be fitted on one split and applied to another.

    COMET flattens its K latents and keeps 64 components before it judges them. The step fixes a rotation, so it moves
    axis-aligned metrics (MIG, MCC): give both numbers. Components are neither scaled nor whitened; of each axis the
    entry of largest size is positive. Latents of fewer codes than `width` keep their number.

    Shape:
        latents: (rows, codes), at least two rows.
    Raises:
        ValueError: for other shapes and latents that are not finite.
    Source: Du, Li, Sharma, Tenenbaum & Mordatch 2021, section 4.1.
    """
    (latents,) = tensors("principal", latents=latents)
    if latents.ndim != 2 or len(latents) < 2 or not latents.numel() or width < 1:
        raise ValueError(f"principal: expected (rows, codes), two or more rows, got {tuple(latents.shape)}, {width}.")
    values = latents.detach().double()
    centre = values.mean(0)
    centred = values - centre
    variance, axes = torch.linalg.eigh(centred.T @ centred / (len(values) - 1))
    variance, axes = variance.flip(0)[:width].clamp_min(0), axes.flip(1)[:, :width]
    sign = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return Principal(centre, axes * sign, variance)
