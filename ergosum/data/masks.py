r"""Masks: which pixels of an image or of a clip are known, and which are hidden.

Everywhere in the library a mask of *known* pixels is a tensor of Booleans that is **True where a pixel is known** and
False where it is hidden. (The samplers' `mask` says which coordinates are free to move: it is `~known`.) A mask belongs
to a place of the image, not to a colour: its channel dimension is 1 and counts for all channels.

    known = SaltAndPepper(0.5).known(images.shape, generator)      # (n, 1, side, side)
    known = FrameMask((1, 3, 5)).known(clips.shape, generator)        # (n, time, 1, side, side)

An image as a mask is read as people draw it: black is hidden, white is known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ergosum.data.image_file import read_image, read_square
from ergosum.part import Part

__all__ = [
    "BlockMask", "BoxMask", "FrameMask", "ImageMask", "Mask", "SaltAndPepper", "StackedMask", "check_known",
    "parse_mask", "without_objects",
]  # fmt: skip

Shape = tuple[int, ...]


class Mask(Protocol):
    """A way to hide pixels: `SaltAndPepper`, `BlockMask`, `BoxMask`, `FrameMask`, `ImageMask`, or your own."""

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """What is known of images (n, C, height, width) or clips (n, time, C, height, width) of that shape.

        Returns Booleans (n, 1, height, width) or (n, time, 1, height, width), True where a pixel is known.
        """
        ...


@dataclass(frozen=True)
class SaltAndPepper:
    """Hides every pixel by itself with probability `share`, in every image and frame anew.

    Args:
        share: 0 < share < 1.
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"SaltAndPepper: expected a share of hidden pixels between 0 and 1, got {self.share:g}.")

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """See `Mask`."""
        device = None if generator is None else generator.device
        return torch.rand(_of_pixels(shape), generator=generator, device=device) >= self.share


@dataclass(frozen=True)
class BlockMask:
    """Hides one rectangle of each image, at a place of its own; in a clip the same place of every frame.

    Args:
        height, width: in pixels, >= 1; a width of 0 takes the height.
    Raises:
        ValueError: if it does not fit into the images, or leaves nothing of them.
    """

    height: int
    width: int = 0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 0:
            raise ValueError(f"BlockMask: expected sides of 1 pixel or more, got {self.height} x {self.width}.")

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """See `Mask`."""
        known = torch.ones(_of_pixels(shape), dtype=torch.bool)
        high, wide = shape[-2:]
        h, w = self.height, self.width or self.height
        if h > high or w > wide or h * w >= high * wide:
            raise ValueError(f"BlockMask: expected a block within images of {high}x{wide} pixels, got {h}x{w}.")
        device = None if generator is None else generator.device
        u = torch.rand(shape[0], 2, generator=generator, device=device).cpu()
        corners = (u * torch.tensor([high - h + 1, wide - w + 1])).long()
        for row, (top, left) in zip(known, corners.tolist(), strict=True):
            row[..., top : top + h, left : left + w] = False
        return known if device is None else known.to(device)


