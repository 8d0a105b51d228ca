"""What does each way of training energies reach in the same CPU minutes?

One dataset, one seed, one thread, one budget, which every row spends as it is best for it (how many updates that is
follows from a short timing, so that the learning rate's schedule fits). Rows in codes share one autoencoder: it is
trained first, for `CODEC` of the budget, which is counted in each of them; or it comes out of a card or run (`--codec`)
and is not counted, so that these rows have the whole budget for their energies. Their networks are residual layers on
24 numbers (`LevelMlp`; `LevelDense`, narrower, where each update runs chains through it); in pixels a U-Net
(`LevelUNet`), and for chains what is cheapest there (`LevelDense`). Chains are those of the recipes (`pcd`,
`short-run`, `jem`), which were tuned on such codes; draws of theirs are tried with longer chains too, and the best
are told.

| row | space | what trains the energy |
|---|---|---|
| levels | codes | denoising and time score over noise levels |
| levels-wide | codes | the same on the network of recipe `mnist-density`, which is meant for longer training |
| levels-pixels | pixels | denoising over noise levels |
| cd | codes | contrastive divergence, 20 steps from the data |
| persistent | codes | persistent chains with a replay buffer, 5 % new |
| short-run | codes | chains from noise each time |
| jem | codes | cross-entropy, and chains of the prior from noise |
| jem-levels | codes | cross-entropy, and denoising of the prior over noise levels: no chains |
| classifier | codes | cross-entropy alone |
| torchebm | codes | torchebm's loss of persistent chains and sampler, on the network of `persistent` |
| ebmkit | codes | ebmkit's trainer of a classifier with persistent chains of a class, on the same network |
| persistent-pixels | pixels | as `persistent` |

Of each: draws of every class read by the shipped reader (its accuracy on true images, and on images that the
autoencoder gives back, beside it), Bayes' rule on 2,000 held-out images and its calibration, kernel distance of draws
to held-out images (that of training images beside it), distance to the nearest training image, images per CPU second
of sampling, time per update. Where denoising alone has left classes on scales of their own (levels-pixels), constants
that bring them to one are fitted on training images before Bayes' rule is asked, after the clock has stopped. `curve`
follows the running average of the weights during training: CPU minutes, autoencoder included, and share of 100 draws
read right; the clock stops while it is read.

    pip install torchebm==0.8.9 ebmkit==0.16.0          # for the last two rows of codes
    python benchmarks/densities.py --row levels --out benchmarks/results/densities
    python benchmarks/densities.py --codec mnist-density --minutes 2 --out benchmarks/results/densities
    python benchmarks/densities.py --out benchmarks/results/densities      # all that are not there yet, and a table
"""

import argparse
import json
import math
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor, nn

from ergosum.data.labelled import LabelledImages
from ergosum.density import Codes, Densities, Density, InnerProduct, Landscape, LevelEnergy, Pixels
from ergosum.density.chains import chain_recipe
from ergosum.density.logits import LevelLogits
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.denoising_jem import DenoisingJem
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.density.objectives.starts import FromData, Replay
from ergosum.density.offsets import fit_offsets
from ergosum.density.posterior import choose_levels, log_densities, posterior
from ergosum.density.recipes import CLASSIC, drawn
from ergosum.density.sampling import CHUNK, decoded, draw, draw_classes
from ergosum.files import read_json, write_json
from ergosum.metrics.calibration import ece
from ergosum.metrics.identity import accuracy
from ergosum.metrics.kid import kid
from ergosum.metrics.nearest import copies
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelDense, LevelMlp, LevelUNet
from ergosum.part import Part
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.presets import ShortRun
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import DivergenceError, Losses, Task
from ergosum.zoo import Zoo

__all__ = ["ROWS", "Row", "experiment", "main", "measure", "table"]

