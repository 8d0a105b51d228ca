r"""Drawing images of a composition of densities, down the ladder of noise levels.

A density over noise levels is drawn from the Gaussian that it is anchored to, level by level, to the lowest. Of a
class, of alternatives and of complements that is enough in principle, and one step of a chain at each level mends what
the finite steps leave; a conjunction is drawn with more of them, and with weights among particles where these are asked
for (`samplers/ladder.py` says why).
"""

import collections.abc
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.density.algebra import Lifted, tree
from ergosum.density.chains import Recipe, run_chains
from ergosum.density.figures import film_of, grid
from ergosum.density.formulas import PRIOR, Vocabulary, holds, meaning, vocabulary
from ergosum.density.model import Density
from ergosum.energy import Energy
from ergosum.nodes import Node
from ergosum.samplers.chain import finished
from ergosum.samplers.ladder import NoiseLadder
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import levels
from ergosum.training.task import Samples, Shelf, Table

__all__ = [
    "Drawn", "Passing", "decoded", "draw", "draw_classes", "drawing", "of_condition", "sample_densities",
    "sampling_densities", "shown_at", "shown_levels",
]  # fmt: skip

LEVELS = 60
"""Noise levels of a ladder where none are asked for."""
CORRECTIONS = 4
"""Steps of the kernel at each level of a conjunction, where none are asked for."""
PLAIN = 1
"""The same of all else. Ancestral steps would do if levels were close and energies exact; with one step of 60 levels,
.984 of 500 draws of MNIST's classes were read right, without .966, with 100 levels and without .960."""
CHUNK = 512
"""Draws, particles included, that go down the ladder together, which bounds memory."""


class Drawn(NamedTuple):
    """Draws of a density.

    Shape:
        x: (n, *event), points of the space. film: for each level, and last without noise, (n, *event), where asked for.
    Attributes:
        levels: of the ladder. ess: of each level, mean effective share of particles; empty without.
    """

    x: Tensor
    film: list[Tensor]
    levels: tuple[float, ...]
    ess: list[float]


class Passing(NamedTuple):
    """Draws on their way down.

    Attributes:
        number: of the level, from 0; of chains, 0. sigma: the level; 0 for the last, denoised draws, and for chains.
    Shape:
        x: (at most 512, *event), points of the space; of particles the first of each draw.
    """

    number: int
    sigma: float
    x: Tensor


def draw(
    models: Sequence[Density],
    energy: Energy,
    n: int,
    generator: Generator | None = None,
    *,
    steps: int = 0,
    sigma: float = 0.0,
    corrections: int | None = None,
    particles: int = 1,
    film: bool = False,
    recipe: Recipe | None = None,
) -> Drawn:
    """n points of a density of these models, or of a composition of theirs.

    Args:
        n: >= 1. steps: noise levels, >= 2, or steps of a chain; 0 for 60 levels, or a chain of the recipe. sigma: the
            level to end at, 0 for the lowest; what noise is left is then taken away. corrections: steps of a kernel at
            each level, >= 0; None for 4 where something in the energy is a conjunction that is not exact, else 1.
            particles: >= 1 for each draw; of more than one, one is kept by weights from level to level. film: keep
            every level. recipe: of chains, for models without noise levels.
    Raises:
        ValueError: for settings out of range, or models without noise levels and a recipe of chains.
    """
    return finished(
        drawing(
            models, energy, n, generator, steps=steps, sigma=sigma, corrections=corrections, particles=particles,
            film=film, recipe=recipe,
        )
    )  # fmt: skip


