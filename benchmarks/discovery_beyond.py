"""Factors of change without labels, beyond digits: shapes that grow, turn and move, two at once, scenes under a camera
and a light. The search alone, without a network, in the frame of the canvas or of what moves.

- `shape, own frame`: one white shape; fields of places count from its centre of mass. `shape, canvas`: from the canvas.
- `shape, several factors`: the same where a random subset of size, turn, x and y moves.
- `two shapes`: two coloured shapes on grey that move on their own; each is cut out by its true mask (a pixel wider), as
  how far it is from the ground, and lies in its own frame, so that the search sees clips of single objects.
  `two shapes, whole`: nothing is cut out.
- `scenes, degree D`: camera and light move; monomials of place up to degree D, of the canvas.

Scored on clips never seen: rank correlation of moves with true speeds, best pairing (MCC); each row and seed on 300
clips of its own.

    python benchmarks/discovery_beyond.py --seeds 3 --out benchmarks/results/discovery_beyond.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from ergosum.data.moving_scenes import MovingScenes
from ergosum.data.moving_shapes import MovingShapes
from ergosum.data.record import Clips
from ergosum.files import write_json
from ergosum.part import Part
from ergosum.temporal.discovery import Fitting, Library, Search, centre_of_canvas, centre_of_mass
from ergosum.temporal.discovery.group import transform
from ergosum.temporal.discovery.scores import score_clips
from ergosum.temporal.reading import read_moves

SIZES = {"full": (800, 300, 4), "quick": (40, 10, 3)}
"""Clips to search in, clips to score, moves of a clip."""


@dataclass
class ByGroups:
    """Groups as a mover."""

    theta: Tensor
    library: Library
    most: int

    def __post_init__(self) -> None:
        self.components = tuple(str(k) for k in range(self.theta.shape[1]))

    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """Moves by descent."""
        return read_moves(self.act, start, target, len(self.components), most=self.most, delta=0.05).moves

    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """What the groups make of frames."""
        return transform(start, moves, self.theta, self.library)


def shape(split: str, mode: str = "single") -> tuple[Any, Callable[..., Clips]]:
    """One white shape."""
    data = MovingShapes(mode=mode, split=split)  # type: ignore[arg-type]
    return data.factors, data.clips


def apart(split: str) -> tuple[Any, Callable[..., Clips]]:
    """Two shapes, each cut out by its mask."""
    data = MovingShapes(canvas=48, objects=2, colour=True, split=split)  # type: ignore[arg-type]

    def clips(n: int, steps: int, generator: torch.Generator) -> Clips:
        drawn = data.object_clips(n, steps, generator)
        ground = (drawn.frames * drawn.masks[:, :, :1]).sum((3, 4)) / drawn.masks[:, :, :1].sum((3, 4))
        unlike = (drawn.frames - ground[..., None, None]).abs().mean(2)  # edges keep the shades that a mask would cut
        cut = []
        for k in range(2):
            own = F.max_pool2d(drawn.masks[:, :, 1 + k].float(), 3, 1, 1)
            lone = unlike * own
            lone = lone / lone.amax((2, 3), keepdim=True).clamp_min(1e-3)
            cut.append(lone[:, :, None].expand(-1, -1, 3, -1, -1))
        speeds = drawn.speeds.unflatten(2, (2, -1))
        return Clips(torch.cat(cut), torch.cat([speeds[:, :, k] for k in range(2)]))

    return ("size", "turn", "x", "y"), clips


def whole(split: str) -> tuple[Any, Callable[..., Clips]]:
    """Two shapes, nothing cut out."""
    data = MovingShapes(canvas=48, objects=2, colour=True, split=split)  # type: ignore[arg-type]
    return data.factors, data.clips


def scenes(split: str) -> tuple[Any, Callable[..., Clips]]:
    """Solids under a camera and a light."""
    data = MovingScenes(canvas=32, split=split)  # type: ignore[arg-type]
    return data.factors, data.clips


def library(origin: Any, place_degree: int = 1, colour_degree: int = 1) -> Library:
    """A basis."""
    return Library(place_degree=place_degree, colour_degree=colour_degree, origin=Part(origin))


ROWS: dict[str, tuple[Callable[[str], Any], Library, int, int, float]] = {
    "shape, own frame": (shape, library(centre_of_mass), 6, 2, 0.03),
    "shape, canvas": (shape, library(centre_of_canvas), 6, 2, 0.03),
    "shape, several factors": (lambda split: shape(split, "sparse"), library(centre_of_mass), 6, 4, 0.03),
    "two shapes": (apart, library(centre_of_mass), 6, 2, 0.03),
    "two shapes, whole": (whole, library(centre_of_canvas), 8, 2, 0.03),
    "scenes, degree 1": (scenes, library(centre_of_canvas), 7, 2, 0.01),
    "scenes, degree 3": (scenes, library(centre_of_canvas, 3), 7, 2, 0.01),
}
"""Data, basis, components to start with, how many move at once, and the worth below which one is left out."""


def measured(row: str, seed: int, quick: bool) -> dict[str, Any]:
    """Search and score."""
    data, basis, components, most, spare = ROWS[row]
    clips, scored, steps = SIZES["quick" if quick else "full"]
    begun = time.process_time()
    frames = data("train")[1](clips, steps, torch.Generator().manual_seed(seed)).frames
    fitting = Part(Fitting, most=most, spare=spare, restarts=2 if quick else 20)
    found = Search(components=components, seed=seed, fitting=fitting)(frames, basis)
    spent = time.process_time() - begun
    factors, test = data("test")
    held_out = test(scored, 1, torch.Generator().manual_seed(1000 + seed))
    score = score_clips(ByGroups(found.theta, basis, most), held_out, tuple(factors))
    best = [max(abs(r[f]) for r in score["correlations"]["spearman"]) for f in range(len(factors))]
    return {
        "row": row, "seed": seed, "cpu_s": spent, "kept": score["kept"], "worth": list(found.worth),
        "mcc": score["mcc"], "mcc_pearson": score["mcc_pearson"], "skill": score["skill"]["mean"],
        "by_factor": dict(zip(factors, best, strict=True)),
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> Table:
    """Means over seeds."""
    made = Table("row", "seeds", "kept", "MCC", "MCC, Pearson", "skill", "best correlation by factor", "CPU s")
    for name in dict.fromkeys(r["row"] for r in rows):
        own = [r for r in rows if r["row"] == name]
        factors = ", ".join(f"{f} {mean(r['by_factor'][f] for r in own):.2f}" for f in own[0]["by_factor"])
        numbers = [" ".join(f"{r[k]:.3f}" for r in own) for k in ("mcc", "mcc_pearson")]
        kept, skill = ",".join(str(r["kept"]) for r in own), mean(r["skill"] for r in own)
        spent = mean(r["cpu_s"] for r in own)
        made.add_row(name, str(len(own)), kept, *numbers, f"{skill:.3f}", factors, f"{spent:.0f}")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few clips: checks that it works")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each row")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS), metavar="ROW", help="which rows")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    result = {"benchmark": "discovery_beyond", "threads": 1, **provenance(), "quick": a.quick, "rows": rows}
    for row in a.rows:
        for seed in range(a.seeds):
            rows.append(measured(row, seed, a.quick))
            if a.out:
                write_json(a.out, result)
            print(f"{row}, seed {seed}: MCC {rows[-1]['mcc']:.3f}, kept {rows[-1]['kept']}", file=sys.stderr)
    if a.json:
        print(json.dumps(result, indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(summary(rows))


if __name__ == "__main__":
    main()
