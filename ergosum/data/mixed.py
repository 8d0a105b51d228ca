"""Several modalities in one dataset: each image comes from one of several datasets, and only the image shows which."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ergosum.data.dataset import ImageDataset
from ergosum.data.record import ImageRecord
from ergosum.data.sources import Split
from ergosum.part import Part

__all__ = ["Mixed"]


class Mixed:
    """Images of two or more datasets, each with equal probability.

    The one factor is the number of the dataset, from 0; factors and attributes of the datasets are left out, since they
    differ in meaning. There are as many masks as the dataset with the most objects needs.

    Args:
        sets: datasets of images of one side, or parts that build them. split: offered to parts, `train` or `test`.
    Raises:
        ValueError: if there are fewer than two datasets, or their sides differ.
    """

    factors: tuple[str, ...] = ("set",)
    attributes: tuple[str, ...] = ()

    def __init__(self, sets: Sequence[ImageDataset | Part[ImageDataset]], split: Split = "train") -> None:
        sets = [part.build(split=split) if isinstance(part, Part) else part for part in sets]
        sides = [part.side for part in sets]
        if len(sets) < 2:
            raise ValueError(f"Mixed: expected two or more datasets, got {len(sets)}.")
        if len(set(sides)) > 1:
            raise ValueError(f"Mixed: expected images of one side, got {', '.join(map(str, sides))}.")
        self.sets = tuple(sets)
        self.side = sides[0]
        self.objects = max(part.objects for part in sets)
        self.levels: tuple[Tensor, ...] = (torch.arange(float(len(sets))),)
        self.settings: dict[str, Any] = {"sets": [{"set": type(part).__name__, **part.settings} for part in sets]}

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images in random order, on the generator's device.

        Raises:
            ValueError: if `n` < 1.
        """
        if n < 1:
            raise ValueError(f"draw: expected n >= 1 images, got {n!r}.")
        device = generator.device
        which = torch.randint(len(self.sets), (n,), generator=generator, device=device)
        images = torch.empty(n, 3, self.side, self.side, device=device)
        masks = torch.zeros(n, 1 + self.objects, self.side, self.side, dtype=torch.bool, device=device)
        for number, part in enumerate(self.sets):
            places = (which == number).nonzero()[:, 0]
            if len(places):
                drawn = part.draw(len(places), generator)
                images[places] = drawn.images
                masks[places] = F.pad(drawn.masks, (0, 0, 0, 0, 0, self.objects - part.objects))
        return ImageRecord(images, which[:, None].float(), masks, images.new_zeros(n, self.objects, 0))
