"""Does a disjunction of changes give every future its share, where a predictor trained by squared error gives a ghost?

- `shares`: 1,000 draws each of several formulas and shares, from five held-out digits, with the shipped energies.
  Counted by the nearest of the true futures (the true operator's frames), and in the first row by the factor reader as
  well, which reads hue, angle and scale off a draw and knows no future. p is of the chi-square test; `uniform` is the
  Kolmogorov-Smirnov test that p is uniform over 100 seeds, as it must be if draws are right. PSNR is of draws, and of
  the frames that the energies lead to, against the nearest true future; CPU milliseconds are per draw, with the
  networks' evaluations shared out.
- `rollouts`: 4 frames ahead, by paths that keep to a change and by paths that choose anew in each frame; PSNR of each
  frame against the true operator along the path.
- `local`: chains of MALA on the same disjunction, from the start frame: all stay with the future that is nearest.
- `conjunction`: what `colour & angle` leads to, in turn, as one sum in 4 anchored substeps, and as the minimum of the
  sum of both bowls at one anchor; PSNR against the true operator.
- `ghost`: the feed-forward U-Net of equal size, trained by squared error on pairs whose change is one of the futures
  and not told; and the same changes by the energies' disjunction. PSNR against the nearest true future, and against
  the mean of the true futures; sharpness against the nearest true future, on held-out digits; `near` is the share of
  frames with at least 28 dB to a true future.

    python benchmarks/futures.py --updates 385 --out benchmarks/results/futures_cpu.json --picture futures.png
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from machine import provenance
from scipy.stats import chisquare, kstest
from torch import Generator, Tensor

from ergosum.data.record import Pairs
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.data.sources import default_source
from ergosum.files import read_json, write_json
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
        self, formula: str = GHOSTS[0], source: str = "digits", canvas: int = 28,
        split: Literal["train", "test"] = "train",
        device: str = "cpu",
    ) -> None:  # fmt: skip
        super().__init__(
            source=source,
            nuisance=FACTORS,
            mode="single",
            canvas=canvas,
            split=split,
            device=device,  # type: ignore[arg-type]
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


def ghost(
    formula: str, source: str, minutes: float, updates: int, folder: Path, seed: int
) -> tuple[Any, dict[str, Any]]:
    """A predictor that is not told the change, trained for some CPU minutes or, where they are > 0, for so many
    updates; a finished run is taken as it is.
    """
    task = Prediction(Part(Undecided, formula=formula, source=source), Part(Untold, components=("any",)))  # type: ignore[arg-type]
    out = folder / formula.replace(" ", "").replace("|", "-or-")
    if not (out / "run.json").is_file():
        updates = updates or _within(minutes, task, out, seed)
        for update in _trained(task, out, updates, seed):
            if update.iteration % 200 == 0:
                print(f"{formula} {update.iteration}/{updates} error {update.error:.5f}", file=sys.stderr)
    told = read_json(out / "run.json")
    model = load_predictor(out, task=task)[1]
    weights = sum(p.numel() for p in model.parameters())
    return model, {"updates": told["iterations"], "seconds": told["cpu_seconds"], "weights": weights}


def _within(minutes: float, task: Prediction, out: Path, seed: int, trial: int = 20) -> int:
    """How many updates take some CPU minutes, by how long the first ones take."""
    started = time.process_time()
    for _ in _trained(task, out.with_name(f"{out.name}-timed"), trial, seed):
        pass
    return max(100, round(60 * minutes * trial / (time.process_time() - started)))


def _trained(task: Prediction, out: Path, updates: int, seed: int) -> Any:
    optimiser = Optimiser(iterations=updates)
    return fit(task, out, optimiser=optimiser, run=Run(seed=seed), accelerator="cpu")


def starts_of(source: str, labels: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The first held-out digit of each label, its frame, and the frame's factors: hues and angles spread over the
    circle, so that no start is special; scale 0.8.
    """
    data = DigitSequences(source=source, split="test")
    digits = torch.stack([data.digits.images[data.digits.labels == label][0] for label in labels])
    turn = torch.arange(len(labels)) / len(labels)
    factors = torch.stack([6.0 * turn, 360.0 * turn - 180.0, torch.full_like(turn, 0.8)], 1)
    return digits, render(digits, factors), factors


