"""Clips as images: their frames side by side as channels, so that a density of images is one of whole clips."""

from typing import Any

import torch
from torch import Generator

from ergosum.data.contract import ClipData
from ergosum.data.moving_shapes import MovingShapes
from ergosum.data.record import Labelled
from ergosum.data.sources import Split
from ergosum.part import Part

__all__ = ["StackedClips"]


class StackedClips:
    """Clips of a few frames, without classes.

    Args:
        clips: the part that builds them, gets `split`. frames: of a clip, >= 2. grey: whether the mean over colours is
            one channel of each frame, instead of three. split: `train` or `test`.
    Raises:
        ValueError: for less than two frames.
    """

    names: tuple[str, ...] = ()

    def __init__(
        self,
        clips: Part[ClipData] = Part(MovingShapes),  # noqa: B008
        frames: int = 8,
        grey: bool = True,
        split: Split = "train",
    ) -> None:
        if frames < 2:
            raise ValueError(f"StackedClips: expected two frames or more, got {frames!r}.")
        self.clips: Any = clips.build(split=split)
        self.frames, self.grey = frames, grey
        self.side, self.channels = self.clips.canvas, frames * (1 if grey else 3)

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """`n` random clips, (n, frames * channels, side, side), all of class 0."""
        frames = self.clips.clips(n, self.frames - 1, generator).frames
        frames = frames.mean(2) if self.grey else frames.flatten(1, 2)
        return Labelled(frames, torch.zeros(n, dtype=torch.int64))
