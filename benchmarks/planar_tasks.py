r"""AND, OR and NOT in the plane, where all densities are known: nine tasks, with exact energies and with learned ones.

Each task joins two sets of the plane; truth is where the formula holds. A task whose letter is c has no answer, or one
that is easy to miss.

| task | a | b | c |
|---|---|---|---|
| AND | a ring of eight and a bar: two modes | two circles: where they meet | two bars apart: nothing |
| OR | two columns of three modes | two bars | two circles |
| NOT | a square without a smaller one | a square without a strip | a square without a larger one: nothing |

The prior is uniform on a square around all of it, so that a set and its complement have shares by their areas. Every
set's density is known with noise of any level (mixtures, boxes, circles), and so are OR and NOT. Rows:

- exact: the energies in closed form; AND goes down the ladder with corrections and weights.
- learned: one small network for each set, trained alone by the denoising and time scores on draws of it.
- steps alone, soft: the exact energies without corrections, as guided diffusion composes them, and NOT by a negative
  weight, E_A - alpha (E_B - E_0).
- truth: another set of draws of it, which is as good as any row can be.

Columns: share of draws where the formula holds (`hit`), the Chamfer distance to draws of the truth, the total variation
of shares over cells of the plane, and how many times more often both concepts hold than if they were independent
(`together`), below `LEAST` of which a task is told to have no answer.

    python benchmarks/planar_tasks.py --n 2000 --seconds 30 --out benchmarks/results/planar_tasks.json

Source: the tasks are those of Yu et al. 2025 (CompLift), with their centres, boxes and tolerances; the uniform prior,
the exact densities and the columns are ours.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from known_truth import Case, train
from machine import provenance
from torch import Generator, Tensor

from ergosum.compose import disjunction, negation
from ergosum.density.algebra import complement, lifted
from ergosum.density.table import measure
from ergosum.energies.mixture import Mixture
from ergosum.energy import Energy, alike
from ergosum.files import write_json
from ergosum.report.tables import as_text
from ergosum.samplers.ladder import NoiseLadder
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import levels
from ergosum.training.task import Table

__all__ = ["TASKS", "Circle", "Flat", "Planar", "main", "together"]

LOWEST, HIGHEST, STEPS = 0.02, 8.0, 60
"""Noise levels; the lowest is part of what the sets are."""
WIDTH, NEAR = 0.03, 0.1
"""Deviation of a mode, and how far from the truth a draw still counts: three deviations of a mode, .1 of all else."""
LEAST = 0.05
"""Of `together`, below which there is nothing to draw."""
ISLAND = 20
"""Draws that are weighed among each other."""
WIDE = 2.0
"""Half of the prior's side."""
ALPHAS = (0.25, 0.5, 0.9)
"""Of the soft NOT; at 1 and above it is no density."""