def true_futures(digits: Tensor, factors: Tensor, ways: Sequence[Alternative]) -> Tensor:
    """What the true operator makes of digits, (K, batch, 3, side, side)."""
    return torch.stack([render(digits, factors + SPACING * moves_of(way)) for way in ways])


def nearest(frames: Tensor, true: Tensor) -> Tensor:
    """Which of (K, 3, side, side) each frame (n, 3, side, side) is nearest to."""
    return torch.cdist(frames.flatten(1), true.flatten(1)).argmin(1)


def by_reader(frames: Tensor, digit: Tensor, factors: Tensor, ways: Sequence[Alternative]) -> Tensor:
    """Which alternative each frame shows by its hue, angle and scale, each held against its level's width."""
    read = read_factors(frames, digit.expand(len(frames), -1, -1, -1), render).factors
    gaps = []
    for way in ways:
        wanted = (factors + SPACING * moves_of(way)).expand_as(read)
        gap = [circular_difference(read[:, k], wanted[:, k], period) for k, period in ((0, 2 * torch.pi), (1, 360.0))]
        gaps.append((torch.stack([*gap, read[:, 2] - wanted[:, 2]], 1) / SPACING).square().sum(1))
    return torch.stack(gaps).argmin(0)


def proportions(bank: Bank, source: str, n: int, seed: int) -> list[dict[str, Any]]:
    """One row for each formula, shares and start."""
    labels = (7, 2, 3, 4, 5)
    digits, frames, factors = starts_of(source, labels)
    rows = []
    for formula, shares in CASES:
        ways = alternatives(formula, NAMES, shares)
        for i, label in enumerate(labels):
            generator = Generator().manual_seed(seed + 100 * len(rows))
            started = time.process_time()
            made = futures(bank, formula, frames[i : i + 1], n, shares, generator=generator)
            seconds = time.process_time() - started
            true = true_futures(digits[i : i + 1], factors[i : i + 1], ways)[:, 0]
            drawn = made.frames[:, 1].clamp(0, 1)
            found = nearest(drawn, true)
            counts = found.bincount(minlength=len(ways))
            read = by_reader(drawn, digits[i : i + 1], factors[i : i + 1], ways) if not rows else None
            expected = [way.share * n for way in ways]
            rows.append({
                "formula": formula, "shares": [way.share for way in ways], "start": f"{source}:{label}",
                "seed": seed + 100 * len(rows), "n": n, "counts": counts.tolist(),
                "p": float(chisquare(counts.tolist(), expected).pvalue),
                "same_as_anchored": bool(torch.equal(counts, made.counts)),
                "read": None if read is None else read.bincount(minlength=len(ways)).tolist(),
                "read_differs": None if read is None else int((read != found).sum()),
                "psnr_draws": psnr(mse(drawn, true[found]).mean()).item(),
                "psnr_frames": psnr(mse(made.means[:, 1], true)).tolist(),
                "separation": made.separation, "ms_per_draw": 1000 * seconds / n,
            })  # fmt: skip
            print(rows[-1], file=sys.stderr)
    return rows


