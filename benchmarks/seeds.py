"""Is a run ever lost? The default recipe of densities from many seeds, each shortened.

A run is lost if it raises, if its loss is not finite, or if its energy ends no better than the Gaussian that it starts
from (denoising error above 95 % of the Gaussian's).

    python benchmarks/seeds.py --seeds 20 --iterations 200 --out benchmarks/results/seeds.json
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ergosum.density.recipes import density
from ergosum.training.loop import train

LOST = 0.95


def one(seed: int, iterations: int) -> dict[str, Any]:
    """A run: its last errors as a share of the Gaussian's, and why it was lost, if it was."""
    experiment = density().but(
        task={"draws": 0}, run={"seed": seed, "log_every": 1000}, optimiser={"iterations": iterations}
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            updates = list(train(experiment, Path(folder) / "run", accelerator="cpu"))
        except Exception as error:
            return {"seed": seed, "lost": f"{type(error).__name__}: {error}"}
    share = updates[-1].error / updates[-1].copy_error
    finite = all(math.isfinite(update.loss) for update in updates)
    lost = "" if finite and share < LOST else f"error {share:.1%} of the Gaussian's"
    return {"seed": seed, "share": share, "lost": lost, "cpu_seconds": time.process_time() - began}


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in range(chosen.seeds):
        rows.append(one(seed, chosen.iterations))
        print(rows[-1], flush=True)
    shares = [row["share"] for row in rows if "share" in row]
    told = {
        "recipe": "density", "iterations": chosen.iterations, "seeds": chosen.seeds,
        "lost": sum(bool(row["lost"]) for row in rows), "mean_share": statistics.mean(shares),
        "largest_share": max(shares), "rows": rows,
    }  # fmt: skip
    print(json.dumps({k: v for k, v in told.items() if k != "rows"}))
    if chosen.out:
        chosen.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
