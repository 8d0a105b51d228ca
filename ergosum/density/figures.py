"""Pictures of densities: draws as a grid, the levels of noise as a film, and the sections of a report."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from ergosum.report.strips import sheet

__all__ = ["film_of", "grid"]

FRAMES = 40
"""Frames of a film, at most: levels in between are left out."""
SHOWN = 64
"""Images of a frame, at most."""


def grid(images: Tensor, zoom: int = 3) -> Image.Image:
    """Images in rows of about as many as there are rows.

    Shape:
        images: (n, channels, side, side) in [0, 1].
    """
    columns = max(1, round(len(images) ** 0.5))
    return sheet([("", row) for row in _rgb(images).split(columns)], zoom=zoom, boxed=())


def film_of(levels: Sequence[Tensor], zoom: int = 3) -> list[Image.Image]:
    """Grids of the same draws from the highest level of noise to none."""
    chosen = torch.linspace(0, len(levels) - 1, min(FRAMES, len(levels))).round().long().tolist()
    return [grid(levels[i][:SHOWN], zoom) for i in chosen]


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
