"""Images whose factors are known, as images with attributes: what concepts learn from."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.dataset import ImageDataset
from ergosum.data.shapes import Shapes
from ergosum.data.sources import Split
from ergosum.part import Part

__all__ = ["MOST_WORDS", "AttributedImages"]

MOST_WORDS = 40
"""Levels of a factor without words, up to which each has a name of its own."""


class AttributedImages:
    """A dataset of images, its factors being attributes: those of dSprites, 3D Shapes, MPI3D, Cars3D, or of your own.

    A factor whose levels have words (`images.words`) has these as values. Any other with at most 40 levels has values
    named by its name and their numbers, such as car_0 .. car_39; with more, or where `numbers` says so, it is told by
    a number from 0, the lowest level, to 1, the highest.

    Args:
        images: the part that builds them, gets `split`; its factors must have levels. factors: which to tell; none
            takes all. numbers: factors to tell by numbers. channels: 3, or 1 for the mean over colours. split: `train`
            or `test`.
    Raises:
        ValueError: if there are no factors with levels, a name is none of them, or a value has the name of another's.
    """

    def __init__(
        self,
        images: Part[ImageDataset] = Part(Shapes),  # noqa: B008
        factors: Sequence[str] = (),
        numbers: Sequence[str] = (),
        channels: int = 3,
        split: Split = "train",
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels: expected 1 (grey) or 3 (colour), got {channels!r}.")
        self.images: Any = images.build(split=split)
        self.side, self.channels, self.split = self.images.side, channels, split
        known = dict(zip(self.images.factors, getattr(self.images, "levels", ()), strict=False))
        if not known:
            raise ValueError(f"images: {images.cls.__name__} has no factors with levels, of which attributes are made.")
        for argument, asked in (("factors", factors), ("numbers", numbers)):
            if strange := [name for name in asked if name not in known]:
                raise ValueError(f"{argument}: there is no {strange[0]!r}; expected some of {', '.join(known)}.")
        self.told = tuple(factors) or tuple(known)
        self.levels = tuple(known[name] for name in self.told)
        words = getattr(self.images, "words", {})
        self.attributes = tuple(
            _attribute(name, known[name], words.get(name, ()), name in numbers) for name in self.told
        )
        values = [value for attribute in self.attributes for value in attribute.values]
        if twice := [value for value in values if values.count(value) > 1]:
            raise ValueError(f"factors: {twice[0]!r} is a value of two of them; tell one by numbers, or leave it out.")

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images and their values.

        Raises:
            ValueError: if `n` < 1, or the dataset gives a factor a value that is none of its levels.
        """
        drawn = self.images.draw(n, generator)
        columns = [self.images.factors.index(name) for name in self.told]
        rows = [self._values(drawn.factors[:, c], k) for k, c in enumerate(columns)]
        images = drawn.images if self.channels == 3 else drawn.images.mean(1, keepdim=True)
        return Attributed(images, torch.stack(rows, 1))

    def _values(self, column: Tensor, k: int) -> Tensor:
        levels, attribute = self.levels[k].to(column.device), self.attributes[k]
        if attribute.numbers:
            low, high = levels.min(), levels.max()
            return ((column - low) / (high - low)).clamp(0, 1)
        same = column[:, None] == levels
        if not same.any(1).all():
            strange = column[~same.any(1)][0].item()
            raise ValueError(
                f"{self.told[k]}: {type(self.images).__name__} drew {strange:g}, which is none of its levels."
            )
        return same.float().argmax(1).float()


def _attribute(name: str, levels: Tensor, words: Sequence[str], number: bool) -> Attribute:
    plain = re.sub(r"\W+", "_", name).strip("_").lower()
    if number or (not words and len(levels) > MOST_WORDS):
        if len(levels) < 2:
            raise ValueError(f"numbers: {name} has one level only.")
        return Attribute(plain, numbers=1)
    return Attribute(plain, tuple(words) or tuple(f"{plain}_{k}" for k in range(len(levels))))
