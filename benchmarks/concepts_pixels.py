"""What each part of a recipe of objects in pixels brings: draws with everything told at once, read by the data's rules.

One row for each run, as `and_seen`, `and_held_out` and `and_held_out_place` of a score; the last row is the share of
true images that the same rules read right. The first n held-out values of a seed are asked for, as a score asks.

    ergosum train concepts-scenes --task.objective.even false --out runs/scenes-uneven
    ergosum train concepts-scenes --task.objective.even false --task.model.windows.highest 4 --out runs/scenes-low
    python benchmarks/concepts_pixels.py concepts-scenes runs/scenes-uneven runs/scenes-low --n 400
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator

from ergosum.concepts.one_object import score_way
from ergosum.concepts.scores import right
from ergosum.report.tables import as_text
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Table

__all__ = ["main"]

KINDS = ("and_seen", "and_held_out", "and_held_out_place")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="runs or cards of concepts in pixels")
    parser.add_argument("--n", type=int, default=400, help="draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of values and draws (default: %(default)s)")
    settings = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    reader = 0.0
    for name in settings.runs:
        experiment, loaded = load_predictor(name)
        task: Any = experiment.built()
        model: Any = loaded.eval()
        data: Any = task.data.build(split="test")
        held = data.attributed(settings.n, Generator().manual_seed(3_000_000 + settings.seed))
        with torch.no_grad():
            told = score_way(model, data, held.values, "and", Generator().manual_seed(4_000_000 + settings.seed))
        rows.append({"run": name, **{kind: told.get(kind) for kind in KINDS}})
        reader = right(model.attributes, data.read(held.images), held.values).all(1).float().mean().item()
    rows.append({"run": "true images", KINDS[0]: reader})
    print(
        as_text(Table(("run",), dict.fromkeys(KINDS, 3), rows, f"All right, n = {settings.n}, seed = {settings.seed}"))
    )


if __name__ == "__main__":
    main()
