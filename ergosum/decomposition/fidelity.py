"""Do made images look like true ones? Kernel distances of features, beside those of images whose worth is known."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.metrics.kid import kid

__all__ = ["Features", "kid_rows"]

Features = Callable[[Tensor], Tensor]
"""Features (batch, d) of images (batch, 3, side, side)."""
PART = 100
"""Images whose features are taken at a time."""
LEVELS = 16
"""Steps of each channel that images keep before features are taken of them.

An extractor that knows noise notices what nobody sees: white noise of a hundredth on flat colours, which lifts a black
ground by clamping. Half a step is a thirty-second of the range.
"""


@torch.no_grad()
def kid_rows(
    made: Mapping[str, Tensor], true: Tensor, others: Tensor, features: Features, seed: int, levels: int = LEVELS
) -> list[Any]:  # fmt: skip
    """Kernel distances of several sets of images to true ones: `row`, `kid` and its standard error `kid_error`.

    All images are rounded to `levels` steps of each channel. After what was made come other true images (0 within a few
    errors), two of them at half strength each, their mean image, and black: what no model is needed for.

    Args:
        made: name -> images. true: what all are compared with. others: as many true images again.
        features: of the extractor. seed: of the parts that sets are cut into. levels: >= 1.
    Raises:
        ValueError: if a set has fewer than 4 images.
    """
    sets = {
        **made,
        "other true images": others,
        "two images at half strength each": (others + others.roll(1, 0)) / 2,
        "mean image": others.mean(0, keepdim=True).expand_as(others),
        "black": torch.zeros_like(others),
    }
    reference = _features(features, true, levels)
    parts = max(2, min(10, min(len(true), *map(len, sets.values())) // 2))
    rows = []
    for name, images in sets.items():
        distance = kid(_features(features, images, levels), reference, Generator().manual_seed(seed), parts)
        rows.append({"row": name, "kid": distance.mean, "kid_error": distance.error})
    return rows


def _features(features: Features, images: Tensor, levels: int) -> Tensor:
    return torch.cat([features((part * levels).round() / levels) for part in images.split(PART)])