CODEC = 0.3
"""Share of the budget that the autoencoder of rows in codes learns in."""
LATENT = 24
MARKS = 5
"""Points of the curve of a row."""
READ = 100
"""Draws that a point of the curve is read from."""
TIMED = 12
"""Updates that a row's time per update is first taken from, after three."""
GOAL = 0.9
"""Share of draws read right that `minutes_to_goal` waits for; a millionth less counts, for shares have 32 bits."""
STEPS, STEP, SQUARES, BUFFER = 10, 0.02, 0.001, 2000
"""Of chains in codes: steps in an update, their size at temperature 1, weight of squared energies, chains kept."""
LONGER = (150, 400)
"""Steps of chains that draws of rows with chains are also tried with, beside their recipe's; the best is told."""


class Row(NamedTuple):
    """A way of training.

    Attributes:
        codes: whether it lives in the codes of the autoencoder, else in pixels. family, objective: parts; none of a row
            of another library. optimiser: all but the number of updates. steps: levels of a draw, or steps of chains;
            0 for the default. foreign: what trains the family instead.
    """

    codes: bool
    family: Part[Any]
    objective: Part[Any] | None
    optimiser: dict[str, Any]
    steps: int = 0
    foreign: "Callable[..., Iterator[int]] | None" = None


def langevin(steps: int, step_size: float) -> Part[Any]:
    """Chains at temperature 1."""
    return Part(ShortRun, steps=steps, step_size=step_size, noise=math.sqrt(2 * step_size))


SMALL = Part(Landscape, body=Part(LevelDense, width=256, blocks=2))
"""The network of rows with chains: each step costs a gradient, so a smaller one learns more in the same time."""
WIDE = Part(Landscape, body=Part(LevelMlp, width=384, blocks=4))
IN_PIXELS = Part(LevelEnergy, form=Part(InnerProduct, body=Part(LevelUNet), fine=True), lowest=0.02, highest=20.0)
COLD = Part(ShortRun, steps=20, step_size=10.0, noise=0.005, clamp=(-1.0, 1.0), data_noise=0.03)
LEVELS = {"batch": 128, "rate": 1.5e-3, "ema": 0.998, "clip": 100.0}
CHAINS = {"batch": 64, "rate": 7e-4, "ema": 0.995, "clip": 100.0}
"""As recipes `cd`, `pcd`, `short-run` and `jem`."""


