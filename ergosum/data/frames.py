"""Single frames of digits with hue, angle and scale at random: what a density of frames learns from."""

import torch
from torch import Generator

from ergosum.data.labelled import DIGITS
from ergosum.data.record import Labelled
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import Split

__all__ = ["FramesOfDigits"]


class FramesOfDigits:
    """Frames as they occur in sequences of digits, each alone, with the digit for its class.

    Hue and angle are anywhere on their circles and scale anywhere in its range, each uniform and independent, the same
    for every digit.

    Args:
        source: sources joined by '+', or a folder, as `DigitSequences` takes them; classes have the digits' names,
            whatever the source. side: of a frame in pixels, a multiple of 4, >= 12. scale_min, scale_max: range of
            scales, 0.1 .. 1.8 (1: the digit as it came). split: `train`, or `test`, what is held out.
    Raises:
        ValueError: if an argument is out of its range. FileNotFoundError: if files are missing.
    """

    names = DIGITS
    channels = 3

    def __init__(
        self,
        source: str = "digits",
        side: int = 28,
        scale_min: float = 0.4,
        scale_max: float = 1.8,
        split: Split = "train",
    ) -> None:
        self.source, self.side, self.split = source, side, split
        self.sequences = DigitSequences(
            source=source, factors=FACTORS, scale_min=scale_min, scale_max=scale_max, canvas=side, split=split
        )

    def __len__(self) -> int:
        """Digits in this part; frames of them there are without end."""
        return len(self.sequences)

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random frames."""
        if n < 1:
            raise ValueError(f"labelled: expected n >= 1 images, got {n!r}.")
        digits = self.sequences.draw_digits(n, generator)
        factors, _ = self.sequences.draw_start(torch.zeros(n, 3), 1, generator)
        return Labelled(render(digits.images, factors), digits.labels)

    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the digits as bytes."""
        return self.sequences.digest()
