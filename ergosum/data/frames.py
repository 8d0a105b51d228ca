"""Single frames of digits with hue, angle and scale at random, and what many small changes make of them: what energies
of frames learn from.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.data.labelled import DIGITS
from ergosum.data.record import Labelled
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import Split

__all__ = ["FramesOfDigits", "WornFrames"]


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


class WornFrames:
    """Frames as they are, of class `real`, and frames that were moved about and back, of class `worn`; half of each.

    A worn frame is turned, scaled and shifted by a random little and moved back, once or several times; every one of
    these takes two bilinear interpolations, which blur as those of a predicted sequence do, while all else stays where
    it was. A random share of that is added to the frame, so that some are hardly worn.

    Args:
        source, side, split: as `FramesOfDigits`. times: of moving there and back, at most, >= 1.
    Raises:
        ValueError, FileNotFoundError: as `FramesOfDigits`; for times < 1.
    """

    names = ("real", "worn")
    channels = 3

    def __init__(self, source: str = "digits", side: int = 28, times: int = 4, split: Split = "train") -> None:
        if times < 1:
            raise ValueError(f"times: expected an integer >= 1, got {times!r}.")
        self.source, self.side, self.split, self.times = source, side, split, times
        self.frames = FramesOfDigits(source, side, split=split)

    def __len__(self) -> int:
        """Digits in this part."""
        return len(self.frames)

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random frames, of which n // 2 are worn: those at odd places."""
        images = self.frames.labelled(n, generator).images
        labels = torch.arange(n) % 2
        images[1::2] = self.worn(images[1::2], generator)
        return Labelled(images, labels)

    def worn(self, images: Tensor, generator: Generator) -> Tensor:
        """Images (n, channels, side, side) moved about and back, each 1 .. times times."""
        n, whole, edge = len(images), images, images.shape[-1] // 4
        images = F.pad(images, (edge,) * 4, mode="replicate")  # so that nothing is lost over the edge
        rounds = torch.randint(1, self.times + 1, (n, 1, 1, 1), generator=generator)
        for done in range(self.times):
            turn, size, right, down = 2 * torch.rand(4, n, generator=generator) - 1
            angle, scale, pixel = math.radians(20) * turn, (0.1 * size).exp(), 2 / images.shape[-1]
            cos, sin = scale * angle.cos(), scale * angle.sin()
            there = torch.zeros(n, 3, 3)
            there[:, 0] = torch.stack([cos, -sin, pixel * right], 1)
            there[:, 1] = torch.stack([sin, cos, pixel * down], 1)
            there[:, 2, 2] = 1
            moved = _moved(_moved(images, there), torch.linalg.inv(there)).clamp(0, 1)
            images = torch.where(rounds > done, moved, images)
        images = images[..., edge:-edge, edge:-edge]
        share = 0.1 + 0.9 * torch.rand(n, 1, 1, 1, generator=generator)
        return whole + share * (images - whole)

    def digest(self) -> str:
        """As of `FramesOfDigits`."""
        return self.frames.digest()


def _moved(images: Tensor, matrix: Tensor) -> Tensor:
    grid = F.affine_grid(matrix[:, :2], list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)
