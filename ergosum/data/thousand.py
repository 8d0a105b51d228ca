"""A thousand digits of MNIST that ship with the package: a hundred of each class, sharper than those of 8 x 8 pixels.

`python -m ergosum.data.thousand OUT.npz` makes the file again from MNIST's training files, to the same bits.
"""

import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from ergosum.data.sources import THOUSAND, load_digits

__all__ = ["choose", "write"]

EACH = 100
"""Digits of a class."""


def choose(seed: int = 0) -> dict[str, np.ndarray]:
    """A hundred random digits of each class of MNIST's training part, the classes taking turns.

    Shape:
        images: (1000, 28, 28), uint8. labels: (1000,), uint8; row k is of class k % 10. rows: (1000,), int32, which
            digits of the training part these are.
    Raises:
        FileNotFoundError, OSError: if MNIST is not at hand and cannot be downloaded.
    """
    digits, generator = load_digits("mnist", "train"), Generator().manual_seed(seed)
    of_class = [(digits.labels == k).nonzero()[:, 0] for k in range(10)]
    chosen = [rows[torch.randperm(len(rows), generator=generator)[:EACH]] for rows in of_class]
    rows = torch.stack(chosen, 1).flatten()
    images = (255 * digits.images[rows, 0]).round().byte()
    labels = digits.labels[rows].byte()
    return {"images": images.numpy(), "labels": labels.numpy(), "rows": rows.int().numpy()}


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an archive of arrays whose bytes do not depend on the time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, array in arrays.items():
            buffer = BytesIO()
            np.save(buffer, array)
            packed.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else THOUSAND, choose())
