"""Images of which some attributes alone are told: what a person has who was told other things of other images."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Generator, Tensor

from ergosum.data.attributed import Attributed, AttributedData, retold
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.part import Part

__all__ = ["PartlyTold"]


class PartlyTold:
    """A dataset that tells some of its attributes.

    Args:
        data: images with attributes; gets `split`. told: names of the attributes that are told, in any order; all if
            empty. among: names of all that are listed, in their order; those not told have no value in the training
            part (NaN), and theirs in the test part. Without, the told ones alone are listed.
        split: `train` or `test`.
    Attributes:
        whole: the dataset itself, which tells everything.
    Raises:
        ValueError: for a name that is none of its attributes, or is told but not listed.
    """

    def __init__(
        self,
        data: Part[AttributedData] = Part(ConceptScenes),  # noqa: B008
        told: Sequence[str] = (),
        among: Sequence[str] = (),
        split: Literal["train", "test"] = "train",
    ) -> None:
        self.whole: Any = data.build(split=split)
        known = {a.name: a for a in self.whole.attributes}
        self.told = tuple(told) or tuple(known)
        names = tuple(among) or self.told
        wrong = [n for n in (*names, *self.told) if n not in known] + [n for n in self.told if n not in names]
        if wrong:
            raise ValueError(f"told, among: expected some of {', '.join(known)}, all told ones listed, got {wrong[0]}.")
        self.attributes = tuple(known[n] for n in names)
        self.side, self.channels, self.split = self.whole.side, self.whole.channels, split

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images, with replacement."""
        record = self.whole.attributed(n, generator)
        shown = self.attributes if self.split == "test" else [a for a in self.attributes if a.name in self.told]
        values = retold(record.values, self.whole.attributes, shown)
        return Attributed(record.images, retold(values, shown, self.attributes))

    def read(self, images: Tensor) -> Tensor:
        """The values (n, columns) of the listed attributes that the dataset's own reader sees."""
        return retold(self.whole.read(images), self.whole.attributes, self.attributes)

    def digest(self) -> str:
        """That of the dataset; empty if it has none."""
        return self.whole.digest() if hasattr(self.whole, "digest") else ""
