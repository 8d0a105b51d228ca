"""Images with a class each: what densities learn from."""

import re
from collections import Counter
from pathlib import Path
from typing import Protocol

import torch
from torch import Generator, Tensor

from ergosum.data.image_file import UnreadableImage, read_square
from ergosum.data.listing import image_files, shown
from ergosum.data.record import Digits, Labelled
from ergosum.data.sources import SOURCES, Split, centre, checksum, load_digits
from ergosum.data.split import split_files

__all__ = ["LabelledData", "LabelledImages"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLOTHES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


class LabelledData(Protocol):
    """A dataset of images with a class each; yours may draw them as it likes.

    Attributes:
        names: of the classes, as formulas use them; empty where there are none. side, channels: of an image.
    """

    names: tuple[str, ...]
    side: int
    channels: int

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random images, with replacement, of the part that it was built for."""
        ...


class LabelledImages:
    """Images of one part of a source, held in memory.

    Of a folder, every sub-folder is a class and gives it its name; images that lie in the folder itself have no class
    beside them, so that a folder without sub-folders has no classes at all. The middle square of every image is taken,
    resized (Lanczos). About a tenth is held out.

    Args:
        source: digits, mnist or fashion, or a folder of images. side: pixels of an image, a multiple of 4, >= 12.
        channels: 1 for grey, 3 for colour. split: `train`, or `test`, what is held out.
    Raises:
        ValueError: if the source is unknown, a setting out of range, or a folder holds less than two images, or images
            both beside and in its sub-folders. FileNotFoundError, OSError: if files are missing or damaged.
    """

    def __init__(self, source: str = "digits", side: int = 28, channels: int = 1, split: Split = "train") -> None:
        if side < 12 or side % 4:
            raise ValueError(f"side: expected a multiple of 4, at least 12, got {side!r}.")
        if channels not in (1, 3):
            raise ValueError(f"channels: expected 1 (grey) or 3 (colour), got {channels!r}.")
        if split not in ("train", "test"):
            raise ValueError(f"split: expected 'train' or 'test', got {split!r}.")
        self.source, self.side, self.channels, self.split = source, side, channels, split
        if source in SOURCES:
            digits = load_digits(source, split)
            self.names = CLOTHES if source == "fashion" else DIGITS
            self.images = centre(digits.images, side).expand(-1, channels, -1, -1)
            self.labels = digits.labels
        else:
            self.names, self.images, self.labels = _folder(source, side, channels, split)

    def __len__(self) -> int:
        """Images in this part."""
        return len(self.labels)

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random images, with replacement."""
        if n < 1:
            raise ValueError(f"labelled: expected n >= 1 images, got {n!r}.")
        rows = torch.randint(len(self), (n,), generator=generator, device=generator.device).cpu()
        return Labelled(self.images[rows].contiguous(), self.labels[rows])

    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the images as bytes."""
        return checksum(Digits(self.images, self.labels))


def _folder(source: str, side: int, channels: int, split: Split) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """Class names, images and labels of one part of a folder."""
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(f"Unknown source {source!r}: expected {', '.join(SOURCES)}, or a folder of images.")
    files = list(image_files(folder))
    if len(files) < 2:
        raise ValueError(f"{shown(folder)}: expected at least two images to learn from, found {len(files)}.")
    kinds = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in files]
    classes = sorted(set(kinds))
    if "" in classes and len(classes) > 1:
        raise ValueError(
            f"{shown(folder)}: {kinds.count('')} images lie beside the sub-folders that name classes; move them into "
            "one of these, or elsewhere."
        )
    names = () if classes == [""] else _names(folder, classes)
    train, test = split_files(files)
    kept = train if split == "train" else test
    images, labels = [], []
    for path in kept:
        try:
            pixels = torch.tensor(read_square(path, side).pixels)
        except UnreadableImage:
            continue
        image = pixels.permute(2, 0, 1).float() / 255
        images.append(image if channels == 3 else image.mean(0, keepdim=True))
        labels.append(classes.index(path.relative_to(folder).parts[0]) if names else 0)
    if not images:
        raise ValueError(f"{shown(folder)}: no image of its {split} part could be read.")
    return names, torch.stack(images), torch.tensor(labels)


def _names(folder: Path, classes: list[str]) -> tuple[str, ...]:
    """Names of classes as a formula can hold them, from those of folders."""
    told = [re.sub(r"\W+", "_", name).strip("_") or "class" for name in classes]
    told = [f"class_{name}" if name[0].isdigit() else name for name in told]
    twice = [name for name, times in Counter(told).items() if times > 1]
    if twice:
        raise ValueError(f"{shown(folder)}: two sub-folders would both be called {twice[0]!r} in formulas; rename one.")
    return tuple(told)
