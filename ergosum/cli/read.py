"""`ergosum read`: which energies moved a film, frame by frame, as a timeline that `control` plays."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ergosum.cli.arguments import Parser, add_trust, parser_for, trusted
from ergosum.cli.start import DEFAULTS

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.data.film_file import Film
    from ergosum.temporal.control import Bank
    from ergosum.temporal.film import FilmReading

__all__ = ["Read", "add_reading", "read_with", "run"]


class Read(NamedTuple):
    """A film with the energies that it was read with, what was read, the noise, and the seconds that reading took."""

    film: "Film"
    bank: "Bank"
    reading: "FilmReading"
    noise: float
    seconds: float


def run(arguments: list[str]) -> None:
    """Print the timeline of a film; as JSON, or drawn, with its uncertainty."""
    parser = parser_for(
        "read",
        "Read off a film which energies act in which frames, and how far, with an uncertainty. Prints a timeline that "
        "`ergosum control --timeline` accepts; how sure each segment is, and frames that no energy explains, go to "
        "stderr.",
    )
    add_reading(parser)
    parser.add_argument("--json", action="store_true", help="print segments and frames with uncertainties as JSON")
    parser.add_argument("--plot", default="", metavar="FILE.png", help="draw film, tracks of all energies, and replay")
    chosen = parser.parse_args(arguments)
    if chosen.plot and Path(chosen.plot).suffix.lower() != ".png":
        raise ValueError(f"--plot {chosen.plot}: expected a name that ends in .png.")
    read = read_with(chosen)
    reading = read.reading
    if chosen.plot:
        from ergosum.report.animation import save_strip
        from ergosum.temporal.film import replay
        from ergosum.temporal.film.figures import draw_reading

        save_strip(draw_reading(reading, replay(read.bank, reading), str(reading.timeline)), Path(chosen.plot))
        print(chosen.plot, file=sys.stderr)
    if chosen.json:
        told = {"film": chosen.film, "energies": list(reading.factors), "noise": read.noise, "seconds": read.seconds}
        print(json.dumps(told | reading.as_dict(), indent=1))
        return
    _explain(reading)
    print(reading.timeline)


def add_reading(parser: Parser) -> None:
    """The film, the energies, and what is known of the film's pixels."""
    parser.add_argument(
        "film", help="folder of frames, GIF, animated PNG or WebP, .npy, or video; its middle square is resized to the "
        "energies' canvas",
    )  # fmt: skip
    parser.add_argument(
        "--with", dest="runs", nargs="+", default=list(DEFAULTS), metavar="CARD", help="runs or cards of energies"
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=None,
        help="standard deviation of the pixels' noise, 0 .. 0.5; default: estimated",
    )
    parser.add_argument(
        "--mask", default="", metavar="IMAGE", help="image that is black where the pixels of all frames are hidden"
    )
    parser.add_argument("--most", type=int, default=None, help="energies that may act at once; default: all")
    parser.add_argument(
        "--pairs", type=int, default=64, help="held-out pairs of the energies' own data that the error is calibrated on"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of these pairs")
    add_trust(parser)


def read_with(chosen: argparse.Namespace) -> Read:
    """Read the film that the options of `add_reading` name.

    Raises:
        ValueError, OSError: if an option is out of range, or film, mask or energies cannot be read.
    """
    from ergosum.cli.start import bank_of
    from ergosum.data.film_file import read_film
    from ergosum.temporal.film import read_as
    from ergosum.temporal.film.pixels import pixel_noise
    from ergosum.training.runfolder import load_recipe, locate

    if chosen.noise is not None and not 0 <= chosen.noise <= 0.5:
        raise ValueError(f"--noise {chosen.noise:g}: expected 0 .. 0.5.")
    if chosen.pairs < 16:
        raise ValueError(f"--pairs {chosen.pairs}: expected at least 16.")
    if chosen.most is not None and chosen.most < 1:
        raise ValueError(f"--most {chosen.most}: expected at least 1.")
    trust = trusted(chosen.trust)
    bank = bank_of(chosen.runs, trust)
    film = read_film(chosen.film, bank.canvas)
    seen = _mask(chosen.mask, bank.canvas) if chosen.mask else None
    noise = pixel_noise(film.frames, seen) if chosen.noise is None else chosen.noise
    data = [load_recipe(locate(run), trust).built().data for run in chosen.runs]  # type: ignore[attr-defined]
    begun = time.monotonic()
    with _progress() as done:
        reading = read_as(
            bank, film.frames, data, noise=noise, seen=seen, most=chosen.most, pairs=chosen.pairs, seed=chosen.seed,
            progress=done,
        )  # fmt: skip
    return Read(film, bank, reading, noise, time.monotonic() - begun)


def _mask(path: str, side: int) -> "Tensor":
    """1 where an image is lighter than middle grey, (1, 1, side, side)."""
    import torch

    from ergosum.data.image_file import read_square

    seen = torch.tensor(read_square(path, side).pixels, dtype=torch.float32).mean(2) > 127.5
    if not seen.any():
        raise ValueError(f"--mask {path}: expected white where pixels are seen; got an image that hides all of them.")
    return seen.float()[None, None]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """A bar on stderr for each stage while a person looks at it."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        shown: dict[str, TaskID] = {}

        def update(stage: str, done: int, of: int) -> None:
            if stage not in shown:
                shown[stage] = bar.add_task(stage)
            bar.update(shown[stage], completed=done, total=of)

        yield update


def _explain(reading: "FilmReading") -> None:
    """A line on stderr for each segment."""
    for stretch in reading.stretches:
        first, last = stretch.first + 1, stretch.last + 1
        frames = f"frame {first}" if first == last else f"frames {first}-{last}"
        if stretch.foreign:
            t = stretch.first
            told = f"no energy explains it ({reading.nats[t]:.1f} nats, z = {reading.score[t]:.1f})"
        elif not stretch.factors:
            told = f"nothing moves (p = {stretch.probability:.2f})"
        else:
            moves = zip(stretch.factors, stretch.moves, stretch.sd, strict=True)
            told = ", ".join(f"{f} {z:+.3f} ± {s:.3f}" for f, z, s in moves) + f" (p = {stretch.probability:.2f})"
        print(f"{frames}: {told}", file=sys.stderr)
