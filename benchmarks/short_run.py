"""Short-run chains as a generator: what do they draw, do they interpolate, and do they reconstruct?

Trains the recipe `short-run` (chains of 30 steps from Gaussian noise, on the bundled digits or MNIST) and takes its
chain with the noise of the steps switched off, which is a map x = M(z) from noise to codes of images. Images are
decoded; of every class separately, but for reconstructions, which take the prior.

- draws: share that a classifier reads as the class asked for, of chains with and without noise, beside true images.
- interpolation: between starts z1 and z2 of one class at p = 0, .25, .5, .75 and 1, by p z1 + sqrt(1 - p^2) z2, which
  is standard normal again where z1 and z2 are, and by the straight line p z1 + (1 - p) z2, whose variance falls to one
  half in the middle: share read as the class, and mean energy of what is drawn. For uniform z1 and z2 the first keeps
  the variance but not the distribution: `outside` is the share of its numbers out of the range of z at p = sqrt(1/2).
- reconstruction: gradient descent on z through all steps of the chain, 200 updates of Adam, from noise, on the squared
  error of the decoded image; mean squared error of pixels beside that of principal components of the training images,
  as many as codes have numbers, of the autoencoder itself (what no code can better by much), and of the mean image.

    python benchmarks/short_run.py --out benchmarks/results/short_run.json --image short_run.png
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor

from ergosum.data.labelled import LabelledImages
from ergosum.density.objectives import ContrastiveDivergence
from ergosum.density.recipes import classic
from ergosum.energy import Energy
from ergosum.files import write_json
from ergosum.samplers.chain import frozen
from ergosum.samplers.presets import ShortRun
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from ergosum.zoo import Zoo

__all__ = ["components", "interpolated", "main", "outside", "reconstructed"]

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)


def interpolated(one: Tensor, two: Tensor, p: float, straight: bool) -> Tensor:
    """A start between two, p = 1 for the first."""
    return p * one + ((1 - p) if straight else math.sqrt(1 - p**2)) * two


def outside(n: int, generator: Generator) -> float:
    """Share of numbers out of -1 .. 1 between two uniform starts at p = sqrt(1/2)."""
    one, two = (2 * torch.rand(n, generator=generator) - 1 for _ in range(2))
    return (interpolated(one, two, math.sqrt(0.5), False).abs() > 1).float().mean().item()


def reconstructed(chain: ShortRun, energy: Energy, model: Any, images: Tensor, z: Tensor, updates: int) -> Tensor:
    """What the chain draws from the starts that draw the images best, found by descent through the chain."""
    z = z.clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.1)
    with frozen(energy):
        for _ in range(updates):
            made = model.decode(chain.flow(energy, z, gradient="full"))
            optimiser.zero_grad()
            (made - images).square().flatten(1).sum(1).sum().backward()
            optimiser.step()
        return model.decode(chain.flow(energy, z.detach())).detach()


def components(train_images: Tensor, images: Tensor, count: int) -> Tensor:
    """Images through the first principal components of the training images."""
    flat = train_images.flatten(1)
    mean = flat.mean(0)
    _, _, axes = torch.svd_lowrank(flat - mean, q=count + 8, niter=6)
    axes = axes[:, :count]
    return (mean + (images.flatten(1) - mean) @ axes @ axes.T).reshape(images.shape)


def measure(model: Any, chain: ShortRun, source: str, n: int, updates: int, seed: int) -> tuple[dict[str, Any], Tensor]:
    """All figures, and the rows of a picture (rows, columns, side, side)."""
    generator = Generator().manual_seed(seed)
    reader = Zoo().classifier("identity")
    still = replace(chain, noise=0.0)
    c = torch.arange(10).repeat_interleave(n // 10)
    member = model.family(c)
    one, two = (torch.randn(len(c), *model.family.event, generator=generator) for _ in range(2))
    truth = LabelledImages(source=source, split="test")

    @torch.no_grad()
    def read(images: Tensor, labels: Tensor) -> float:
        return (reader(images.expand(-1, 3, -1, -1)).argmax(1) == labels).float().mean().item()

    draws = {
        "true": read(truth.images[:500], truth.labels[:500]),
        "with noise": read(model.decode(chain.flow(member, one, generator)), c),
        "without noise": read(model.decode(still.flow(member, one)), c),
    }
    rows, path = [], []
    for straight in (False, True):
        for p in PLACES:
            x = still.flow(member, interpolated(one, two, p, straight))
            images = model.decode(x)
            path.append({"straight": straight, "p": p, "right": read(images, c), "energy": member(x).mean().item()})
            rows.append(images[:: n // 10])
    images, few = truth.images[:16], LabelledImages(source=source).images
    z = torch.randn(len(images), *model.family.event, generator=generator)
    again = reconstructed(still, model.family.prior(), model, images, z, updates)
    size = model.family.size
    linear, coded = components(few, images, size), model.decode(model.encode(images))
    errors = {
        name: (made - images).square().mean().item()
        for name, made in {
            "short-run": again, f"{size} principal components": linear, "autoencoder": coded,
            "mean image": few.mean(0, keepdim=True).expand_as(images),
        }.items()
    }  # fmt: skip
    rows += [images[:10], again[:10], linear[:10]]
    told = {"draws": draws, "interpolation": path, "reconstruction": errors, "outside": outside(100_000, generator)}
    return told, torch.stack(rows)[:, :, 0].clamp(0, 1)


def _picture(rows: Tensor, path: Path) -> None:
    count, columns, side, _ = rows.shape
    sheet = (255 * rows).byte().permute(0, 2, 1, 3).reshape(count * side, columns * side)
    Image.fromarray(sheet.numpy()).resize((2 * columns * side, 2 * count * side)).save(path)


def _shown(told: dict[str, Any]) -> None:
    console = Console(width=110)
    for name, column in (("draws", "read as the class"), ("reconstruction", "mean squared error")):
        table = Table("", column, title=name)
        for row, value in told[name].items():
            table.add_row(row, f"{value:.4f}")
        console.print(table)
    table = Table("", "p", "read as the class", "energy", title="interpolation")
    for row in told["interpolation"]:
        way = "straight" if row["straight"] else "variance kept"
        table.add_row(way, f"{row['p']:.2f}", f"{row['right']:.3f}", f"{row['energy']:.2f}")
    console.print(table)
    console.print(f"uniform starts, p = sqrt(1/2): {told['outside']:.3f} of the numbers leave the range")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--run", type=Path, help="a run of the recipe `short-run`, instead of training one")
    parser.add_argument("--source", default="digits")
    parser.add_argument("--iterations", type=int, default=1200)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.run or Path(scratch) / "run"
        if asked.run is None:
            changes = {"optimiser": {"iterations": asked.iterations}, "run": {"seed": asked.seed}}
            for update in train(classic("short-run", asked.source).but(**changes), folder):
                if update.iteration % 250 == 0:
                    print(update.iteration, {k: round(v, 3) for k, v in update.health.items()}, file=sys.stderr)
        experiment, model = load_predictor(folder)
    trained: Any = experiment.built()
    objective: ContrastiveDivergence = trained.objective
    chain: Any = objective.sampler
    learned = time.process_time() - begun
    told, rows = measure(model, chain, asked.source, asked.n, asked.updates, asked.seed)
    _shown(told)
    if asked.image:
        _picture(rows, asked.image)
    if asked.out:
        settings = {"source": asked.source, "iterations": asked.iterations, "n": asked.n, "seed": asked.seed}
        cost = {"cpu_seconds": round(time.process_time() - begun, 1), "training": round(learned, 1)}
        write_json(asked.out, {"benchmark": "short_run", "threads": 1} | settings | provenance() | cost | told)


if __name__ == "__main__":
    main()
