"""The factor reader: hue, angle and scale of any frame of a known digit.

Hue is the direction of the frame's total colour on the colour circle. Angle and scale come from a search: the digit is
drawn by the true operator on a grid of angles and scales, and the drawing with the largest correlation to the frame's
intensities wins; two finer grids around it follow. The search is over all angles: a generated digit that reads best
upside down counts as turned by 180 degrees.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["Reading", "circular_difference", "factor_errors", "read_factors"]

Draw = Callable[[Tensor, Tensor], Tensor]


class Reading(NamedTuple):
    """Hue [rad], angle [degrees] and scale [1] of each frame, (batch, 3), and the correlation of the best drawing."""

    factors: Tensor
    match: Tensor


def circular_difference(a: Values, b: Values, period: float) -> Tensor:
    """$a - b$ on a circle, in [-period/2, period/2)."""
    a, b = tensors("circular_difference", a=a, b=b)
    return torch.remainder(a - b + period / 2, period) - period / 2


def _hue(frames: Tensor) -> Tensor:
    total = frames.flatten(2).sum(2)
    red, green, blue = total.unbind(1)
    # hexagon angle, exact for pure hues: position of the middle channel between the smallest and the largest
    high, low = total.amax(1), total.amin(1)
    chroma = (high - low).clamp_min(1e-8)
    sector = torch.where(
        high == red,
        (green - blue) / chroma,
        torch.where(high == green, 2 + (blue - red) / chroma, 4 + (red - green) / chroma),
    )
    return torch.remainder(sector, 6) * (math.pi / 3)


def _drawn(digits: Tensor, draw: Draw, angles: Tensor, scales: Tensor) -> Tensor:
    """Digits on per-sample grids of angles (batch, A) and scales (batch, S): intensities (batch, A * S, pixels)."""
    batch, a, s = len(digits), angles.shape[1], scales.shape[1]
    grid_angle = angles[:, :, None].expand(batch, a, s).reshape(-1)
    grid_scale = scales[:, None, :].expand(batch, a, s).reshape(-1)
    factors = torch.stack([torch.zeros_like(grid_angle), grid_angle, grid_scale], 1)
    return draw(digits.repeat_interleave(a * s, 0), factors)[:, 0].flatten(1).unflatten(0, (batch, a * s))


def _search(intensity: Tensor, drawn: Tensor, angles: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best angle and scale of what was drawn on grids, and the correlation there."""
    x, s = intensity.flatten(1), scales.shape[1]
    product = torch.einsum("bp,bgp->bg", x, drawn)
    match = product / (x.norm(dim=1)[:, None] * drawn.norm(dim=2)).clamp_min(1e-8)
    best = match.argmax(1)
    rows = torch.arange(len(x))
    return angles[rows, best // s], scales[rows, best % s], match[rows, best]


@torch.no_grad()
def read_factors(
    frames: Values, digits: Values, draw: Draw, scale_range: tuple[float, float] = (0.3, 2.0), chunk: int = 64
) -> Reading:
    """Read hue, angle and scale.

    Args:
        frames: (batch, 3, side, side) in [0, 1]. digits: the digits they show, untransformed, (batch, 1, side, side).
        draw: the true operator, (digits, factors (batch, 3)) -> frames. scale_range: smallest and largest scale tried.
        chunk: frames searched at once, bounds memory.
    Shape:
        Returns factors (batch, 3) and match (batch,) in [0, 1]; a blank frame has match 0 and meaningless factors.
    Raises:
        ValueError: for other shapes and values that are not finite.
    """
    frames, digits = tensors("read_factors", frames=frames, digits=digits)
    if frames.ndim != 4 or frames.shape[1] != 3 or digits.shape != frames[:, :1].shape or not frames.numel():
        raise ValueError(
            "read_factors: expected frames (batch, 3, side, side) and as many digits (batch, 1, side, side), got "
            f"{tuple(frames.shape)} and {tuple(digits.shape)}."
        )
    results = []
    for part, known in zip(frames.split(chunk), digits.split(chunk), strict=True):
        intensity = part.amax(1)
        n = len(part)
        angle = torch.arange(-180.0, 180.0, 15.0).expand(n, -1)
        low, high = (math.log(s) for s in scale_range)
        scale = torch.linspace(low, high, 10).exp().expand(n, -1)
        distinct, which = known.unique(dim=0, return_inverse=True)  # frames of one digit share the coarse drawings
        drawn = _drawn(distinct, draw, angle[: len(distinct)], scale[: len(distinct)])[which]
        best_angle, best_scale, _ = _search(intensity, drawn, angle, scale)
        step, ratio = 15.0, (high - low) / 9
        match = torch.zeros(n)
        for _ in range(3):
            step, ratio = step / 3, ratio / 3
            offsets = torch.arange(-2, 3)
            angles = best_angle[:, None] + step * offsets
            scales = best_scale[:, None] * torch.exp(ratio * offsets)
            drawn = _drawn(known, draw, angles, scales)
            best_angle, best_scale, match = _search(intensity, drawn, angles, scales)
        results.append((torch.stack([_hue(part), best_angle, best_scale], 1), match))
    return Reading(torch.cat([r[0] for r in results]), torch.cat([r[1] for r in results]))


def factor_errors(read: Values, true: Values) -> Tensor:
    """Absolute errors (batch, 3): hue [degrees], angle [degrees], natural logarithm of scale.

    Hue and angle are compared on the circle.

    Shape:
        read, true: (batch, 3), hue [rad], angle [degrees], scale.
    Raises:
        ValueError: for other shapes and values that are not finite.
    """
    read, true = tensors("factor_errors", read=read, true=true)
    if read.shape != true.shape or read.shape[1:] != (3,) or not read.numel():
        raise ValueError(f"factor_errors: expected (batch, 3) twice, got {tuple(read.shape)} and {tuple(true.shape)}.")
    hue = circular_difference(read[:, 0], true[:, 0], 2 * math.pi).abs().rad2deg()
    angle = circular_difference(read[:, 1], true[:, 1], 360.0).abs()
    scale = (read[:, 2].clamp_min(1e-6).log() - true[:, 2].clamp_min(1e-6).log()).abs()
    return torch.stack([hue, angle, scale], 1)