def drawing(
    models: Sequence[Density],
    energy: Energy,
    n: int,
    generator: Generator | None = None,
    *,
    steps: int = 0,
    sigma: float = 0.0,
    corrections: int | None = None,
    particles: int = 1,
    film: bool = False,
    recipe: Recipe | None = None,
) -> collections.abc.Generator[Passing, None, Drawn]:
    """What `draw` does, level by level: yields the draws at each level, and returns the result. Errors as there."""
    levelled = all(hasattr(model.family, "lowest") for model in models)
    if not levelled:
        return (
            yield from _by_chains(
                models, energy, n, generator, steps, recipe, film, sigma or corrections or particles - 1
            )
        )
    steps = steps or LEVELS
    for what, value, least in (("n", n, 1), ("steps", steps, 2), ("particles", particles, 1)):
        if value < least:
            raise ValueError(f"{what}: expected at least {least}, got {value}.")
    if corrections is not None and corrections < 0:
        raise ValueError(f"corrections: expected at least 0, got {corrections}.")
    family: Any = models[0].family
    ladder = _ladder(models, energy, steps, sigma, corrections, particles)
    spread = math.hypot(float(family.deviation), ladder.levels[0])
    each = max(1, CHUNK // particles)
    found, kept, ess = [], [], []
    for start in range(0, n, each):
        count = min(each, n - start)
        noise = torch.randn(count * particles, *family.mean.shape, generator=generator).to(family.mean)
        x = family.mean + spread * noise
        # islands are resampled among themselves, so that draws stay independent
        run = ladder if particles == 1 else replace(ladder, islands=count)
        rungs = []
        for rung in run.descend(energy, x, generator=generator):
            rungs.append(rung)
            yield Passing(len(rungs) - 1, rung.sigma, rung.x.detach()[::particles])
        last = rungs[-1]
        found.append(last.x if particles == 1 else last.x[_chosen(last.log_weight, count, generator)])
        kept.append([r.x[::particles].detach() for r in rungs] if film else [])
        ess.append([r.ess for r in rungs[: len(ladder.levels)]])
    films = [torch.cat(frames) for frames in zip(*kept, strict=True)] if film else []
    if film:
        films[-1] = torch.cat(found)
    means = torch.tensor(ess).mean(0).tolist() if particles > 1 else []
    return Drawn(torch.cat(found).detach(), films, ladder.levels, means)


def draw_classes(
    model: Density, c: Tensor, generator: Generator | None = None, film: bool = False, recipe: Recipe | None = None
) -> Drawn:
    """A point of each of the classes c, (n,), -1 for the prior; film and recipe as `draw`."""
    options: Any = {"film": film, "recipe": recipe}
    parts = [draw([model], model.family(own), len(own), generator, **options) for own in c.split(CHUNK)]
    films = [torch.cat(frames) for frames in zip(*(part.film for part in parts), strict=True)]
    return Drawn(torch.cat([part.x for part in parts]), films, parts[0].levels, [])


def of_condition(known: Vocabulary, names: Sequence[str], condition: str) -> str:
    """The name of a condition that is told by its name or its number; the prior for none.

    Raises:
        ValueError: if there is no such condition.
    """
    if not condition:
        return PRIOR
    if condition in known:
        return condition
    if condition.lstrip("-").isdigit() and 0 <= int(condition) < len(names):
        return names[int(condition)]
    if not names:
        raise ValueError(f"--condition {condition}: this density has no classes, only a prior; leave it away.")
    raise ValueError(
        f"--condition {condition}: expected a number 0 .. {len(names) - 1}, or one of {', '.join([*names, PRIOR])}."
    )


@torch.no_grad()
def shown_levels(model: Density, drawn: Drawn) -> list[Tensor]:
    """Images of every level: what the mean of Gaussian data would be, given the draws at that level.

    At high levels that is nearly the mean of all data, and at the lowest the draws themselves. Of chains, their points.
    """
    sigmas = [*drawn.levels, 0.0]
    return [shown_at(model, x, sigmas[number] if drawn.levels else 0.0) for number, x in enumerate(drawn.film)]


@torch.no_grad()
def shown_at(model: Density, x: Tensor, sigma: float) -> Tensor:
    """Images of draws at one level, as `shown_levels` has them; at 0 those of the points themselves."""
    if sigma == 0:
        return decoded(model, x)
    family, variance = model.family, float(model.family.deviation) ** 2
    return decoded(model, family.mean + (x - family.mean) * variance / (variance + sigma**2))


@torch.no_grad()
def decoded(model: Density, x: Tensor) -> Tensor:
    """Images of points, in parts that fit in memory."""
    return torch.cat([model.decode(part) for part in x.split(CHUNK)])


def sample_densities(
    models: Sequence[nn.Module],
    formula: str,
    n: int,
    shares: Sequence[float] | None,
    condition: str,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
    shelf: Shelf | None = None,
    digits: bool = False,
    recipe: Recipe | None = None,
) -> Samples:
    """What `ergosum sample` shows of densities: a grid, its levels as a film, and who is seen in it.

    Args:
        formula: empty for the condition, or without that for the prior. digits: whether images are upright digits, so
            that the shelf's reader can say which. Others: as `draw` and `meaning`.
    """
    return finished(
        sampling_densities(
            models, formula, n, shares, condition, steps, sigma, corrections, particles, seed, runs, shelf, digits,
            recipe,
        )
    )  # fmt: skip


def sampling_densities(
    models: Sequence[nn.Module],
    formula: str,
    n: int,
    shares: Sequence[float] | None,
    condition: str,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
    shelf: Shelf | None = None,
    digits: bool = False,
    recipe: Recipe | None = None,
) -> collections.abc.Generator[Passing, None, Samples]:
    """What `sample_densities` does, level by level: yields the draws at each level."""
    densities = [_density(model) for model in models]
    known = vocabulary(densities, runs)
    if formula and condition:
        raise ValueError(f"--condition {condition}: expected a formula or a condition; {formula} is a formula.")
    text = formula or of_condition(known, densities[0].names, condition)
    energy = meaning(text, known, shares)
    generator = torch.Generator().manual_seed(seed)
    settings = {"steps": steps, "sigma": sigma, "corrections": corrections, "particles": particles, "recipe": recipe}
    drawn = yield from drawing(densities, energy, n, generator, **settings, film=True)  # type: ignore[arg-type]
    frames = shown_levels(densities[0], drawn)
    numbers: dict[str, Any] = {
        "formula": str(energy), "n": n, "seed": seed, "levels": list(drawn.levels),
        "corrections": _corrections(energy, corrections), "particles": particles,
    }  # fmt: skip
    if drawn.ess:
        numbers["ess"] = drawn.ess
    tables, captions, good = [], [], []
    lines = tree(energy, drawn.x)
    if digits and shelf is not None:
        names = densities[0].names
        answers = _answers(shelf, frames[-1])
        numbers["read"] = _shares(answers, names)
        captions = [names[answer] for answer in answers.tolist()]
        good = holds(text, known, lambda name: _is(answers, names, name)).tolist()
        rows = [{"read as": name, "share": share} for name, share in numbers["read"].items()]
        title = f"{energy}, n = {n}, seed = {seed}, as a classifier of digits reads the draws"
        tables.append(Table(("read as",), {"share": 3}, rows, title))
    return Samples(grid(frames[-1]), numbers, tables, film_of(frames), frames[-1], captions, good, lines)


@torch.no_grad()
def _answers(shelf: Shelf, images: Tensor) -> Tensor:
    """The class that the shipped reader sees in each image, (n,)."""
    return torch.cat([shelf.classifier("upright")(part) for part in images.split(CHUNK)]).argmax(1)


def _shares(answers: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Shares of classes among answers."""
    counts = answers.bincount(minlength=len(names))
    return {name: count / len(answers) for name, count in zip(names, counts.tolist(), strict=True)}


def _is(answers: Tensor, names: Sequence[str], name: str) -> Tensor:
    """Whether images were read as what a name of a formula stands for; all of them are of the prior."""
    own = name.rpartition(".")[2]
    return answers == names.index(own) if own in names else torch.ones_like(answers, dtype=torch.bool)


def _density(model: nn.Module) -> Density:
    if not isinstance(model, Density):
        raise ValueError(f"expected a density, got {type(model).__name__}.")
    return model


def _by_chains(
    models: Sequence[Density], energy: Energy, n: int, generator: Generator | None, steps: int, recipe: Recipe | None,
    film: bool, levelled: Any,
) -> collections.abc.Generator[Passing, None, Drawn]:  # fmt: skip
    """Draws of energies without noise levels."""
    told = next(type(model.family).__name__ for model in models if not hasattr(model.family, "lowest"))
    if n < 1 or steps < 0:
        raise ValueError(f"n, steps: expected n >= 1 and steps >= 1 of a chain, got {n} and {steps}.")
    if levelled:
        raise ValueError(f"{told} has no noise levels: sigma, corrections and particles have no meaning for it.")
    if recipe is None:
        raise ValueError(f"{told} has no noise levels to go down, and was trained without chains that could be run.")
    found = []
    for start in range(0, n, CHUNK):
        count = min(CHUNK, n - start)
        found.append(run_chains(recipe, energy, models[0].space.event, count, generator, steps))
        yield Passing(0, 0.0, found[-1][-1])
    films = [torch.cat(points) for points in zip(*found, strict=True)]
    return Drawn(films[-1], films if film else [], (), [])


def _ladder(
    models: Sequence[Density], energy: Energy, steps: int, sigma: float, corrections: int | None, particles: int
) -> NoiseLadder:
    """The levels that all models have, and what corrects the draws there."""
    families = [model.family for model in models]
    highest = min(f.highest for f in families)
    lowest = max(f.checked(sigma) for f in families)
    if lowest >= highest:
        raise ValueError(f"sigma: expected a noise level below the highest, {highest:g}, got {lowest:g}.")
    held = _corrections(energy, corrections)
    kernel: Any = Mala(step_size=0.3) if energy.has_value else Langevin(step_size=0.1)
    return NoiseLadder(
        levels=levels(lowest, highest, steps), correction=kernel if held else None, corrections=max(1, held),
        islands=1 if particles > 1 else 0, denoise=True,
    )  # fmt: skip


def _chosen(log_weight: Tensor, islands: int, generator: Generator | None) -> Tensor:
    """One particle of each island, by its weight."""
    weight = log_weight.view(islands, -1).softmax(1)
    size = weight.shape[1]
    return torch.multinomial(weight, 1, generator=generator)[:, 0] + size * torch.arange(islands)


def _corrections(energy: Energy, asked: int | None) -> int:
    """As asked for, or one, and more where something is a conjunction."""
    if asked is not None:
        return asked
    return CORRECTIONS if _joins(energy) else PLAIN


def _joins(energy: Energy) -> bool:
    return (isinstance(energy, Lifted) and not energy.exact) or (isinstance(energy, Node) and any(map(_joins, energy)))
