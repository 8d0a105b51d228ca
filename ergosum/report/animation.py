"""Animations: a sequence of frames as GIF or, without loss of colour, as animated PNG."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ergosum.files import write_atomically
from ergosum.report.strips import pixels, strip

__all__ = ["HOLD", "encode_animation", "save_animation", "save_frames", "save_strip"]

HOLD = 4
"""The first and the last frame stand this many times as long as the others."""
_FORMATS = {".gif": "GIF", ".png": "PNG"}


def encode_animation(
    frames: Tensor | Sequence[Image.Image], suffix: str = ".gif", zoom: int = 6, milliseconds: int = 220
) -> bytes:
    """An endless animation as the bytes of a file; its first and last frame stand longer.

    Equal frames in a row are stored as one that stands as long as all of them.

    Args:
        suffix: `.gif` (256 colours per frame) or `.png` (animated PNG, lossless). zoom: enlargement of a tensor, whole,
        >= 1; images are taken as large as they come. milliseconds: time per frame, >= 20, which players agree on.
    Shape:
        frames: (time, 3, height, width) in [0, 1], or images of one size.
    Raises:
        ValueError: if the suffix is another, there is no frame, images differ in size, or a number is out of range.
    """
    if suffix.lower() not in _FORMATS:
        raise ValueError(f"Animations are written as .gif or .png (animated PNG, lossless), not as {suffix!r}.")
    if milliseconds < 20:
        raise ValueError(f"milliseconds: expected at least 20 per frame, got {milliseconds!r}.")
    images = _as_images(frames, zoom)
    durations = [milliseconds] * len(images)
    durations[0] = durations[-1] = HOLD * milliseconds
    buffer = io.BytesIO()
    first, rest = images[0], images[1:]
    first.save(buffer, _FORMATS[suffix.lower()], save_all=True, append_images=rest, duration=durations, loop=0)
    return buffer.getvalue()


def save_animation(frames: Tensor | Sequence[Image.Image], path: Path, zoom: int = 6, milliseconds: int = 220) -> None:
    """Write `encode_animation` to `path`, atomically; the suffix decides between GIF and animated PNG.

    Shape:
        frames: (time, 3, height, width) in [0, 1], or images of one size.
    Raises:
        ValueError: as `encode_animation`. OSError: if the file cannot be written.
    """
    content = encode_animation(frames, Path(path).suffix, zoom, milliseconds)
    write_atomically(Path(path), lambda p: p.write_bytes(content))


def save_strip(image: Image.Image, path: Path) -> None:
    """Write a strip or sheet as PNG, atomically.

    Raises:
        ValueError: if the suffix is not `.png`. OSError: if the file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path}: expected a name that ends in .png, as strips are written.")
    write_atomically(Path(path), lambda p: image.save(p, "PNG"))


def save_frames(frames: Tensor, path: Path) -> None:
    """Write a sequence at a size for the eye: as a strip (`.png`) of about 112 pixels, or an animation (`.gif`) of 168.

    Shape:
        frames: (time, 3, side, side) in [0, 1].
    Raises:
        ValueError: if the suffix is another. OSError: if the file cannot be written.
    """
    side = frames.shape[-1]
    if Path(path).suffix.lower() == ".gif":
        save_animation(frames, path, zoom=max(1, 168 // side))
    else:
        save_strip(strip(frames, zoom=max(1, 112 // side)), path)


def _as_images(frames: Tensor | Sequence[Image.Image], zoom: int) -> list[Image.Image]:
    if isinstance(frames, Tensor):
        return [Image.fromarray(frame) for frame in pixels(frames, zoom)]
    images = [image.convert("RGB") for image in frames]
    sizes = {image.size for image in images}
    if len(sizes) != 1:
        raise ValueError(f"Expected at least one image, all of one size, got sizes {sorted(sizes)}.")
    return images
