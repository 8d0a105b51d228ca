"""3D Shapes as it is published: every combination of three colours, a size, a shape and a view of one solid in a room.

After Burgess, Kim 2018. The file is HDF5 and needs the extra `data`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ergosum.data.files import archive
from ergosum.data.files.published import verify
from ergosum.data.files.reading import UnreadableFile, needed, present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.files.unpacked import unpacked
from ergosum.data.sources import Split

__all__ = ["Shapes3D"]

WHAT, ADDRESS = "3D Shapes (.h5)", "https://github.com/google-deepmind/3d-shapes"
HUES = ("red", "orange", "lime", "green", "mint", "cyan", "azure", "violet", "purple", "pink")
"""Words for the ten hues 0, 0.1 .. 0.9."""
DIRECT, MOST = 64, 4096
"""Rows of a chunk up to which single rows are read from the file; rows that are unpacked at a time, at most."""


class Shapes3D(ImageTable):
    """Images of 3D Shapes' file, or of one like it: `images` (n, side, side, 3) in bytes and `labels` (n, 6).

    Factors are the hues of floor, wall and object (0 .. 0.9), scale (0.75 .. 1.25), shape (0 cube, 1 cylinder, 2
    sphere, 3 capsule) and orientation (-30 .. 30 degrees). There are no masks. Where a file is stored in chunks of many
    images, it is unpacked once into the cache (the published images take 5.9 GB there).

    Args:
        path: the `.h5` file. side: pixels of an image, >= 4; 64 are as they come. split: `train`, or `test`, the tenth
            that is held out.
    Raises:
        FileNotFoundError: if there is no such file. ImportError: without h5py. UnreadableFile, an OSError: if it has
        another form, is damaged, or is not the published file whose name it has. ValueError: if a setting is out of
        range.
    """

    factors = ("floor hue", "wall hue", "object hue", "scale", "shape", "orientation")
    words = {  # noqa: RUF012
        **{f"{part} hue": tuple(f"{part}_{hue}" for hue in HUES) for part in ("floor", "wall", "object")},
        "shape": ("cube", "cylinder", "sphere", "capsule"),
    }
    kind = "shape"

    def __init__(self, path: Path | str, side: int = 64, split: Split = "train") -> None:
        check_settings(side, split)
        self.path = present(path, WHAT, ADDRESS)
        h5py = needed("h5py", "data", WHAT)
        verify(self.path, WHAT)
        with readable(self.path, WHAT):
            self._file = h5py.File(self.path, "r", rdcc_nbytes=2**26)
            images, labels = (_dataset(self._file, name) for name in ("images", "labels"))
            self._labels = _labels(images, labels)
            self.levels = tuple(torch.from_numpy(np.unique(column)) for column in self._labels.T)
            chunk = (images.chunks or (1,))[0]
            self._images: Any = images if chunk <= DIRECT else self._unpacked(images, chunk)
        if not torch.equal(self.levels[4], torch.arange(len(self.levels[4]), dtype=torch.float32)):
            raise UnreadableFile(self.path, WHAT, "expected shapes 0, 1 .. in column 5 of labels")
        super().__init__(side, split, len(labels), {"file": self.path.name, "sha256": archive.state(self.path)})

    def _unpacked(self, images: Any, chunk: int) -> np.ndarray:
        def blocks() -> Iterator[dict[str, np.ndarray]]:
            each = min(chunk, MOST)
            for first in range(0, len(images), each):
                yield {"images": images[first : first + each]}

        return unpacked(f"{archive.state(self.path)}-images", blocks)["images"]

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the file."""
        once, again = np.unique(rows, return_inverse=True)  # HDF5 wants rows in order, each once
        with readable(self.path, WHAT):
            pixels = np.asarray(self._images[once])[again]
        return Rows(squares(pixels, self.side), self._labels[rows])


def _dataset(file: Any, name: str) -> Any:
    if name not in file:
        raise ValueError(f"it has no {name!r}; it holds {', '.join(file) or 'nothing'}")
    return file[name]


def _labels(images: Any, labels: Any) -> np.ndarray:
    """The labels, (n, 6), float32, if both are of the form that is expected."""
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise ValueError(f"expected images (n, side, side, 3), got the shape {images.shape}")
    if images.dtype != np.uint8:
        raise ValueError(f"expected images in bytes (uint8), got {images.dtype}")
    if labels.shape != (len(images), 6):
        raise ValueError(f"expected labels ({len(images)}, 6), got the shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.floating):
        raise ValueError(f"expected labels in floats, got {labels.dtype}")
    return labels[:].astype(np.float32)
