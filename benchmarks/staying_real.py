"""Does an energy of frames beside the change keep roll-outs of twelve frames sharp, and what does it cost?

Each row rolls held-out sequences out from their first frame alone, with the shipped energy of a factor: 12 moves of one
level, forwards or backwards, the other factors at rest at random levels. `sharpness` is the gradient energy of frame 12
over that of the true frame 12, `psnr_12` the PSNR there, `psnr` that of all 12 frames, `identity` the accuracy of the
shipped classifier on all 12 over its accuracy on the true ones. CPU seconds are of the whole roll-out.

- `change`: the energy alone. `copying`: the first frame, twelve times.
- `unsharp A`: every frame plus A times what a binomial blur of 3 x 3 takes from it, what needs no learning.
- `codes`: every frame through an autoencoder of frames (`--codes RUN`, a density of codes).
- `density W @ S`: `change & W * real`, where real is a density of frames at noise S (`--density RUN`, frames-density).
  `, unsharp A`: and then the mask, in every frame.
- `worn W`: the same with -log p(real | x) of energies that tell true frames from worn ones (`--worn RUN`, frames-real).

`--part train` measures on digits that the energies learned from, where weights can be chosen.

    python benchmarks/staying_real.py --density RUN --worn RUN --out benchmarks/results/staying_real.json
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from torch import Tensor
from torch.nn import functional as F

from ergosum.data.record import Sequences
from ergosum.data.render import FACTORS
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.data.sources import default_source
from ergosum.files import write_json
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.identity import identity_kept
from ergosum.metrics.sharpness import sharpness
from ergosum.report.animation import save_strip
from ergosum.report.strips import sheet
from ergosum.temporal.beside import Beside
from ergosum.temporal.control import Bank
from ergosum.training.runfolder import load_predictor
from ergosum.zoo import Zoo

__all__ = ["main"]

CARDS = {"scale": "digits-scale", "angle": "digits-angle"}
MOVES = 12
AMOUNTS = (0.05, 0.08, 0.1, 0.15)
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0)
NOISES = (0.025, 0.1)
Filter = Callable[[Tensor], Tensor]


def sequences(factor: str, source: str, n: int, seed: int, part: str) -> Sequences:
    """Sequences of one factor, as `ergosum score` has them, of either part of the digits."""
    data = DigitSequences(
        source=source, factors=(factor,), nuisance=FACTORS, continuous=False,
        split=part,  # type: ignore[arg-type]
    )  # fmt: skip
    return data.sequences(n, MOVES, torch.Generator().manual_seed(seed))


def unsharp(amount: float) -> Filter:
    """A frame and what a small blur takes from it."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (line[:, None] * line).expand(3, 1, 3, 3)

    def sharpened(x: Tensor) -> Tensor:
        blurred = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
        return (x + amount * (x - blurred)).clamp(0, 1)

    return sharpened


def rows_of(chosen: argparse.Namespace) -> Iterator[tuple[str, Beside | None, Filter | None]]:
    """Name, what acts beside the change, and what is done to every frame."""
    yield "change", None, None
    for amount in chosen.amounts:
        yield f"unsharp {amount:g}", None, unsharp(amount)
    if chosen.codes:
        model: Any = load_predictor(chosen.codes)[1]
        yield "codes", None, torch.no_grad()(lambda x: model.decode(model.encode(x)))
    if chosen.worn:
        worn: Any = load_predictor(chosen.worn)[1]
        for weight in chosen.weights:
            yield f"worn {weight:g}", Beside(weight * worn.of_images("real"), steps=chosen.steps), None
    if chosen.density:
        model = load_predictor(chosen.density)[1]
        for noise in chosen.noises:
            for weight in chosen.weights:
                drawn = torch.Generator().manual_seed(0)
                acting = Beside(weight * model.of_images(), noise, steps=chosen.steps, generator=drawn)
                yield f"density {weight:g} @ {noise:g}", acting, None
                for amount in chosen.after:
                    yield f"density {weight:g} @ {noise:g}, unsharp {amount:g}", acting, unsharp(amount)


@torch.no_grad()
def rolled(bank: Bank, factor: str, truth: Sequences, each: Filter | None) -> Tensor:
    """Frames from the first one alone, (batch, time, 3, side, side)."""
    x, frames = truth.frames[:, 0], [truth.frames[:, 0]]
    levels = (truth.factors[:, 1:] - truth.factors[:, :-1])[..., FACTORS.index(factor)] / SPACING[FACTORS.index(factor)]
    for moves in levels.unbind(1):
        x = bank.advance(x, {factor: moves})
        x = x if each is None else each(x)
        frames.append(x)
    return torch.stack(frames, 1)


def measured(made: Tensor, truth: Sequences, classify: Filter) -> dict[str, float]:
    """What a roll-out is like."""
    flat = [v[:, 1:].flatten(0, 1) for v in (made, truth.frames)]
    return {
        "sharpness": sharpness(made[:, -1], truth.frames[:, -1]),
        "psnr_12": psnr(mse(made[:, -1], truth.frames[:, -1]).mean()).item(),
        "psnr": psnr(mse(*flat).mean()).item(),
        "identity": identity_kept(classify, flat[0], flat[1], truth.labels.repeat_interleave(MOVES)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure all rows and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("density", "worn", "codes"):
        parser.add_argument(f"--{name}", default="", metavar="RUN")
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--part", choices=["test", "train"], default="test")
    parser.add_argument("--factors", nargs="+", choices=list(CARDS), default=list(CARDS))
    for name, held in (("amounts", AMOUNTS), ("weights", WEIGHTS), ("noises", NOISES)):
        parser.add_argument(f"--{name}", type=float, nargs="*", default=held)
    parser.add_argument("--after", type=float, nargs="*", default=(), help="amounts of the mask beside a density")
    parser.add_argument("--steps", type=int, default=2, help="of descent in each frame")
    parser.add_argument("--out", default="")
    parser.add_argument("--picture", default="", help="roll-outs of the first sequence, one row each (.png)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    source, classify = default_source(), Zoo().classifier("identity")
    found: list[dict[str, Any]] = []
    strips: dict[str, list[tuple[str, Tensor]]] = {}
    for factor in chosen.factors:
        model = load_predictor(CARDS[factor])[1]
        for seed in chosen.seeds:
            truth = sequences(factor, source, chosen.n, seed, chosen.part)
            still = truth.frames[:, :1].expand_as(truth.frames)
            for name, made in (("truth", truth.frames), ("copying", still)):
                found.append({"factor": factor, "row": name, "seed": seed, **measured(made, truth, classify)})
            strips.setdefault(factor, [("truth", truth.frames[0])])
            for name, beside, each in rows_of(chosen):
                begun = time.process_time()
                made = rolled(Bank([model], beside), factor, truth, each)
                spent = time.process_time() - begun
                row = {"factor": factor, "row": name, "seed": seed, **measured(made, truth, classify)}
                found.append(row | {"cpu_seconds": spent})
                told = "  ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
                print(f"{factor} {seed} {name:32s} {told}  {spent:.0f} s", file=sys.stderr, flush=True)
                if seed == chosen.seeds[0]:
                    strips[factor].append((name, made[0]))
                if chosen.out:
                    about = {"source": source, "n": chosen.n, "part": chosen.part, "steps": chosen.steps}
                    write_json(Path(chosen.out), {**provenance(), **about, "rows": found})
    if chosen.picture:
        shown = [row for factor in chosen.factors for row in strips[factor]]
        save_strip(sheet(shown, [str(t) for t in range(MOVES + 1)], zoom=2), Path(chosen.picture))


if __name__ == "__main__":
    main()
