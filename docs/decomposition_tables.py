"""Tables of docs/decompose.md: objects that were found, and what latents tell of global factors, of published models and
of ours, in one harness.

    python docs/decomposition_tables.py --train --jobs 2     # train what is missing, score it, write the table
    python docs/decomposition_tables.py --only still-vae     # score and write; no training

Every row is a recipe, trained for the same CPU time with seeds 0, 1, 2 in `runs/NAME-seedK`; a run that was interrupted
goes on from its checkpoint. Scores are kept in each run's `scores.json` and measured again when its weights are newer.
"""

import argparse
import statistics
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tables import replace_block

from ergosum.cli.score import score
from ergosum.decomposition.baselines.recipes import ROWS, SETS
from ergosum.files import read_json
from ergosum.recipes import find
from ergosum.samplers.guards import NonFiniteError
from ergosum.training.loop import DeadRunError, train
from ergosum.zoo import CARDS

OURS: dict[str, dict[str, str]] = {
    "still": {
        "ours: one energy, 10 stochastic numbers": "scenes-global",
        "ours: one energy, 64 stochastic numbers at a lower KL weight": "scenes-global-wide",
        "ours: two energies, 32 stochastic numbers each at a lower KL weight": "scenes-global-two",
    },
    "shapes": {"ours: slots, an energy for the ground and one for the shape": "shapes"},
}
"""Recipes of our own to put first: set -> label -> name of the recipe."""
OBJECTS = ("tetrominoes", "scenes-objects", "scenes-objects-128", "lighting-objects", "toy-objects")
"""Recipes that find objects; their first seed is the run of the recipe's own name, which ships as a card."""
PUBLISHED = {
    "vae-b1-d64": (81.61, 6.51, 58.73), "vae-b4-d64": (83.57, 10.90, 66.08), "vae-b16-d64": (74.71, 9.33, 57.28),
    "vae-b4-d32": (79.77, 7.14, 57.48), "vae-b4-d256": (80.76, 10.94, 66.14),
    "vae-b4-d64-bernoulli": (84.23, 8.96, 61.57), "info-gan": (79.65, 2.48, 52.67), "monet": (93.13, 13.94, 65.72),
    "COMET": (99.41, 19.63, 76.55),
}  # fmt: skip
"""COMET's Table 1 (Du et al. 2021): beta-VAE metric, MIG, MCC in per cent on Falcor3D."""
RUNS, PAGE = Path("runs"), Path("docs/decompose.md")
METRICS = {"beta_vae": "beta-VAE metric", "mig": "MIG", "mcc": "MCC", "disentanglement": "DCI: disentanglement",
           "completeness": "completeness", "informativeness": "informativeness", "sap": "SAP",
           "factor_vae": "FactorVAE metric"}  # fmt: skip
DRAWN = {"mse": ("MSE", 4), "psnr": ("PSNR [dB]", 1), "cpu_seconds": ("CPU [s]", 0)}
REFERENCES = ("oracle", "permuted", "rotated", "noise")


def main() -> None:
    """Train what is missing (on request), score what is there, write."""
    parser = options(__doc__)
    parser.add_argument("--only", default="", help="train and score only runs whose name holds this")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    wanted = [(name, k) for k in range(chosen.seeds) for name in names() if chosen.only in f"{name}-seed{k}"]
    measure(wanted, chosen)
    write(RUNS, PAGE, chosen.seeds)
    write_objects(RUNS, PAGE, chosen.seeds)
    write_composites(PAGE)
    write_shadows(PAGE)


