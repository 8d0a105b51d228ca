"""What do absolute error, energies of features, and codes at right angles do to the energies of change?

Every row learns by the same data, for the same CPU seconds (how many updates that is follows from a short timing), in
32 bits, with networks and batches half as wide as the recipes', from the same seed, and is scored on the same held-out digits (set `mixed`): skill and PSNR of single moves;
PSNR, sharpness and identity of roll-outs of twelve moves from the first frame alone.

| row | is | differs from |
|---|---|---|
| squared error | the recipe of the factor: transport energy, squared error | |
| absolute error | the loss is the absolute error | squared error |
| features | the energy is the distance of features of a frozen encoder; one step of learned size | squared error |
| joint | three energies with one encoder learn together from pairs in which one of three factors moves | |
| joint, right angles W | and W times the squared cosine between the latents of a frame is added to the loss | joint |
| no labels | the same three without being told which factor moves, all factors in lockstep (recipe `unsupervised`) | |
| no labels, right angles W | and the squared cosine | no labels |

Rows without labels have no factor of their own: of them the share is told that goes to its factor under the best
assignment (1/3 by chance). `cosine` is the mean squared cosine between latents of held-out frames.

    python benchmarks/change_ablations.py --out benchmarks/results/change_ablations.json
    python benchmarks/change_ablations.py --table benchmarks/results/change_ablations.json
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import provenance

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import default_source
from ergosum.decomposer import InnerDescent
from ergosum.files import read_json, write_json
from ergosum.metrics.orthogonality import squared_cosine
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.transport import Transport
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.temporal import FeatureDistance, FrozenFeatures, PredictionLoss
from ergosum.temporal.assignment import assignment
from ergosum.temporal.moves import as_predict, score_row, test_set
from ergosum.temporal.recipes import SOURCES
from ergosum.training.experiment import Experiment
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from ergosum.zoo import Zoo

__all__ = ["ROWS", "experiment", "main", "measured", "table"]

WIDTH, BATCH = 16, 32
"""Of networks, and pairs in a batch: half of the recipes', so that a minute is some hundred updates."""
TIMED = 8
"""Updates that a row's time per update is taken from, after three."""
KEPT = ("skill", "psnr", "psnr_12", "sharpness_12", "identity")
WEIGHT = 0.01
"""Of the squared cosine, about what the error of copying is."""
ROWS = ("squared error", "absolute error", "features", "joint", "joint, right angles", "no labels",
        "no labels, right angles")  # fmt: skip


def experiment(row: str, factor: str, weight: float = WEIGHT) -> Experiment:
    """The run of a row; `factor` of a row of one factor.

    Raises:
        ValueError: for a row that there is not.
    """
    if row not in ROWS:
        raise ValueError(f"row: expected one of {', '.join(ROWS)}, got {row!r}.")
    small = {"encoder": Part(StridedEncoder, width=WIDTH), "energy": Part(Transport, width=WIDTH)}
    short = {"precision": "32", "ema": 0.99, "batch": BATCH}
    run = find(factor).but(optimiser=short, task={"model": small})
    if row == "absolute error":
        return run.but(task={"objective": Part(PredictionLoss, norm="l1")})
    if row == "features":
        energy = Part(FeatureDistance, width=WIDTH, encoder=Part(FrozenFeatures))
        descent = Part(InnerDescent, steps=1, learned=True)
        return run.but(task={"model": {"energy": energy, "ramp": False, "descent": descent}})
    if row.startswith("joint"):
        data = Part(DigitSequences, source=SOURCES, factors=FACTORS)
        run = run.but(task={"data": data, "model": {"components": FACTORS, "ramp": False}})
        run = run.but(task={"model": {"descent": Part(InnerDescent, steps=1)}})
    if row.startswith("no labels"):
        run = find("unsupervised").but(optimiser=short, task={"model": {**small, "latent": 4}})
    if row.endswith("right angles"):
        run = run.but(task={"objective": Part(PredictionLoss, orthogonality=weight)})
    return run


