"""Where a sequence starts: a held-out digit, noise, or a digit of one's own, told in words."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.data.image_file import read_image
from ergosum.data.own_digit import as_digit
from ergosum.data.record import Digits
from ergosum.data.render import render
from ergosum.data.sources import load_digits
from ergosum.shapes import Images

__all__ = ["LARGEST", "Start", "own_start", "start_frame"]

LARGEST = 512
"""Side in pixels that frames of one's own image are given back at, at most."""


class Start(NamedTuple):
    """A frame to start from.

    Attributes:
        frame: (1, 3, canvas, canvas) in [0, 1]. side: in pixels, that made frames are given back at. notes: what was
            changed of an image to get the frame, a sentence each. digits, factors: of a held-out digit the digit
            without change and its hue, angle and scale (1, 3); None of all others, whose true changes nobody knows.
    """

    frame: Images
    side: int
    notes: tuple[str, ...] = ()
    digits: Digits | None = None
    factors: Tensor | None = None


def start_frame(
    start: str, scale: float, canvas: int, seed: int = 0, invert: str = "auto", colour: str = "auto"
) -> Start:
    """`digits:7`, `mnist:7@12` (the 13th held-out 7), `noise`, or an image file.

    Args:
        scale: of a held-out digit, 0.1 .. 1.8. canvas: side of the frame in pixels. seed: of noise. invert, colour: as
            `own_start`.
    Raises:
        ValueError: if the text can be read as none of these, or the scale is out of range.
    """
    if not 0.1 <= scale <= 1.8:
        raise ValueError(f"--scale {scale:g}: expected 0.1 .. 1.8.")
    if start == "noise":
        return Start(torch.rand(1, 3, canvas, canvas, generator=torch.Generator().manual_seed(seed)), canvas)
    source, colon, wanted = start.partition(":")
    if not colon or Path(start).exists():
        return own_start(start, canvas, invert, colour)
    digit, _, index = wanted.partition("@")
    if not digit.isdigit() or int(digit) > 9 or (index and not index.isdigit()):
        raise ValueError(
            f"--start {start!r}: expected SOURCE:DIGIT, such as digits:7 or mnist:7@12, noise, or an image file."
        )
    held_out = load_digits(source, "test", canvas)
    same = (held_out.labels == int(digit)).nonzero()[:, 0]
    place = int(index or 0)
    if place >= len(same):
        raise ValueError(f"--start {start!r}: there are only {len(same)} held-out {digit}s in {source}.")
    chosen = same[place : place + 1]
    digits, factors = Digits(held_out.images[chosen], held_out.labels[chosen]), torch.tensor([[0.0, 0.0, scale]])
    return Start(render(digits.images, factors), canvas, (), digits, factors)


def own_start(path: Path | str, canvas: int, invert: str = "auto", colour: str = "auto") -> Start:
    """The digit of an image file as a frame, see `data/own_digit.py`.

    Args:
        invert: whether the digit is dark on a light ground: yes, no, or auto to look. colour: keep it, make it red, or
            auto to see whether it has a hue.
    Raises:
        ValueError: if no digit can be told from its ground. OSError: if the file cannot be read.
    """
    image = read_image(path, background=None)
    try:
        digit = as_digit(
            image,
            canvas,
            invert={"auto": None, "yes": True, "no": False}[invert],
            colour=None if colour == "auto" else colour,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    side = min(max(canvas, *image.shape[-2:]), LARGEST)
    notes = list(digit.notes)
    if side != canvas:
        notes.append(f"Frames are given back at {side}x{side} pixels.")
    return Start(digit.frame[None], side, tuple(notes))
