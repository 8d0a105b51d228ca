"""Single grey images in white on black: digits, MNIST's or Fashion-MNIST's, one to an image, each with its class.

They end: the training part and the held-out part of a source are lists, from which images are drawn.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.dataset import one_hot
from ergosum.data.record import ImageRecord
from ergosum.data.sources import Split, centre, checksum, load_digits

__all__ = ["EDGE", "Glyphs"]

EDGE = 0.2
"""A pixel belongs to the glyph where it has this part of the image's maximum. Chosen by eye: half of it, right for
strokes, loses dark cloth (31 % of Fashion-MNIST's pixels instead of 42 %); less widens strokes."""


class Glyphs:
    """Images of one part of a source, as RGB of equal channels.

    The one factor is the class, 0 .. 9. The one object is the glyph: the pixels of at least a fifth of the image's
    maximum; it has no attributes.

    Args:
        source: one of `data/sources.py`: digits, mnist, fashion, a folder of images, or several joined by '+'.
        side: pixels of an image, a multiple of 4, at least 12; 28 are as the images come.
        split: the part that is drawn from, `train` or `test` (held out).
    Raises:
        ValueError: if the source is unknown or a setting out of range. FileNotFoundError, OSError: if the source's
        files are missing or damaged.
    """

    factors: tuple[str, ...] = ("class",)
    attributes: tuple[str, ...] = ()
    levels: tuple[Tensor, ...] = (torch.arange(10.0),)
    objects = 1

    def __init__(self, source: str = "digits", side: int = 28, split: Split = "train") -> None:
        if side < 12 or side % 4:
            raise ValueError(f"side: expected a multiple of 4, at least 12, got {side!r}.")
        if split not in ("train", "test"):
            raise ValueError(f"split: expected 'train' or 'test', got {split!r}.")
        self.side = side
        self.digits = load_digits(source, split)
        self.settings: dict[str, Any] = {
            "source": source, "split": split, "side": side, "sha256": checksum(self.digits)
        }  # fmt: skip

    def __len__(self) -> int:
        """Images in this part of the source."""
        return len(self.digits.labels)

    def at(self, indices: Sequence[int] | Tensor) -> ImageRecord:
        """The images with the given numbers, on the CPU.

        Raises:
            IndexError: if there is no image with such a number.
        """
        rows = torch.as_tensor(indices, dtype=torch.long).cpu()
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"at: expected numbers 0 .. {len(self) - 1}, got {int(rows.min())} .. {int(rows.max())}.")
        grey = centre(self.digits.images[rows], self.side)
        glyph = grey[:, 0] >= EDGE * grey.amax((1, 2, 3))[:, None, None].clamp(min=1e-6)  # of black images nothing
        factors = self.digits.labels[rows, None].float()
        images = grey.expand(-1, 3, -1, -1).contiguous()
        return ImageRecord(images, factors, one_hot(glyph.byte(), 1), images.new_zeros(len(rows), 1, 0))

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images, with replacement, on the generator's device.

        Raises:
            ValueError: if `n` < 1.
        """
        if n < 1:
            raise ValueError(f"draw: expected n >= 1 images, got {n!r}.")
        rows = torch.randint(len(self), (n,), generator=generator, device=generator.device)
        return ImageRecord(*(v.to(generator.device) for v in self.at(rows)))
