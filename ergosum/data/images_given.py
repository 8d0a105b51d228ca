"""Images that a Python user hands over as an array: either as the package expects them, or one error that says why."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_images"]

_SLACK = 1e-3
"""How far beyond [0, 1] resizing and half precision carry values, which are then cut."""


def as_images(images: Any, side: int | None = None) -> Tensor:
    """A batch of images in float32, checked; the device is kept, and gradients of floats pass.

    Bytes (uint8, 0 .. 255) are divided by 255. Nothing else is guessed: another range, layout or shape is refused with
    the call that mends it.

    Args:
        images: a tensor, or an array of NumPy.
        side: the side that is expected; None takes any.
    Shape:
        images: (batch, 3, side, side), uint8 or any float. Returns the same shape, in [0, 1].
    Raises:
        TypeError: if it is no tensor or array. ValueError: if its type of numbers, shape, layout or range is another,
        or it holds NaN.
    """
    if isinstance(images, np.ndarray):
        try:
            images = torch.from_numpy(np.ascontiguousarray(images))
        except TypeError:
            raise ValueError(_refusal(f"numbers of type {images.dtype}", "convert to float32")) from None
    if not isinstance(images, Tensor):
        raise TypeError(_refusal(type(images).__name__, "stack single images with torch.stack"))
    _check_shape(tuple(images.shape), side)
    if images.dtype == torch.uint8:
        if images.max() == 1:
            raise ValueError(
                _refusal("bytes 0 and 1 alone, which would be almost black", "x.float() makes them 0 and 1")
            )
        return images.float() / 255
    if not images.is_floating_point():
        advice = "x.float() if they are 0 and 1, x.to(torch.uint8) if they are 0 .. 255"
        raise ValueError(_refusal(f"numbers of type {str(images.dtype).removeprefix('torch.')}", advice))
    images = images.float()
    if missing := int((~images.isfinite()).sum()):
        raise ValueError(_refusal(f"{missing} values of NaN or infinity", "find what made them"))
    _check_range(images.min().item(), images.max().item())
    return images.clamp(0, 1)


def _check_shape(shape: tuple[int, ...], side: int | None) -> None:
    advice = "resize them, e.g. torch.nn.functional.interpolate(x, (side, side), mode='bicubic', antialias=True)"
    if len(shape) == 3 and 3 in (shape[0], shape[-1]):
        advice = "add the batch: x[None]"
    elif len(shape) != 4:
        advice = "give one batch of images"
    elif shape[1] != 3 and shape[-1] in (1, 3, 4):
        advice = "put the channels second: " + (
            "x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor"
        )
    elif shape[1] == 1:
        advice = "repeat the grey channel: x.expand(-1, 3, -1, -1)"
    elif shape[1] == 4:
        advice = "drop the transparency: x[:, :3]"
    elif shape[1] != 3:
        advice = "give three channels, red, green and blue"
    elif shape[0] == 0:
        advice = "the batch is empty; give one image at least"
    elif shape[2] != shape[3]:
        advice = "crop them to a square first"
    elif side is None or shape[2] == side:
        return
    raise ValueError(_refusal(f"the shape {shape}", advice, side))


def _check_range(low: float, high: float) -> None:
    if low >= -_SLACK and high <= 1 + _SLACK:
        return
    advice = "scale them to 0 .. 1"
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        advice = "if they run from -1 to 1: (x + 1) / 2"
    elif low >= -_SLACK and high <= 255:
        advice = "if they run from 0 to 255: x / 255"
    elif low < 0:
        advice = "undo the normalisation: x * std + mean"
    raise ValueError(_refusal(f"values from {low:g} to {high:g}", advice))


def _refusal(got: str, advice: str, side: int | None = None) -> str:
    size = "side" if side is None else side
    return f"images: expected (batch, 3, {size}, {size}), floats in 0 .. 1 or bytes 0 .. 255; got {got}: {advice}."
