"""WebDataset's shards: tar archives in which the files of one example lie side by side, under one name.

Only where each image lies is kept in memory, 20 bytes for each; images are read from the archives when they are asked
for, in any order, so that archives have to be files of this machine: addresses of the web are refused, since a stream
is read from its beginning. Archives are read as tar, and nothing of them is unpacked or run.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from glob import glob, has_magic
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch

from ergosum.data.files import archive
from ergosum.data.files.hugging_face import class_words
from ergosum.data.files.reading import UnreadableFile, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings
from ergosum.data.image_file import decode_square
from ergosum.data.listing import SUFFIXES, shown
from ergosum.data.sources import Split

__all__ = ["ImageShards"]

WHAT = "a shard of WebDataset (.tar)"
IMAGES = (*(s.removeprefix(".") for s in SUFFIXES), "ppm", "pgm")
"""Endings of images."""
ADDRESS = re.compile(r"([a-z][a-z0-9]+):(?=/|\S+ )")
"""What begins an address of the web, or one of WebDataset's commands, `pipe:curl ..`."""
MOST = 2**20
"""Bytes of a label, at most."""


class _Example(NamedTuple):
    """Where an example lies in its shard, and its class, -1 without one."""

    offset: int
    size: int
    label: int


class ImageShards(ImageTable):
    """Images of shards, in the order of the names of the shards; the factor is the class, where there is one.

    An example is what lies side by side under one name up to the first dot: an image (`0001.png`, `.jpg`, `.webp`, ..)
    and, if there is one, its class, a number in `0001.cls`, or under `label` in `0001.json`. Either all examples have a
    class or none. There are no masks. About a tenth is held out by the numbers of the examples (`split_rows`), unless
    `test` names shards of their own. The middle square of every image is taken.

    Args:
        path: a `.tar` file, a folder of them, or names with braces or wildcards, `train-{0000..0012}.tar`,
            `{a,b}/train-*.tar`. side: pixels of an image, >= 4. split: `train` or `test`. test: shards to hold out,
            named like `path`; "" takes a tenth of `path`. names: of the classes in order; none takes class_0, ..
    Raises:
        FileNotFoundError: if there is no such file. UnreadableFile, an OSError: if a shard has another form or is
        damaged. ValueError: if a setting is out of range, or for an address of the web.
    """

    def __init__(
        self,
        path: Path | str,
        side: int = 64,
        split: Split = "train",
        test: Path | str = "",
        names: tuple[str, ...] = (),
    ) -> None:
        check_settings(side, split)
        own = bool(str(test)) and str(test) != "."
        self.path = Path(test if own and split == "test" else path)
        self.files = _shards(self.path)
        shard, offsets, sizes, labels = [], [], [], []
        for number, file in enumerate(self.files):
            with readable(file, WHAT):
                for found in _examples(file):
                    shard.append(number)
                    offsets.append(found.offset)
                    sizes.append(found.size)
                    labels.append(found.label)
        if not shard:
            raise UnreadableFile(self.files[0], WHAT, "it holds not one image")
        self._shard, self._offsets = np.array(shard, np.int32), np.array(offsets, np.int64)
        self._sizes, self._labels = np.array(sizes, np.int64), np.array(labels, np.int64)
        self._name_classes(names)
        digest = hashlib.sha256("".join(archive.state(file) for file in self.files).encode()).hexdigest()[:16]
        super().__init__(side, split, max(2, len(shard)), {"path": self.path.name, "sha256": digest})
        if own:
            self.rows = np.arange(len(shard))

    def _name_classes(self, names: tuple[str, ...]) -> None:
        if not (missing := int((self._labels < 0).sum())):
            count = max(int(self._labels.max()) + 1, len(names))
            if names and (len(names) < count or len(set(names)) < len(names)):
                raise ValueError(f"names: expected {count} different names, one for each class, got {tuple(names)}.")
            self.factors, self.levels, self.kind = ("class",), (torch.arange(float(count)),), "class"
            self.words = {"class": class_words(names or [f"class_{k}" for k in range(count)], "class")}
        elif missing < len(self._labels):
            first = int(self._shard[np.argmax(self._labels < 0)])
            raise UnreadableFile(self.files[first], WHAT, f"{missing} of {len(self._labels)} images have no class")
        elif names:
            raise ValueError(f"names: expected none, since the images have no classes, got {tuple(names)}.")

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers, each shard opened once."""
        found: dict[int, np.ndarray] = {}
        for number in np.unique(self._shard[rows]):
            file = self.files[number]
            with file.open("rb") as opened:
                for i in np.unique(rows[self._shard[rows] == number]):
                    opened.seek(self._offsets[i])
                    content = opened.read(self._sizes[i])
                    found[int(i)] = decode_square(content, f"{file}, image {i}", self.side).pixels
        factors = self._labels[rows, None] if self.factors else np.zeros((len(rows), 0))
        return Rows(np.stack([found[int(i)] for i in rows]), factors.astype(np.float32))


def _shards(path: Path) -> list[Path]:
    """The shards that a name stands for, in order."""
    if address := ADDRESS.match(str(path)):
        raise ValueError(
            f"path: expected .tar files of this machine, got the address {str(path)!r}: images are read in any order, "
            f"which {address[1]} does not give. Download the shards first, and name the folder that they are in."
        )
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix == ".tar" and p.is_file())
        if not found:
            raise FileNotFoundError(f"There are no shards (.tar) in {shown(path)}.")
        return found
    found = [file for name in _braced(str(path)) for file in _matching(Path(name))]
    if missing := [file for file in found if not file.is_file()]:
        raise FileNotFoundError(f"There is no shard {shown(missing[0])}; expected a .tar file, or a folder of them.")
    if packed := [file for file in found if file.suffix in (".gz", ".tgz", ".zst", ".xz")]:
        raise UnreadableFile(packed[0], WHAT, "it is packed, so that no image can be read by itself; unpack it to .tar")
    return found


def _matching(path: Path) -> list[Path]:
    """The files that a name with wildcards stands for, in order; any other name by itself."""
    if path.exists() or not has_magic(str(path)):
        return [path]
    return [Path(name) for name in sorted(glob(str(path)))] or [path]


def _braced(name: str) -> Iterator[str]:
    """Every name that braces stand for: {0000..0012}, and {a,b}."""
    pieces = re.split(r"\{([^{}]*)\}", name)
    choices = []
    for k, piece in enumerate(pieces):
        span = re.fullmatch(r"(\d+)\.\.(\d+)", piece) if k % 2 else None
        if span:
            numbers = range(int(span[1]), int(span[2]) + 1)
            choices.append([f"{i:0{len(span[1])}d}" for i in numbers])
        else:
            choices.append(piece.split(",") if k % 2 else [piece])
    for parts in product(*choices):
        yield "".join(parts)


def _examples(file: Path) -> Iterator[_Example]:
    """Every example of a shard that has an image."""
    name, image, label = "", None, -1
    with tarfile.open(file, "r:") as opened:
        while (member := _next(opened)) is not None:
            if not member.isfile():
                continue
            where = PurePosixPath(member.name)
            base, _, ending = where.name.partition(".")
            key, ending = str(where.with_name(base)), ending.lower()
            if key != name:
                if image is not None:
                    yield _Example(*image, label)
                name, image, label = key, None, -1
            if ending in IMAGES:
                if image is not None:
                    raise ValueError(f"{member.name}: two images have the name {key!r}")
                image = member.offset_data, member.size
            elif ending in ("cls", "json"):
                label = _label(opened, member, ending, label)
        if image is not None:
            yield _Example(*image, label)


def _next(opened: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next file of an archive, which keeps no list of them."""
    try:
        member = opened.next()
    except tarfile.ReadError as error:
        raise ValueError(f"it is truncated or damaged: {error}") from error
    opened.members = []  # type: ignore[reportAttributeAccessIssue]
    return member


def _label(opened: tarfile.TarFile, member: tarfile.TarInfo, ending: str, before: int) -> int:
    content = opened.extractfile(member)
    text = b"" if content is None else content.read(MOST)
    try:
        told = json.loads(text) if ending == "json" else int(text)
    except ValueError as error:
        raise ValueError(f"{member.name}: expected {'JSON' if ending == 'json' else 'a whole number'}") from error
    if ending == "json":
        told = told.get("label", before) if isinstance(told, dict) else before
        if not isinstance(told, int) or isinstance(told, bool):
            return before
    if not 0 <= told < 100_000 and told != before:
        raise ValueError(f"{member.name}: expected a class 0 .. 99,999, got {told}")
    return told
