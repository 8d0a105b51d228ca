"""dSprites as it is published: every combination of shape, scale, orientation and place of a white sprite on black.

After Matthey, Higgins, Hassabis, Lerchner 2017. Images are 64 x 64 and binary; the archive holds them as bytes 0 and 1,
3 GB once unpacked, and is kept in the cache as bits (377 MB), from which any image is read at once.
"""

from pathlib import Path

import numpy as np
import torch

from ergosum.data.files import archive
from ergosum.data.files.published import verify
from ergosum.data.files.reading import present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.sources import Split

__all__ = ["DSprites"]

WHAT, ADDRESS = "dSprites (.npz)", "https://github.com/google-deepmind/dsprites-dataset"
COLOURS = 1
"""Columns of the latents before those that vary: the colour, which is always white."""


class DSprites(ImageTable):
    """Images of dSprites' archive, or of one like it: `imgs`, `latents_values`, `latents_classes`.

    Factors are shape (0 square, 1 ellipse, 2 heart), scale (0.5 .. 1), orientation [rad], x and y (0 .. 1); the object
    is the sprite, without attributes. A square looks the same after a quarter turn, an ellipse after half a turn, and
    the last orientation is the first again: such images are in the file several times, also across the two parts.

    Args:
        path: the `.npz` file. side: pixels of an image, >= 4; 64 are as they come. split: `train`, or `test`, the tenth
            that is held out.
    Raises:
        FileNotFoundError: if there is no such file. UnreadableFile, an OSError: if it has another form, is damaged, or
        is not the published file whose name it has. ValueError: if a setting is out of range.
    """

    factors = ("shape", "scale", "orientation", "x", "y")
    words = {"shape": ("square", "ellipse", "heart")}  # noqa: RUF012
    objects = 1
    channels = 1
    kind = "shape"

    def __init__(self, path: Path | str, side: int = 64, split: Split = "train") -> None:
        check_settings(side, split)
        self.path = present(path, WHAT, ADDRESS)
        verify(self.path, WHAT)
        with readable(self.path, WHAT):
            self._known()
            self._bits = archive.as_bits(self.path, "imgs")
        super().__init__(side, split, len(self._places), {"file": self.path.name, "sha256": archive.state(self.path)})

    def _known(self) -> None:
        """Levels of the factors, and which of them each image has."""
        self._pixels = archive.shape(self.path, "imgs")
        classes, values = (archive.array(self.path, f"latents_{name}") for name in ("classes", "values"))
        wide = COLOURS + len(self.factors)
        if len(self._pixels) != 3 or self._pixels[1] != self._pixels[2]:
            raise ValueError(f"expected imgs (n, side, side), got the shape {self._pixels}")
        for name, array in (("classes", classes), ("values", values)):
            if array.shape != (self._pixels[0], wide):
                raise ValueError(f"expected latents_{name} ({self._pixels[0]}, {wide}), got the shape {array.shape}")
        if not np.issubdtype(classes.dtype, np.integer) or not np.issubdtype(values.dtype, np.floating):
            raise ValueError(
                f"expected latents_classes in integers and latents_values in floats, got {classes.dtype} and "
                f"{values.dtype}"
            )
        places = np.stack([np.asarray(classes[:, COLOURS + k]) for k in range(len(self.factors))], 1)
        if places.min() < 0 or places.max() > 255 or places[:, 0].max() > 2:
            raise ValueError("expected latents_classes that count from 0, of the shape 0 .. 2")
        self._places = places.astype(np.uint8)
        levels = []
        for k in range(len(self.factors)):
            found, first = np.unique(self._places[:, k], return_index=True)
            if found[-1] != len(found) - 1:
                raise ValueError(f"expected every class of the {self.factors[k]} up to {found[-1]} in some image")
            levels.append(torch.tensor([values[i, COLOURS + k] for i in first], dtype=torch.float32))
        self.levels = (torch.arange(3.0), *levels[1:])

    def read(self, rows: np.ndarray) -> Rows:
        """Sprites by their numbers in the file."""
        bits = np.unpackbits(self._bits[rows], axis=1, count=self._pixels[1] * self._pixels[2])
        pixels = squares(bits.reshape(-1, *self._pixels[1:]) * np.uint8(255), self.side)
        factors = np.stack([v.numpy()[self._places[rows, k]] for k, v in enumerate(self.levels)], 1)
        return Rows(pixels, factors, (pixels > 127).astype(np.uint8), np.zeros((len(rows), 1, 0), np.float32))
