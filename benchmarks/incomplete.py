"""How well does an energy that never saw a whole image recover hidden pixels, and what do simpler ways make of them?

    python benchmarks/incomplete.py --seeds 0 --out benchmarks/results/incomplete.json --pictures docs/figures

A fixed set of training examples, each behind one fixed mask, and as many held-out ones as `--n`, behind masks of their
own. Settings:

- `salt-50`, `salt-70`, `salt-90`: that share of pixels hidden at random; `block`: a square of half the side, somewhere.
  MNIST (or `--source`), 28 x 28.
- `frames`: half of the 8 frames of a clip of a moving shape, which are learned as one image of 8 channels.
- `object`: a shape that moves in front of a scene under a moving light is to be removed: 4 clips of 24 frames each,
  32 x 32 in colour, learned from the clips' own frames alone; there is nothing held out.

Rows of fills that learn nothing; of masked denoising (`ours`), the median of `--draws` draws, and one draw; of masked
denoising whose fills stay harmonic (`first fill`); of the two-chain recovery (`two chains`); and of the same network
trained on whole images of the same examples (`whole images`). The error is the mean absolute error of hidden pixels on
the 0 .. 1 scale. The goal is 0.7 of the harmonic error at `salt-50`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from torch import Generator, Tensor

from ergosum.data import (
    BlockMask,
    FrameMask,
    Incomplete,
    LabelledImages,
    MovingScenes,
    MovingShapes,
    SaltAndPepper,
    StackedClips,
    StackedMask,
)
from ergosum.data.fills import harmonic, linear_in_time, mean_fill, mean_image_fill, nearest_frame
from ergosum.data.masks import without_objects
from ergosum.data.record import Labelled
from ergosum.density import (
    DenoisingScore,
    Densities,
    Density,
    InnerProduct,
    Landscape,
    LevelEnergy,
    MaskedScore,
    Pixels,
    Recovery,
)
from ergosum.density.inpainting import inpaint
from ergosum.density.objectives import ContrastiveDivergence
from ergosum.density.objectives.starts import FromNoise
from ergosum.files import read_json, write_json
from ergosum.metrics import hidden_error
from ergosum.nets import LevelEncoder, LevelUNet
from ergosum.part import Part
from ergosum.report.animation import save_strip
from ergosum.report.strips import sheet
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.loop import train
from ergosum.training.runfolder import load_weights

GOAL = 0.7
ROWS = 8
"""Columns of a picture."""


class Removal:
    """Clips of a scene under a moving light, in front of which a shape moves: whole scenes, and what the shape hides.

    Frame t of clip i is image i * frames + t.
    """

    names: tuple[str, ...] = ()

    def __init__(self, clips: int = 4, frames: int = 24, side: int = 32, seed: int = 0, split: str = "train") -> None:
        generator = Generator().manual_seed(1000 + seed)
        light = MovingScenes(side, factors=("light azimuth", "light elevation"), mode="sparse", smooth=1)
        scenes = light.clips(clips, frames - 1, generator).frames
        shapes = MovingShapes(side, factors=("x", "y"), mode="sparse").object_clips(clips, frames - 1, generator)
        self.known = without_objects(shapes.masks).expand(scenes.shape).flatten(0, 1)
        self.images, self.labels = scenes.flatten(0, 1), torch.zeros(clips * frames, dtype=torch.int64)
        self.frames, self.side, self.channels = frames, side, 3
        self.split = split

    def __len__(self) -> int:
        return len(self.images)

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """Random frames."""
        rows = torch.randint(len(self), (n,), generator=generator)
        return Labelled(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Setting:
    """Data, what hides them, how many examples, and which fills that learn nothing are rows."""

    data: Callable[[int], Part[Any]]
    mask: Part[Any] | None
    count: int
    fills: dict[str, Callable[[Tensor, Tensor], Tensor]]


def black(images: Tensor, known: Tensor) -> Tensor:
    """Every hidden pixel black."""
    return torch.where(known, images, 0)


def as_clips(fill: Callable[[Tensor, Tensor], Tensor], time: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A fill of clips (n, time, C, height, width) for images with frames as channels."""

    def go(images: Tensor, known: Tensor) -> Tensor:
        return fill(images.unflatten(1, (time, -1)), known.unflatten(1, (time, -1))).flatten(1, 2)

    return go


