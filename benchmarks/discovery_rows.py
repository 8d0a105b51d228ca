"""Factors of change without labels: what do other ways of finding them reach on the same data in the same CPU time?

Every row learns from the same kind of pairs of frames (hue, angle and scale of digits; nobody says which moved), for
about the same CPU seconds of one thread, and is scored on held-out digits (`score_mover`). Rows are trained with seeds
of their own and scored with seed 1000 plus theirs.

- `discovered groups`: the search's one-parameter groups without a network; it ends by itself, well before the budget.
- `winner takes all`: the same search with one component per clip at most; `no sparsity`: with no price of components.
- `lockstep clips`: the same search where all factors advance together, scored on the data of the others: the negative
  control, one clock and so one component.
- `SlowVAE`: pairs, Laplace transition prior; all ten latents are scored, the best pairing picks those that serve it.
- `latent actions, continuous`: pair encoder, three noisy numbers, forward model.
- `latent actions, discrete`: pair encoder, one of eight codes, forward model; codes are paired without labels.
- `image-dependent fields`: the groups and losses of a shared dictionary, but a U-Net draws the fields of each image.
- `transport scalars`: three transport energies with one scalar each, the mean of their bowls predicts.
- `report's scalars`: the founding report's K = 3, its energies at half of COMET's width.

The number of updates is the budget over the time of the quickest of the first ones; `cpu_s` is what was spent in fact.
A row is kept in the file as soon as it is scored, and a run with the same settings goes on from there.

    python benchmarks/discovery_rows.py --seeds 3 --out benchmarks/results/discovery_rows_single.json
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, cast

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table

from ergosum.data.contract import ClipData
from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import default_source
from ergosum.files import read_json, write_json
from ergosum.part import Part
from ergosum.temporal.discovery.baselines import (
    ContinuousActions,
    DiscreteActions,
    ImageFields,
    PairLearning,
    ScalarMover,
    SlowVAE,
    scalars,
    search_groups,
)
from ergosum.temporal.discovery.dictionary import Fitting
from ergosum.temporal.discovery.library import Library
from ergosum.temporal.discovery.scores import Mover, score_mover
from ergosum.temporal.discovery.search import Search
from ergosum.temporal.task import PairData
from ergosum.training.experiment import Optimiser, Run
from ergosum.training.loop import Update, fit
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Task

__all__ = ["ROWS", "Learned", "Searched", "main", "measured", "table"]

PROBE = 12
"""Updates that are timed to know how many fit into the budget."""
SCORED_FROM = 1000
"""Seeds of scores start here; those of training are small."""
SIZES = {"quick": (64, 8), "full": (1000, 48)}
"""Pairs that are read and frames that are steered."""
SMALL = Optimiser(batch=32)
"""Batches of 32: in so short a time more updates are worth more than larger batches."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A model that learns in the ordinary loop: its task on given data, its optimiser, and how it moves frames."""

    task: Callable[[Part[DigitSequences]], Task]
    optimiser: Optimiser = field(default_factory=Optimiser)
    mover: Callable[[Any], Mover] = lambda model: model

    def __call__(self, data: Part[DigitSequences], seconds: float, seed: int, quick: bool) -> tuple[Mover, dict]:
        """The mover after about `seconds` of CPU time, and what was spent."""
        task = self.task(data)
        with tempfile.TemporaryDirectory() as folder:
            updates = 3 if quick else self._affordable(task, seconds, Path(folder) / "probe")
            out = Path(folder) / "run"
            for _ in self._updates(task, updates, seed, out):
                pass
            _, model = load_predictor(out, task=task)
            spent = read_json(out / "run.json")
        told = {"updates": updates, "cpu_s": spent["cpu_seconds"], "weights": spent["weights"]}
        return self.mover(model), told

    def _updates(self, task: Task, count: int, seed: int, out: Path) -> Iterator[Update]:
        optimiser, run = replace(self.optimiser, iterations=count), Run(seed=seed, checkpoint_every=10**9)
        return fit(task, out, optimiser=optimiser, run=run, accelerator="cpu")

    def _affordable(self, task: Task, seconds: float, out: Path) -> int:
        """How many updates fit into the budget; the quickest counts, so that a busy machine shortens no training."""
        marks = [time.process_time() for _ in self._updates(task, PROBE, 0, out)]
        return max(PROBE, round(seconds / min(after - before for before, after in pairwise(marks))))


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Groups that a search finds in clips, without a network; it ends when it ends.

    `most` None: two at once where one factor moves at a time, else three.
    """

    most: int | None = None
    price: float = 0.05
    components: int = 5
    lockstep: bool = False

    def __call__(self, data: Part[DigitSequences], seconds: float, seed: int, quick: bool) -> tuple[Mover, dict]:
        """The mover, and what was spent."""
        begun = time.process_time()
        most = self.most or (2 if data.get("mode") == "single" else 3)
        fitting = Part(Fitting, most=most, price=self.price, **({"restarts": 2, "rounds": 5} if quick else {}))
        clips = 20 if quick else 1000
        if self.lockstep:
            data = data.but(mode="lockstep", signs="forward")
        search = Search(seed=seed, components=self.components, fitting=fitting, clips=clips)
        mover = search_groups(cast("Part[ClipData]", data), search, Library())
        return mover, {"updates": 0, "cpu_s": time.process_time() - begun, "weights": mover.theta.numel()}


def _learning(model: Part[Any]) -> Callable[[Part[DigitSequences]], Task]:
    return lambda data: PairLearning(data, model)


ROWS: dict[str, Learned | Searched] = {
    "discovered groups": Searched(),
    "winner takes all": Searched(most=1),
    "no sparsity": Searched(price=0.0, components=3),
    "lockstep clips": Searched(lockstep=True),
    "SlowVAE": Learned(task=_learning(Part(SlowVAE)), optimiser=Optimiser(batch=32, rate=1e-3, clip=0.0)),
    "latent actions, continuous": Learned(task=_learning(Part(ContinuousActions, width=16)), optimiser=SMALL),
    "latent actions, discrete": Learned(task=_learning(Part(DiscreteActions, width=16)), optimiser=SMALL),
    "image-dependent fields": Learned(task=_learning(Part(ImageFields)), optimiser=SMALL),
    "transport scalars": Learned(
        task=lambda data: scalars(cast("Part[PairData]", data), "ours", 16).build(), optimiser=SMALL, mover=ScalarMover
    ),
    "report's scalars": Learned(
        task=lambda data: scalars(cast("Part[PairData]", data), "report", 32).build(),
        optimiser=Optimiser(batch=32, rate=1e-3),
        mover=ScalarMover,
    ),
}


def measured(name: str, data: Part[DigitSequences], seconds: float, seed: int, quick: bool) -> dict[str, Any]:
    """A row of the result."""
    mover, told = ROWS[name](data, seconds, seed, quick)
    n, steered = SIZES["quick" if quick else "full"]
    score = score_mover(mover, data, data.get("source"), n, SCORED_FROM + seed, steered)
    return {"row": name, "seed": seed, **told, **{k: v for k, v in score.items() if k not in ("n", "seed", "source")}}


def table(result: dict[str, Any]) -> Table:
    """Means over seeds, the reader's floor below."""
    made = Table(
        title=f"Factors without labels, {result['mode']}, {result['seconds']:g} CPU s, {result['source']}, "
        f"n = {result['n']}, steered {result['steered']}"
    )
    heads = (
        "seeds",
        "kept",
        "MCC",
        "range",
        "Pearson",
        "diagonal",
        "assigned",
        "skill",
        *(f"transfer {f}" for f in FACTORS),
    )
    made.add_column("row", no_wrap=True)
    for head in (*heads, "updates", "CPU s"):
        made.add_column(head, justify="right")
    for name in dict.fromkeys(r["row"] for r in result["rows"]):
        rows = [r for r in result["rows"] if r["row"] == name]
        scores = [r["mcc"] for r in rows]
        made.add_row(
            name, str(len(rows)), "/".join(str(r["kept"]) for r in rows),
            f"{mean(scores):.3f}", f"{min(scores):.3f} .. {max(scores):.3f}",
            *(f"{mean(r[k] for r in rows):.3f}" for k in ("mcc_pearson", "diagonal_share", "assigned_share")),
            *_shared(rows), f"{mean(r['updates'] for r in rows):.0f}", f"{mean(r['cpu_s'] for r in rows):.0f}",
        )  # fmt: skip
    if result["rows"]:
        told = [r["references"]["truth"] for r in result["rows"]]
        shares = (f"{mean(r[k] for r in told):.3f}" for k in ("diagonal_share", "assigned_share"))
        made.add_row("true operator", "", "", "1.000", "", "1.000", *shares, *_shared(told), "", "", style="dim")
        chance = mean(r["references"]["chance"]["mcc"] for r in result["rows"])
        made.add_row("chance", "", "", f"{chance:.3f}", "", "", "0.333", "", "0.000", "1.000", "1.000", "1.000", "", "",
                     style="dim")  # fmt: skip
    return made


