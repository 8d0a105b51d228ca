"""MPI3D as it is published: a robot's arm that holds one object, drawn or photographed, over a full grid of factors.

After Gondal et al. 2019. The archive holds images alone; their order tells the factors. An archive that stores them as
they are (12.7 GB) is read where it lies; a compressed one is unpacked once into the cache.
"""

from pathlib import Path

import numpy as np
import torch

from ergosum.data.dataset import grid
from ergosum.data.files import archive
from ergosum.data.files.published import MPI3D as ADDRESS
from ergosum.data.files.published import verify
from ergosum.data.files.reading import present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.sources import Split

__all__ = ["Mpi3D"]

WHAT = "MPI3D (.npz)"
GRIDS = {1_036_800: (6, 6, 2, 3, 3, 40, 40), 460_800: (4, 4, 2, 3, 3, 40, 40)}
"""Levels of the factors by the number of images, the last factor turning fastest."""
WORDS = {
    "colour": ("white", "green", "red", "blue", "brown", "olive"),
    "shape": ("cone", "cube", "cylinder", "hexagonal", "pyramid", "sphere"),
}
"""Words of archives with six colours and six shapes; of those with four, which differ, levels have numbers alone."""


class Mpi3D(ImageTable):
    """Images of one of MPI3D's archives: `images` (n, 64, 64, 3) in bytes.

    Factors, each told by the number of its level: colour and shape of the object (6 each, 4 in archives of 460,800),
    its size (small, large), height of the camera (top, centre, bottom), background (purple, sea_green, salmon), and two
    angles of the arm (40 each). There are no masks.

    Args:
        path: the `.npz` file. side: pixels of an image, >= 4; 64 are as they come. split: `train`, or `test`, the tenth
            that is held out.
    Raises:
        FileNotFoundError: if there is no such file. UnreadableFile, an OSError: if it has another form, is damaged, or
        is not the published file whose name it has. ValueError: if a setting is out of range.
    """

    factors = ("colour", "shape", "size", "camera", "background", "horizontal", "vertical")
    kind = "shape"

    def __init__(self, path: Path | str, side: int = 64, split: Split = "train") -> None:
        check_settings(side, split)
        self.path = present(path, WHAT, ADDRESS)
        verify(self.path, WHAT)
        with readable(self.path, WHAT):
            dims = archive.shape(self.path, "images")
            if len(dims) != 4 or dims[1] != dims[2] or dims[3] != 3:
                raise ValueError(f"expected images (n, side, side, 3), got the shape {dims}")
            if dims[0] not in GRIDS:
                expected = " or ".join(f"{n:,}" for n in GRIDS)
                raise ValueError(f"expected {expected} images, one for each combination of factors, got {dims[0]:,}")
            self._images = archive.array(self.path, "images")
            if self._images.dtype != np.uint8:
                raise ValueError(f"expected images in bytes (uint8), got {self._images.dtype}")
        sizes = GRIDS[dims[0]]
        self.levels = tuple(torch.arange(float(size)) for size in sizes)
        words = {
            **{name: WORDS[name] for name, size in zip(("colour", "shape"), sizes, strict=False) if size == 6},
            "size": ("small", "large"),
            "camera": ("top", "centre", "bottom"),
            "background": ("purple", "sea_green", "salmon"),
        }
        words |= {k: tuple(f"{k}_{i}" for i in range(4)) for k in ("colour", "shape") if k not in words}
        self.words = words
        super().__init__(side, split, dims[0], {"file": self.path.name, "sha256": archive.state(self.path)})

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the file."""
        factors = grid(self.levels, torch.from_numpy(rows)).numpy()
        return Rows(squares(np.asarray(self._images[rows]), self.side), factors)
