"""What all datasets of images in files share: rows that are read when they are asked for, and what a record needs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.data.dataset import one_hot
from ergosum.data.image_file import LEAST_SIDE, as_square
from ergosum.data.record import ImageRecord, Labelled
from ergosum.data.sources import Split
from ergosum.data.split import split_rows

__all__ = ["ImageTable", "Rows", "check_settings", "squares"]


class Rows(NamedTuple):
    """What a format tells of some images.

    Shape:
        pixels: (n, side, side) or (n, side, side, 3), uint8. factors: (n, F), float32. owners: (n, side, side), uint8,
            whose each pixel is, 0 for the background; None where nobody knows. attributes: (n, objects, A), float32,
            NaN for an object that is absent; None where there are none.
    """

    pixels: np.ndarray
    factors: np.ndarray
    owners: np.ndarray | None = None
    attributes: np.ndarray | None = None


class ImageTable:
    """Images of one part of a file, with what the file tells of them.

    A dataset of images (`draw`, `at`), and of images with a class each (`labelled`), the class being the value of the
    factor `kind`. About a tenth is held out, chosen by the number of the row (`split_rows`), unless a file is divided
    by itself. `AttributedImages` makes attributes of the factors, for concepts.

    Attributes:
        factors: names. levels: the values that each takes, where they are known; else (). words: names of the levels of
            a factor, where it has some. attributes: names of what is known of an object. objects: the most in an image.
        channels: of the images of `labelled`: 1 where they are grey. kind: the factor that is the class, "" for none.
        names: of the classes. rows: numbers of the images of this part.
    """

    factors: tuple[str, ...] = ()
    levels: tuple[Tensor, ...] = ()
    words: Mapping[str, tuple[str, ...]] = {}
    attributes: tuple[str, ...] = ()
    objects: int = 0
    channels: int = 3
    kind: str = ""

    def __init__(self, side: int, split: Split, count: int, settings: dict[str, Any]) -> None:
        check_settings(side, split)
        self.side, self.split = side, split
        self.rows = split_rows(count, split)
        self.settings: dict[str, Any] = {**settings, "side": side, "split": split}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, as formulas use them; none where images have no class."""
        return self.words.get(self.kind, ())

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the file; each format has its own way."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Images of this part."""
        return len(self.rows)

    def at(self, indices: Sequence[int] | Tensor) -> ImageRecord:
        """The images of this part with the given numbers, on the CPU.

        Raises:
            IndexError: if there is no image with such a number. UnreadableFile, an OSError: if the file is damaged.
        """
        numbers = torch.as_tensor(indices, dtype=torch.long).cpu().numpy()
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"at: expected numbers 0 .. {len(self) - 1}, got {numbers.min()} .. {numbers.max()}.")
        found = self.read(self.rows[numbers])
        n = len(numbers)
        owners = np.zeros((n, self.side, self.side), np.uint8) if found.owners is None else found.owners
        attributes = found.attributes
        if attributes is None:
            attributes = np.full((n, self.objects, len(self.attributes)), np.nan, np.float32)
        masks = one_hot(torch.from_numpy(owners), self.objects)
        return ImageRecord(
            _images(found.pixels), torch.from_numpy(found.factors), masks, torch.from_numpy(attributes)
        )  # fmt: skip

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images, with replacement, on the generator's device.

        Raises:
            ValueError: if `n` < 1. UnreadableFile, an OSError: if the file is damaged.
        """
        return ImageRecord(*(v.to(generator.device) for v in self.at(self._some("draw", n, generator))))

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random images, with replacement, and the number of their class; 0 where there are no classes.

        Raises:
            ValueError, UnreadableFile: as `draw`.
        """
        record = self.at(self._some("labelled", n, generator))
        labels = torch.zeros(n, dtype=torch.long)
        if self.names:
            column = self.factors.index(self.kind)
            labels = torch.searchsorted(self.levels[column], record.factors[:, column].contiguous())
        return Labelled(record.images[:, : self.channels].contiguous(), labels)

    def stream(self, batch: int) -> Iterator[ImageRecord]:
        """Every image of this part once, in order, `batch` at a time; the last batch may be smaller.

        Raises:
            ValueError: if `batch` < 1. UnreadableFile, an OSError: if the file is damaged.
        """
        if batch < 1:
            raise ValueError(f"batch: expected at least 1 image, got {batch!r}.")
        for first in range(0, len(self), batch):
            yield self.at(range(first, min(first + batch, len(self))))

    def digest(self) -> str:
        """Names the images of this part: the digest of the file and everything that decides how it is read."""
        return str(self.settings["sha256"])

    def _some(self, method: str, n: int, generator: Generator) -> Tensor:
        if n < 1:
            raise ValueError(f"{method}: expected n >= 1 images, got {n!r}.")
        return torch.randint(len(self), (n,), generator=generator, device=generator.device)


def check_settings(side: int, split: str) -> None:
    """Refuse what no dataset of images in a file takes.

    Raises:
        ValueError: for a side below 4 pixels, or a split that is neither `train` nor `test`.
    """
    if side < LEAST_SIDE:
        raise ValueError(f"side: expected at least {LEAST_SIDE} pixels, got {side!r}.")
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}.")


def squares(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle square of every image, resized (Lanczos) if it has not `side` pixels already.

    Shape:
        pixels: (n, height, width) or (n, height, width, 3), uint8. Returns (n, side, side) or (n, side, side, 3).
    """
    if pixels.shape[1:3] == (side, side):
        return pixels
    made = np.stack([as_square(Image.fromarray(image), side).pixels for image in pixels])
    return made if pixels.ndim == 4 else made[..., 0]


def _images(pixels: np.ndarray) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    images = images[:, None].expand(-1, 3, -1, -1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return images.contiguous().float().div_(255)