def _shared(rows: list[dict[str, Any]]) -> list[str]:
    """Skill and transfer errors."""
    errors = [[r["transfer_error"][f] for r in rows if r["transfer_error"][f] is not None] for f in FACTORS]
    return [f"{mean(r['skill']['mean'] for r in rows):.3f}", *(f"{mean(e):.3f}" if e else "-" for e in errors)]


def _begun(settings: dict[str, Any], out: Path | None) -> list[dict[str, Any]]:
    """Rows of an earlier run with the same settings."""
    if out is None or not out.is_file():
        return []
    before = read_json(out)
    return before["rows"] if all(before.get(k) == v for k, v in settings.items()) else []


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three updates, few pairs: checks that it works")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file, and go on from what it holds")
    parser.add_argument("--seconds", type=float, default=180.0, help="CPU seconds of training of each row")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row")
    parser.add_argument("--mode", choices=("single", "sparse", "laplace"), default="single", help="how factors move")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS), metavar="ROW", help="which rows")
    parser.add_argument("--source", default="", help="digits; by default MNIST where it is at hand")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source = "digits" if a.quick and not a.source else a.source or default_source()
    data = Part(DigitSequences, source=source, mode=a.mode)
    n, steered = SIZES["quick" if a.quick else "full"]
    settings = {"mode": a.mode, "seconds": a.seconds, "source": source, "n": n, "steered": steered, "quick": a.quick}
    result: dict[str, Any] = {"benchmark": "discovery_rows", "threads": 1, **provenance(), **settings,
                              "rows": _begun(settings, a.out)}  # fmt: skip
    done = {(r["row"], r["seed"]) for r in result["rows"]}
    for seed in range(a.seeds):
        for name in a.rows:
            if (name, seed) in done:
                continue
            row = measured(name, data, a.seconds, seed, a.quick)
            result["rows"].append(row)
            if a.out:
                write_json(a.out, result)
            told = f"{name}, seed {seed}: MCC {row['mcc']:.3f}, {row['updates']} updates, {row['cpu_s']:.0f} CPU s"
            print(told, file=sys.stderr, flush=True)
    if a.json:
        print(json.dumps(result, indent=1))
        return
    Console(width=None if sys.stdout.isatty() else 180).print(table(result))


if __name__ == "__main__":
    main()
