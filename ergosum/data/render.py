"""Draw a digit with a given colour, angle and scale: the true operators behind every sequence.

Angle and scale are one Kornia affine warp of the single-channel digit, colour is Kornia's hue shift of the digit held
in the red channel. A pure red pixel of intensity $v$ turned by hue $h$ is $v$ times a colour that depends on $h$ alone,
so the shift is applied once to one red pixel per image and multiplied in: the same numbers, without converting every
pixel. Kornia takes half a second to import, which only what draws has to wait for.
"""

import math

import torch
from torch import Tensor

__all__ = ["FACTORS", "render", "turn_hue", "warp"]

FACTORS = ("colour", "angle", "scale")
"""The factors of change, in the order in which factor tensors hold them: hue [rad], angle [degrees], scale [1]."""


def _colours(hue: Tensor) -> Tensor:
    """RGB of fully saturated hues: (batch,) in rad -> (batch, 3)."""
    from kornia.color import hsv_to_rgb

    hsv = torch.ones(len(hue), 3, 1, 1, dtype=hue.dtype, device=hue.device)
    hsv[:, 0, 0, 0] = torch.remainder(hue, 2 * math.pi)
    return hsv_to_rgb(hsv)[:, :, 0, 0]


def warp(images: Tensor, angle: Tensor, scale: Tensor) -> Tensor:
    """Rotate (counter-clockwise, degrees) and scale images about their centre, bilinear, black outside.

    Shape:
        images: (batch, channels, side, side). angle, scale: (batch,). Returns the shape of `images`.
    """
    from kornia.geometry.transform import get_affine_matrix2d, warp_affine

    side = images.shape[-1]
    centre = images.new_full((len(images), 2), (side - 1) / 2)
    matrix = get_affine_matrix2d(torch.zeros_like(centre), centre, scale[:, None].expand(-1, 2), -angle)[:, :2]
    return warp_affine(images, matrix, (side, side))


def render(digits: Tensor, factors: Tensor) -> Tensor:
    """Frames of `digits` with the given factors.

    Args:
        digits: untransformed digits in [0, 1], on the canvas to draw on.
        factors: hue [rad, any real], angle [degrees, counter-clockwise], scale [> 0].
    Shape:
        digits: (batch, 1, side, side). factors: (batch, 3). Returns (batch, 3, side, side) in [0, 1].
    Raises:
        ValueError: if the shapes do not match.
    """
    if digits.ndim != 4 or digits.shape[1] != 1 or factors.shape != (len(digits), 3):
        raise ValueError(
            f"render: expected digits (batch, 1, side, side) and factors (batch, 3), got {tuple(digits.shape)} and "
            f"{tuple(factors.shape)}."
        )
    grey = warp(digits, factors[:, 1], factors[:, 2])
    return grey * _colours(factors[:, 0])[:, :, None, None]


def turn_hue(images: Tensor, radians: Tensor) -> Tensor:
    """Turn the hue of any RGB images (Kornia's HSV hue shift).

    Shape:
        images: (batch, 3, side, side) in [0, 1]. radians: (batch,). Returns the shape of `images`.
    """
    from kornia.color import hsv_to_rgb, rgb_to_hsv

    hsv = rgb_to_hsv(images)
    hue = torch.remainder(hsv[:, :1] + radians[:, None, None, None], 2 * math.pi)
    return hsv_to_rgb(torch.cat([hue, hsv[:, 1:]], dim=1))
