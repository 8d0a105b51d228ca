"""Files of the form of MNIST's: idx, packed or not, or one archive of arrays; MNIST, Fashion-MNIST, KMNIST, EMNIST, and
what people made in their likeness.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ergosum.data.files import archive
from ergosum.data.files.emnist import emnist_classes
from ergosum.data.files.reading import present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.files.unpacked import unpacked
from ergosum.data.glyphs import EDGE
from ergosum.data.labelled import DIGITS
from ergosum.data.listing import shown
from ergosum.data.sources import Split

__all__ = ["MnistFiles"]

WHAT = "MNIST's kind (idx files, or an .npz archive)"
ADDRESS = "https://github.com/zalandoresearch/fashion-mnist, https://github.com/rois-codh/kmnist and others"
PARTS = {"train": ("train",), "test": ("t10k", "test")}
"""How names of files call the parts."""
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Of the third byte of an idx file."""
BLOCK = 4096
"""Rows that are unpacked at a time."""


class MnistFiles(ImageTable):
    """Grey images with a class each, of the part that their files name.

    The factor is the class; the object is what is at least a fifth as bright as the brightest pixel, without
    attributes. Images of EMNIST's files, which hold columns for rows, are turned upright, and their classes are in the
    order of the labels, the letters from 0 on.

    Args:
        path: a folder with idx files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, or with another
            beginning such as `emnist-letters-`, with `.gz` or without); of a folder with several sets, the folder and
            how the names of one begin, `gzip/emnist-letters`; or an `.npz` archive with x_train, y_train, x_test and
            y_test. side: pixels of an image, >= 4; they come with 28. split: `train` or `test`. names: of the classes
            in order; none takes those of EMNIST's labels (`emnist.py`), else zero .. nine for ten, and class_0,
            class_1 .. for any other number.
    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it. UnreadableFile, an OSError: if a file
        has another form or is damaged. ValueError: if a setting is out of range.
    """

    factors = ("class",)
    objects = 1
    channels = 1
    kind = "class"

    def __init__(self, path: Path | str, side: int = 28, split: Split = "train", names: Sequence[str] = ()) -> None:
        check_settings(side, split)
        self.path = Path(path)
        packed = self.path.suffix.lower() == ".npz"
        if not _begin(self.path):
            present(path, WHAT, ADDRESS, folder=not packed)
        self._images, labels, self._turned = (_archived if packed else _found)(self.path, split)
        self._labels = labels.astype(np.int64)
        known = () if packed else tuple(emnist_classes(_named(self.path, split, "images")).values())
        highest = len(known) - 1 if known else _highest(self.path, packed, split, self._labels)
        told = tuple(names) or known or (DIGITS if highest == 9 else tuple(f"class_{k}" for k in range(highest + 1)))
        if len(told) <= highest or len(set(told)) < len(told):
            raise ValueError(f"names: expected {highest + 1} different names, one for each class, got {told}.")
        self.words = {"class": told}
        self.levels = (torch.arange(float(len(told))),)
        files = archive.state(self.path) if packed else _state(self.path)
        super().__init__(side, split, len(self._labels), {"files": self.path.name, "sha256": files})
        self.rows = np.arange(len(self._labels))

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the file."""
        pixels = np.asarray(self._images[rows])
        pixels = squares(pixels.swapaxes(1, 2) if self._turned else pixels, self.side)
        bright = pixels.max((1, 2), keepdims=True)
        owners = ((pixels >= EDGE * bright) & (bright > 0)).astype(np.uint8)
        return Rows(
            pixels, self._labels[rows, None].astype(np.float32), owners, np.zeros((len(rows), 1, 0), np.float32)
        )


def _begin(path: Path) -> str:
    """How the names of the files begin that a path stands for which is no folder: "" for none of idx."""
    if path.exists() or not path.parent.is_dir() or not path.name:
        return ""
    begin = f"{path.name.removesuffix('-')}-"
    return begin if any(p.name.startswith(begin) and "idx" in p.name for p in path.parent.iterdir()) else ""


def _highest(path: Path, packed: bool, split: str, labels: np.ndarray) -> int:
    """The highest class of both parts, so that they have the same names."""
    try:
        other = (_archived if packed else _found)(path, "test" if split == "train" else "train")[1]
    except OSError:  # the other part need not be there
        return int(labels.max())
    return int(max(labels.max(), other.max()))


def _found(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Images and labels of the idx files of a folder, and whether columns are rows; labels of EMNIST's from 0 on."""
    images, labels = (_named(folder, split, kind) for kind in ("images", "labels"))
    with readable(images, WHAT):
        pixels = _idx(images)
        _expect_images(pixels)
    with readable(labels, WHAT):
        classes = _idx(labels)
        classes = classes[:, 0] if classes.ndim == 2 else classes  # QMNIST's have more columns
        _expect_labels(classes, len(pixels))
        known = np.array(list(emnist_classes(images)), np.int64)
        if len(known):
            if len(other := np.setdiff1d(classes, known)):
                raise ValueError(f"expected labels {known[0]} .. {known[-1]} of its set, got {other[0]}")
            classes = np.searchsorted(known, classes)
    return pixels, np.asarray(classes), images.name.startswith("emnist")