def learned(run: Experiment, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Train for as many updates as the seconds allow."""
    spent: list[float] = []
    updates = train(run.but(optimiser={"iterations": 10**6}, run={"checkpoint_every": 10**6}), folder / "timing")
    try:
        begun = time.process_time()
        for _ in updates:
            spent.append(time.process_time() - begun)
            if len(spent) == TIMED + 3:
                break
            begun = time.process_time()
    finally:
        updates.close()
    count = max(3, round(seconds / (sum(spent[3:]) / TIMED)))
    shutil.rmtree(folder / "run", ignore_errors=True)
    run = run.but(optimiser={"iterations": count}, run={"seed": seed, "checkpoint_every": count})
    for _ in train(run, folder / "run"):
        pass
    return {"updates": count, "cpu_seconds": round(read_json(folder / "run" / "run.json")["cpu_seconds"], 1)}


@torch.no_grad()
def measured(model: Any, factors: tuple[str, ...], source: str, n: int, seed: int) -> list[dict[str, Any]]:
    """Scores on each factor, by the energy of its name."""
    classify = Zoo().classifier("identity")
    found = []
    for factor in factors:
        tests = test_set(factor, source, n, seed)
        predict = as_predict(model, [list(model.components).index(factor)])
        told = score_row("", predict, tests, classify)
        row = {"factor": factor, **{key: told[key] for key in KEPT}}
        if len(model.components) > 1:
            row["cosine"] = squared_cosine(model.encode(tests.main.frames[:, 0])).item()
        found.append(row)
    return found


def of_row(row: str, factor: str, chosen: argparse.Namespace, seed: int, source: str) -> list[dict[str, Any]]:
    """Train a row and score it."""
    with tempfile.TemporaryDirectory() as scratch:
        run = experiment(row, factor, chosen.weight)
        cost = learned(run, chosen.seconds, seed, Path(scratch))
        done, model = load_predictor(Path(scratch) / "run")
    task: Any = done.built()
    if row.startswith("no labels"):
        share = assignment(model, task.data, source, chosen.n, seed)["assigned_share"]
        frames = test_set("colour", source, chosen.n, seed).main.frames[:, 0]
        with torch.no_grad():
            cosine = squared_cosine(model.encode(frames)).item()  # type: ignore[operator]
        found = [{"factor": "all", "share": share, "cosine": cosine}]
    else:
        found = measured(model, FACTORS if row.startswith("joint") else (factor,), source, chosen.n, seed)
    weight = {"weight": chosen.weight} if row.endswith("right angles") else {}
    return [{"row": row, "seed": seed, **weight, **told, **cost} for told in found]


def table(rows: list[dict[str, Any]]) -> str:
    """For people."""
    heads = ("skill", "psnr", "psnr_12", "sharpness_12", "identity", "share", "cosine")
    lines = [f"{'factor':8}{'row':28}{'seed':>5}{'updates':>9}" + "".join(f"{head:>14}" for head in heads)]
    for row in rows:
        name = row["row"] + (f" {row['weight']:g}" if "weight" in row else "")
        cells = "".join(f"{row[key]:14.3f}" if key in row else " " * 14 for key in heads)
        lines.append(f"{row['factor']:8}{name:28}{row['seed']:5d}{row['updates']:9d}{cells}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--factors", nargs="+", choices=FACTORS, default=list(FACTORS), help="of rows of one factor")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds that a row learns for")
    parser.add_argument("--weight", type=float, default=WEIGHT, help="of the squared cosine")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--n", type=int, default=60, help="held-out sequences")
    parser.add_argument("--source", default="", help="of the held-out digits")
    parser.add_argument("--out", type=Path, help="rows are added to those of the file")
    parser.add_argument("--table", type=Path, help="print the rows of a file, and train nothing")
    chosen = parser.parse_args(arguments)
    if chosen.table:
        print(table(read_json(chosen.table)["rows"]))
        return
    torch.set_num_threads(1)
    source = chosen.source or default_source()
    held = read_json(chosen.out)["rows"] if chosen.out and chosen.out.is_file() else []
    about = {"source": source, "n": chosen.n, "seconds": chosen.seconds, **provenance()}
    for row in chosen.rows:
        for factor in chosen.factors if row in ROWS[:3] else chosen.factors[:1]:
            for seed in chosen.seeds:
                found = of_row(row, factor, chosen, seed, source)
                print(table(found), file=sys.stderr, flush=True)
                held += found
                if chosen.out:
                    write_json(chosen.out, {**about, "rows": held})
    print(table(held))


if __name__ == "__main__":
    main()
