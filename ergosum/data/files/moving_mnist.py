"""Moving MNIST as it is published: digits that cross a field and bounce off its edges, mapped from its array.

After Srivastava, Mansimov, Salakhutdinov 2015. The array holds time first: (20, 10,000, 64, 64) in bytes.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator

from ergosum.data.files import archive
from ergosum.data.files.published import verify
from ergosum.data.files.reading import present, readable
from ergosum.data.files.table import check_settings, squares
from ergosum.data.image_file import LEAST_SIDE
from ergosum.data.record import Clips
from ergosum.data.split import split_rows

__all__ = ["MovingMnist", "holds_sequences"]

WHAT, ADDRESS = "Moving MNIST (.npy)", "https://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"


class MovingMnist:
    """Clips of Moving MNIST's array, or of one like it: (time, clips, side, side) in bytes.

    A clip is a random window of a sequence. Nobody tells how digits move: `Clips.speeds` has no column.

    Args:
        path: the `.npy` file. canvas: side of a frame in pixels, >= 4; 64 are as they come. split: `train`, or `test`,
            the tenth of the sequences that is held out (`split_rows`). device: where clips are put.
    Raises:
        FileNotFoundError: if there is no such file. UnreadableFile, an OSError: if it has another form, is damaged, or
        is not the published file whose name it has. ValueError: if a setting is out of range.
    """

    factors: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __init__(
        self, path: Path | str, canvas: int = 64, split: Literal["train", "test"] = "train", device: str = "cpu"
    ) -> None:
        if canvas < LEAST_SIDE:
            raise ValueError(f"canvas: expected at least {LEAST_SIDE} pixels, got {canvas!r}.")
        check_settings(canvas, split)
        self.path = present(path, WHAT, ADDRESS)
        verify(self.path, WHAT)
        with readable(self.path, WHAT):
            self._frames = archive.array(self.path)
            dims, dtype = self._frames.shape, self._frames.dtype
            if len(dims) != 4 or dims[2] != dims[3] or dims[2] < LEAST_SIDE:
                raise ValueError(f"expected (time, clips, side, side), got the shape {dims}")
            if dims[0] < 2:
                raise ValueError("it has one frame of each clip; expected two or more")
            if dtype != np.uint8:
                raise ValueError(f"expected bytes (uint8), got {dtype}")
        self.canvas, self.split, self.device = canvas, split, torch.device(device)
        self.rows = split_rows(dims[1], split)
        self.settings: dict[str, Any] = {
            "file": self.path.name, "sha256": archive.state(self.path), "canvas": canvas, "split": split
        }  # fmt: skip

    @property
    def side(self) -> int:
        """Side of a frame in pixels, the `canvas`."""
        return self.canvas

    def __len__(self) -> int:
        """Sequences of this part."""
        return len(self.rows)

    def digest(self) -> str:
        """Names the file."""
        return str(self.settings["sha256"])

    def clips(self, n: int, steps: int, generator: Generator) -> Clips:
        """`n` random clips of `steps` moves, of sequences with replacement, every window being as likely.

        Shape:
            frames: (n, steps + 1, 3, canvas, canvas). speeds: (n, steps, 0).
        Raises:
            ValueError: if `n` or `steps` < 1, or the sequences are shorter.
        """
        if n < 1 or steps < 1:
            raise ValueError(f"clips: expected n >= 1 clips of steps >= 1, got n = {n!r}, steps = {steps!r}.")
        if steps >= len(self._frames):
            raise ValueError(f"steps: sequences have {len(self._frames)} frames, not {steps + 1}.")
        device = generator.device
        rows = self.rows[torch.randint(len(self), (n,), generator=generator, device=device).cpu().numpy()]
        starts = torch.randint(len(self._frames) - steps, (n,), generator=generator, device=device).cpu().numpy()
        found = np.asarray(self._frames[starts[:, None] + np.arange(steps + 1), rows[:, None]])
        small = squares(found.reshape(-1, *found.shape[2:]), self.canvas)
        frames = torch.from_numpy(small).float().div_(255).view(n, steps + 1, 1, self.canvas, self.canvas)
        frames = frames.expand(-1, -1, 3, -1, -1).contiguous()
        return Clips(frames.to(self.device), torch.zeros(n, steps, 0, device=self.device))


def holds_sequences(path: Path) -> bool:
    """Whether a file is an array of Moving MNIST's form, (time, clips, side, side) in bytes, and no single film."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        held = archive.array(path)
    except (OSError, ValueError):
        return False
    square = held.ndim == 4 and held.shape[2] == held.shape[3] >= LEAST_SIDE
    return square and held.dtype == np.uint8 and held.shape[1] not in (1, 3)
