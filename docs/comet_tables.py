"""COMET's networks on a CPU, two tables of docs/decompose.md: what turns components into objects, and which of its two
losses learns more in equal time.

    python docs/comet_tables.py --train --jobs 2     # train what is missing, score it, write both tables
    python docs/comet_tables.py                      # score and write; no training

Runs are in `runs/NAME-seedK`, as those of `docs/decomposition_tables.py`: an interrupted one goes on from its checkpoint.
"""

import statistics
from pathlib import Path
from typing import Any

from decomposition_tables import PAGE, RUNS, cell, finished, folder, heading, measure, options
from tables import replace_block

from ergosum.decomposition.recipes import BIASES
from ergosum.files import read_json
from ergosum.recipes import find

SETS = {"tetrominoes": 3, "scenes": 1}
"""Seeds of the first table."""
LOSSES = {"the last step, as COMET's code": "comet-tetrominoes-position",
          "every step, as its paper": "comet-tetrominoes-position-paper"}  # fmt: skip
SEEDS = 5
PUBLISHED = {"none": 0.413, "recurrent": 0.407, "small": 0.641, "position": 0.889}
"""ARI on CLEVR (Du et al. 2021, Table 2)."""
SAYS = {"none": "none: one vector cut into K, 64 numbers each", "recurrent": "+ recurrent encoder",
        "small": "+ 16 numbers each", "position": "+ position"}  # fmt: skip
KEYS = {"foreground ARI": ("fg_ari", 3), "ARI": ("ari", 3), "covering": ("covering", 3), "MSE": ("mse", 4)}


def main() -> None:
    """Train what is missing (on request), score what is there, write."""
    wanted = [(f"comet-{of}-{bias}", k) for of, seeds in SETS.items() for k in range(seeds) for bias in BIASES]
    wanted += [(name, k) for name in LOSSES.values() for k in range(SEEDS)]
    measure(list(dict.fromkeys(wanted)), options(__doc__).parse_args())
    replace_block(PAGE, "comet biases", [line for of, seeds in SETS.items() for line in biases(RUNS, of, seeds)])
    replace_block(PAGE, "comet losses", losses(RUNS))


def scored(runs: Path, name: str, seeds: int) -> dict[int, dict[str, Any]]:
    """Scores of the finished runs of a recipe, with CPU seconds: seed -> scores."""
    found = {}
    for seed in range(seeds):
        out = folder(runs, name, seed)
        if finished(out) and (out / "scores.json").exists():
            found[seed] = read_json(out / "scores.json") | {"cpu_s": read_json(out / "run.json")["cpu_seconds"]}
    return found


def biases(runs: Path, of: str, seeds: int) -> list[str]:
    """Lines of one set: each bias with all before it, then what needs no model."""
    data = find(f"comet-{of}-none").task.get("data")
    objects = data.get("objects")
    heads = ["biases", "seeds", *KEYS, "CPU [s]", "COMET's paper on CLEVR: ARI"]
    count = str(objects) if isinstance(objects, int) else "{} to {}".format(*objects)
    lines = [f"`{of}`, {count} objects, {data.get('side')} pixels:", "", *heading(heads)]
    every: list[dict[str, Any]] = []
    for bias, says in SAYS.items():
        found = list(scored(runs, f"comet-{of}-{bias}", seeds).values())
        every += found
        if found:
            lines.append(_line(says, found, f"{PUBLISHED[bias]:.3f}"))
    if not every:
        return []
    for row in every[0]["rows"][1:]:
        lines.append(_line(row["row"], [row], "–"))
    return [*lines, _line("mean image", [{"mse": every[0]["mse_mean"]}], "–"), ""]


def losses(runs: Path) -> list[str]:
    """Both losses over all seeds, and of how many seeds each is better."""
    found = {says: scored(runs, name, SEEDS) for says, name in LOSSES.items()}
    heads = ["loss on", "seeds", *KEYS, "PSNR [dB]", "updates", "CPU [s]"]
    lines = heading(heads)
    for says, rows in found.items():
        each = list(rows.values())
        cells = [cell([r[key] for r in each], digits) for key, digits in KEYS.values()]
        cells += [cell([r["psnr"] for r in each], 2), str(find(LOSSES[says]).optimiser.iterations)]
        lines.append("| " + " | ".join([says, str(len(each)), *cells, cell([r["cpu_s"] for r in each], 0)]) + " |")
    code, paper = found.values()
    both = sorted(code.keys() & paper.keys())
    if not both:
        return lines
    verdicts = []
    for head, (key, digits) in KEYS.items():
        gaps = [paper[k][key] - code[k][key] for k in both]
        better = sum((g < 0) == (key == "mse") and g != 0 for g in gaps)
        spread = f" ± {statistics.stdev(gaps):.{digits}f}" if len(gaps) > 1 else ""
        verdicts.append(f"{head} {statistics.fmean(gaps):+.{digits}f}{spread} (better in {better} of {len(both)})")
    return [*lines, "", f"Loss on every step less loss on the last, seed by seed: {'; '.join(verdicts)}."]


def _line(says: str, rows: list[dict[str, Any]], published: str) -> str:
    cells = [cell([r.get(key) for r in rows], digits) for key, digits in KEYS.values()]
    seeds = str(len(rows)) if "cpu_s" in rows[0] else "–"
    return "| " + " | ".join([says, seeds, *cells, cell([r.get("cpu_s") for r in rows], 0), published]) + " |"


if __name__ == "__main__":
    main()