def of_frames(fill: Callable[[Tensor, Tensor], Tensor], frames: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A fill of clips for a list of their frames."""

    def go(images: Tensor, known: Tensor) -> Tensor:
        return fill(images.unflatten(0, (-1, frames)), known.unflatten(0, (-1, frames))).flatten(0, 1)

    return go


def settings(source: str, count: int) -> dict[str, Setting]:
    """All settings by name."""

    def images(seed: int) -> Part[Any]:
        return Part(LabelledImages, source=source)

    still = {"mean": mean_fill, "mean image": mean_image_fill, "black": black, "harmonic": harmonic}
    clip = {"mean": mean_fill, "nearest frame": as_clips(nearest_frame, 8),
            "linear in time": as_clips(linear_in_time, 8), "harmonic": lambda x, m: harmonic(x, m, dims=3)}  # fmt: skip
    removal = {"mean": mean_fill, "nearest frame": of_frames(nearest_frame, 24),
               "linear in time": of_frames(linear_in_time, 24), "harmonic": harmonic}  # fmt: skip
    shares = {f"salt-{s}": Part(SaltAndPepper, share=s / 100) for s in (50, 70, 90)}
    return {
        **{name: Setting(images, mask, count, still) for name, mask in shares.items()},
        "block": Setting(images, Part(BlockMask, height=14), count, still),
        "frames": Setting(
            lambda seed: Part(StackedClips, clips=Part(MovingShapes, factors=("turn", "x", "y"), mode="sparse")),
            Part(StackedMask, mask=Part(FrameMask, share=0.5)), count, clip,
        ),
        "object": Setting(lambda seed: Part(Removal, seed=seed), None, 0, removal),
    }  # fmt: skip


def learned(task: Part[Densities], updates: int, batch: int, seed: int) -> tuple[Density, float]:
    """A trained model, and the CPU seconds of its updates."""
    built = task.build()
    optimiser = Optimiser(iterations=updates, batch=batch, rate=3e-3, ema=0.99, clip=100.0)
    experiment = Experiment(
        name="incomplete", task=built, optimiser=optimiser, run=Run(seed=seed, checkpoint_every=10**6)
    )
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        for update in train(experiment, Path(folder) / "run", task=built):
            if update.iteration % 100 == 0:
                print(f"  {update.iteration} updates, error {update.error:.3f}", flush=True)
        spent = time.process_time() - begun
        model = built.build()
        model.load_state_dict(load_weights(Path(folder) / "run" / "model.safetensors"))
    return model.eval(), spent


def by_ladder(model: Density, data: Incomplete, rows: slice, draws: int, seed: int) -> Tensor:
    """Draws of hidden pixels, (draws, n, C, side, side)."""
    generator = Generator().manual_seed(seed)
    parts = []
    for x, known in zip(data.start[rows].split(50), data.known[rows].split(50), strict=True):
        parts.append(inpaint(model, x, known, n=draws, steps=10, generator=generator))
    return torch.cat(parts, 1)


def judged(made: Tensor, data: Incomplete, rows: slice) -> float:
    """Mean error of hidden pixels."""
    return round(hidden_error(made, data.truth[rows], data.known[rows]).mean().item(), 5)


class Whole:
    """The same examples, whole."""

    def __init__(self, examples: Incomplete) -> None:
        self.examples = examples
        self.names, self.side, self.channels = examples.names, examples.side, examples.channels

    def labelled(self, n: int, generator: Generator) -> Labelled:
        """Random ones."""
        rows = torch.randint(len(self.examples), (n,), generator=generator)
        return Labelled(self.examples.truth[rows], self.examples.labels[rows])


@dataclass(frozen=True)
class Row:
    """A way to learn, and how hidden pixels are then drawn: (model, data, rows, draws, seed) -> (draws, n, ...)."""

    task: Callable[[Part[Incomplete], Incomplete], Part[Densities]]
    draw: Callable[[Density, Incomplete, slice, int, int], Tensor]
    share: float = 1.0
    """Of the updates: an update with chains costs many times one without."""


def by_chains(model: Density, data: Incomplete, rows: slice, draws: int, seed: int) -> Tensor:
    """Hidden pixels after 200 Langevin steps of a landscape, from the harmonic fill."""
    generator = Generator().manual_seed(seed)
    objective, x, known = Recovery(CHAINS, steps=200), model.encode(data.start[rows]), data.known[rows]
    member = model.family(torch.full((len(x),), -1))
    made = [model.decode(objective.recovered(member, x, known, generator)) for _ in range(draws)]
    return torch.where(known, data.start[rows], torch.stack(made))


CHAINS = Part(ContrastiveDivergence, start=Part(FromNoise))
"""Synthesis from noise, 20 steps."""


def ways(chosen: argparse.Namespace) -> dict[str, Row]:
    """Rows that learn, by name."""
    body = Part(LevelUNet, width=chosen.width)
    levels = Part(LevelEnergy, form=Part(InnerProduct, body=body, fine=True), lowest=0.03, highest=5.0)
    landscape = Part(Landscape, body=Part(LevelEncoder, width=chosen.width))

    def behind(objective: Part[Any], family: Part[Any]) -> Callable[[Part[Incomplete], Incomplete], Part[Densities]]:
        return lambda part, built: Part(
            Densities,
            data=part,
            model=Part(Density, space=Part(Pixels), family=family),
            objective=objective,
            drop=1.0,
            draws=0,
        )

    def whole(part: Part[Incomplete], built: Incomplete) -> Part[Densities]:
        objective, model = Part(DenoisingScore, time=0.0), Part(Density, space=Part(Pixels), family=levels)
        data = Part(Whole, examples=built)
        return Part(Densities, data=data, model=model, objective=objective, drop=1.0, draws=0)

    return {
        "ours": Row(behind(Part(MaskedScore, begin=0.5, every=chosen.every), levels), by_ladder),
        "first fill": Row(behind(Part(MaskedScore, begin=1.0), levels), by_ladder),
        "whole images": Row(whole, by_ladder),
        "two chains": Row(behind(Part(Recovery, contrast=CHAINS), landscape), by_chains, 0.25),
    }


def run(name: str, setting: Setting, chosen: argparse.Namespace, seed: int) -> Iterator[dict[str, Any]]:
    """One setting with one seed, after each row: errors by part and row, CPU seconds."""
    part = Part(Incomplete, data=setting.data(seed), mask=setting.mask, count=setting.count, seed=seed)
    sets = {"training": part.build(split="train")}
    if name != "object":
        sets["held out"] = part.build(split="test")
    rows = slice(0, chosen.n)
    fills = {told: {k: fill(d.start, d.known)[rows] for k, fill in setting.fills.items()} for told, d in sets.items()}
    errors = {told: {k: judged(x, sets[told], rows) for k, x in made.items()} for told, made in fills.items()}
    last, spent = list(sets)[-1], {}
    for row, way in ways(chosen).items():
        if row not in chosen.rows:
            continue
        print(f"{name}, seed {seed}: {row}", flush=True)
        task = way.task(part, sets["training"])
        trained, spent[row] = learned(task, max(1, round(way.share * chosen.updates)), chosen.batch, seed)
        found = {}
        for told, data in sets.items():
            begun = time.process_time()
            draws = found[told] = way.draw(trained, data, rows, chosen.draws, seed)
            spent[f"{row}, {told}"] = time.process_time() - begun
            errors[told] |= {row: judged(draws.median(0).values, data, rows)}
            errors[told] |= {f"{row}, one draw": judged(draws[0], data, rows)}
        ratio = {told: round(e["ours"] / e["harmonic"], 4) for told, e in errors.items() if "ours" in e}
        yield {"errors": errors, "ours by harmonic": ratio, "cpu_seconds": {k: round(v, 1) for k, v in spent.items()}}
        if row == "ours" and chosen.pictures:
            data, draws = sets[last], found[last]
            given = torch.where(data.known, data.truth, 0.35)[rows]
            told = [("truth", data.truth[rows]), ("given", given), ("ours", draws.median(0).values),
                    ("one draw", draws[0]), ("harmonic", fills[last]["harmonic"])]  # fmt: skip
            drawn(told, Path(chosen.pictures) / f"incomplete-{name}.png")


def joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier run with other rows found, and what this one did."""
    both = {**before, **now}
    if before:
        both["errors"] = {part: before["errors"].get(part, {}) | rows for part, rows in now["errors"].items()}
        both["ours by harmonic"] = before["ours by harmonic"] | now["ours by harmonic"]
        both["cpu_seconds"] = before["cpu_seconds"] | now["cpu_seconds"]
    return both


def drawn(rows: Sequence[tuple[str, Tensor]], path: Path) -> None:
    """Truth, given, ours, harmonic under each other."""
    told = []
    for label, x in rows:
        if x.shape[1] > 3:  # the frames of the first clip
            frames = x[0][:, None].expand(-1, 3, -1, -1)
        else:
            frames = x[:: max(1, len(x) // ROWS)][:ROWS].expand(-1, 3, -1, -1)
        told.append((label, frames))
    save_strip(sheet(told, zoom=3, boxed=()), path)


def main() -> None:
    """Run the settings that are asked for, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="settings; all if none are named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--source", default="mnist", help="of the digits")
    parser.add_argument("--count", type=int, default=2000, help="training examples")
    parser.add_argument("--n", type=int, default=60, help="examples judged, of each part")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--every", type=int, default=6, help="visits between two draws of an example's hidden pixels")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=["ours", "first fill", "whole images"], help="that learn")
    parser.add_argument("--out", default="benchmarks/results/incomplete.json")
    parser.add_argument("--pictures", default="")
    chosen = parser.parse_args()
    known = settings(chosen.source, chosen.count)
    out = Path(chosen.out)
    kept = read_json(out) if out.is_file() else {"settings": {}}
    told = {k: v for k, v in vars(chosen).items() if k not in ("only", "seeds", "out", "pictures")}
    for name in chosen.only or list(known):
        for seed in chosen.seeds:
            before = kept["settings"].setdefault(name, {}).get(str(seed), {})
            for result in run(name, known[name], chosen, seed):
                print(name, seed, json.dumps(result), flush=True)
                made = joined(before, result) | {"arguments": told} | provenance()
                kept["settings"][name][str(seed)] = made
                write_json(out, kept)


if __name__ == "__main__":
    main()
