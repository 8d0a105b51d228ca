"""What `--start` may name, and the bank of energies that acts on it."""

import sys
from math import isfinite
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import Parser

if TYPE_CHECKING:
    from ergosum.temporal.beside import Beside
    from ergosum.temporal.control import Bank
    from ergosum.temporal.start import Start

__all__ = ["DEFAULTS", "add_start", "bank_of", "beside_of", "start_frame"]

DEFAULTS = ("digits-colour", "digits-angle", "digits-scale")
"""Cards that steer where no run is named."""


NOISE = 0.025
"""Noise level of frames that an energy acts at beside a change, where none is asked for."""


def add_start(parser: Parser, seed: str = "seed of a noise start") -> None:
    """The options that say where frames start; `seed` is what `--seed` means to the command."""
    parser.add_argument("--start", default="digits:7", help="SOURCE:DIGIT[@N], noise, or an image file of one digit")
    parser.add_argument("--scale", type=float, default=0.8, help="scale of a SOURCE:DIGIT start, 0.1 .. 1.8")
    parser.add_argument("--seed", type=int, default=0, help=seed)
    parser.add_argument(
        "--invert", choices=["auto", "yes", "no"], default="auto",
        help="of an image file: whether the digit is dark on a light ground",
    )  # fmt: skip
    parser.add_argument(
        "--colour", choices=["auto", "keep", "red"], default="auto",
        help="of an image file: keep its colours, take its brightness as red, or see whether it has a hue",
    )  # fmt: skip


def bank_of(runs: list[str], trust: tuple[str, ...], beside: "Beside | None" = None) -> "Bank":
    """The energies of runs and cards, to steer with, and what acts beside them.

    Raises:
        ValueError: if one of them is no model of sequences.
    """
    from ergosum.temporal.control import load_bank

    return load_bank(runs, trust, beside)


def beside_of(text: str, trust: tuple[str, ...], seed: int = 0) -> "Beside":
    """What `--with [CLASS=]RUN:WEIGHT[@NOISE]` names: an energy of images of a run or card, weighted, at a noise level.

    Raises:
        ValueError: if the text cannot be read, the run has no energy of images, or not of frames in colour.
    """
    from torch import Generator

    from ergosum.temporal.beside import Beside
    from ergosum.training.runfolder import load_predictor

    named, _, told = text.rpartition(":")
    name, _, run = named.rpartition("=")
    weight, _, noise = told.partition("@")
    expected = (
        f"--with {text!r}: expected RUN:WEIGHT, CLASS=RUN:WEIGHT or RUN:WEIGHT@NOISE, such as frames-density:0.1@0.025."
    )
    try:
        scale, sigma = float(weight), float(noise) if noise else None
    except ValueError as error:
        raise ValueError(expected) from error
    if not run:
        raise ValueError(expected)
    if not (isfinite(scale) and scale > 0):
        raise ValueError(f"--with {text!r}: expected a finite weight > 0, got {weight}.")
    model: Any = load_predictor(run, trust)[1]
    if not hasattr(model, "of_images"):
        raise ValueError(f"{run} has no energy of images to act beside a change; `ergosum train frames-density` does.")
    if model.channels != 3:
        raise ValueError(f"{run} knows images of {model.channels} channel(s), frames have 3; train frames-density.")
    if sigma is None:
        sigma = NOISE if model.has_levels else 0.0
    return Beside(scale * model.of_images(name), sigma, generator=Generator().manual_seed(seed))


def start_frame(
    start: str, scale: float, canvas: int, seed: int = 0, invert: str = "auto", colour: str = "auto"
) -> "Start":
    """As `temporal.start.start_frame`; what was changed of a file is told on stderr."""
    from ergosum.temporal.start import start_frame

    found = start_frame(start, scale, canvas, seed, invert, colour)
    if found.notes:
        print(f"{start}: {' '.join(found.notes)}", file=sys.stderr)
    return found
