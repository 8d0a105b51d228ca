"""Factors of change without labels: how well are they found, and how well do their energies move frames?

Digits whose hue, angle and scale change; every row learns from training digits with a seed of its own and is scored on
held-out digits with seed 1000 plus that (`score_mover`).

- `groups`: the search alone, 5 components to start with; no network.
- `eight`: the same from 8 components. `unsteady`: the same without knowing that a clip moves at one speed.
- `refined`: `groups`, then one transport energy each, UPDATES updates of all three together (`ergosum discover`).
- `told`: the package's own energies, which are told which factor moves and how far, a third of UPDATES each: `skill`
  with the true moves.

A row is kept in the file as soon as it is scored, and a run with the same settings goes on from there.

    python benchmarks/discovery.py --seeds 5 --out benchmarks/results/discovery_single.json
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import default_source
from ergosum.files import read_json, write_json
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.temporal.control import Bank
from ergosum.temporal.discovery import Discovered, Discovery, Fitting, GroupTransport, Search
from ergosum.temporal.discovery.scores import natural_speeds, score_mover
from ergosum.training.experiment import Optimiser, Run
from ergosum.training.loop import fit, train
from ergosum.training.runfolder import load_predictor

ROWS = ("groups", "eight", "unsteady", "refined", "told")
PAIRS = 1000
KEPT = ("mcc", "mcc_pearson", "diagonal_share", "assigned_share", "transfer_error", "skill", "kept", "references")
"""What is kept of a score."""
SHOWN = ("mcc", "mcc_pearson", "diagonal_share", "assigned_share")


def task_of(source: str, mode: str, seed: int, row: str, quick: bool) -> Discovery:
    """The task of a row of discovery."""
    fitting = Part(Fitting, most=2 if mode == "single" else 3, restarts=2 if quick else 20)
    return Discovery(
        data=Part(DigitSequences, source=source, mode=mode),
        model=Part(Discovered, price=0.01 if mode == "laplace" else 0.03, energy=Part(GroupTransport, width=24)),
        search=Part(Search, components=8 if row == "eight" else 5, steady=row != "unsteady", seed=seed,
                    clips=60 if quick else 1000, fitting=fitting),
        pool=8 if quick else 1500,
    )  # fmt: skip


class ByGroups:
    """The bare groups of a discovered model as a mover."""

    def __init__(self, model: Discovered) -> None:
        self.model, self.components = model, model.components

    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """Moves by descent on the groups."""
        return self.model.reading(start, target, polish=0).moves

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """What the groups make of frames."""
        return self.model.by_group(start, moves)


def discovered(source: str, mode: str, seed: int, row: str, updates: int, quick: bool) -> dict[str, Any]:
    """Search, refine where the row asks for it, score."""
    task = task_of(source, mode, seed, row, quick)
    begun = time.process_time()
    found = task.searched()
    names = tuple(f"c{k}" for k in range(len(found.worth)))
    task.model = task.model.but(components=names)
    if row == "refined":
        with tempfile.TemporaryDirectory() as folder:
            for _ in fit(task, Path(folder) / "run", optimiser=Optimiser(iterations=updates), run=Run(seed=seed)):
                pass
            state = load_predictor(Path(folder) / "run", task=task)[1].state_dict()
        model: Discovered = task.build()  # type: ignore[assignment]
        model.load_state_dict(state)
        mover: Any = model.eval()
    else:
        model = task.build()  # type: ignore[assignment]
        model.start_from(found)
        mover = ByGroups(model)
    spent = time.process_time() - begun
    data = Part(DigitSequences, source=source, mode=mode)
    score = score_mover(mover, data, source, 64 if quick else PAIRS, 1000 + seed)
    told = {"worth": list(found.worth), "dropped": list(found.dropped), "objective": found.objective}
    return {"cpu_s": spent, **told, **{k: score[k] for k in KEPT}}


def told(source: str, mode: str, seed: int, updates: int, quick: bool) -> dict[str, Any]:
    """Energies that are told the moves, and their skill with the true ones."""
    begun, models = time.process_time(), []
    for factor in FACTORS:
        experiment = find(factor).but(
            task={"data": {"source": source}, "model": {"energy": {"width": 24}}},
            optimiser={"iterations": max(1, updates // 3), "precision": "32"},
            run={"seed": seed},
        )
        with tempfile.TemporaryDirectory() as folder:
            for _ in train(experiment, Path(folder) / "run"):
                pass
            models.append(load_predictor(Path(folder) / "run")[1])
    spent, bank = time.process_time() - begun, Bank(models)
    data = DigitSequences(source=source, mode=mode, split="test")  # type: ignore[arg-type]
    pairs = data.pairs(64 if quick else PAIRS, torch.Generator().manual_seed(1000 + seed))
    made = bank.advance(pairs.start, dict(zip(FACTORS, pairs.moves.T, strict=True)))
    error, change = ((x - pairs.target).square().mean((1, 2, 3)) for x in (made, pairs.start))
    alone = (pairs.moves != 0).sum(1) == 1
    skill = {
        f: 1 - (error[at].sum() / change[at].sum()).item()
        for k, f in enumerate(FACTORS)
        for at in [alone & (natural_speeds(pairs)[:, k] != 0)]
    }
    return {"cpu_s": spent, "skill": skill | {"mean": 1 - (error.sum() / change.sum()).item()}}


def summary(rows: list[dict[str, Any]]) -> Table:
    """Mean and standard deviation over seeds."""
    made = Table("row", "seeds", *(s.replace("_", " ") for s in SHOWN), "kept", "transfer error c / a / s",
                 "skill c / a / s / mean", "CPU s")  # fmt: skip
    for name in dict.fromkeys(r["row"] for r in rows):
        own = [r for r in rows if r["row"] == name]
        cells = [spread([r[s] for r in own if s in r]) for s in SHOWN]
        kept = ",".join(str(r["kept"]) for r in own if "kept" in r)
        transfer = " / ".join(spread([r["transfer_error"][f] for r in own if "transfer_error" in r]) for f in FACTORS)
        skill = " / ".join(spread([r["skill"][f] for r in own]) for f in (*FACTORS, "mean"))
        made.add_row(name, str(len(own)), *cells, kept, transfer, skill, f"{mean(r['cpu_s'] for r in own):.0f}")
    return made


def spread(values: list[float | None]) -> str:
    """Mean and standard deviation, or nothing."""
    known = [v for v in values if v is not None]
    if not known:
        return ""
    return f"{mean(known):.3f}" + (f"±{stdev(known):.3f}" if len(known) > 1 else "")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few updates, few pairs: checks that it works")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file, and go on from what it holds")
    parser.add_argument("--updates", type=int, default=450, help="updates of the refined and the told energies")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each row")
    parser.add_argument("--mode", choices=("single", "sparse", "laplace"), default="single", help="how factors move")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help="which rows")
    parser.add_argument("--source", default="", help="digits; by default MNIST where it is at hand")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source = "digits" if a.quick and not a.source else a.source or default_source()
    updates = 2 if a.quick else a.updates
    settings = {"mode": a.mode, "updates": updates, "source": source, "n": PAIRS, "quick": a.quick}
    before = read_json(a.out) if a.out and a.out.is_file() else {}
    kept = before.get("rows", []) if all(before.get(k) == v for k, v in settings.items()) else []
    result: dict[str, Any] = {"benchmark": "discovery", "threads": 1, **provenance(), **settings, "rows": kept}
    for seed in range(a.seeds):
        for row in a.rows:
            if any(r["row"] == row and r["seed"] == seed for r in kept):
                continue
            if row == "told":
                measured = told(source, a.mode, seed, updates, a.quick)
            else:
                measured = discovered(source, a.mode, seed, row, updates, a.quick)
            kept.append({"row": row, "seed": seed, **measured})
            if a.out:
                write_json(a.out, result)
            print(f"{a.mode} {row}, seed {seed}: {measured.get('mcc', '')} {measured['skill']}", file=sys.stderr)
    if a.json:
        print(json.dumps(result, indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(summary(kept))


if __name__ == "__main__":
    main()