def rollouts(bank: Bank, source: str, n: int, seed: int, time_steps: int = 4) -> list[dict[str, Any]]:
    """Several frames ahead, by what each path chose: PSNR of each frame against the true operator along that path."""
    digits, frames, factors = starts_of(source, (7, 2, 3, 4, 5))
    ways = alternatives("colour | angle_back", NAMES)
    each_move = torch.stack([moves_of(way) for way in ways])
    rows = []
    for choose in ("once", "each"):
        errors, counts, paths = [], torch.zeros(2, dtype=torch.long), 0
        started = time.process_time()
        for i in range(len(digits)):
            made = futures(bank, "colour | angle_back", frames[i : i + 1], n, frames=time_steps, choose=choose,
                           generator=Generator().manual_seed(seed + i))  # fmt: skip
            along = factors[i] + SPACING * each_move[made.nearest].cumsum(1)
            drawn = made.frames[:, 1:].clamp(0, 1)
            true = render(digits[i : i + 1].expand(n * time_steps, -1, -1, -1), along.flatten(0, 1))
            errors.append(mse(drawn.flatten(0, 1), true).unflatten(0, (n, time_steps)).mean(0))
            counts += made.counts
            paths += len(made.nearest.unique(dim=0))
        half = [counts.sum().item() / 2] * 2
        rows.append({
            "choose": choose, "n": n, "starts": len(digits), "psnr": psnr(torch.stack(errors).mean(0)).tolist(),
            "counts": counts.tolist(), "p": float(chisquare(counts.tolist(), half).pvalue),
            "different_paths": paths / len(digits),
            "ms_per_frame": 1000 * (time.process_time() - started) / (len(digits) * n * time_steps),
        })  # fmt: skip
        print(rows[-1], file=sys.stderr)
    return rows


def uniform(bank: Bank, source: str, n: int, seeds: int) -> dict[str, float]:
    """Whether p is uniform over seeds: of the headline formula from one start."""
    _, frames, _ = starts_of(source, (7,))
    p = [
        futures(bank, "colour | angle_back", frames, n, (0.7, 0.3), generator=Generator().manual_seed(s)).p
        for s in range(seeds)
    ]
    return {"seeds": seeds, "n": n, "ks_p": float(kstest(p, "uniform").pvalue), "below_0.01": sum(v < 0.01 for v in p)}


def local(bank: Bank, source: str, seed: int, chains: int = 100, steps: int = 400) -> dict[str, Any]:
    """Chains of MALA on the same disjunction, from the frame to start from."""
    _, frames, _ = starts_of(source, (7,))
    energy = next_frame(bank, "colour | angle_back", frames)
    means = torch.cat([bank.advance(frames, move) for move in ({"colour": 1.0}, {"angle": -1.0})])
    x = frames.expand(chains, -1, -1, -1)
    acceptance = []
    # variance T in 2,352 dimensions: MALA's step goes with T D^(-1/3)
    for step in run_chains(Mala(step_size=1.5 * TEMPERATURE * x[0].numel() ** (-1 / 3)), energy, x, steps,
                           generator=Generator().manual_seed(seed)):  # fmt: skip
        x = step.x
        acceptance.append(step.info.acceptance.float().mean().item())  # type: ignore[union-attr]
    counts = nearest(x, means).bincount(minlength=2).tolist()
    half = [chains / 2, chains / 2]
    return {
        "chains": chains, "steps": steps, "acceptance": sum(acceptance[-100:]) / 100, "counts": counts,
        "p": float(chisquare(counts, half).pvalue),
        "psnr": psnr(mse(x.clamp(0, 1), means[nearest(x, means)]).mean()).item(),
    }  # fmt: skip


def conjunction(bank: Bank, source: str, n: int, seed: int) -> dict[str, float]:
    """Three ways to let colour and angle act at once, against the true operator, mean PSNR over n held-out starts."""
    data = Undecided("colour & angle", source, split="test")
    pairs = data.pairs(n, Generator().manual_seed(seed))
    bowls = bank.energies(pairs.start)
    both = {"colour": 1.0, "angle": 1.0}
    between = ((bowls["colour"].mean + bowls["angle"].mean) / 2).clamp(0, 1)  # type: ignore[operator]
    made = {
        "in turn": bank.advance(pairs.start, both),
        "sum, 4 substeps": bank.advance(pairs.start, both, "sum"),
        "sum at one anchor": between,
    }
    return {"n": n, "seed": seed} | {name: psnr(mse(x, pairs.target).mean()).item() for name, x in made.items()}


