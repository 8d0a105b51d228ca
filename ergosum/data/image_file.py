"""Image files, read in one way wherever the package reads them: upright, in [0, 1], within a bound of memory.

What a file says about its size is checked before a pixel is decoded. At most `MOST_PIXELS` are ever decoded, and what
is done afterwards costs no more than a constant, whatever the file claims: a JPEG is decoded at a fraction of its size
where that is enough, and what remains large is averaged down strip by strip before its colours are converted. An
animated image gives its first frame, and all of them to `read_squares`. Settings of Pillow stay as they are.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from ergosum.data.listing import shown
from ergosum.data.placement import Placement

__all__ = [
    "LEAST_SIDE", "LONGEST", "MOST_PIXELS", "Square", "UnreadableImage", "as_square", "decode_square", "is_animated",
    "plain", "read_image", "read_square", "read_squares",
]  # fmt: skip

LEAST_SIDE = 4
"""Pixels that an image has in both directions, at least."""
MOST_PIXELS = 2**26
"""Pixels that are decoded of one image, at most (4 bytes each; 64 megapixels)."""
LONGEST = 2048
"""Pixels of the longer side of what `read_image` returns, at most."""
_LARGE = 2**24
"""Pixels of a square from which on `read_square` averages before it resizes."""
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP")
"""What is opened, whatever the file is called. A PostScript file named x.png would start another program."""
_BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_LENGTH = 258, 262, 322, 323
"""Tags of TIFF."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What turns an image upright, by its EXIF orientation."""


class UnreadableImage(OSError):
    """A file that is no image which can be read; `reason` says why in one line, without the name of the file."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{shown(path)} could not be read as an image: {reason}.")
        self.reason = reason


class Square(NamedTuple):
    """The middle square of an image.

    Shape:
        pixels: (side, side, 3), uint8. placement: where it lies on the image.
    """

    pixels: np.ndarray
    placement: Placement


class _Decoded(NamedTuple):
    """An upright image of mode L, LA, RGB or RGBA, and the size and orientation of its file."""

    image: Image.Image
    size: tuple[int, int]
    orientation: int


def read_image(path: Path | str, background: float | None = 0.0) -> Tensor:
    """An image file as a tensor, upright, in its own number of channels.

    Modes of 8 bits are as Pillow has them; 16 bits are cut to their upper 8; floats are expected in [0, 1]. An image
    whose longer side exceeds `LONGEST` pixels is averaged down by a whole number.

    Args:
        path: PNG, JPEG, BMP, WebP, GIF, TIFF or PPM, whatever its name.
        background: the grey in [0, 1] on which a transparent image is laid, 0 for black. None keeps the transparency as
            the last channel.
    Shape:
        Returns (C, height, width), float32 in [0, 1]: C is 1 for grey and 3 for colour, one more with transparency.
    Raises:
        FileNotFoundError, IsADirectoryError: if there is no such file. UnreadableImage, an OSError: if the file is
        damaged, no image, too large, smaller than 4x4 pixels, or has no known white (integers of 32 bits).
    """
    image = _decode(path, None).image
    if background is not None:
        image = _laid_on(image, background)
    array = torch.from_numpy(np.array(image)).float() / 255
    return array[None] if array.ndim == 2 else array.permute(2, 0, 1)


def read_square(path: Path | str, side: int, background: float = 0.0) -> Square:
    """The middle square of an image file in colour, resized (Lanczos).

    Args:
        side: pixels of the result, >= 1. background: the grey in [0, 1] on which a transparent image is laid.
    Raises:
        FileNotFoundError, IsADirectoryError, UnreadableImage: as `read_image`.
    """
    image, size, orientation = _decode(path, side)
    return _placed(image, size, side, background, orientation)


def decode_square(content: bytes, name: str, side: int, background: float = 0.0) -> Square:
    """The middle square of an image that lies in memory, such as one of an archive, as `read_square` makes it.

    Args:
        content: of an image file. name: how an error calls it. side, background: as `read_square`.
    Raises:
        UnreadableImage: as `read_image`.
    """
    try:
        with _quiet(), Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            image, size, orientation = _upright(opened, side)
    except Exception as error:  # for damaged files Pillow raises nearly every exception that Python has
        raise UnreadableImage(name, _reason(error)) from error
    return _placed(image, size, side, background, orientation)


def read_squares(path: Path | str, side: int, background: float = 0.0) -> Iterator[tuple[Square, float]]:
    """The middle square of every frame of an animated image, one at a time, and how long it stands [s].

    Frames are as a viewer shows them: what a frame leaves standing of the one before, and what it makes transparent, is
    seen to. Of an animated PNG the still image for older viewers is left out where it is no frame. A still image has
    one frame, and pages of a TIFF are frames. Frames may differ in size; their placement tells.

    Args:
        side, background: as `read_square`.
    Returns:
        Pairs of a square and the seconds that it stands, NaN where the file does not say.
    Raises:
        FileNotFoundError, IsADirectoryError, UnreadableImage: as `read_image`, when the frame at hand cannot be read.
    """
    path = _present(path)
    try:
        with _opened(path) as opened:
            still_first = opened.info.get("default_image") and getattr(opened, "is_animated", False)
            number = 1 if still_first else 0
            while (frame := _frame(opened, number, side, background)) is not None:
                yield frame
                number += 1
    except Exception as error:  # for damaged files Pillow raises nearly every exception that Python has
        raise UnreadableImage(path, _reason(error)) from error


def as_square(image: Image.Image, side: int, background: float = 0.0) -> Square:
    """The middle square of an upright image of Pillow's in colour, resized as `read_square` does.

    Raises:
        ValueError: if its white is not known, see `plain`.
    """
    middle = _middle(image)
    return _placed(middle.crop((0, 0, min(middle.size), min(middle.size))), image.size, side, background)


def is_animated(path: Path | str) -> bool:
    """Whether an image file has more than one frame; a file that cannot be read has none."""
    try:
        with _quiet(), Image.open(path, formats=_FORMATS) as opened:
            return bool(getattr(opened, "is_animated", False))
    except Exception:  # for damaged files Pillow raises nearly every exception that Python has
        return False


def plain(image: Image.Image) -> Image.Image:
    """An image of any of Pillow's modes as L, LA, RGB or RGBA.

    Raises:
        ValueError: if its white is not known.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        values = np.asarray(image)
        grey = Image.fromarray((values >> 8).astype(np.uint8))  # Pillow's own conversion clips at 255
        if "transparency" in image.info:
            grey.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
        return grey
    if mode == "I":
        raise ValueError("it holds 32-bit integers, whose white is not known; save it with 8 or 16 bits")
    if mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"it holds floats from {values.min():g} to {values.max():g}; expected 0 .. 1")
        return Image.fromarray((values * 255).round().astype(np.uint8))
    if mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("LA" if mode in ("1", "L", "LA", "La") else "RGBA")
    return image.convert("L" if mode == "1" else "RGB")