def _archived(path: Path, split: str) -> tuple[np.ndarray, np.ndarray, bool]:
    with readable(path, WHAT):
        pixels, classes = archive.array(path, f"x_{split}"), archive.array(path, f"y_{split}")
        pixels = pixels[..., 0] if pixels.ndim == 4 and pixels.shape[3] == 1 else pixels
        classes = classes[:, 0] if classes.ndim == 2 and classes.shape[1] == 1 else classes
        _expect_images(pixels)
        _expect_labels(classes, len(pixels))
    return pixels, np.asarray(classes), False


def _named(folder: Path, split: str, kind: str) -> Path:
    """The one file of a part that holds images, or labels."""
    part, begin = "|".join(PARTS[split]), _begin(folder)
    folder = folder.parent if begin else folder
    form = re.compile(rf"{re.escape(begin) or '(.*-)?'}({part})-{kind}[-.]idx\d-(ubyte|int)(\.gz)?")
    found = sorted(p for p in folder.iterdir() if form.fullmatch(p.name))
    if not found:
        raise FileNotFoundError(
            f"{shown(folder)}: there is no file of the {kind} to {split} on; expected {PARTS[split][0]}-{kind}-idx"
            f"{3 if kind == 'images' else 1}-ubyte, or that with .gz."
        )
    sets = {p.name.removesuffix(".gz") for p in found}
    if len(sets) > 1:
        raise ValueError(
            f"{shown(folder)}: expected one file of {kind} to {split} on, got {', '.join(sorted(sets))}; for one "
            "set of several add how its names begin to the path, such as gzip/emnist-letters."
        )
    return found[0]


def _idx(path: Path) -> np.ndarray:
    """The array of an idx file: mapped where it lies, or unpacked once into the cache."""
    if path.suffix != ".gz":
        with path.open("rb") as file:
            dtype, dims, start = _head(file.read(4 + 4 * 255))
        expected = int(np.prod(dims)) * dtype.itemsize
        if (held := path.stat().st_size - start) != expected:
            wrong = "truncated" if held < expected else "longer than it says"
            raise ValueError(f"it is {wrong}: {expected:,} bytes of numbers are announced, {held:,} are there")
        return np.memmap(path, dtype, "r", start, dims)
    return unpacked(archive.state(path), lambda: _blocks(path))["rows"]


def _blocks(path: Path) -> Iterator[dict[str, np.ndarray]]:
    with gzip.open(path) as file:
        head = file.read(4)
        dtype, dims, _ = _head(head + file.read(4 * head[3] if len(head) == 4 else 0))
        row = int(np.prod(dims[1:])) * dtype.itemsize
        for first in range(0, dims[0], BLOCK):
            rows = min(BLOCK, dims[0] - first)
            content = file.read(rows * row)
            if len(content) < rows * row:
                raise ValueError(f"it is truncated: it ends at row {first + len(content) // row} of {dims[0]}")
            yield {"rows": np.frombuffer(content, dtype).reshape(rows, *dims[1:])}
        if file.read(1):
            raise ValueError(f"it is longer than the {dims[0]} rows that are announced")


def _head(content: bytes) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and length of the header of an idx file."""
    if len(content) < 8 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise ValueError(f"it is no idx file: it begins with {content[:4].hex(' ') or 'nothing'}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError("it is truncated within its header")
    dims = tuple(int(n) for n in np.frombuffer(content, ">i4", content[3], offset=4))
    if min(dims) < 1:
        raise ValueError(f"expected at least one row, got the shape {dims}")
    return np.dtype(TYPES[content[2]]), dims, start


def _expect_images(pixels: np.ndarray) -> None:
    if pixels.ndim != 3:
        raise ValueError(f"expected images (n, height, width), got the shape {pixels.shape}")
    if pixels.dtype != np.uint8:
        raise ValueError(f"expected images in bytes (uint8), got {pixels.dtype}")


def _expect_labels(classes: np.ndarray, count: int) -> None:
    if classes.shape != (count,):
        raise ValueError(f"expected {count} labels, one for each image, got the shape {classes.shape}")
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0 or classes.max() > 999:
        raise ValueError(f"expected labels in whole numbers 0 .. 999, got {classes.dtype} up to {classes.max()}")


def _state(folder: Path) -> str:
    """A name for what the files of a folder hold that are read."""
    begin = _begin(folder)
    folder = folder.parent if begin else folder
    files = sorted(p for p in folder.iterdir() if p.name.startswith(begin) and re.search("[-.]idx", p.name))
    return hashlib.sha256("".join(archive.state(file) for file in files).encode()).hexdigest()[:16]
