"""A folder of photographs, read as a stream: faces, streets, whatever a user has, of any size.

Only the batch at hand is in memory. A file that cannot be read is passed over, counted and named, so that one broken
file among many thousands neither stops a training nor goes unnoticed.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor

from ergosum.data.record import Pictures

__all__ = ["Folder", "load_picture"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"}
_SMALLEST = 4
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, struct.error, zlib.error,
           Image.DecompressionBombError)  # fmt: skip
"""What Pillow raises for broken files."""


class Folder:
    """All images of a folder and its sub-folders, cropped to a square about the centre and resized.

    There are no true factors and no objects: a mask of the background covers each picture.

    Args:
        folder: where the images lie; files with other endings than those of images are not looked at.
        side: pixels of a picture, >= 4.
    Raises:
        FileNotFoundError: if there is no such folder, or no image file in it. ValueError: if `side` is out of range.
    """

    factors: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    objects = 0

    def __init__(self, folder: Path | str, side: int = 64) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"No such folder of images: {self.folder}.")
        if side < _SMALLEST:
            raise ValueError(f"side: expected at least {_SMALLEST} pixels, got {side!r}.")
        self.side = side
        self.files = sorted(p for p in self.folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
        if not self.files:
            raise FileNotFoundError(f"No images in {self.folder}: expected {', '.join(sorted(_SUFFIXES))} files.")
        self.skipped: dict[Path, str] = {}
        """Files that could not be read so far, and why."""
        self.settings: dict[str, Any] = {
            "folder": str(self.folder.resolve()), "files": len(self.files), "side": side, "sha256": _state(self.files)
        }  # fmt: skip

    def __len__(self) -> int:
        """Image files, readable or not."""
        return len(self.files)

    def stream(self, batch: int, generator: Generator | None = None) -> Iterator[Pictures]:
        """Every readable image once, `batch` at a time; the last batch may be smaller. `skipped` tells of the others.

        Args:
            batch: pictures at a time, >= 1. generator: shuffles the order and names the device; None keeps the order of
            the file names, on the CPU.
        Raises:
            ValueError: if `batch` < 1. OSError: at the end, if not one image could be read.
        """
        if batch < 1:
            raise ValueError(f"batch: expected at least 1 picture, got {batch!r}.")
        order = range(len(self)) if generator is None else _shuffled(len(self), generator)
        device = torch.device("cpu") if generator is None else generator.device
        waiting: list[np.ndarray] = []
        found = False
        for i in order:
            pixels = self._read(self.files[i])
            if pixels is None:
                continue
            found = True
            waiting.append(pixels)
            if len(waiting) == batch:
                yield _record(waiting, device)
                waiting = []
        if waiting:
            yield _record(waiting, device)
        if not found:
            raise self._none_readable()

    def at(self, indices: Sequence[int]) -> Pictures:
        """The images with the given numbers in the order of file names; for one that cannot be read, the next that can.

        Raises:
            OSError: if not one image of the folder can be read.
        """
        return _record([self._from(i % len(self)) for i in indices], torch.device("cpu"))

    def read(self, path: Path) -> Tensor | None:
        """One image as (1, 3, side, side), or None if it cannot be read, with the reason in `skipped`."""
        pixels = self._read(path)
        return None if pixels is None else _record([pixels], torch.device("cpu")).images

    def draw(self, n: int, generator: Generator) -> Pictures:
        """`n` random images, on the generator's device; none twice before all have been taken.

        Raises:
            ValueError: if `n` < 1. OSError: if not one image of the folder can be read.
        """
        if n < 1:
            raise ValueError(f"draw: expected n >= 1 pictures, got {n!r}.")
        order: list[int] = []
        while len(order) < n:
            order += _shuffled(len(self), generator)
        return _record([self._from(i) for i in order[:n]], generator.device)

    def _from(self, start: int) -> np.ndarray:
        for step in range(len(self)):
            pixels = self._read(self.files[(start + step) % len(self)])
            if pixels is not None:
                return pixels
        raise self._none_readable()

    def _read(self, path: Path) -> np.ndarray | None:
        """The picture as (side, side, 3) bytes, or None, and the reason in `skipped`."""
        if path in self.skipped:
            return None
        try:
            return _pixels(path, self.side)
        except _BROKEN as error:
            self.skipped[path] = str(error) or type(error).__name__
            return None

    def _none_readable(self) -> OSError:
        path, reason = next(iter(self.skipped.items()))
        return OSError(
            f"Not one of the {len(self)} images in {self.folder} could be read; the first: {path}: {reason}."
        )


def load_picture(path: Path | str, side: int) -> Tensor:
    """One image as a folder's are read, cropped to a square and resized: (1, 3, side, side) in [0, 1].

    Raises:
        FileNotFoundError: if there is no such file. OSError: if it is no image that can be read; the message says why.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"No such image: {path}.")
    try:
        return _record([_pixels(Path(path), side)], torch.device("cpu")).images
    except _BROKEN as error:
        raise OSError(f"{path} could not be read as an image: {str(error) or type(error).__name__}.") from error


def _pixels(path: Path, side: int) -> np.ndarray:
    """The picture as (side, side, 3) bytes."""
    with Image.open(path) as opened:
        if min(opened.size) < _SMALLEST:
            raise ValueError(f"{opened.width}x{opened.height} pixels; expected at least 4x4")
        opened.draft("RGB", (side, side))  # JPEG: decode no more than needed
        opened.load()
        return _square(ImageOps.exif_transpose(opened), side)


def _state(files: Sequence[Path]) -> str:
    """A digest of names, sizes and times of files, which changes when a folder's pictures do."""
    digest = hashlib.sha256()
    for path in files:
        known = path.stat()
        digest.update(f"{path} {known.st_size} {known.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _square(picture: Image.Image, side: int) -> np.ndarray:
    if picture.mode == "I;16":  # Pillow would clip at 255
        picture = Image.fromarray((np.array(picture) >> 8).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:  # what shows through is black
        seen = picture.convert("RGBA")
        picture = Image.new("RGB", seen.size)
        picture.paste(seen, mask=seen.getchannel("A"))
    picture = picture.convert("RGB")
    shorter = min(picture.size)
    left, top = (picture.width - shorter) // 2, (picture.height - shorter) // 2
    square = picture.crop((left, top, left + shorter, top + shorter))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))


def _shuffled(count: int, generator: Generator) -> list[int]:
    return torch.randperm(count, generator=generator, device=generator.device).tolist()


def _record(pixels: list[np.ndarray], device: torch.device) -> Pictures:
    images = torch.from_numpy(np.stack(pixels)).to(device).permute(0, 3, 1, 2).contiguous().float().div_(255)
    n, _, side, _ = images.shape
    masks = torch.ones(n, 1, side, side, dtype=torch.bool, device=device)
    nothing = images.new_zeros(n, 0)
    return Pictures(images, nothing, masks, nothing.view(n, 0, 0))