def torchebm_updates(
    family: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], total: int, seed: int, row: dict[str, Any],
    steps: int = STEPS, buffer: int = BUFFER,
) -> Iterator[int]:  # fmt: skip
    """torchebm's loss of persistent chains and its sampler, in the loop of its documentation; labels go to the network
    as conditions. (Its `ContrastiveDivergenceTrainer` of 0.8.9 cannot be built: its loss refuses an argument of it.)

    `row["draws"]` is set to its sampler from noise, by steps, and `row["average"]` to what swaps in average weights.
    """
    from torchebm.core import BaseModel  # type: ignore[import-not-found]
    from torchebm.losses import PersistentContrastiveDivergence  # type: ignore[import-not-found]
    from torchebm.samplers import LangevinDynamics  # type: ignore[import-not-found]
    from torchebm.utils.ema import EMA  # type: ignore[import-not-found]

    class Energy(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.family = family

        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return self.family.bind(torch.full((len(x),), -1) if y is None else y, None)(x)  # type: ignore[operator]

    torch.manual_seed(seed)
    energy = Energy()
    sampler = LangevinDynamics(energy, step_size=STEP, noise_scale=1.0)
    loss_of = PersistentContrastiveDivergence(
        energy, sampler, k_steps=steps, buffer_size=buffer, energy_reg_weight=SQUARES
    )
    optimiser = torch.optim.Adam(energy.parameters(), lr=CHAINS["rate"], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    average = EMA(energy, decay=CHAINS["ema"])

    def drawn_by(long: int) -> Callable[[Tensor, Generator], Tensor]:
        def draw(labels: Tensor, generator: Generator) -> Tensor:
            x = torch.randn(len(labels), *family.event, generator=generator)  # type: ignore[misc]
            return sampler.sample(x=x, n_steps=long, y=labels, generator=generator)

        return draw

    row["draws"] = {long: drawn_by(long) for long in (20 * steps, *LONGER)}
    row["average"] = lambda: average.average_parameters(energy)
    for number, (x, c) in enumerate(batches):
        loss, _ = loss_of(x, y=c)
        if not torch.isfinite(loss):
            raise NonFiniteError(f"torchebm's loss at update {number + 1}")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(energy.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update(energy)
        yield number + 1


def ebmkit_updates(
    family: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], total: int, seed: int, row: dict[str, Any],
    steps: int = STEPS, buffer: int = BUFFER,
) -> Iterator[int]:  # fmt: skip
    """ebmkit's trainer of a classifier whose logits are energies, with persistent chains of random classes."""
    import ebm  # type: ignore[import-not-found]

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.family = family

        def forward(self, x: Tensor) -> Tensor:
            return -self.family.energies(x)  # type: ignore[operator]

    torch.manual_seed(seed)
    energy = ebm.ClassifierEnergy(Logits())
    sampler = ebm.LangevinDynamics(step_size=STEP, steps=steps)
    kept = ebm.ReplayBuffer(buffer, tuple(family.event), reinit_prob=0.05)  # type: ignore[arg-type]
    divergence = ebm.ContrastiveDivergence(sampler, buffer=kept, energy_reg=SQUARES)
    loss = ebm.JEMLoss(divergence, conditional_negatives=True)
    optimiser = torch.optim.Adam(energy.parameters(), lr=CHAINS["rate"], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    trainer = ebm.Trainer(energy, loss, optimizer=optimiser, ema_decay=CHAINS["ema"], grad_clip_norm=1.0, device="cpu")

    def drawn_by(long: int) -> Callable[[Tensor, Generator], Tensor]:
        def draw(labels: Tensor, generator: Generator) -> Tensor:
            x = torch.randn(len(labels), *family.event, generator=generator)  # type: ignore[misc]
            return sampler.sample(energy.condition(labels), x, steps=long)

        return draw

    row["draws"] = {long: drawn_by(long) for long in (20 * steps, *LONGER)}
    row["average"] = lambda: _Swapped(energy, trainer.ema.module)
    for number, batch in enumerate(batches):
        if not math.isfinite(trainer.fit([batch], steps=1, verbose=False)[-1]["loss"]):
            raise NonFiniteError(f"ebmkit's loss at update {number + 1}")
        schedule.step()
        yield number + 1


class _Swapped:
    """Weights of one module in another, for a while."""

    def __init__(self, into: nn.Module, of: nn.Module) -> None:
        self.into, self.of = into, of

    def __enter__(self) -> None:
        self.kept = {k: v.clone() for k, v in self.into.state_dict().items()}
        self.into.load_state_dict(self.of.state_dict())

    def __exit__(self, *_: object) -> None:
        self.into.load_state_dict(self.kept)


NARROW = Part(InnerProduct, body=Part(LevelMlp, width=256, blocks=3))
LOGITS = Part(LevelLogits, form=NARROW, lowest=0.05)
DENSE = Part(Landscape, body=Part(LevelDense, width=256))
FROM_REPLAY = Part(Replay, size=1000)
ROWS = {
    "levels": Row(True, Part(LevelEnergy, form=NARROW, lowest=0.05), Part(DenoisingScore), LEVELS),
    "levels-wide": Row(True, Part(LevelEnergy), Part(DenoisingScore), LEVELS),
    "persistent": Row(True, SMALL, CLASSIC["pcd"][1], CHAINS),
    "cd": Row(True, SMALL, drawn(Part(FromData), 20), CHAINS),
    "jem-levels": Row(True, LOGITS, Part(DenoisingJem), LEVELS),
    "short-run": Row(True, SMALL, CLASSIC["short-run"][1], CHAINS),
    "jem": Row(True, SMALL, CLASSIC["jem"][1], CHAINS),
    "ebmkit": Row(True, SMALL, None, CHAINS, foreign=ebmkit_updates),
    "torchebm": Row(True, SMALL, None, CHAINS, foreign=torchebm_updates),
    "classifier": Row(True, WIDE, Part(Discriminative), {**LEVELS, "rate": 5e-4}),
    "levels-pixels": Row(False, IN_PIXELS, Part(DenoisingScore, time=0.0), {**LEVELS, "batch": 32, "rate": 2e-3}, 30),
    "persistent-pixels": Row(
        False, DENSE, Part(ContrastiveDivergence, start=FROM_REPLAY, sampler=COLD, squares=0.1),
        {"batch": 64, "rate": 3e-4, "ema": 0.99, "clip": 0.0},
    ),
}  # fmt: skip
"""Settings of chains are those of the recipes, which were tuned on codes of MNIST; before that, persistent chains of 20
steps in batches of 128 at a rate of 5e-4 came to .776 of draws and .728 of Bayes' rule in the same two minutes."""


class Reconstruction(Task):
    """An autoencoder alone, as a density that holds it stores it.

    Args:
        data: images. latent: numbers in a code.
    """

    def __init__(self, data: Part[LabelledImages], latent: int = LATENT) -> None:
        self.data, self.latent = data, latent

    def build(self) -> Density:
        """A density whose family stays as it began."""
        self.images = self.data.build(split="train")
        space: Part[Any] = Part(Codes, codec=Part(Autoencoder, latent=self.latent), share=0.0)
        family: Part[Any] = Part(Landscape, body=Part(LevelMlp, width=8, blocks=1))
        return Density(names=self.images.names, side=self.images.side, space=space, family=family)

    def batch(self, n: int, generator: Generator) -> Any:
        """Images with labels."""
        return self.images.labelled(n, generator)

    def loss(self, model: Any, batch: Any, generator: Generator, progress: float) -> Losses:
        """The autoencoder's."""
        return model.space.loss(batch.images, generator)


def experiment(row: Row, source: str, codec: Path | str | None, seed: int, updates: int = 10**6) -> Experiment:
    """The run of a row; of one of another library, what makes its family."""
    in_codes = Part(Codes, codec=Part(Autoencoder, latent=LATENT), share=0.0, weights=str(codec))
    space: Part[Any] = in_codes if row.codes else Part(Pixels)
    task: Part[Any] = Part(
        Densities, data=Part(LabelledImages, source=source), model=Part(Density, space=space, family=row.family),
        objective=row.objective or Part(Discriminative), draws=0,
    )  # fmt: skip
    every = max(1, updates // MARKS)
    return Experiment(
        name="row", task=task, optimiser=Optimiser(iterations=updates, **row.optimiser),
        run=Run(seed=seed, checkpoint_every=every, rollbacks=0 if row.foreign else 3),
    )  # fmt: skip


def codec_of(folder: Path, source: str, seed: int, seconds: float) -> dict[str, Any]:
    """The autoencoder's run, trained if it is not there; its CPU seconds and updates."""
    out = folder / f"codec-{seed}-{seconds:g}"
    if not (out / "run.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        task = Reconstruction(Part(LabelledImages, source=source))
        run = Experiment(name="codec", task=task, optimiser=Optimiser(batch=64, rate=1.5e-3, ema=0.99, clip=100.0))
        each = timed(run)
        updates = max(8, round(seconds / each))
        run = run.but(optimiser={"iterations": updates}, run={"seed": seed, "checkpoint_every": updates})
        for _ in train(run, out, accelerator="cpu"):
            pass
    told = read_json(out / "run.json")
    return {"folder": out, "seconds": told["cpu_seconds"], "updates": told["iterations"]}


def timed(run: Experiment) -> float:
    """CPU seconds of an update."""
    folder = Path("/tmp") / f"densities-timing-{time.time_ns()}"
    spent: list[float] = []
    updates = train(run.but(optimiser={"iterations": 10**6}), folder, accelerator="cpu")
    try:
        begun = time.process_time()
        for _ in updates:
            spent.append(time.process_time() - begun)
            if len(spent) == TIMED + 3:
                break
            begun = time.process_time()
    finally:
        updates.close()
        shutil.rmtree(folder, ignore_errors=True)
    return sum(spent[3:]) / TIMED


Draws = dict[int, Callable[[Tensor, Generator], Tensor]]
"""How classes are drawn, by steps of a chain; one alone of levels, none of a plain classifier."""


class Trained(NamedTuple):
    """A density with the weights to be scored, how it is drawn, and what it cost."""

    model: Density
    draws: Draws
    told: dict[str, Any]


Watch = Callable[[Density, Draws, float], None]


def draws_of(row: Row, model: Density, task: Any) -> Draws:
    """Draws by the levels, or by the chains of the objective and longer ones."""
    recipe = chain_recipe(task.objective)
    if recipe is not None:

        def by_chains(steps: int) -> Callable[[Tensor, Generator], Tensor]:
            return lambda c, generator: draw_classes(model, c, generator, recipe=recipe._replace(steps=steps)).x

        return {steps: by_chains(steps) for steps in (recipe.steps, *LONGER)}
    if not hasattr(model.family, "lowest"):
        return {}

    def by_levels(c: Tensor, generator: Generator) -> Tensor:
        parts = c.split(CHUNK)
        return torch.cat([draw([model], model.family(p), len(p), generator, steps=row.steps).x for p in parts])

    return {row.steps: by_levels}


def own(
    row: Row, source: str, codec: Path | str | None, seed: int, seconds: float, folder: Path, watch: Watch
) -> Trained:
    """Train a row with this library."""
    each = timed(experiment(row, source, codec, seed))
    updates = max(MARKS, round(seconds / each))
    run, out = experiment(row, source, codec, seed, updates), folder
    shutil.rmtree(out, ignore_errors=True)
    told: dict[str, Any] = {"diverged": 0}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            for update in train(run, out, accelerator="cpu"):
                if update.iteration % run.run.checkpoint_every == 0 or update.iteration == updates:
                    spent = torch.load(out / "checkpoint.pt", weights_only=True)["cpu_seconds"]
                    done, model = load_predictor(out)
                    watch(model, draws_of(row, model, done.built()), spent)  # type: ignore[arg-type]
        except (NonFiniteError, DivergenceError) as error:
            told["diverged"] = 1
            told["why"] = str(error)
    told["went_back"] = sum("goes back" in str(w.message) for w in said)
    task: Any = run.built()
    if not (out / "checkpoint.pt").is_file():  # diverged before the first
        model = task.build()
        task.prepare(model)
        return Trained(model, draws_of(row, model, task), told | {"cpu_seconds": 0.0, "updates": 0})
    kept: Any = load_predictor(out)[1]
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    told |= {"cpu_seconds": state["cpu_seconds"], "updates": state["iteration"]}
    return Trained(kept, draws_of(row, kept, task), told)


def foreign(
    row: Row, source: str, codec: Path | str | None, seed: int, seconds: float, folder: Path, watch: Watch
) -> Trained:
    """Train a row with another library, on the same network and batches of the same codes."""
    assert row.foreign is not None
    torch.manual_seed(seed)
    task: Any = experiment(row, source, codec, seed).built()
    generator = torch.Generator().manual_seed(seed + 1)

    def begun(total: int) -> tuple[Density, dict[str, Any], Iterator[int]]:
        torch.manual_seed(seed)
        model = task.build()
        task.prepare(model)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            while True:
                drawn = task.batch(row.optimiser["batch"], generator)
                with torch.no_grad():
                    x = model.encode(drawn.images, generator)
                yield x, drawn.labels

        said: dict[str, Any] = {}
        return model, said, row.foreign(model.family, batches(), total, seed, said)  # type: ignore[misc]

    _, _, probe = begun(1000)
    spent: list[float] = []
    clock = time.process_time()
    for number in probe:
        now = time.process_time()
        spent.append(now - clock)
        clock = now
        if number == TIMED + 3:
            break
    updates = max(MARKS, round(seconds / (sum(spent[3:]) / TIMED)))
    model, said, steps = begun(updates)
    cpu, clock, done = 0.0, time.process_time(), 0
    told: dict[str, Any] = {"diverged": 0, "went_back": 0}
    try:
        for done in steps:
            cpu += time.process_time() - clock
            if done % max(1, updates // MARKS) == 0 or done == updates:
                with said["average"]():
                    watch(model, said["draws"], cpu)
            if done == updates:
                break
            clock = time.process_time()
    except NonFiniteError as error:
        told |= {"diverged": 1, "why": str(error)}
    said["average"]().__enter__()
    told |= {"cpu_seconds": cpu, "updates": done}
    return Trained(model, said["draws"], told)


class Judge:
    """The shipped reader, and the images that rows are compared with.

    Args:
        source: of the images. held: of the test part, at most. seed: which.
    """

    def __init__(self, source: str, held: int, seed: int) -> None:
        self.reader: Any = Zoo().classifier("upright")
        generator = torch.Generator().manual_seed(1_000_000 + seed)
        self.training, test = (LabelledImages(source=source, split=s) for s in ("train", "test"))
        order = torch.randperm(len(test), generator=generator)[:held]
        self.images, self.labels = test.images[order], test.labels[order]

    @torch.no_grad()
    def read(self, images: Tensor, labels: Tensor) -> float:
        """Share that the reader takes for the label."""
        return accuracy(self.reader, images, labels)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """What kernel distances are of."""
        return torch.cat([self.reader.features(part) for part in images.split(500)])


def on_one_scale(row: Row, model: Density, training: LabelledImages, n: int, seed: int) -> None:
    """Fit the offsets of classes that denoising alone has left on scales of their own, on n training images."""
    if row.objective is None or row.objective.cls is not DenoisingScore or row.objective.get("time"):
        return
    generator = torch.Generator().manual_seed(3_000_000 + seed)
    known = training.labelled(n, generator)
    points = torch.cat([model.encode(part) for part in known.images.split(500)])
    fit_offsets(model.family, points, known.labels, generator=generator)


@torch.no_grad()
def measure(model: Density, draw: Any, judge: Judge, n: int, choosing: int, draws: int, seed: int) -> dict[str, Any]:
    """All that a row is told by, of n draws and the judge's held-out images.

    Args:
        choosing: training images that the levels of Bayes' rule are chosen on. draws: of noise for each image.
    """
    generator = torch.Generator().manual_seed(2_000_000 + seed)
    told: dict[str, Any] = {"reader": judge.read(judge.images, judge.labels)}
    recomposed = torch.cat([model.decode(model.encode(part)) for part in judge.images.split(500)])
    told["reader_recomposed"] = judge.read(recomposed, judge.labels)
    chosen = torch.randperm(len(judge.training), generator=generator)[: max(n, choosing)]
    known = judge.training.images[chosen[:choosing]]
    levels = choose_levels(model, model.encode(known), judge.training.labels[chosen[:choosing]], generator).levels
    points = torch.cat([model.encode(part) for part in judge.images.split(500)])
    read = posterior(log_densities(model, points, levels, generator, draws))
    alike = bool((read == read[:1]).all())
    told |= {
        "levels": list(levels),
        "accuracy": (read.argmax(1) == judge.labels).float().mean().item(),
        "ece": None if alike else ece(read, judge.labels),
    }
    if draw is None:
        return told
    labels = torch.arange(n) * len(model.names) // n
    with torch.enable_grad():
        begun = time.process_time()
        try:
            x = draw(labels, generator)
        except NonFiniteError as error:
            return told | {"sample_accuracy": 0.0, "why": str(error)}
        images = decoded(model, x)
        told["images_per_s"] = n / (time.process_time() - begun)
    near = copies(images, judge.training.images, judge.images)
    told |= {
        "sample_accuracy": judge.read(images, labels), "nearest": near.distance, "nearest_true": near.reference,
        "copies": near.share, "images": images,
    }  # fmt: skip
    reference = judge.features(judge.images)
    for key, other in (("kid", images), ("kid_true", judge.training.images[chosen[:n]])):
        if min(len(other), len(reference)) >= 20:
            found = kid(judge.features(other), reference, torch.Generator().manual_seed(seed))
            told |= {key: found.mean, f"{key}_error": found.error}
    return told


def row_of(
    name: str, source: str, minutes: float, seed: int, n: int, runs: Path, pictures: Path | None, given: str = ""
) -> dict[str, Any]:
    """Train and measure one row; `given` is the card or run whose autoencoder it takes, if not one of its own."""
    row, quick = ROWS[name], minutes < 0.5
    budget = 60 * minutes
    codec = None
    if row.codes:
        share = CODEC * budget
        codec = {"folder": given, "seconds": 0.0, "updates": 0} if given else codec_of(runs, source, seed, share)
    before = codec["seconds"] if codec else 0.0
    judge = Judge(source, 100 if quick else 2000, seed)
    curve: list[dict[str, float]] = []

    labels = torch.arange(READ) * 10 // READ
    few = labels if row.codes and not quick else labels[:: READ // 20]

    def read(model: Density, draw: Any) -> float:
        try:
            return judge.read(decoded(model, draw(few, torch.Generator().manual_seed(seed))), few)
        except NonFiniteError:
            return 0.0

    def watch(model: Density, draws: Draws, spent: float) -> None:
        # every second time where draws are dear
        if draws and (row.codes or len(curve) % 2 == 0):
            share = read(model, draws[LONGER[0] if LONGER[0] in draws else row.steps])
            curve.append({"minutes": (before + spent) / 60, "sample_accuracy": share})

    take = foreign if row.foreign else own
    torch.set_num_threads(1)
    trained = take(
        row, source, codec["folder"] if codec else None, seed, max(0.1, budget - before), runs / f"{name}-{seed}", watch
    )
    family = trained.model.family
    told = {
        "row": name, "space": "codes" if row.codes else "pixels", "source": source, "minutes": minutes, "seed": seed,
        "n": n, "held_out": len(judge.labels), "weights": sum(p.numel() for p in family.parameters()),
        "batch": row.optimiser["batch"], "codec": Path(given).name if row.codes else "", "codec_seconds": before,
        "codec_updates": codec["updates"] if codec else 0,
        **trained.told,
    }  # fmt: skip
    told["ms_per_update"] = 1000 * told["cpu_seconds"] / max(1, told["updates"])
    told["cpu_minutes"] = (before + told["cpu_seconds"]) / 60
    tried = (
        {steps: read(trained.model, draw) for steps, draw in trained.draws.items()} if len(trained.draws) > 1 else {}
    )
    told["steps_tried"] = tried
    told["steps"] = max(tried, key=lambda steps: tried[steps]) if tried else row.steps
    on_one_scale(row, trained.model, judge.training, 100 if quick else 1000, seed)
    found = measure(
        trained.model,
        trained.draws.get(told["steps"]),
        judge,
        n,
        *((50, 1) if quick or not row.codes else (500, 4)),
        seed,
    )
    images = found.pop("images", None)
    if images is not None and pictures is not None:
        from ergosum.density.figures import grid

        pictures.mkdir(parents=True, exist_ok=True)
        grid(images[:: max(1, n // 100)][:100]).save(pictures / f"{name}.png")
    reached = [point["minutes"] for point in curve if point["sample_accuracy"] >= GOAL - 1e-6]
    return told | found | {
        "curve": curve, "minutes_to_goal": reached[0] if reached else None, **provenance(),
    }  # fmt: skip


COLUMNS = {
    "sample_accuracy": ("draws read right", ".3f"), "accuracy": ("Bayes' rule", ".3f"), "ece": ("ECE", ".3f"),
    "kid": ("kernel distance", ".3f"), "nearest": ("nearest", ".3f"), "images_per_s": ("images / s", ".0f"),
    "ms_per_update": ("ms / update", ".0f"), "updates": ("updates", "d"), "cpu_minutes": ("CPU min", ".1f"),
    "minutes_to_goal": (f"min to {GOAL:g}", ".1f"), "went_back": ("went back", "d"), "diverged": ("diverged", "d"),
}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> Table:
    """All rows for people."""
    first = rows[0]
    made = Table(
        title=f"{first['source']}, {first['minutes']:g} CPU minutes, seed {first['seed']}, {first['n']} draws, "
        f"{first['held_out']} held-out images"
    )
    for head in ("row", *(head for head, _ in COLUMNS.values())):
        made.add_column(head, justify="left" if head == "row" else "right")
    for row in rows:
        cells = ["" if row.get(key) is None else format(row[key], form) for key, (_, form) in COLUMNS.items()]
        made.add_row(row["row"], *cells)
    true = {"sample_accuracy": first["reader"], "kid": first.get("kid_true"), "nearest": first.get("nearest_true")}
    cells = ["" if true.get(key) is None else format(true[key], form) for key, (_, form) in COLUMNS.items()]
    made.add_row("true images", *cells)
    recomposed = next((r["reader_recomposed"] for r in rows if r["space"] == "codes"), None)
    if recomposed is not None:
        counted = f"that of {first['codec']}, not counted" if first.get("codec") else "counted in the minutes"
        made.caption = f"The reader is right on {recomposed:.3f} of what the autoencoder gives back ({counted})."
    return made


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--row", action="append", choices=list(ROWS), help="this row alone, again if it is there")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes of every row")
    parser.add_argument("--source", default="mnist", help="digits or mnist")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches, noise and draws")
    parser.add_argument("--n", type=int, default=1000, help="draws, as many of each class")
    parser.add_argument("--codec", default="", help="card or run whose autoencoder rows in codes take")
    parser.add_argument("--out", type=Path, required=True, help="folder of each row's JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs/densities"), help="folder of weights")
    parser.add_argument("--pictures", type=Path, help="folder of grids of draws")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    a = parser.parse_args(arguments)
    for name, value in (("--minutes", a.minutes), ("--n", a.n // 10)):
        if not value > 0 or value == value + 1:
            parser.error(f"{name}: expected a number > 0 ({'--n 10 at least' if name == '--n' else 'of minutes'}).")
    torch.set_num_threads(1)
    a.out.mkdir(parents=True, exist_ok=True)
    for name in a.row or [name for name in ROWS if not (a.out / f"{name}.json").is_file()]:
        print(f"{name} ...", file=sys.stderr)
        try:
            told = row_of(name, a.source, a.minutes, a.seed, a.n, a.runs, a.pictures, a.codec)
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error.name} is not installed (pip install {name}).", file=sys.stderr)
            continue
        write_json(a.out / f"{name}.json", told)
    rows = [read_json(path) for name in ROWS if (path := a.out / f"{name}.json").is_file()]
    if a.json:
        print(json.dumps(rows, indent=1))
    elif rows:
        Console(width=None if sys.stdout.isatty() else 170).print(table(rows))


if __name__ == "__main__":
    main()