class Flat(Energy):
    """Uniform in a box, with noise: of each coordinate $p(x) = (F((x - l) / s) - F((x - h) / s)) / (h - l)$.

    Args:
        low, high: corners, (D,). noise: s > 0.
    """

    low: Tensor
    high: Tensor
    log_z = 0.0

    def __init__(self, low: Sequence[float] | Tensor, high: Sequence[float] | Tensor, noise: float = LOWEST) -> None:
        super().__init__()
        self.register_buffer("low", torch.as_tensor(low, dtype=torch.float64))
        self.register_buffer("high", torch.as_tensor(high, dtype=torch.float64))
        self.noise = float(noise)

    @property
    def mean(self) -> Tensor:
        """The middle, (D,)."""
        return ((self.low + self.high) / 2).float()

    def forward(self, x: Tensor) -> Tensor:
        """Minus the log-density; beyond the box the tails are told apart by their logarithms."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        away = (x.double() - middle).abs()  # symmetric, so that the smaller tail is never a difference from one
        near = torch.special.log_ndtr((half - away) / self.noise)
        far = torch.special.log_ndtr((-half - away) / self.noise)
        log_density = near + torch.log(-torch.expm1((far - near).clamp(max=-1e-12))) - (2 * half).log()
        return -log_density.sum(1).to(x.dtype)

    def at_noise(self, sigma: float) -> "Flat":
        """More of it."""
        return alike(Flat(self.low, self.high, math.hypot(self.noise, sigma)), self)

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """n points."""
        u = torch.rand(n, len(self.low), generator=generator) * (self.high - self.low) + self.low
        return (u + self.noise * torch.randn(u.shape, generator=generator)).float()


class Circle(Energy):
    r"""Uniform on a circle of radius 1, with noise: $p(x) = e^{-(r^2 + 1) / 2 s^2} I_0(r / s^2) / 2 \pi s^2$.

    Args:
        centre: (2,). noise: s > 0.
    """

    centre: Tensor
    log_z = 0.0

    def __init__(self, centre: Sequence[float] | Tensor, noise: float = LOWEST) -> None:
        super().__init__()
        self.register_buffer("centre", torch.as_tensor(centre, dtype=torch.float64))
        self.noise = float(noise)

    @property
    def mean(self) -> Tensor:
        """The centre, (2,)."""
        return self.centre.float()

    def forward(self, x: Tensor) -> Tensor:
        """Minus the log-density."""
        square = self.noise**2
        r = ((x.double() - self.centre).square().sum(1) + 1e-12).sqrt()
        log_density = -(r - 1).square() / (2 * square) + torch.special.i0e(r / square).log()
        return (math.log(2 * math.pi * square) - log_density).to(x.dtype)

    def at_noise(self, sigma: float) -> "Circle":
        """More of it."""
        return alike(Circle(self.centre, math.hypot(self.noise, sigma)), self)

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """n points."""
        turn = 2 * math.pi * torch.rand(n, generator=generator)
        x = torch.stack([turn.cos(), turn.sin()], 1) + self.centre
        return (x + self.noise * torch.randn(x.shape, generator=generator)).float()


def modes(*centres: tuple[float, float]) -> Mixture:
    """Equal modes."""
    return Mixture(torch.tensor(centres), WIDTH**2)


class Planar(NamedTuple):
    """A task: two sets, how they are joined, draws of the truth, and where draws count."""

    name: str
    kind: str
    sets: tuple[Energy, Energy]
    share: float
    truth: Energy | None
    holds: Callable[[Tensor], Tensor]


PRIOR = Flat((-WIDE, -WIDE), (WIDE, WIDE))
RING = Mixture.ring(8, 0.5, WIDTH)
BAR = Flat((-0.1, -1.0), (0.1, 1.0))
LEFT, RIGHT = Flat((-1.0, -1.0), (-0.5, 1.0)), Flat((0.5, -1.0), (1.0, 1.0))
CIRCLES = Circle((-0.5, 0.0)), Circle((0.5, 0.0))
COLUMNS = tuple(modes(*((x, y) for y in (0.5, 0.0, -0.5))) for x in (-0.25, 0.25))
SQUARE, SMALL = Flat((-1.0, -1.0), (1.0, 1.0)), Flat((-0.5, -0.5), (0.5, 0.5))
STRIP = Flat((-0.5, -2.0), (0.5, 2.0))


def near(points: Sequence[tuple[float, float]], far: float, x: Tensor) -> Tensor:
    """Whether draws (n, 2) are within so much of one of the points."""
    return torch.cdist(x, torch.tensor(points)).amin(1) <= far


def inside(box: Flat, x: Tensor, margin: float = 3 * LOWEST) -> Tensor:
    """Whether draws (n, 2) are in a box, or as far outside as noise takes them."""
    return ((x >= box.low - margin) & (x <= box.high + margin)).all(1)


def on_either(x: Tensor) -> Tensor:
    """Whether draws (n, 2) are near one of the two circles."""
    return torch.stack([((x - c.centre).norm(dim=1) - 1).abs() <= NEAR for c in CIRCLES]).any(0)


def without(whole: Flat, part: Flat, x: Tensor) -> Tensor:
    """Whether draws (n, 2) are in a box and not in another."""
    return inside(whole, x) & ~inside(part, x, -3 * LOWEST)


class Drawable(NamedTuple):
    """Truth by its parts: draws of each in proportion to the shares."""

    parts: tuple[Energy, ...]
    shares: tuple[float, ...]

    def draw(self, n: int, generator: Generator) -> Tensor:
        """n points."""
        counts = torch.multinomial(torch.tensor(self.shares), n, replacement=True, generator=generator).bincount(
            minlength=len(self.parts)
        )
        return torch.cat([p.draw(int(k), generator) for p, k in zip(self.parts, counts, strict=True) if k])  # type: ignore[operator]


def _area(box: Flat) -> float:
    return float((box.high - box.low).prod())


def _apart(*boxes: Flat) -> Drawable:
    return Drawable(boxes, tuple(_area(b) for b in boxes))


MEET = ((0.0, math.sqrt(0.75)), (0.0, -math.sqrt(0.75)))
AROUND = _apart(LEFT, RIGHT, Flat((-0.5, -1), (0.5, -0.5)), Flat((-0.5, 0.5), (0.5, 1)))
SIDES = _apart(LEFT, RIGHT)
TASKS: tuple[Planar, ...] = (
    Planar("and a", "and", (RING, BAR), 0, modes((0.0, 0.5), (0.0, -0.5)), partial(near, ((0, 0.5), (0, -0.5)), NEAR)),
    Planar("and b", "and", CIRCLES, 0, Mixture(torch.tensor(MEET), LOWEST**2), partial(near, MEET, NEAR)),
    Planar("and c", "and", (LEFT, RIGHT), 0, None, lambda x: torch.zeros(len(x), dtype=torch.bool)),
    Planar("or a", "or", COLUMNS, 0, Drawable(COLUMNS, (0.5, 0.5)),  # type: ignore[arg-type]
           partial(near, [(x, y) for x in (-0.25, 0.25) for y in (0.5, 0.0, -0.5)], 3 * WIDTH)),
    Planar("or b", "or", (LEFT, RIGHT), 0, SIDES, lambda x: inside(LEFT, x) | inside(RIGHT, x)),  # type: ignore[arg-type]
    Planar("or c", "or", CIRCLES, 0, Drawable(CIRCLES, (0.5, 0.5)), on_either),  # type: ignore[arg-type]
    Planar("not a", "not", (SQUARE, SMALL), _area(SMALL) / _area(PRIOR), AROUND, partial(without, SQUARE, SMALL)),  # type: ignore[arg-type]
    Planar("not b", "not", (SQUARE, STRIP), _area(STRIP) / _area(PRIOR), SIDES, partial(without, SQUARE, STRIP)),  # type: ignore[arg-type]
    Planar("not c", "not", (SMALL, SQUARE), _area(SQUARE) / _area(PRIOR), None,
           lambda x: torch.zeros(len(x), dtype=torch.bool)),
)  # fmt: skip


def composed(task: Planar, a: Energy, b: Energy, alpha: float | None = None) -> Energy:
    """The formula of a task over energies of its sets; with alpha, NOT by a negative weight."""
    if task.kind == "and":
        return lifted(a, b, prior=PRIOR)
    if task.kind == "or":
        return disjunction(a, b)
    return a & negation(b, alpha) & alpha * PRIOR if alpha else lifted(a, complement(b, PRIOR, task.share), prior=PRIOR)  # type: ignore[operator, return-value]


def together(task: Planar, a: Energy, b: Energy, n: int, generator: Generator) -> float:
    """How many times more often both of what is joined hold than if they were independent: the mean of p_b / p over
    draws of a's set, where b stands for its complement in a task of NOT.
    """
    x = task.sets[0].draw(n, generator)  # type: ignore[operator]
    other = complement(b, PRIOR, task.share) if task.kind == "not" else b
    with torch.no_grad():
        return (PRIOR(x) - other(x)).exp().mean().item()


def drawn(energy: Energy, n: int, generator: Generator, corrected: bool) -> Tensor:
    """Draws down the ladder; corrected ones with weights among 20."""
    scales = levels(LOWEST, HIGHEST, STEPS)
    x = math.hypot(HIGHEST, 1.0) * torch.randn(n, 2, generator=generator)
    ladder = NoiseLadder(levels=scales)
    if corrected:
        ladder = NoiseLadder(levels=scales, correction=Mala(step_size=0.3), corrections=4, islands=n // ISLAND)
    return ladder.sample(energy, x, generator=generator).pooled(generator)


def measured(task: Planar, x: Tensor, generator: Generator) -> dict[str, float | None]:
    """Hits, Chamfer distance and total variation of draws; None where there is nothing to draw."""
    hit = task.holds(x).float().mean().item()
    if task.truth is None:
        return {"hit": hit, "chamfer": None, "tv": None}
    true = task.truth.draw(len(x), generator)  # type: ignore[operator]
    apart = torch.cdist(x, true)
    return {
        "hit": hit,
        "chamfer": ((apart.amin(1).mean() + apart.amin(0).mean()) / 2).item(),
        "tv": variation(x, true),
    }


def variation(x: Tensor, y: Tensor, side: float = 0.25) -> float:
    """Total variation of the shares of draws (n, 2) in cells of the plane."""
    cells = [((v + 4) / side + 0.5).floor().clamp(0, 8 / side - 1).long() for v in (x, y)]
    counts = [(c[:, 0] * int(8 / side) + c[:, 1]).bincount(minlength=int(8 / side) ** 2) / len(c) for c in cells]
    return ((counts[0] - counts[1]).abs().sum() / 2).item()


def learned(truth: Energy, seconds: float, seed: int, draws: int = 512) -> tuple[Energy, float]:
    """An energy of one set, of a network of its own, with its log Z measured at each level; and its CPU seconds."""
    case = Case((truth,), 128, 3, max(1, round(40 * seconds)), 256, 2e-3, lowest=LOWEST, highest=HIGHEST)
    family, spent = train(case, seed, 1.0)
    begun = time.process_time()
    measure(family, n=draws, generator=Generator().manual_seed(seed))
    return family(torch.tensor(0)), spent + time.process_time() - begun


def rows(task: Planar, energies: dict[str, tuple[Energy, Energy]], n: int, seed: int) -> list[dict[str, Any]]:
    """All rows of a task: exact and learned energies corrected, exact ones by steps alone and by soft negation."""
    made = []
    ways = [(name, composed(task, *pair), task.kind != "or", pair) for name, pair in energies.items()]
    exact = energies["exact"]
    if task.kind == "not":
        ways += [(f"soft, {alpha:g}", composed(task, *exact, alpha), False, exact) for alpha in ALPHAS]
    if task.kind != "or":
        ways.append(("steps alone", composed(task, *exact), False, exact))
    for name, energy, corrected, pair in ways:
        generator = Generator().manual_seed(seed)
        begun = time.process_time()
        x = drawn(energy, n, generator, corrected)
        row: dict[str, Any] = {"task": task.name, "row": name, "seconds": time.process_time() - begun}
        row |= measured(task, x, generator)
        row["together"] = together(task, *pair, n, generator) if task.kind != "or" else None
        row["answered"] = row["together"] is None or row["together"] >= LEAST
        made.append(row)
    if task.truth is not None:
        generator = Generator().manual_seed(seed + 1)
        x = task.truth.draw(n, generator)  # type: ignore[operator]
        made.append({"task": task.name, "row": "truth"} | measured(task, x, generator))
    return made


def table(told: Sequence[dict[str, Any]], n: int, seed: int) -> Table:
    """The rows."""
    digits = {"hit": 3, "chamfer": 3, "tv": 3, "together": 3, "seconds": 1}
    shown = [row | {"answer": {True: "", False: "none"}[row.get("answered", True)]} for row in told]
    return Table(("task", "row", "answer"), digits, shown, f"Nine tasks of the plane, n = {n}, seed {seed}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, draw, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="draws of each row, a multiple of 20")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training for each set, about; 0 for exact rows")
    parser.add_argument("--seed", type=int, default=0, help="of training and draws")
    parser.add_argument("--draws", type=int, default=512, help="that log Z of learned energies is measured by")
    parser.add_argument("--tasks", nargs="+", choices=[t.name for t in TASKS], default=[t.name for t in TASKS])
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    chosen = parser.parse_args(arguments)
    if chosen.n < ISLAND or chosen.n % ISLAND:
        parser.error(f"--n: expected a multiple of {ISLAND}, got {chosen.n}.")
    held: dict[int, tuple[Energy, float]] = {}
    told: list[dict[str, Any]] = []
    for task in TASKS:
        if task.name not in chosen.tasks:
            continue
        energies = {"exact": task.sets}
        if chosen.seconds:
            for one in task.sets:
                if id(one) not in held:
                    held[id(one)] = learned(one, chosen.seconds, chosen.seed, chosen.draws)
            energies["learned"] = (held[id(task.sets[0])][0], held[id(task.sets[1])][0])
        told += rows(task, energies, chosen.n, chosen.seed)
    print(as_text(table(told, chosen.n, chosen.seed)))
    spent = [seconds for _, seconds in held.values()]
    print(f"Training and log Z of {len(held)} sets: {sum(spent):.0f} CPU seconds.")
    if chosen.out:
        settings = {"n": chosen.n, "seconds": chosen.seconds, "seed": chosen.seed, "training": sum(spent)}
        write_json(chosen.out, settings | {"rows": told, "provenance": provenance()})


if __name__ == "__main__":
    main()
