"""A folder of CelebA as its authors hand it out: faces of the well-known with forty attributes.

After Liu et al. 2015, "Deep Learning Face Attributes in the Wild". The images are not part of the package and may be
used for research only; the folder holds `list_attr_celeba.txt`, the images in `img_align_celeba`, and, where it is
there, `list_eval_partition.txt`.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.image_file import LEAST_SIDE, read_square
from ergosum.data.listing import shown
from ergosum.data.sources import Split

__all__ = ["CelebA"]

ATTRIBUTES, PARTITION, IMAGES = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
_PART = {"train": 0, "test": 2}


class CelebA:
    """Images of CelebA and some of their attributes; only the batch at hand is in memory.

    An attribute such as `Smiling` is called smiling, with the values smiling and not_smiling; `5_o_Clock_Shadow`, which
    begins with a digit, is has_5_o_clock_shadow. Images are cut to the middle square and resized.

    Args:
        folder: where the files lie. attributes: which of the forty to tell, as the list has them.
        side: pixels of an image, >= 4. split: `train` or `test`. Without `list_eval_partition.txt` these are the first
            eight tenths of the list and its last tenth, which is how that file divides the whole list, too.
    Raises:
        FileNotFoundError: if the folder, a list or an image is missing. ValueError: if a list has a line that is none
            of CelebA's, an attribute is none of the list's or given twice, a setting is out of range, or nothing is
            left for a part.
    """

    channels = 3

    def __init__(
        self,
        folder: Path | str,
        attributes: Sequence[str] = ("Smiling", "Eyeglasses", "Male", "Young"),
        side: int = 64,
        split: Split = "train",
    ) -> None:
        if side < LEAST_SIDE:
            raise ValueError(f"side: expected at least {LEAST_SIDE} pixels, got {side!r}.")
        if split not in _PART:
            raise ValueError(f"split: expected 'train' or 'test', got {split!r}.")
        self.folder, self.side, self.split = Path(folder), side, split
        if not self.folder.is_dir():
            raise FileNotFoundError(f"No such folder of CelebA: {shown(self.folder)}.")
        names, files, table = _attributes(self.folder / ATTRIBUTES)
        columns = _chosen(names, attributes)
        self.attributes = tuple(Attribute(_word(a), (_word(a), f"not_{_word(a)}")) for a in attributes)
        kept = _part(self.folder / PARTITION, files, split)
        if not len(kept):
            raise ValueError(f"{shown(self.folder)}: no image is left for the part to {split} of {len(files)} images.")
        self.files = [files[i] for i in kept]
        self._values = (table[kept][:, columns] < 0).astype(np.float32)
        _require_images(self.folder / IMAGES, self.files)

    def __len__(self) -> int:
        """Images of this part."""
        return len(self.files)

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images, with replacement, on the generator's device.

        Raises:
            ValueError: if `n` < 1. UnreadableImage, an OSError: if a file is damaged.
        """
        if n < 1:
            raise ValueError(f"attributed: expected n >= 1 images, got {n!r}.")
        return self.at(torch.randint(len(self), (n,), generator=generator, device=generator.device))

    def at(self, rows: Tensor) -> Attributed:
        """The images with the given numbers in the order of the list."""
        numbers = rows.tolist()
        pixels = np.stack([read_square(self.folder / IMAGES / self.files[i], self.side).pixels for i in numbers])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(rows.device).float() / 255
        return Attributed(images, torch.from_numpy(self._values[numbers]).to(rows.device))

    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the names of the images and their values."""
        return hashlib.sha256("\n".join(self.files).encode() + self._values.tobytes()).hexdigest()[:16]


def _attributes(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Names of attributes, names of files, and a table of 1 and -1, (files, attributes), int8."""
    lines = _lines(path)
    head = [next(lines, (0, ""))[1], next(lines, (0, ""))[1]]
    if not head[0].strip().isdigit() or not head[1].split():
        raise ValueError(f"{shown(path)}: expected the number of images in line 1 and attributes' names in line 2.")
    names, files, rows = head[1].split(), [], []
    for number, line in lines:
        name, *words = line.split()
        if len(words) != len(names) or not set(words) <= {"1", "-1"}:
            raise ValueError(f"{shown(path)}, line {number}: expected the name of a file and {len(names)} values of "
                             f"1 or -1, got {_short(line)!r}.")  # fmt: skip
        files.append(name)
        rows.append(np.array(words, np.int8))
    if len(files) != int(head[0]):
        raise ValueError(f"{shown(path)}: line 1 says {int(head[0])} images, but {len(files)} follow; is it whole?")
    if not files:
        raise ValueError(f"{shown(path)}: expected at least one image, got none.")
    return names, files, np.stack(rows)


def _part(path: Path, files: Sequence[str], split: Split) -> list[int]:
    """Rows of the list that belong to one part."""
    if not path.is_file():
        first, last = (0, len(files) * 8 // 10) if split == "train" else (len(files) * 9 // 10, len(files))
        return list(range(first, last))
    parts: dict[str, int] = {}
    for number, line in _lines(path):
        words = line.split()
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise ValueError(f"{shown(path)}, line {number}: expected the name of a file and 0, 1 or 2 (to train on, "
                             f"to validate, to test on), got {_short(line)!r}.")  # fmt: skip
        parts[words[0]] = int(words[1])
    if missing := [name for name in files if name not in parts]:
        raise ValueError(f"{shown(path)}: {len(missing)} images of the list of attributes are missing in it, the "
                         f"first: {missing[0]}.")  # fmt: skip
    return [i for i, name in enumerate(files) if parts[name] == _PART[split]]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not empty, with their numbers from 1."""
    if not path.is_file():
        raise FileNotFoundError(f"{shown(path)} is missing: a folder of CelebA has {ATTRIBUTES} and {IMAGES}/.")
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.strip()


def _chosen(names: Sequence[str], asked: Sequence[str]) -> list[int]:
    """Columns of the attributes that are asked for."""
    if not asked or isinstance(asked, str):
        raise ValueError(f"attributes: expected one name or more of the list's in a list, got {asked!r}.")
    for name in asked:
        if name not in names:
            raise ValueError(f"attributes: there is no {name!r}; expected some of {', '.join(names)}.")
    if len(set(asked)) < len(asked):
        raise ValueError(f"attributes: expected every name once, got {', '.join(asked)}.")
    return [names.index(name) for name in asked]


def _require_images(folder: Path, files: Sequence[str]) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is missing: unpack img_align_celeba.zip into {shown(folder.parent)}.")
    held = set(os.listdir(folder))
    if missing := [name for name in files if name not in held]:
        raise FileNotFoundError(f"{shown(folder)}: {len(missing)} of {len(files)} images of the list are missing, the "
                                f"first: {missing[0]}.")  # fmt: skip


def _word(name: str) -> str:
    """An attribute's name as formulas can hold it."""
    return f"has_{name.lower()}" if name[0].isdigit() else name.lower()


def _short(line: str) -> str:
    return line if len(line) <= 60 else f"{line[:57]}..."
