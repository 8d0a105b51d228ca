"""Does a disjunction of changes give every future its share, where a predictor trained by squared error gives a ghost?

- `shares`: 1,000 draws each of several formulas and shares, from five held-out digits, with the shipped energies.
  Counted by the nearest of the true futures (the true operator's frames), and by the factor reader, which reads hue and
  angle off a draw and knows no future. p is of the chi-square test; `uniform` is the Kolmogorov-Smirnov test that p is
  uniform over 200 seeds, as it must be if draws are right. PSNR is of draws, and of the frames that the energies lead
  to, against the nearest true future; seconds are per draw, the networks' evaluation shared out.
- `local`: chains of MALA on the same disjunction, from the start frame: all stay with the future that is nearest.
- `conjunction`: what `colour & angle` leads to, in turn, as one sum in 4 anchored substeps, and as the minimum of the
  sum of both bowls at one anchor; PSNR against the true operator.
- `ghost`: the feed-forward U-Net of equal size, trained by squared error on pairs whose change is one of the futures
  and not told; and the same changes by the energies' disjunction. PSNR against the nearest true future (in brackets
  that against the mean of the true futures), sharpness against the nearest true future, on held-out digits; `near` is
  the share of frames with at least 28 dB to a true future.

    python benchmarks/futures.py --minutes 4 --out benchmarks/results/futures_cpu.json --picture futures.png
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from scipy.stats import chisquare, kstest
from torch import Generator, Tensor

from ergosum.data.record import Pairs
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.data.sources import default_source
from ergosum.files import write_json
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.reader import circular_difference, read_factors
from ergosum.metrics.sharpness import sharpness
from ergosum.part import Part
from ergosum.report.animation import save_strip
from ergosum.report.strips import sheet
from ergosum.samplers.chain import run as run_chains
from ergosum.samplers.mala import Mala
from ergosum.temporal.baselines.feedforward import FeedForwardUNet
from ergosum.temporal.control import Bank
from ergosum.temporal.futures import TEMPERATURE, Alternative, alternatives, futures, next_frame
from ergosum.temporal.task import Prediction
from ergosum.training.experiment import Optimiser, Run
from ergosum.training.loop import fit
from ergosum.training.runfolder import load_predictor

__all__ = ["Undecided", "Untold", "main"]

CARDS = ("digits-colour", "digits-angle", "digits-scale")
NAMES = tuple(f"{f}{back}" for f in FACTORS for back in ("", "_back"))
CASES: tuple[tuple[str, tuple[float, ...] | None], ...] = (
    ("colour | angle_back", (0.5, 0.5)),
    ("colour | angle_back", (0.7, 0.3)),
    ("colour | angle_back", (0.9, 0.1)),
    ("angle | angle_back", (0.5, 0.5)),
    ("colour | angle_back | scale", None),
    ("colour & (angle | angle_back)", None),
)
GHOSTS = ("colour | angle_back", "angle | angle_back")
NEAR = 28.0
"""PSNR in dB to a true future from which a frame counts as that future."""


def moves_of(way: Alternative) -> Tensor:
    """Signed levels of each factor, (3,)."""
    moves = torch.zeros(len(FACTORS))
    for name in way.moves:
        moves[FACTORS.index(name.removesuffix("_back"))] += -1.0 if name.endswith("_back") else 1.0
    return moves


class Undecided(DigitSequences):
    """Pairs whose change is one of a formula's alternatives, each with its share; other factors rest at random levels.

    Args:
        formula: of changes. source, canvas, split, device: as `DigitSequences`.
    """

    def __init__(
        self, formula: str = GHOSTS[0], source: str = "digits", canvas: int = 28, split: str = "train",
        device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(
            source=source, nuisance=FACTORS, mode="single", canvas=canvas, split=split, device=device  # type: ignore[arg-type]
        )
        self.ways = alternatives(formula, NAMES)

    def pairs(self, n: int, generator: Generator) -> Pairs:
        """n pairs, one level apart."""
        shares = torch.tensor([way.share for way in self.ways])
        chosen = torch.multinomial(shares, n, replacement=True, generator=generator)
        moves = torch.stack([moves_of(way) for way in self.ways])[chosen]
        before, moves = self.draw_start(moves, 1, generator)
        return self.pair(self.draw_digits(n, generator), before, moves)


class Untold(FeedForwardUNet):
    """The feed-forward U-Net, which is not told the move."""

    knows_moves = False

    def frame(self, start: Tensor, moves: Tensor) -> Tensor:
        """The start and what the U-Net adds, whatever the move."""
        return super().frame(start, torch.zeros_like(moves))


def ghost(formula: str, source: str, minutes: float, folder: Path, seed: int) -> tuple[Any, dict[str, Any]]:
    """A predictor trained for about some minutes without being told the change; a finished run is taken as it is."""
    task = Prediction(Part(Undecided, formula=formula, source=source), Part(Untold, components=("any",)))
    out = folder / formula.replace(" ", "").replace("|", "-or-")
    if not (out / "run.json").is_file():
        started, trial = time.perf_counter(), 20
        for _ in _trained(task, out.with_name(out.name + "-timed"), trial, seed):
            pass
        updates = max(100, round(60 * minutes * trial / (time.perf_counter() - started)))
        for update in _trained(task, out, updates, seed):
            if update.iteration % 200 == 0:
                print(f"{formula} {update.iteration}/{updates} error {update.error:.5f}", file=sys.stderr)
    from ergosum.files import read_json

    told = read_json(out / "run.json")
    model = load_predictor(out, task=task)[1]
    weights = sum(p.numel() for p in model.parameters())
    return model, {"updates": told["iterations"], "seconds": told["cpu_seconds"], "weights": weights}


def _trained(task: Prediction, out: Path, updates: int, seed: int) -> Any:
    optimiser = Optimiser(iterations=updates)
    return fit(task, out, optimiser=optimiser, run=Run(seed=seed), accelerator="cpu")
