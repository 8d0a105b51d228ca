"""Digits in one of ten colours, of whose pairs with the digits a part may be missing.

After the coloured MNIST of CoInD (Gaudi et al., 2025), whose three supports say which pairs of digit and colour the
training part shows. The ten colours are of our own choice.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor

from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.labelled import DIGITS, LabelledImages

__all__ = ["ColouredDigits"]

PALETTE = {
    "red": (235, 30, 30), "orange": (255, 135, 0), "yellow": (245, 235, 20), "lime": (130, 230, 30),
    "green": (20, 150, 60), "cyan": (20, 220, 235), "blue": (40, 70, 255), "purple": (130, 40, 220),
    "pink": (255, 70, 190), "white": (255, 255, 255),
}  # fmt: skip
COLOURS = torch.tensor(list(PALETTE.values()), dtype=torch.float32) / 255
_FAINT = 0.1
"""A brightest pixel below this is no stroke."""


class ColouredDigits:
    """Digits on black whose stroke has one of ten colours.

    The digit is drawn first, as often as it is in the source, and then its colour, given digit y in 0 .. 9: of support
    `uniform`, any; of `non-uniform`, in half of the images y or min(y + 1, 9), each as likely, and any in the other
    half; of `partial`, always y or min(y + 1, 9), which leaves out 81 of the 100 pairs.

    Args:
        source: digits or mnist. support: pairs of digit and colour in the training part. side: pixels of an image, a
        multiple of 4, >= 12. split: `train`, or `test`: other digits, all pairs.
    Raises:
        ValueError: if an argument is out of its range. FileNotFoundError, OSError: if files are missing or damaged.
    """

    attributes: tuple[Attribute, ...] = (Attribute("digit", DIGITS), Attribute("colour", tuple(PALETTE)))
    channels: int = 3

    def __init__(
        self,
        source: Literal["digits", "mnist-1000", "mnist"] = "digits",
        support: Literal["uniform", "non-uniform", "partial"] = "uniform",
        side: int = 28,
        split: Literal["train", "test"] = "train",
    ) -> None:
        if source not in ("digits", "mnist-1000", "mnist"):
            raise ValueError(f"source: expected 'digits', 'mnist-1000' or 'mnist', got {source!r}.")
        if support not in ("uniform", "non-uniform", "partial"):
            raise ValueError(f"support: expected 'uniform', 'non-uniform' or 'partial', got {support!r}.")
        self._digits = LabelledImages(source, side, 1, split)
        self.source, self.support, self.side, self.split = source, support, side, split

    def __len__(self) -> int:
        """Digits in this part."""
        return len(self._digits)

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images, with replacement, and their values (n, 2): digit 0 .. 9 and colour 0 .. 9."""
        images, digit = self._digits.labelled(n, generator)
        u, v, w = torch.rand(3, n, generator=generator, device=generator.device).cpu()
        anything = (10 * u).long().clamp(max=9)
        near = torch.where(v < 0.5, digit, (digit + 1).clamp(max=9))
        share = 0.0 if self.split == "test" else {"uniform": 0.0, "non-uniform": 0.5, "partial": 1.0}[self.support]
        colour = torch.where(w < share, near, anything)
        return Attributed(images * COLOURS[colour][:, :, None, None], torch.stack([digit, colour], 1).float())

    def held_out(self, values: Tensor) -> Tensor:
        """Whether the training part never shows these pairs (n, 2) of digit and colour: (n,), bool."""
        digit, colour = values.unbind(1)
        if self.support != "partial":
            return torch.zeros(len(values), dtype=torch.bool, device=values.device)
        known = ~values.isnan().any(1)
        return known & (colour != digit) & (colour != (digit + 1).clamp(max=9))

    def read(self, images: Tensor, classifier: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The values (n, 2) that images (n, 3, side, side) show.

        The colour is that of the palette which, in shades of its own, leaves the least squared error. The digit is the
        largest of what a classifier says of `grey(images)`, scores (n, 10); NaN without one. NaN where an image is
        black.

        Raises:
            ValueError: if the images have another shape.
        """
        colour, seen = self._colour(images)
        digit = torch.full_like(colour, torch.nan, dtype=torch.float32)
        if classifier is not None:
            with torch.no_grad():
                digit = classifier(self.grey(images)).argmax(1).float()
        return torch.stack([digit, colour.float()], 1).masked_fill(~seen[:, None], torch.nan)

    def grey(self, images: Tensor) -> Tensor:
        """Digits as they were before they were coloured (n, 1, side, side): the shade of the colour that is
        nearest at each pixel.

        Raises:
            ValueError: if the images have another shape.
        """
        colour, _ = self._colour(images)
        paint = COLOURS.to(images)[colour][:, :, None, None]
        return ((images * paint).sum(1, keepdim=True) / paint.square().sum(1, keepdim=True)).clamp(0, 1)

    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the digits, before they are coloured."""
        return self._digits.digest()

    def _colour(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the nearest colours (n,), and whether there is a stroke (n,), bool."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images: expected (n, 3, side, side), got {tuple(images.shape)}.")
        ways = torch.nn.functional.normalize(COLOURS.to(images), dim=1)
        shades = torch.einsum("nchw,kc->nkhw", images, ways).clamp(min=0)
        return shades.square().sum((2, 3)).argmax(1), images.flatten(1).amax(1) >= _FAINT
