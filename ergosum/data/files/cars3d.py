"""Cars3D as it is published: 183 cars, each seen from 24 directions and four heights, a MATLAB file for each.

After Reed, Zhang, Zhang, Lee 2015, "Deep Visual Analogy-Making". The renderings are read once, car by car, resized and
kept in the cache (216 MB at 64 pixels).
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ergosum.data.dataset import grid
from ergosum.data.files.reading import UnreadableFile, present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.files.unpacked import unpacked
from ergosum.data.listing import shown
from ergosum.data.sources import Split
from ergosum.data.split import content_digest

__all__ = ["Cars3D"]

WHAT, ADDRESS = "Cars3D (a folder of .mat files)", "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
LIST = "list.txt"


class Cars3D(ImageTable):
    """Images of the folder `cars` of the published archive, or of one like it.

    The folder has a file `NAME.mat` for each car, with an array `im` (height, width, 3, directions, heights) in bytes,
    of the same shape in each; `list.txt`, where it is there, names them in order. Factors, each told by its number:
    elevation, azimuth and car. There are no masks.

    Args:
        path: the folder. side: pixels of an image, >= 4; they come with 128. split: `train`, or `test`, the tenth that
            is held out.
    Raises:
        FileNotFoundError: if there is no such folder, or no car in it. UnreadableFile, an OSError: if a file has
        another form or is damaged. ValueError: if a setting is out of range.
    """

    factors = ("elevation", "azimuth", "car")

    def __init__(self, path: Path | str, side: int = 64, split: Split = "train") -> None:
        check_settings(side, split)
        self.path = present(path, WHAT, ADDRESS, folder=True)
        self.files = _cars(self.path)
        digest = hashlib.sha256(b"".join(content_digest(file) for file in self.files)).hexdigest()[:16]
        self._images = unpacked(f"cars3d-{digest}-{side}", lambda: self._blocks(side))["images"]
        azimuths, elevations = self._images.shape[1:3]
        self.levels = tuple(torch.arange(float(n)) for n in (elevations, azimuths, len(self.files)))
        count = elevations * azimuths * len(self.files)
        super().__init__(side, split, count, {"folder": self.path.name, "sha256": digest})

    def _blocks(self, side: int) -> Iterator[dict[str, np.ndarray]]:
        """Car by car, (1, directions, heights, side, side, 3)."""
        from scipy.io import loadmat

        first: tuple[int, ...] | None = None
        for file in self.files:
            with readable(file, "a car of Cars3D"):
                held = loadmat(file, variable_names=["im"])
                if "im" not in held:
                    raise ValueError("it has no array 'im'")
                images = held["im"]
                if images.ndim != 5 or images.shape[2] != 3:
                    raise ValueError(
                        f"expected im (height, width, 3, directions, heights), got the shape {images.shape}"
                    )
                if images.dtype != np.uint8:
                    raise ValueError(f"expected im in bytes (uint8), got {images.dtype}")
                first = first or images.shape
                if images.shape != first:
                    raise ValueError(f"its shape is {images.shape}, that of {self.files[0].name} {first}")
                views = images.transpose(3, 4, 0, 1, 2)
                small = squares(views.reshape(-1, *views.shape[2:]), side)
                yield {"images": small.reshape(1, *views.shape[:2], side, side, 3)}

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers: elevation first, the car turning fastest."""
        factors = grid(self.levels, torch.from_numpy(rows)).numpy()
        elevation, azimuth, car = factors.astype(int).T
        return Rows(np.asarray(self._images[car, azimuth, elevation]), factors)


def _cars(folder: Path) -> list[Path]:
    """The files of the cars, in the order of the list, or of their names."""
    if not (folder / LIST).is_file():
        if not (found := sorted(folder.glob("*.mat"))):
            raise FileNotFoundError(f"There are no cars in {shown(folder)}: expected {LIST} and .mat files.")
        return found
    try:
        names = (folder / LIST).read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise UnreadableFile(folder / LIST, "a list of cars", "it is no text") from error
    files = [folder / f"{Path(name).name}.mat" for name in names]
    if missing := [file for file in files if not file.is_file()]:
        raise FileNotFoundError(
            f"{shown(folder)}: {len(missing)} of the {len(files)} cars of {LIST} are missing, the first: "
            f"{shown(missing[0].name)}."
        )
    if not files:
        raise FileNotFoundError(f"{shown(folder / LIST)} names no car.")
    return files
