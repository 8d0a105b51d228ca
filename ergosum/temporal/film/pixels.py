"""Pixels of a film that are noisy or hidden: how much noise there is, and what hidden pixels are taken for."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from ergosum.shapes import Images
from ergosum.temporal.reading import blurred

__all__ = ["filled", "noised", "pixel_noise"]


def pixel_noise(frames: Images, seen: Tensor | None = None) -> float:
    """Standard deviation of white noise on frames, from what smooth images do not have: second differences both ways.

    Half the noise on black is lost where values are cut to [0, 1]; where many are cut, the estimate is raised
    accordingly. Pixels beside hidden ones do not count.

    Shape:
        frames: (time, 3, side, side). seen: (time or 1, 1, side, side).
    Source: the mask is that of Immerkaer 1996, "Fast noise variance estimation"; here the median absolute deviation of
        what it gives stands for its mean absolute value.
    """
    kernel = frames.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    flat = frames.flatten(0, 1)[:, None]
    rough = functional.conv2d(flat, kernel).abs()
    cut = (frames == 0) | (frames == 1)
    if seen is not None:
        whole = seen.to(frames).expand(len(frames), 3, -1, -1)
        hidden = functional.conv2d(1 - whole.flatten(0, 1)[:, None], kernel.abs())
        rough = rough[hidden == 0]
        cut = cut[whole > 0]
    if rough.numel() == 0:
        return 0.0
    sd = 1.4826 * float(rough.median()) / 6.0
    return sd / 0.584 if float(cut.float().mean()) > 0.2 else sd


def noised(frames: Images, noise: float, generator: Generator) -> Images:
    """Frames with white noise, cut to [0, 1] as a file would be."""
    if noise == 0:
        return frames
    grains = torch.randn(frames.shape, generator=generator).to(frames)
    return (frames + noise * grains).clamp(0, 1)


def filled(frames: Images, seen: Tensor) -> Images:
    """Frames whose hidden pixels are a weighted mean of seen ones nearby."""
    values, known = frames * seen, seen.expand(len(frames), 1, -1, -1)
    result, left = values, known
    for sigma in (0.7, 1.5, 3.0, 6.0, 12.0):
        weight = blurred(known, sigma)
        near = (weight > 0.1) & (left == 0)
        result = torch.where(near, blurred(values, sigma) / weight.clamp_min(1e-6), result)
        left = torch.maximum(left, near.to(left))
    return result.clamp(0, 1)