def options(description: str | None) -> argparse.ArgumentParser:
    """What every table of runs may be asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train missing runs first")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--n", type=int, default=200, help="held-out images to recompose; 25 times as many to code")
    return parser


def measure(wanted: list[tuple[str, int]], chosen: argparse.Namespace) -> None:
    """Train recipes under seeds where asked to, and score those that are there."""
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        if chosen.train:
            list(pool.map(train_one, wanted))
        list(pool.map(score_one, wanted, [chosen.n] * len(wanted)))


def names() -> list[str]:
    """Recipes of all rows, of both sets."""
    return [recipe for of in SETS for recipe in rows_of(of).values()]


def rows_of(of: str) -> dict[str, str]:
    """Rows of one set: label -> recipe."""
    return OURS[of] | {labelled(f"{of}-{row}"): f"{of}-{row}" for row in ROWS}


def labelled(recipe: str) -> str:
    """What a recipe says that it is."""
    return find(recipe).shows.partition(": ")[2].partition(";")[0]


def folder(runs: Path, name: str, seed: int) -> Path:
    """Run folder of a recipe under a seed."""
    return runs / f"{name}-seed{seed}"


def train_one(which: tuple[str, int]) -> None:
    """Train a run that is not there, or go on with it."""
    name, seed = which
    out = folder(RUNS, name, seed)
    if (out / "run.json").exists():
        return  # finished, or died
    experiment = find(name).but(name=out.name, run={"seed": seed})
    print("training", out, flush=True)
    try:
        for _ in train(experiment, out, resume=(out / "checkpoint.pt").exists(), accelerator="cpu"):
            pass
    except (DeadRunError, NonFiniteError) as error:
        print(out, error, flush=True)


def finished(out: Path) -> bool:
    """Whether a run is there and has not died."""
    return (out / "run.json").exists() and "died" not in read_json(out / "run.json")


def score_one(which: tuple[str, int], n: int) -> None:
    """Score a finished run whose scores are not there, are of other images, or are older than its weights."""
    out = folder(RUNS, *which)
    if not finished(out):
        return
    kept = out / "scores.json"
    if kept.exists() and kept.stat().st_mtime > (out / "model.safetensors").stat().st_mtime:
        known = read_json(kept)
        if (known.get("n"), known.get("seed")) == (n, which[1]):
            return
    torch.set_num_threads(1)
    print("scoring", out, flush=True)
    score(str(out), "", n, which[1])


def write(runs: Path, page: Path, seeds: int) -> None:
    """Put the tables of all sets between the markers of the page, which is begun if it is not there."""
    if not page.exists():
        page.write_text("# Unsupervised decomposition of images\n")
    if "<!-- table 1 -->" not in page.read_text():
        page.write_text(page.read_text() + "\n<!-- table 1 -->\n<!-- /table 1 -->\n")
    lines: list[str] = []
    for of, (_, known) in SETS.items():
        lines += [f"`{of}`: {known}.", "", *table(runs, of, range(seeds)), ""]
    replace_block(page, "table 1", lines[:-1])


def scores_of(cards: Path, name: str) -> dict[str, Any]:
    """A card's scores, of the one dataset that it is scored on."""
    (told,) = read_json(cards / name / "scores.json").values()
    return told


def write_objects(runs: Path, page: Path, seeds: int, cards: Path = CARDS) -> None:
    """Segments, recomposition and counts of what finds objects: a line for a card and a way to segment.

    The first seed is the card's, others are of runs.
    """
    heads = [
        "card",
        "row",
        "seeds",
        "foreground ARI",
        "ARI",
        "covering",
        "PSNR [dB]",
        "swap consistency",
        "count",
        "KID",
        "KID, one component exchanged",
    ]
    lines = heading(heads)
    for name in OBJECTS:
        others = [folder(runs, name, k) / "scores.json" for k in range(1, seeds)]
        found = [scores_of(cards, name), *(read_json(out) for out in others if out.exists())]
        for rows in zip(*(s["rows"] for s in found), strict=True):
            cells = [cell([r[k] for r in rows], 3) for k in ("fg_ari", "ari", "covering")]
            if rows[0]["row"] == "ours":
                cells += [cell([s["psnr"] for s in found], 1), cell([s["swap_consistency"] for s in found], 3)]
                cells.append(f"{cell([s['count_accuracy'] for s in found], 3)} of {found[0]['composites']}")
                cells += [cell([s[k] for s in found], 3) for k in ("kid", "kid_recombined")]
            else:
                cells += ["–"] * 5
            lines.append("| " + " | ".join([f"`{name}`", rows[0]["row"], str(len(rows)), *cells]) + " |")
    replace_block(page, "objects", lines)


def write_composites(page: Path, cards: Path = CARDS) -> None:
    """Counts of composites of the cards that find objects, beside those of their architectures with random weights."""
    heads = ["card", "row", "composites", "objects in each", "count accuracy", "every object matched"]
    lines = heading(heads)
    for name in OBJECTS:
        told = scores_of(cards, name)
        for row in told["composite_rows"]:
            cells = [str(told[k]) for k in ("composites", "composite_objects")]
            cells += [cell([row[k]], 3) for k in ("count_accuracy", "count_matched")]
            lines.append("| " + " | ".join([f"`{name}`", row["row"], *cells]) + " |")
    replace_block(page, "composites", lines)


