r"""Concepts from three data sets that do not match, learned one after another: what is kept, and what can be combined?

Of purple cubes the place alone is told, of purple solids the shape alone, of coloured solids the colour alone; none of
the sets is seen again once the next one begins. Rows, each with the same updates of the same networks in all:

- grown: recipes `concepts-place`, `concepts-shape`, `concepts-colour`, each added to the one before, which is frozen.
- fine-tuned: one codec and energy for all three attributes, trained on set after set.
- together: the same, on the union of the sets, with nothing more told; it sees all of them all the time.
- true images: what the reader sees in the renderer's images.

Columns: share of draws that show what was asked for, when the place is told, place and shape, and all three, at random
values; and the largest change of a pixel of the same draws since the set that taught them.

    python benchmarks/continual.py --runs runs/continual --n 300 --out benchmarks/results/continual
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from torch import Generator, Tensor

from ergosum.concepts import AttributeCodec, AttributeCodes, ConceptDensities, Concepts, Grown
from ergosum.concepts.recipes import SHARE
from ergosum.concepts.scores import right
from ergosum.data import ConceptScenes, PartlyTold
from ergosum.data.attributed import Attributed, columns
from ergosum.density.sampling import CHUNK, decoded, draw
from ergosum.files import read_json, write_json
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.report.strips import sheet
from ergosum.report.tables import as_text
from ergosum.training.experiment import Experiment
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Table

__all__ = ["ROWS", "Union", "main"]

ATTRIBUTES = ("place", "shape", "colour")
ROWS = ("grown", "fine-tuned", "together")
SHOWN = (("at(0.3,0.6)", {"place": (0.3, 0.6)}), ("sphere, there", {"place": (0.3, 0.6), "shape": "sphere"}),
         ("red cube, there", {"place": (0.3, 0.6), "shape": "cube", "colour": "red"}))  # fmt: skip
EACH = 4
"""Draws of each on the picture."""


class Union:
    """Several data sets as one, each as often; arguments: the sets, with the same attributes, and the split."""

    def __init__(self, sets: Sequence[Part[Any]] = (), split: str = "train") -> None:
        self.sets = [part.build(split=split) for part in sets]
        first = self.sets[0]
        self.attributes, self.side, self.channels = first.attributes, first.side, first.channels

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images of random sets."""
        drawn = [data.attributed(n, generator) for data in self.sets]
        which = torch.randint(len(drawn), (n,), generator=generator)
        images, values = (torch.stack([getattr(d, name) for d in drawn]) for name in ("images", "values"))
        return Attributed(images[which, torch.arange(n)], values[which, torch.arange(n)])


class Again(ConceptDensities):
    """Concepts whose codec and energy learn on from another run."""

    def prepare(self, model: Any) -> None:
        """Mean and deviation of codes are to be taken anew."""
        super().prepare(model)
        model.space.settled.fill_(False)


class Stage(NamedTuple):
    """A trained model after one of the sets, and what it cost."""

    name: str
    model: Any
    cpu_seconds: float


def trained(experiment: Experiment, out: Path) -> Stage:
    """The run of a folder, trained if it is not there."""
    if not (out / "run.json").is_file():
        for _ in train(experiment, out, accelerator="cpu"):
            pass
    model = load_predictor(out, task=experiment.built())[1]
    return Stage(experiment.name, model, read_json(out / "run.json")["cpu_seconds"])


def grown(runs: Path, updates: Sequence[int], changes: dict[str, Any]) -> list[Stage]:
    """The three recipes."""
    made, before = [], ""
    for name, count in zip(ATTRIBUTES, updates, strict=True):
        task = {"model": {"grown_from": before}, **changes} if before else changes
        recipe = find(f"concepts-{name}").but(optimiser={"iterations": count}, task=task)
        made.append(trained(recipe, runs / f"concepts-{name}"))
        before = str(runs / f"concepts-{name}")
    return made


def others(row: str, runs: Path, updates: Sequence[int], changes: dict[str, Any]) -> list[Stage]:
    """One codec and energy for all attributes, on set after set or on their union."""
    parts = [find(f"concepts-{name}").task.get("data").but(among=ATTRIBUTES) for name in ATTRIBUTES]  # type: ignore[union-attr]
    parts = [part.but(**changes["data"]) if "data" in changes else part for part in parts]
    space = Part(
        AttributeCodes, codec=Part(AttributeCodec, place="place", rest=4, width=24, sleep=0.0), share=SHARE, batch=32
    )
    like, made, before = find("concepts-place"), [], ""
    sets: dict[str, Part[Any]] = dict(zip(ATTRIBUTES, parts, strict=True))
    sets = {"together": Part(Union, sets=tuple(parts))} if row == "together" else sets
    counts = [sum(updates)] if row == "together" else updates
    for (name, data), count in zip(sets.items(), counts, strict=True):
        task = Again(data=data, model=Part(Concepts, space=space), draws=0)
        run = like.but(name=f"{row}-{name}", task=task, optimiser={"iterations": count}, run={"warm_start": before})
        made.append(trained(run, runs / f"{row}-{name}"))
        before = str(runs / f"{row}-{name}")
    return made


def questions(values: Tensor, attributes: Any) -> dict[str, Tensor]:
    """Values (n, columns) that are asked for: the place, the shape too, the colour too."""
    asked = {}
    for count, name in enumerate(ATTRIBUTES, 1):
        told = values.clone()
        for column in columns(attributes)[count:]:
            told[:, column] = torch.nan
        asked[name] = told
    return asked


