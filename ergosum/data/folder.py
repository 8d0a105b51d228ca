"""A folder of images, read as a stream: faces, streets, whatever a user has, of any size.

Only the batch at hand is in memory. A file that cannot be read is passed over, counted and named, so that one broken
file among many thousands neither stops a training nor goes unnoticed.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.data.image_file import LEAST_SIDE, Square, UnreadableImage, read_square
from ergosum.data.listing import SUFFIXES, image_files, shown
from ergosum.data.placement import Placement
from ergosum.data.record import ImageRecord
from ergosum.data.split import content_digest, split_files

__all__ = ["ImageFolder", "Part", "PlacedImage", "load_square"]

Part = Literal["all", "train", "test"]


class PlacedImage(NamedTuple):
    """An image on a square canvas, and where it lies on the file's image.

    Shape:
        image: (1, 3, side, side), float32 in [0, 1].
    """

    image: Tensor
    placement: Placement


class ImageFolder:
    """All images of a folder and its sub-folders, cropped to a square about the centre and resized.

    There are no true factors and no objects: a mask of the background covers each image. What is transparent is laid on
    black. Some images may be held out: about a tenth of the folder, chosen by what each file holds (`split_files`), or
    the images of another folder. Copies of a held-out image are never in the part to train on.

    Args:
        path: where the images lie; files with other endings than those of images are not looked at.
        side: pixels of an image, >= 4.
        split: `all`, or one part of them: `train` or `test`.
        test: a folder of images to hold out, in the place of a tenth of `path`; it may lie within `path`.
    Raises:
        FileNotFoundError: if there is no such folder, or no image file in it. ValueError: if `side` is out of range, or
        nothing is left for a part.
    """

    factors: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    objects = 0

    def __init__(
        self, path: Path | str, side: int = 64, *, split: Part = "all", test: Path | str | None = None
    ) -> None:
        if split not in ("all", "train", "test"):
            raise ValueError(f"split: expected 'all', 'train' or 'test', got {split!r}.")
        if side < LEAST_SIDE:
            raise ValueError(f"side: expected at least {LEAST_SIDE} pixels, got {side!r}.")
        self.path, self.test, self.part, self.side = Path(path), None if test is None else Path(test), split, side
        self.folder = self.test if self.test is not None and split == "test" else self.path
        """The folder that the files of this part lie in."""
        self.skipped: dict[Path, str] = {}
        """Files that could not be read so far, folders that could not be listed, and why."""
        self.files = self._files()
        self.settings: dict[str, Any] = {
            "folder": str(self.folder.resolve()), "files": len(self.files), "side": side, "sha256": _state(self.files)
        }  # fmt: skip
        if split != "all":
            self.settings |= {"part": split, "test": None if self.test is None else str(self.test.resolve())}

    def split(self, part: Part) -> "ImageFolder":
        """The images of one part: `train`, `test` (held out), or `all` of the folder."""
        return ImageFolder(self.path, self.side, split=part, test=self.test)

    def __len__(self) -> int:
        """Image files of this part, readable or not."""
        return len(self.files)

    def stream(self, batch: int, generator: Generator | None = None) -> Iterator[ImageRecord]:
        """Every readable image once, `batch` at a time; the last batch may be smaller. `skipped` tells of the others.

        Args:
            batch: images at a time, >= 1. generator: shuffles the order and names the device; None keeps the order of
            the file names, on the CPU.
        Raises:
            ValueError: if `batch` < 1. OSError: at the end, if not one image could be read.
        """
        if batch < 1:
            raise ValueError(f"batch: expected at least 1 image, got {batch!r}.")
        order = range(len(self)) if generator is None else _shuffled(len(self), generator)
        device = torch.device("cpu") if generator is None else generator.device
        waiting: list[np.ndarray] = []
        found = False
        for i in order:
            square = self._read(self.files[i])
            if square is None:
                continue
            found = True
            waiting.append(square.pixels)
            if len(waiting) == batch:
                yield _record(waiting, device)
                waiting = []
        if waiting:
            yield _record(waiting, device)
        if not found:
            raise self._none_readable()

    def at(self, indices: Sequence[int]) -> ImageRecord:
        """The images with the given numbers in the order of file names; for one that cannot be read, the next that can.

        Raises:
            OSError: if not one image of this part can be read.
        """
        return _record([self._from(i % len(self)) for i in indices], torch.device("cpu"))

    def read(self, path: Path) -> PlacedImage | None:
        """One image and where it lies on that of its file; None if it cannot be read, with the reason in `skipped`."""
        square = self._read(path)
        return None if square is None else _placed(square)

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images, on the generator's device; none twice before all have been taken.

        Raises:
            ValueError: if `n` < 1. OSError: if not one image of this part can be read.
        """
        if n < 1:
            raise ValueError(f"draw: expected n >= 1 images, got {n!r}.")
        order: list[int] = []
        while len(order) < n:
            order += _shuffled(len(self), generator)
        return _record([self._from(i) for i in order[:n]], generator.device)

    def _files(self) -> list[Path]:
        files = self._listed(self.folder)
        if self.part == "all" or (self.part == "test" and self.test is not None):
            return files
        if self.test is None:
            train, test = split_files(files)
            return train if self.part == "train" else test
        held = {content_digest(path) for path in self._listed(self.test)}
        files = [path for path in files if content_digest(path) not in held]
        if not files:
            raise ValueError(f"No image of {shown(self.path)} is left to train on: all are in {shown(self.test)} too.")
        return files

    def _listed(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise FileNotFoundError(f"No such folder of images: {shown(folder)}.")
        files = list(image_files(folder, self.skipped.__setitem__))
        if not files:
            raise FileNotFoundError(f"No images in {shown(folder)}: expected {', '.join(SUFFIXES)} files.")
        return files

    def _from(self, start: int) -> np.ndarray:
        for step in range(len(self)):
            square = self._read(self.files[(start + step) % len(self)])
            if square is not None:
                return square.pixels
        raise self._none_readable()

    def _read(self, path: Path) -> Square | None:
        """The middle of an image, or None, and the reason in `skipped`."""
        if path in self.skipped:
            return None
        try:
            return read_square(path, self.side)
        except UnreadableImage as error:
            self.skipped[path] = error.reason
        except OSError as error:  # gone since the folder was listed
            self.skipped[path] = str(error)
        return None

    def _none_readable(self) -> OSError:
        path = next(path for path in self.files if path in self.skipped)
        return OSError(
            f"Not one of the {len(self)} images in {shown(self.folder)} could be read; the first: {shown(path)}: "
            f"{self.skipped[path]}."
        )


def load_square(path: Path | str, side: int) -> PlacedImage:
    """One image file as a folder's are read: the middle square, resized, and where it lies on the file's image.

    Raises:
        FileNotFoundError, IsADirectoryError: if there is no such file. UnreadableImage, an OSError: if it is no image
        that can be read; the message says why.
    """
    return _placed(read_square(path, side))


def _state(files: Sequence[Path]) -> str:
    """A digest of names, sizes and times of files, which changes when a folder's images do."""
    digest = hashlib.sha256()
    for path in files:
        known = path.stat()
        digest.update(os.fsencode(path) + f" {known.st_size} {known.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _shuffled(count: int, generator: Generator) -> list[int]:
    return torch.randperm(count, generator=generator, device=generator.device).tolist()


def _images(pixels: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).to(device).permute(0, 3, 1, 2).contiguous().float().div_(255)


def _placed(square: Square) -> PlacedImage:
    return PlacedImage(_images([square.pixels], torch.device("cpu")), square.placement)


def _record(pixels: Sequence[np.ndarray], device: torch.device) -> ImageRecord:
    images = _images(pixels, device)
    n, _, side, _ = images.shape
    masks = torch.ones(n, 1, side, side, dtype=torch.bool, device=device)
    nothing = images.new_zeros(n, 0)
    return ImageRecord(images, nothing, masks, nothing.view(n, 0, 0))
