"""A dataset of which a part is hidden for good: every example has one mask, and nobody sees what is under it."""

from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.fills import harmonic
from ergosum.data.labelled import LabelledData, LabelledImages
from ergosum.data.masks import Mask, SaltAndPepper, check_known
from ergosum.data.record import Labelled, PartlyKnown
from ergosum.data.sources import Split
from ergosum.part import Part

__all__ = ["Incomplete"]


class Incomplete:
    """A fixed number of images, each behind a fixed mask.

    What is handed out holds no trace of hidden pixels: they are filled by `fills.harmonic` from known ones, joined over
    channels where all of one is hidden (clips with their frames as channels). `truth` is for scores alone.

    Args:
        data: images with classes, or the part that builds them (gets `split`). mask: what it hides; None takes the
            masks that the data bring along, an attribute `known` beside their list `images`. count: examples, >= 2; 0
            takes all of a dataset that has a length, in their order. seed: of the examples and their masks. split:
            `train` or `test`.
    Attributes:
        truth: (count, channels, side, side), whole images. known: Booleans of that shape, True where a pixel is known.
        start: the images with hidden pixels filled. labels: (count,).
    Raises:
        ValueError: if there are fewer than two examples, or a mask hides all of an image or nothing of any.
    """

    def __init__(
        self,
        data: Part[LabelledData] | LabelledData = Part(LabelledImages),  # noqa: B008
        mask: Part[Mask] | Mask | None = Part(SaltAndPepper, share=0.5),  # noqa: B008
        count: int = 2000,
        seed: int = 0,
        split: Split = "train",
    ) -> None:
        whole: Any = data.build(split=split) if isinstance(data, Part) else data
        size = len(whole) if hasattr(whole, "__len__") else 0
        if count < 0 or (count or size) < 2:
            raise ValueError(f"Incomplete: expected two or more examples, got count {count} of {size or 'no list'}.")
        generator = Generator().manual_seed(seed)
        self.truth, self.labels, known = _examples(whole, count, size, generator)
        if mask is not None:
            hides: Mask = mask.build() if isinstance(mask, Part) else mask
            known = hides.known(tuple(self.truth.shape), generator)
        if known is None:
            raise ValueError(f"Incomplete: expected a mask, since {type(whole).__name__} brings none along.")
        self.known = check_known("Incomplete", known, self.truth).contiguous()
        channels = self.known.flatten(2).any(2)
        shown = torch.where(self.known, self.truth, 0)
        self.start = harmonic(shown, self.known, dims=2 if channels.all() else 3)
        self.names, self.side, self.channels = tuple(whole.names), whole.side, whole.channels
        self.source, self.split = getattr(whole, "source", type(whole).__name__), split

    def __len__(self) -> int:
        """Examples."""
        return len(self.labels)

    def labelled(self, n: int, generator: Generator) -> PartlyKnown:
        """`n` random examples, with replacement, without what their masks hide.

        Raises:
            ValueError: if `n` < 1.
        """
        if n < 1:
            raise ValueError(f"labelled: expected n >= 1 images, got {n!r}.")
        rows = torch.randint(len(self), (n,), generator=generator, device=generator.device).cpu()
        return PartlyKnown(self.start[rows], self.labels[rows], self.known[rows], rows)


def _examples(data: Any, count: int, size: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor | None]:
    """Different examples of a list in random order, or all in theirs, and their masks if they bring any; of what has no
    end, draws.
    """
    if size and hasattr(data, "images"):
        rows = torch.randperm(size, generator=generator)[:count] if count else torch.arange(size)
        return data.images[rows].clone(), data.labels[rows], data.known[rows] if hasattr(data, "known") else None
    record: Labelled = data.labelled(count or size, generator)
    return record.images, record.labels, None