def drawn(model: Any, told: Tensor, known: int, seed: int) -> Tensor:
    """Images of a model under values (n, columns), of which the first `known` attributes are told."""
    world = model.world(ATTRIBUTES[:known]) if isinstance(model, Grown) else model
    own, generator = told[:, : world.columns[-1].stop], Generator().manual_seed(seed)
    x = [draw([world], world.family(part), len(part), generator).x for part in own.split(CHUNK)]
    return decoded(world, torch.cat(x))


def measured(stages: list[Stage], row: str, values: Tensor, data: Any, seed: int) -> list[dict[str, Any]]:
    """What draws show after each set."""
    told, first = [], {}
    for at, stage in enumerate(stages):
        line: dict[str, Any] = {"row": row, "after": stage.name, "minutes": stage.cpu_seconds / 60}
        for known, (name, wanted) in enumerate(questions(values, data.attributes).items(), 1):
            if row != "together" and known > at + 1:
                continue  # nothing has told it yet
            images = drawn(stage.model, wanted, known, seed)
            line[name] = right(data.attributes, data.read(images), wanted).all(1).float().mean().item()
            before = first.setdefault(name, images)
            line[f"{name} changed"] = (images - before).abs().max().item()
        told.append(line)
    return told


def readings(stages: list[Stage], seed: int, n: int) -> list[dict[str, Any]]:
    """What the older encoders of a grown model find in held-out images of the set that was added."""
    rows = []
    for stage in stages[1:]:
        model = stage.model
        data: Any = find(stage.name).task.get("data").but(told=[a.name for a in model.before.attributes])  # type: ignore[union-attr]
        held = data.build(split="test").attributed(n, Generator().manual_seed(seed))
        with torch.no_grad():
            seen = model.space.before.shown(model.before.encode(held.images))
        line: dict[str, Any] = {"images of": stage.name}
        line["place, pixels"] = ((seen[:, :2] / 12**0.5 + 0.5 - held.values[:, :2]).norm(dim=1).median() * 32).item()
        if len(model.before.attributes) > 1:
            line["shape"] = (seen[:, 2:5].argmax(1) == held.values[:, 2]).float().mean().item()
        rows.append(line)
    return rows


def picture(stages: dict[str, list[Stage]], seed: int) -> Any:
    """The same formulas, drawn from the same noise after each set, of every row."""
    rows = []
    for row, made in stages.items():
        for at, stage in enumerate(made):
            images = []
            for known, (_, told) in enumerate(SHOWN, 1):
                if known > at + 1 and row != "together":
                    images.append(torch.ones(EACH, 3, 32, 32))
                    continue
                world = stage.model.world(ATTRIBUTES[:known]) if isinstance(stage.model, Grown) else stage.model
                condition = world.condition(**told)
                images.append(drawn(stage.model, condition.repeat(EACH, 1), known, seed))
            rows.append((f"{row}, after {stage.name.rpartition('-')[2]}", torch.cat(images)))
    return sheet(rows, boxed=())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is not there, measure, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/continual"), help="folder of the runs")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--n", type=int, default=300, help="draws of each question")
    parser.add_argument("--seed", type=int, default=0, help="of values and draws")
    parser.add_argument("--updates", type=int, nargs=3, default=None, help="on each set; without, those of the recipes")
    parser.add_argument("--count", type=int, default=0, help="images of each set; without, those of the recipes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/continual"), help="without ending")
    chosen = parser.parse_args(arguments)
    updates = chosen.updates or [find(f"concepts-{name}").optimiser.iterations for name in ATTRIBUTES]
    changes = {"data": {"data": {"count": chosen.count}}} if chosen.count else {}
    whole: Part[Any] = Part(ConceptScenes, only={"size": "medium"}, count=chosen.count or None)
    data = PartlyTold(whole, told=ATTRIBUTES, split="test")
    held = data.attributed(chosen.n, Generator().manual_seed(1_000_000 + chosen.seed))
    stages, rows = {}, []
    for row in chosen.rows:
        make = grown if row == "grown" else lambda *given, row=row: others(row, *given)
        stages[row] = make(chosen.runs, updates, changes)
        rows += measured(stages[row], row, held.values, data, chosen.seed)
    seen = data.read(held.images)
    rows.append({"row": "true images", "after": ""} | {
        name: right(data.attributes, seen, wanted).all(1).float().mean().item()
        for name, wanted in questions(held.values, data.attributes).items()
    })  # fmt: skip
    read = readings(stages["grown"], chosen.seed, chosen.n) if "grown" in stages else []
    decimals = {"minutes": 1} | {k: 3 for name in ATTRIBUTES for k in (name, f"{name} changed")}
    print(as_text(Table(("row", "after"), decimals, rows, f"Shown as asked; n = {chosen.n}, seed {chosen.seed}")))
    print(
        as_text(Table(("images of",), {"place, pixels": 2, "shape": 3}, read, "Read by encoders that never saw such"))
    )
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    told = {"n": chosen.n, "seed": chosen.seed, "updates": updates, "rows": rows, "read": read, **provenance()}
    write_json(chosen.out.with_suffix(".json"), told)
    picture(stages, chosen.seed).save(chosen.out.with_suffix(".png"))
    print(json.dumps({"out": str(chosen.out)}))


if __name__ == "__main__":
    main()