@dataclass(frozen=True)
class BoxMask:
    """Hides the same rectangle of every image and frame.

    Args:
        x, y: of its left upper corner, from 0. width, height: in pixels, >= 1.
    Raises:
        ValueError: if it does not lie within the images, or leaves nothing of them.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError(
                f"BoxMask: expected x, y >= 0 and sides of 1 pixel or more, got box:{self.x},{self.y},{self.width},"
                f"{self.height}."
            )

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """See `Mask`."""
        known = torch.ones(_of_pixels(shape), dtype=torch.bool)
        high, wide = shape[-2:]
        if self.x + self.width > wide or self.y + self.height > high:
            raise ValueError(
                f"BoxMask: expected a box within images of {wide}x{high} pixels, got box:{self.x},{self.y},"
                f"{self.width},{self.height}."
            )
        known[..., self.y : self.y + self.height, self.x : self.x + self.width] = False
        return known if generator is None else known.to(generator.device)


@dataclass(frozen=True)
class FrameMask:
    """Hides whole frames of clips.

    Args:
        numbers: of the frames, from 0, the same in every clip. share: instead, 0 < share < 1: hides that part of the
            frames (rounded, at least one, never all), in every clip others.
    Raises:
        ValueError: if there are no such frames, if none would be left, or if images are given and no clips.
    """

    numbers: tuple[int, ...] = ()
    share: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.numbers) == bool(self.share):
            raise ValueError(f"FrameMask: expected numbers or a share, got {self.numbers} and {self.share:g}.")
        if not 0 <= self.share < 1:
            raise ValueError(f"FrameMask: expected a share between 0 and 1, got {self.share:g}.")
        if self.numbers and min(self.numbers) < 0:
            raise ValueError(f"FrameMask: expected numbers of frames, counted from 0, got {self.numbers}.")

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """See `Mask`."""
        if len(shape) != 5:
            raise ValueError(f"FrameMask: expected clips (n, time, C, height, width), got the shape {tuple(shape)}.")
        n, time = shape[:2]
        known = torch.ones(_of_pixels(shape), dtype=torch.bool)
        if self.share:
            count = min(time - 1, max(1, round(self.share * time)))
            device = None if generator is None else generator.device
            order = torch.rand(n, time, generator=generator, device=device).cpu().argsort(1)
            known[torch.arange(n)[:, None], order[:, :count]] = False
        elif max(self.numbers) >= time or len(set(self.numbers)) >= time:
            raise ValueError(
                f"FrameMask: expected some, not all, of the frames 0 .. {time - 1}, got "
                f"{', '.join(map(str, self.numbers))}."
            )
        else:
            known[:, list(self.numbers)] = False
        return known if generator is None else known.to(generator.device)


@dataclass(frozen=True)
class ImageMask:
    """Hides what is black in an image file, in every image and frame alike.

    The mask has the size of the images, or it is a square of another size, which is brought to theirs: a pixel is
    hidden where more than half of it is black.

    Args:
        path: of the image.
    Raises:
        ValueError: if the mask is no square and of another size than the images, or all black or all white.
        FileNotFoundError, UnreadableImage: as for every image.
    """

    path: str

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """See `Mask`."""
        of_pixels = _of_pixels(shape)
        high, wide = shape[-2:]
        image = read_image(self.path)
        if image.shape[-2:] != (high, wide):
            if image.shape[-1] != image.shape[-2] or high != wide:
                raise ValueError(
                    f"{self.path}: expected a mask of the images' size, {wide}x{high} pixels, got "
                    f"{image.shape[-1]}x{image.shape[-2]}."
                )
            image = torch.tensor(read_square(self.path, high).pixels).movedim(2, 0).float() / 255
        known = image.float().reshape(-1, high, wide).mean(0) >= 0.5
        if known.all() or not known.any():
            which = "white: nothing is hidden" if known.all() else "black: all is hidden"
            raise ValueError(f"{self.path}: expected a mask with black pixels (hidden) and white ones (known); all of "
                             f"it is {which}.")  # fmt: skip
        known = known.expand(of_pixels).clone()
        return known if generator is None else known.to(generator.device)


@dataclass(frozen=True)
class StackedMask:
    """A mask of clips, for clips whose frames are the channels of one image, (n, time * channels, height, width).

    Args:
        mask: of clips, or the part that builds it. channels: of a frame, >= 1.
    """

    mask: Any
    channels: int = 1

    def known(self, shape: Shape, generator: Generator | None = None) -> Tensor:
        """Booleans of that shape."""
        n, stacked, high, wide = shape
        if stacked % self.channels:
            raise ValueError(f"StackedMask: expected frames of {self.channels} channels, got {stacked} in all.")
        mask: Mask = self.mask.build() if isinstance(self.mask, Part) else self.mask
        clips = (n, stacked // self.channels, self.channels, high, wide)
        return mask.known(clips, generator).expand(clips).flatten(1, 2)


def without_objects(masks: Tensor, objects: Sequence[int] = (1,), grow: int = 1) -> Tensor:
    """What is known of clips whose moving objects are to be removed.

    Args:
        masks: of `ObjectClips` or `ImageRecord`, (..., 1 + objects, height, width), the background first. objects:
            which of them to hide, from 1. grow: pixels by which their masks are grown, >= 0: the edge of an object
            mixes with its background.
    Returns:
        Booleans (..., 1, height, width), True where a pixel is known.
    Raises:
        ValueError: if there is no such object.
    """
    count = masks.shape[-3] - 1
    if not objects or not all(1 <= k <= count for k in objects):
        raise ValueError(f"without_objects: expected objects 1 .. {count}, got {tuple(objects)}.")
    hidden = masks[..., list(objects), :, :].any(-3, keepdim=True)
    if grow:
        flat = hidden.reshape(-1, 1, *hidden.shape[-2:]).float()
        hidden = (F.max_pool2d(flat, 2 * grow + 1, 1, grow) > 0).reshape(hidden.shape)
    return ~hidden


def check_known(who: str, known: Tensor, images: Tensor) -> Tensor:
    """A mask of known pixels, expanded to the shape of the images or clips.

    Raises:
        TypeError: unless it is Boolean. ValueError: if its shape does not fit, if nothing is hidden, or if all of an
        image or clip is.
    """
    if known.dtype != torch.bool:
        raise TypeError(f"{who}: expected a mask of Booleans, True where a pixel is known, got {known.dtype}.")
    try:
        expanded = known.expand(images.shape)
    except RuntimeError as error:
        raise ValueError(
            f"{who}: expected a mask of the images' shape {tuple(images.shape)}, or with 1 for their channels, got "
            f"{tuple(known.shape)}."
        ) from error
    seen = expanded.flatten(1).any(1)
    if not seen.all():
        raise ValueError(
            f"{who}: all of example {int((~seen).nonzero()[0])} is hidden; leave some of its pixels known, or draw it "
            "from the model instead."
        )
    if expanded.all():
        raise ValueError(f"{who}: the mask hides nothing, so that there is nothing to fill in.")
    return expanded


def parse_mask(text: str) -> Mask:
    """A mask as the command line takes it: an image file, `box:X,Y,W,H`, `random:SHARE`, `block:SIDE` or
    `frames:1,3,5`.

    Raises:
        ValueError: if it is none of these. FileNotFoundError: if there is no such file.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("random", "box", "block", "frames") or Path(text).exists():
        if not Path(text).is_file():
            raise FileNotFoundError(
                f"--mask {text}: no such image. Expected an image whose black pixels are hidden, box:X,Y,W,H, "
                "random:SHARE, block:SIDE or frames:1,3,5."
            )
        return ImageMask(text)
    try:
        numbers = [float(v) for v in rest.split(",")]
    except ValueError:
        numbers = []
    whole = [int(v) for v in numbers if math.isfinite(v) and v == int(v)]
    if kind == "random":
        if len(numbers) != 1 or not 0 < numbers[0] < 1:
            raise ValueError(f"--mask {text}: expected random:SHARE with a share between 0 and 1, such as random:0.5.")
        return SaltAndPepper(numbers[0])
    wanted = {"box": 4, "block": 1}.get(kind, len(numbers))
    if not numbers or len(whole) != len(numbers) or len(numbers) != wanted:
        forms = {"box": "box:X,Y,W,H, such as box:7,7,14,14", "block": "block:SIDE, such as block:14",
                 "frames": "frames:NUMBERS, such as frames:1,3,5"}  # fmt: skip
        raise ValueError(f"--mask {text}: expected {forms[kind]}, in whole numbers.")
    return BoxMask(*whole) if kind == "box" else BlockMask(whole[0]) if kind == "block" else FrameMask(tuple(whole))


def _of_pixels(shape: Shape) -> Shape:
    """The shape of images or clips with one channel."""
    if len(shape) not in (4, 5):
        raise ValueError(
            f"expected images (n, C, height, width) or clips (n, time, C, height, width), got the shape {tuple(shape)}."
        )
    return (*shape[:-3], 1, *shape[-2:])
