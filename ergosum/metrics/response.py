"""The response matrix: energy j acts, how far does each true factor move?"""

import math

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors
from ergosum.metrics.reader import circular_difference

__all__ = ["diagonal_share", "levels_moved"]


def levels_moved(before: Values, after: Values, spacing: Values) -> Tensor:
    """Signed change of hue, angle and scale in levels.

    Shape:
        before, after: (batch, 3), hue [rad], angle [degrees], scale. spacing: (3,), one level. Returns (batch, 3).
    Raises:
        ValueError: for other shapes, values that are not finite, or a spacing of 0.
    """
    before, after, spacing = tensors("levels_moved", before=before, after=after, spacing=spacing)
    if before.shape != after.shape or before.shape[1:] != (3,) or spacing.shape != (3,) or (spacing == 0).any():
        raise ValueError(
            "levels_moved: expected (batch, 3) twice and a spacing (3,) without 0, got "
            f"{tuple(before.shape)}, {tuple(after.shape)} and {spacing.tolist()}."
        )
    hue = circular_difference(after[:, 0], before[:, 0], 2 * math.pi)
    angle = circular_difference(after[:, 1], before[:, 1], 360.0)
    return torch.stack([hue, angle, after[:, 2] - before[:, 2]], 1) / spacing


def diagonal_share(response: Values) -> float:
    r"""Mean over rows of $|R_{jj}| / \sum_k |R_{jk}|$ for a square matrix with rows in the order of the columns.

    1: each energy moves its own factor alone; 1/F: no control. A row of zeros counts as 0.

    Raises:
        ValueError: if the matrix is not square or not finite.
    """
    (response,) = tensors("diagonal_share", response=response)
    if response.ndim != 2 or response.shape[0] != response.shape[1] or not response.numel():
        raise ValueError(f"diagonal_share: expected a square matrix, got shape {tuple(response.shape)}.")
    size = response.abs().to(torch.promote_types(response.dtype, torch.float32))
    total = size.sum(1)
    return torch.where(total > 0, size.diagonal() / total.clamp_min(1e-12), torch.zeros_like(total)).mean().item()
