"""Image datasets of Hugging Face's `datasets`: saved to disk, or as Parquet files; both stay on disk (extra `data`).

What `save_to_disk` wrote is mapped where it lies. Parquet files are turned into that form once, in the cache. Nothing
is downloaded, and no code of a dataset is run.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ergosum.data.cache import cache_folder
from ergosum.data.files import archive
from ergosum.data.files.reading import UnreadableFile, needed, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings
from ergosum.data.image_file import decode_square
from ergosum.data.listing import shown
from ergosum.data.sources import Split

__all__ = ["HuggingFaceImages", "class_words"]

WHAT = "a dataset of Hugging Face (a folder saved to disk, or Parquet files)"
PARTS = {"train": ("train",), "test": ("test", "validation", "valid", "val")}
"""Names of the parts of a dataset, the first that is there counts."""


class HuggingFaceImages(ImageTable):
    """Images of a column of images; the columns of classes are factors.

    A dataset that has a part `test` (or `validation`) is divided by it, one that has not by the numbers of its rows.
    There are no masks. The middle square of every image is taken.

    Args:
        path: a folder that `save_to_disk` wrote, a Parquet file, or a folder of them (`train-*.parquet`,
            `test-*.parquet` are parts). side: pixels of an image, >= 4. split: `train` or `test`. image: name of the
            column of images; "" takes the only one. label: of the column of classes that `labelled` tells; "" takes the
            first.
    Raises:
        FileNotFoundError: if there is no such folder or file. ImportError: without datasets. UnreadableFile, an
        OSError: if it has another form or is damaged. ValueError: if a setting is out of range, or names no column.
    """

    def __init__(
        self, path: Path | str, side: int = 64, split: Split = "train", image: str = "", label: str = ""
    ) -> None:
        check_settings(side, split)
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no folder or file {shown(self.path)}; expected {WHAT}.")
        datasets = needed("datasets", "data", "A dataset of Hugging Face")
        with readable(self.path, WHAT):
            datasets.disable_progress_bars()
            table, own = _part(self.path, split, datasets)
            features = table.features
        self.image = _column(self.path, features, image, "image", datasets.Image)
        self._table = table.cast_column(self.image, datasets.Image(decode=False))
        classes = {k: f for k, f in features.items() if isinstance(f, datasets.ClassLabel)}
        self.factors = tuple(classes)
        self.levels = tuple(torch.arange(float(f.num_classes)) for f in classes.values())
        self.words = {k: class_words(f.names, k) for k, f in classes.items()}
        self.kind = label or next(iter(classes), "")
        if self.kind and self.kind not in classes:
            raise ValueError(f"label: {label!r} is no column of classes; there are {', '.join(classes) or 'none'}.")
        self._classes = np.stack(
            [np.asarray(table.with_format("numpy")[k], np.float32) for k in classes] or [np.zeros((0,), np.float32)], 1
        ) if classes else np.zeros((len(table), 0), np.float32)  # fmt: skip
        if (self._classes < 0).any():
            raise UnreadableFile(self.path, WHAT, "some rows have no class (-1); leave them out with filter")
        settings = {"path": self.path.name, "image": self.image, "sha256": table._fingerprint}
        super().__init__(side, split, max(2, len(table)), settings)
        if own:
            self.rows = np.arange(len(table))

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the table."""
        with readable(self.path, WHAT):
            held = [self._table[int(i)][self.image] for i in rows]
        pixels = np.stack([self._decoded(content, int(i)) for content, i in zip(held, rows, strict=True)])
        return Rows(pixels, self._classes[rows])

    def _decoded(self, held: dict[str, Any] | None, row: int) -> np.ndarray:
        name = f"{self.path}, row {row}"
        if held is None or not held.get("bytes"):
            where = "nothing" if held is None else f"the path {held.get('path')!r} alone"
            raise UnreadableFile(name, "an image", f"its column {self.image!r} holds {where}; save the images with it")
        return decode_square(held["bytes"], name, self.side).pixels


def class_words(names: Sequence[str], column: str) -> tuple[str, ...]:
    """Names of classes as formulas can hold them, each once; names that become alike get their numbers.

    Args:
        names: as a file has them. column: goes before a name that is no word by itself.
    """
    told = [re.sub(r"\W+", "_", name).strip("_").lower() for name in names]
    told = [name if name and not name[0].isdigit() else f"{column}_{name or k}" for k, name in enumerate(told)]
    return tuple(f"{name}_{k}" if told.count(name) > 1 else name for k, name in enumerate(told))


def _part(path: Path, split: Split, datasets: Any) -> tuple[Any, bool]:
    """The rows that hold a part, and whether they hold nothing else."""
    if path.is_file() or sorted(path.glob("*.parquet")):
        return _parquet(path, split, datasets)
    if not any((path / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
        raise ValueError("it holds neither dataset_dict.json nor state.json, nor files *.parquet")
    held = datasets.load_from_disk(str(path))
    if not isinstance(held, datasets.DatasetDict):
        return held, False
    return _chosen(dict(held), split)


def _chosen(parts: dict[str, Any], split: Split) -> tuple[Any, bool]:
    if not any(name in parts for name in PARTS["test"]) and len(parts) == 1:
        return next(iter(parts.values())), False
    if not any(name in parts for name in PARTS["test"]) and split == "test":
        return parts["train"], False
    found = next((name for name in PARTS[split] if name in parts), None)
    if found is None:
        raise ValueError(f"it has no part {split!r}; it has {', '.join(parts)}")
    return parts[found], any(name in parts for name in PARTS["test"])


def _parquet(path: Path, split: Split, datasets: Any) -> tuple[Any, bool]:
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    if path.is_file() and path.suffix != ".parquet":
        raise ValueError("expected a file *.parquet")
    parts: dict[str, list[Path]] = {}
    for file in files:
        known = re.match(r"(train|test|validation|valid|val)\b|(train|test|validation|valid|val)-", file.name)
        parts.setdefault((known[1] or known[2]) if known else "train", []).append(file)
    chosen, own = _chosen(parts, split)
    digest = hashlib.sha256("".join(archive.state(file) for file in chosen).encode()).hexdigest()[:16]
    cache = cache_folder("parquet") / digest
    names = [str(file) for file in chosen]
    return datasets.Dataset.from_parquet(names, cache_dir=str(cache)), own


def _column(path: Path, features: Any, asked: str, argument: str, kind: Any) -> str:
    """The column of images that is asked for, or the only one."""
    found = [k for k, feature in features.items() if isinstance(feature, kind)]
    if asked and asked not in found:
        raise ValueError(f"{argument}: {asked!r} is no column of images; there are {', '.join(found) or 'none'}.")
    if not found:
        raise UnreadableFile(path, WHAT, f"none of its columns holds images: {', '.join(features) or 'it has none'}")
    if not asked and len(found) > 1:
        raise ValueError(f"{argument}: expected one of the columns of images {', '.join(found)}.")
    return asked or found[0]