def _decode(path: Path | str, side: int | None) -> _Decoded:
    """The whole image within `LONGEST`, or its middle square, decoded for a canvas of `side` pixels."""
    path = _present(path)
    try:
        with _quiet(), Image.open(path, formats=_FORMATS) as opened:
            return _upright(opened, side)
    except Exception as error:  # for damaged files Pillow raises nearly every exception that Python has
        raise UnreadableImage(path, _reason(error)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of large images and of damaged EXIF, both of which are seen to here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(path: Path) -> Any:
    with _quiet():
        return Image.open(path, formats=_FORMATS)


def _present(path: Path | str) -> Path:
    """The path of a file that is there.

    Raises:
        FileNotFoundError, IsADirectoryError: if it is not.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{shown(path)} is a folder, not an image.")
    if not path.is_file():
        raise FileNotFoundError(f"No such image: {shown(path)}.")
    return path


def _frame(opened: Any, number: int, side: int, background: float) -> tuple[Square, float] | None:
    """One frame of an opened image and the seconds that it stands; None after the last."""
    with _quiet():
        try:
            opened.seek(number)
        except EOFError:
            return None
        if min(opened.size) < LEAST_SIDE:
            raise ValueError(_too_small(opened.size))
        _refuse_large(opened, opened.size)
        opened.load()
        seconds = opened.info.get("duration")
        square = as_square(_sixteen_bits(opened), side, background)
        return square, float("nan") if seconds is None else float(seconds) / 1000


def _placed(image: Image.Image, size: tuple[int, int], side: int, background: float, orientation: int = 1) -> Square:
    """A middle square resized, and where it lies on an image of `size`."""
    pixels = np.asarray(_laid_on(image, background).convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
    width, height = size
    shorter = min(width, height)
    left, top = (width - shorter) // 2, (height - shorter) // 2
    return Square(pixels, Placement((width, height), (left, top, left + shorter, top + shorter), orientation))


def _upright(opened: Any, side: int | None) -> _Decoded:
    full = opened.size
    if min(full) < LEAST_SIDE:
        raise ValueError(_too_small(full))
    if side is not None:
        opened.draft("RGB", (side, side))  # JPEG: decode no more than needed
    elif max(full) > LONGEST:
        scale = max(full) / LONGEST
        opened.draft(None, tuple(max(1, int(n / scale)) for n in full))
    _refuse_large(opened, full)
    before, drafted = _orientation(opened), opened.size
    opened.load()
    if opened.size != drafted:  # Pillow turns a TIFF upright as it loads it
        full = full[::-1]
    after = _orientation(opened)
    image = _sixteen_bits(opened)
    image = _shrunk(image, -(-max(image.size) // LONGEST)) if side is None else _middle(image)
    if after in _UPRIGHT:
        image = image.transpose(_UPRIGHT[after])
        full = full[::-1] if after >= 5 else full
    if side is not None:  # a middle square may have kept one row too many
        image = image.crop((0, 0, min(image.size), min(image.size)))
    return _Decoded(image, full, after if after in _UPRIGHT else before if before in _UPRIGHT else 1)


def _too_small(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels; expected at least {LEAST_SIDE}x{LEAST_SIDE}"


def _refuse_large(opened: Any, full: tuple[int, int]) -> None:
    """Refuse what would take too much memory to decode.

    A progressive JPEG is held whole, whatever its draft, and a tile of a TIFF may be larger than the image.
    """
    held = full if opened.info.get("progressive") else opened.size
    tags = getattr(opened, "tag_v2", {})
    tile = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    for width, height in (held, tile):
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width}x{height} pixels; at most {MOST_PIXELS:,} are decoded; save it smaller")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF does not make an image unreadable
        return 1


def _sixteen_bits(opened: Any) -> Image.Image:
    """What a format holds in 12, 16 or scaled 32 bits, as 16 bits with a white of 65535."""
    if opened.mode == "I" and opened.format in ("PPM", "PNG"):
        return Image.fromarray(np.asarray(opened).clip(0, 65535).astype(np.uint16))
    tags = getattr(opened, "tag_v2", {})
    if not opened.mode.startswith("I;16") or not tags:
        return opened
    values = np.asarray(opened).astype(np.uint16)
    if tags.get(_BITS) == (12,):
        values <<= 4
    return Image.fromarray(65535 - values if tags.get(_PHOTOMETRIC) == 0 else values)


def _middle(image: Image.Image) -> Image.Image:
    """The middle square, with one more row or column where it lies between two pixels.

    As much is cut from both ends, so that the square is the same whether it is cut before or after the image is turned.
    """
    shorter = min(image.size)
    x, y = ((n - shorter) // 2 for n in image.size)
    factor = -(-shorter // int(_LARGE**0.5)) if shorter * shorter > _LARGE else 1
    return _shrunk(image, factor, (x, y, image.width - x, image.height - y))


def _shrunk(image: Image.Image, factor: int, box: tuple[int, int, int, int] | None = None) -> Image.Image:
    """The mean of every `factor` x `factor` pixels of a box, converted by `plain` strip by strip."""
    left, top, right, bottom = box or (0, 0, *image.size)
    if factor == 1:
        return plain(image.crop((left, top, right, bottom)))
    size = -(-(right - left) // factor), -(-(bottom - top) // factor)
    rows = factor * max(1, LONGEST * LONGEST // (size[0] * factor * factor))
    whole: Image.Image | None = None
    for first in range(top, bottom, rows):
        strip = plain(image.crop((left, first, right, min(first + rows, bottom)))).reduce(factor)
        whole = Image.new(strip.mode, size) if whole is None else whole
        whole.paste(strip, (0, (first - top) // factor))
    assert whole is not None
    return whole


def _laid_on(image: Image.Image, background: float) -> Image.Image:
    """An image without transparency: L or RGB."""
    if image.mode not in ("LA", "RGBA"):
        return image
    mode, grey = image.mode[:-1], round(255 * background)
    under = Image.new(mode, image.size, grey if mode == "L" else (grey, grey, grey))
    under.paste(image.convert(mode), mask=image.getchannel("A"))
    return under


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is none of {', '.join(_FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return "it claims too many pixels; save it smaller"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__
