"""What does an update of each objective cost, beside that of a plain denoiser on the same network?

One network, one batch, one thread: a denoiser (the network's field against the noise, one forward and one backward
pass), energies over noise levels (a gradient inside of the loss), and energies trained by 20 steps of chains, here and
by other libraries where they are installed. All take turns; CPU time of an update is the median over rounds, the ratio
that of medians, its range over rounds. The optimiser's step is within.

`codes`: 128 samples of 24 numbers, `LevelMlp` of width 256. `pixels`: 64 images of 28 x 28, `LevelUNet`.

    python benchmarks/densities_cost.py --out benchmarks/results/densities_cost.json
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import densities as rows
import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ergosum.density import DenoisingScore, InnerProduct, Landscape, LevelEnergy
from ergosum.density.logits import LevelLogits
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising_jem import DenoisingJem
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.density.objectives.jem import Jem
from ergosum.density.objectives.starts import FromData, FromNoise, Replay
from ergosum.files import write_json
from ergosum.nets.levels import LevelMlp, LevelUNet
from ergosum.part import Part

__all__ = ["contenders", "costs", "main"]

STEPS = 20
"""Of chains."""
TARGET = 2.2
"""What denoising by an energy may cost, in updates of a denoiser."""
CLASSES = 10
Update = Callable[[], object]


def contenders(event: tuple[int, ...], body: Part[Any], batch: int, steps: int, seed: int) -> dict[str, Update]:
    """An update of each, on weights of its own."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, *event, generator=generator).clamp(-1, 1)
    c = torch.randint(CLASSES, (batch,), generator=generator)
    form = Part(InnerProduct, body=body, fine=len(event) > 1)
    sampler = rows.langevin(steps, rows.STEP)
    chains = {
        "chains from data": Part(ContrastiveDivergence, start=Part(FromData), sampler=sampler),
        "persistent chains": Part(ContrastiveDivergence, start=Part(Replay, size=2 * batch), sampler=sampler),
        "chains from noise": Part(ContrastiveDivergence, start=Part(FromNoise), sampler=sampler),
    }

    def stepped(family: nn.Module, loss: Callable[[], Tensor]) -> Update:
        optimiser = torch.optim.AdamW(family.parameters(), lr=1e-4)

        def update() -> None:
            told = loss()
            optimiser.zero_grad()
            told.backward()
            optimiser.step()

        return update

    def by(family: Part[Any], objective: Part[Any]) -> Update:
        torch.manual_seed(seed)
        made, how = family.build(event=event, classes=CLASSES), objective.build()
        return stepped(made, lambda: how.loss(made, x, c, generator, 0.5).loss)

    over_levels, still = Part(LevelEnergy, form=form), Part(Landscape, body=body)
    torch.manual_seed(seed)
    family = over_levels.build(event=event, classes=CLASSES)

    def denoised() -> Tensor:
        log_sigma = family.levels(batch, generator)
        noisy, z = family.noised(x, log_sigma, generator)
        y, level = family.placed(noisy, log_sigma)
        return (family.form.body(family.form.seen(y, level), family.coded(log_sigma, c)).field - z).square().mean()

    told = {
        "denoiser": stepped(family, denoised),
        "denoising": by(over_levels, Part(DenoisingScore, time=0.0)),
        "denoising and time": by(over_levels, Part(DenoisingScore)),
        "JEM over levels": by(Part(LevelLogits, form=form), Part(DenoisingJem)),
        "classifier": by(still, Part(Discriminative)),
        **{name: by(still, chain) for name, chain in chains.items()},
        "JEM by chains": by(still, Part(Jem, chains=chains["persistent chains"])),
    }
    for name, start in (("torchebm", rows.torchebm_updates), ("ebmkit", rows.ebmkit_updates)):
        torch.manual_seed(seed)
        other = still.build(event=event, classes=CLASSES)
        batches = iter(lambda: (x, c), None)
        updates = start(other, batches, 1000, seed, {}, steps, 2 * batch)
        told[name] = lambda updates=updates: next(updates)
    return told


def costs(
    event: tuple[int, ...], body: Part[Any], batch: int, rounds: int, steps: int, seed: int
) -> list[dict[str, Any]]:
    """Milliseconds of CPU time of an update, and its ratio to the denoiser's."""
    spent: dict[str, list[float]] = {}
    sides = contenders(event, body, batch, steps, seed)
    for name in list(sides):
        try:
            sides[name]()  # warms up, and fills buffers
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error.name} is not installed (pip install {name}).", file=sys.stderr)
            del sides[name]
    for _ in range(rounds):
        for name, update in sides.items():
            begun = time.process_time()
            update()
            spent.setdefault(name, []).append(1000 * (time.process_time() - begun))
    unit = spent["denoiser"]
    return [
        {
            "objective": name, "ms": statistics.median(times),
            "ratio": statistics.median(times) / statistics.median(unit),
            "ratio_range": [min(a / b for a, b in zip(times, unit, strict=True)),
                            max(a / b for a, b in zip(times, unit, strict=True))],
        }
        for name, times in spent.items()
    ]  # fmt: skip


def table(result: dict[str, Any]) -> Table:
    """Both spaces for people."""
    made = Table(title=f"CPU time of an update, {result['steps']} steps of chains, {result['machine']}, one thread")
    for head in ("objective", *(f"{space} [{unit}]" for space in result["spaces"] for unit in ("ms", "denoisers"))):
        made.add_column(head, justify="left" if head == "objective" else "right")
    spaces = [{row["objective"]: row for row in told} for told in result["spaces"].values()]
    for name in spaces[0]:
        cells = [f"{told[name][key]:.{digits}f}" for told in spaces for key, digits in (("ms", 1), ("ratio", 2))]
        made.add_row(name, *cells)
    made.caption = f"Target: denoising by an energy costs at most {TARGET:g} updates of a denoiser."
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed updates of each, >= 1")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that it works, measures nothing")
    a = parser.parse_args(arguments)
    if a.rounds < 1:
        parser.error(f"--rounds: expected at least 1, got {a.rounds}.")
    torch.set_num_threads(1)
    steps = 2 if a.quick else STEPS
    sizes = {
        "codes": ((rows.LATENT,), Part(LevelMlp, width=8 if a.quick else 256, blocks=2), 4 if a.quick else 128),
        "pixels": ((1, 28, 28), Part(LevelUNet, width=16 if a.quick else 64), 2 if a.quick else 64),
    }
    result = {
        "benchmark": "densities_cost", "seed": a.seed, "rounds": a.rounds, "steps": steps, "quick": a.quick,
        "target": TARGET, **provenance(),
        "spaces": {
            space: costs(event, body, batch, a.rounds, steps, a.seed) for space, (event, body, batch) in sizes.items()
        },
    }  # fmt: skip
    if a.out:
        write_json(a.out, result)
    if a.json:
        print(json.dumps(result, indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(table(result))


if __name__ == "__main__":
    main()