def beside_ghost(
    bank: Bank, model: Any, formula: str, source: str, n: int, seed: int
) -> tuple[list[dict[str, Any]], list[tuple[str, Tensor]]]:
    """Rows of the ghost's table, and rows of its picture (the first six starts)."""
    data = Undecided(formula, source, split="test")
    generator = Generator().manual_seed(seed)
    pairs = data.pairs(n, generator)
    true = true_futures(pairs.digits, pairs.before, data.ways)
    mean = sum(way.share * x for way, x in zip(data.ways, true, strict=True))
    draws, kept = [], []
    for i in range(n):
        made = futures(bank, formula, pairs.start[i : i + 1], 1, generator=generator)
        draws.append(made.frames[0, 1].clamp(0, 1))
        kept.append(made.means[made.nearest[0, 0], 1])
    predicted = model.predict(pairs.start)
    shown = {
        "ghost: trained by squared error, change not told": predicted, "mean of the true futures": mean,
        "draw of the disjunction": torch.stack(draws), "draw without noise": torch.stack(kept),
    }  # fmt: skip
    rows = []
    for name, x in shown.items():
        apart = torch.stack([mse(x, t) for t in true])
        least, which = apart.min(0)
        chosen = true[which, torch.arange(n)]
        rows.append({
            "formula": formula, "row": name, "n": n, "seed": seed, "psnr_nearest": psnr(least.mean()).item(),
            "psnr_mean": psnr(mse(x, mean).mean()).item(),  # type: ignore[arg-type]
            "sharpness": sharpness(x, chosen), "near": (psnr(least) >= NEAR).float().mean().item(),
            "counts": which.bincount(minlength=len(data.ways)).tolist(),
        })  # fmt: skip
        print(rows[-1], file=sys.stderr)
    picture = [("start", pairs.start), *((f"true: {way}", x) for way, x in zip(data.ways, true, strict=True))]
    picture += [(name, x) for name, x in shown.items() if name != "draw without noise"]
    return rows, [(name, x[:8]) for name, x in picture]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=4.0, help="CPU minutes that each ghost is trained for")
    parser.add_argument("--updates", type=int, default=0, help="of each ghost, in place of minutes where > 0")
    parser.add_argument("--n", type=int, default=1000, help="draws for each row of shares")
    parser.add_argument("--digits", type=int, default=200, help="held-out pairs in the ghost's table")
    parser.add_argument("--seeds", type=int, default=100, help="seeds whose p must be uniform")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", default="", help="of digits; mnist where it is at hand, else digits")
    parser.add_argument(
        "--runs", default="runs/futures", help="where the ghosts' runs lie; finished ones are used again"
    )
    parser.add_argument("--out", help="JSON to write")
    parser.add_argument("--picture", help="PNG to write")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source = chosen.source or default_source()
    bank = Bank([load_predictor(card)[1] for card in CARDS])
    result: dict[str, Any] = {**provenance(), "source": source, "temperature": TEMPERATURE, "seed": chosen.seed}
    result["shares"] = proportions(bank, source, chosen.n, chosen.seed)
    result["rollouts"] = rollouts(bank, source, max(1, chosen.n // 10), chosen.seed)
    result["uniform"] = uniform(bank, source, chosen.n, chosen.seeds)
    result["local"] = local(bank, source, chosen.seed)
    result["conjunction"] = conjunction(bank, source, chosen.digits, chosen.seed)
    for key in ("uniform", "local", "conjunction"):
        print(key, result[key], file=sys.stderr)
    result["ghost"], result["training"], pictures = [], {}, []
    for formula in GHOSTS:
        model, cost = ghost(formula, source, chosen.minutes, chosen.updates, Path(chosen.runs), chosen.seed)
        result["training"][formula] = cost
        rows, picture = beside_ghost(bank, model, formula, source, chosen.digits, chosen.seed)
        result["ghost"] += rows
        pictures += picture
    print(json.dumps(result, indent=1))
    if chosen.out:
        write_json(Path(chosen.out), result)
    if chosen.picture:
        save_strip(sheet(pictures, zoom=3, boxed=()), Path(chosen.picture))


if __name__ == "__main__":
    main()
