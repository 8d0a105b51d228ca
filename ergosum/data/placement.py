"""Where a square canvas lies on the image that it was made from, and the way back to that image's own pixels."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Placement"]


class Placement(NamedTuple):
    """The part of an image that a square canvas shows.

    Args:
        size: width and height of the upright image, in its own pixels.
        box: left, top, right and bottom of what the canvas shows, in pixels of the upright image. A box that reaches
            beyond the image belongs to a canvas that was padded there.
        orientation: the EXIF orientation of the file, 1 .. 8. 1: the file stores the image upright.
    """

    size: tuple[int, int]
    box: tuple[int, int, int, int]
    orientation: int = 1

    def to_original(self, maps: Tensor, outside: float = 0.0) -> Tensor:
        """Maps of the canvas (masks, components, errors) as maps of the upright image.

        Booleans and integers are taken from the nearest pixel of the canvas, floats are interpolated linearly. A JPEG
        is decoded at a fraction of its size where that is enough, which moves the box by less than a pixel of the
        canvas.

        Args:
            maps: any number of maps of one side. outside: the value of pixels that the canvas does not show.
        Shape:
            maps: (..., side, side). Returns (..., height, width), of the type of `maps`.
        Raises:
            ValueError: if the last two sizes of `maps` differ.
        """
        if maps.ndim < 2 or maps.shape[-1] != maps.shape[-2]:
            raise ValueError(f"to_original: expected square maps (..., side, side), got {tuple(maps.shape)}.")
        width, height = self.size
        left, top, right, bottom = self.box
        shown = _resized(maps, bottom - top, right - left)[..., max(-top, 0) :, max(-left, 0) :]
        top, left, bottom, right = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
        whole = maps.new_full((*maps.shape[:-2], height, width), outside)
        whole[..., top:bottom, left:right] = shown[..., : bottom - top, : right - left]
        return whole

    def as_stored(self, maps: Tensor) -> Tensor:
        """Maps of the upright image in the order in which the file stores its pixels, before EXIF turns them upright.

        Shape:
            maps: (..., height, width). Returns (..., height, width), or (..., width, height) for orientations 5 .. 8.
        """
        if self.orientation in (5, 6, 7, 8):
            maps = maps.transpose(-1, -2)
        flipped = {2: [-1], 3: [-1, -2], 4: [-2], 6: [-2], 7: [-1, -2], 8: [-1]}.get(self.orientation, [])
        return maps.flip(flipped)


def _resized(maps: Tensor, height: int, width: int) -> Tensor:
    side = maps.shape[-1]
    if maps.is_floating_point():
        planes = maps.reshape(-1, 1, side, side)
        fewer = height < side
        resized = F.interpolate(planes, (height, width), mode="bilinear", antialias=fewer)
        return resized.reshape(*maps.shape[:-2], height, width)
    rows, columns = (
        ((torch.arange(n, device=maps.device) + 0.5) * (side / n)).long().clamp(max=side - 1) for n in (height, width)
    )
    return maps[..., rows[:, None], columns]
