"""Sheets: what a data set looks like."""

from collections.abc import Callable

import torch
from PIL import Image

from ergosum.data.sequences import LEVELS, SequenceData
from ergosum.report.strips import sheet
from ergosum.settings import FACTORS, DataSettings

__all__ = ["SHEETS", "sequences"]


def sequences(source: str = "digits", seed: int = 0, canvas: int = 28) -> Image.Image:
    """Eighteen levels of angle, colour, scale and all together (the founding report's figure 2), then the other
    modes.
    """
    rows = []
    for name, factors in [("angle", ("angle",)), ("colour", ("colour",)), ("scale", ("scale",)), ("combined", FACTORS)]:
        settings = DataSettings(
            source=source, factors=factors, mode="lockstep", start="fixed", signs="forward", continuous=False,
            scale_min=0.1, canvas=canvas,
        )  # fmt: skip
        rows.append((name, _one(settings, seed)))
    for mode in ("single", "sparse", "laplace"):
        settings = DataSettings(source=source, mode=mode, start="random", continuous=False, canvas=canvas)
        rows.append((mode, _one(settings, seed + 1)))
    return sheet(rows, [str(t) for t in range(LEVELS)], boxed=())


def _one(settings: DataSettings, seed: int) -> torch.Tensor:
    data = SequenceData(settings, "test")
    return data.sequences(1, LEVELS - 1, torch.Generator().manual_seed(seed)).frames[0]


SHEETS: dict[str, Callable[[str, int, int], Image.Image]] = {"sequences": sequences}
"""Data sets that `ergosum data show` knows."""