def write_shadows(page: Path, cards: Path = CARDS) -> None:
    """Segments of the cards whose scenes have shadows, against masks without and with them."""
    heads = ["card", "row", "foreground ARI", "ARI", "covering", "ARI with shadows", "covering with shadows"]
    lines = heading(heads)
    for name in OBJECTS:
        told = scores_of(cards, name)
        for row in told.get("shadow_rows", ()):
            keys = ("fg_ari", "ari", "covering", "ari_with_shadows", "covering_with_shadows")
            lines.append("| " + " | ".join([f"`{name}`", row["row"], *(cell([row[k]], 3) for k in keys)]) + " |")
    replace_block(page, "shadows", lines)


def table(runs: Path, of: str, seeds: Iterable[int]) -> list[str]:
    """Markdown lines of one set: a line for each row that has scores, then what needs no training."""
    quoted = of == "still"
    heads = ["row", "codes", "seeds", *METRICS.values(), *(head for head, _ in DRAWN.values())]
    heads += ["COMET's paper, other data [%]: beta-VAE, MIG, MCC"] if quoted else []
    lines = heading(heads)
    every: list[dict[str, Any]] = []
    for label, recipe in rows_of(of).items():
        found = [scores(folder(runs, recipe, k)) for k in seeds if finished(folder(runs, recipe, k))]
        found = [s for s in found if s]
        every += found
        if not found:
            continue
        published = PUBLISHED.get(recipe.removeprefix(f"{of}-"))
        lines.append(line(label, found, quoted, published=published, drawn=True))
        if "mig_pca" in found[0]:
            lines.append(line("their 64 principal components", found, quoted, "_pca"))
    if not every:
        return ["No run has been scored yet."]
    first = find(f"{of}-vae-b4-d64").task.get("model")
    untrained = [r for s in every for r in s["factor_rows"] if r["row"] == "random encoder"
                 and s["factor_rows"][0]["row"] == first.cls.__name__ and s["codes"] == first.get("latent")]  # fmt: skip
    if untrained:
        lines.append(line("beta-VAE's encoder with random weights, D = 64", untrained, quoted))
    of_seed = list({s["seed"]: s for s in every}.values())
    for name in REFERENCES:
        lines.append(line(name, [r for s in of_seed for r in s["factor_rows"] if r["row"] == name], quoted))
    means = [{"mse": s["mse_mean"], "psnr": s["psnr_mean"]} for s in of_seed if "psnr_mean" in s]
    if means:
        lines.append(line("mean image", means, quoted, drawn=True))
    if quoted:
        lines.append(line("COMET, as published", [], quoted, published=PUBLISHED["COMET"]))
    return lines


def scores(out: Path) -> dict[str, Any]:
    """Scores of a run with its CPU seconds; empty if it has none."""
    if not (out / "scores.json").exists():
        return {}
    told = read_json(out / "scores.json")
    return told | {"cpu_seconds": read_json(out / "run.json")["cpu_seconds"]} if "factor_rows" in told else {}


def line(
    label: str, found: list[dict[str, Any]], quoted: bool, suffix: str = "", drawn: bool = False,
    published: tuple[float, ...] | None = None,
) -> str:  # fmt: skip
    """One line of the table: mean and standard deviation over what was found."""
    flat = [row | row.get(f"dci{suffix}", {}) for row in found]
    codes = "64" if suffix else str(flat[0].get("codes", "–")) if flat else "–"
    cells = [label, codes, str(len(flat)) if flat else "–"]
    parts = ("disentanglement", "completeness", "informativeness")
    cells += [cell([r.get(k if k in parts else k + suffix) for r in flat], 3) for k in METRICS]
    cells += [cell([r.get(k) if drawn else None for r in flat], digits) for k, (_, digits) in DRAWN.items()]
    if quoted:
        cells.append(", ".join(f"{v:.1f}" for v in published) if published else "–")
    return "| " + " | ".join(cells) + " |"


def heading(heads: list[str]) -> list[str]:
    """The two lines that a table begins with."""
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]


def cell(values: list[float | None], digits: int) -> str:
    """Mean ± standard deviation; a dash where there is nothing."""
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.{digits}f}{spread}"


if __name__ == "__main__":
    main()
