"""What `--start` may say."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["start_frame"]


def start_frame(start: str, scale: float, canvas: int, seed: int = 0) -> "Tensor":
    """`digits:7`, `mnist:7@12` (the 13th held-out 7), `noise`, or an image file, as a frame (1, 3, side, side)."""
    import torch

    from ergosum.data.render import render
    from ergosum.data.sources import load_digits, load_image

    if not 0.1 <= scale <= 1.8:
        raise ValueError(f"--scale {scale:g}: expected 0.1 .. 1.8.")
    if start == "noise":
        return torch.rand(1, 3, canvas, canvas, generator=torch.Generator().manual_seed(seed))
    source, colon, wanted = start.partition(":")
    if not colon or Path(start).exists():
        return load_image(start, canvas)[None]
    digit, _, index = wanted.partition("@")
    if not digit.isdigit() or int(digit) > 9 or (index and not index.isdigit()):
        raise ValueError(
            f"--start {start!r}: expected SOURCE:DIGIT, such as digits:7 or mnist:7@12, noise, or an image file."
        )
    held_out = load_digits(source, "test", canvas)
    same = held_out.images[held_out.labels == int(digit)]
    place = int(index or 0)
    if place >= len(same):
        raise ValueError(f"--start {start!r}: there are only {len(same)} held-out {digit}s in {source}.")
    return render(same[place : place + 1], torch.tensor([[0.0, 0.0, scale]]))
