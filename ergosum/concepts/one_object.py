"""One object in each image, at a random place: draws of formulas that tell no place, and how right they are.

| row | what is drawn |
|---|---|
| `and` | the energy of windows under all values at once |
| `lifted` | what each value adds to an object of which only the place is told |
"""

import collections.abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.concepts.counting import LEVELS, drawn_images
from ergosum.concepts.sampling import judged
from ergosum.concepts.scores import Asked, conjunctions, of_true_images, score_formulas
from ergosum.density.algebra import lifted, tree
from ergosum.density.formulas import Vocabulary, meaning
from ergosum.density.sampling import CHUNK, Drawn, Passing, decoded, drawing
from ergosum.energy import Energy
from ergosum.nodes import silence
from ergosum.report.tables import target
from ergosum.samplers.chain import finished
from ergosum.training.task import Samples

__all__ = ["TARGETS", "Somewhere", "drawing_somewhere", "sampling_somewhere", "score_told", "score_way", "value_lifts"]


TARGETS = {
    "and_seen": ("all attributes right, combinations that training shows", 0.70, True),
    "and_held_out": ("all right, values never shown together", 0.30, True),
    "and_held_out_place": ("all right, a value and a place never shown together", 0.60, True),
    "or_tv": ("shares of alternatives (total variation)", 0.03, False),
    "random": ("30 random formulas of depth 3 satisfied", 0.90, True),
}  # fmt: skip
"""What objects in pixels are to reach."""


def score_told(model: Any, data: Any, n: int, seed: int) -> dict[str, Any]:
    """n draws of one object of which everything is told, read by the data's rules: `and_seen`, `and_held_out`,
    `and_held_out_place` as in `scores.py`; `lifted_seen` and so on, where each value is a lift of its own over the
    place; and the formulas of `scores.py`, of objects somewhere. Empty of data that hold no combination out.
    """
    held = data.attributed(n, torch.Generator().manual_seed(3_000_000 + seed))
    if not (hasattr(data, "held_out") and data.held_out(held.values).any()):
        return {}
    generator, made, rows = torch.Generator().manual_seed(4_000_000 + seed), {}, []
    for kind in WAYS:
        told = score_way(model, data, held.values, kind, generator)
        for row in told.pop("conjunctions"):
            rows.append({**row, "row": row["row"].replace("and", kind, 1)})
        made |= {key.replace("and", kind, 1): value for key, value in told.items()}
    reader = of_true_images(model.attributes, data, data.read, held)

    def of(one: Asked, count: int) -> Tensor:
        with silence():  # shares are measured, not warned of
            told = finished(drawing_somewhere(model, one.formula, one.shares, count, generator, steps=LEVELS))
        return decoded(model, told.drawn.x)

    formulas = score_formulas(model.attributes, model.somewhere(1, generator), data.read, of, n, generator)
    told = {**made, "conjunctions": rows, **reader, **formulas}
    met = [
        target(what, told[key], wanted, more)
        for key, (what, wanted, more) in TARGETS.items()
        if told.get(key) is not None
    ]
    return {**told, "targets": met}


def score_way(model: Any, data: Any, values: Tensor, way: str, generator: Generator) -> dict[str, Any]:
    """A draw of one object under each row of values (n, columns), joined in one of `WAYS` and read by the data's rules;
    keys as `scores.conjunctions`.
    """

    def images(values: Tensor) -> Tensor:
        return torch.cat([drawn_images(model, WAYS[way](model, v), len(v), generator) for v in values.split(CHUNK)])

    return conjunctions(model.attributes, data, data.read, values, images)


class Somewhere(NamedTuple):
    """Draws of one object each at a random place, and the energy of the last of them, with what names stand for."""

    drawn: Drawn
    energy: Energy
    known: Vocabulary
    last: int


def drawing_somewhere(
    model: Any, formula: str, shares: Sequence[float] | None, n: int, generator: Generator, **options: Any
) -> collections.abc.Generator[Passing, None, Somewhere]:
    """n draws of a formula that tells no place: each has one object, at a place of training drawn at random.

    Args:
        model: `Objects`. options: of `density.sampling.drawing`.
    Raises:
        ValueError: as `density.sampling.drawing`.
    """
    particles, parts = max(1, options.get("particles", 1)), []
    sizes = [len(part) for part in torch.empty(max(1, n)).split(max(1, CHUNK // particles))]
    for size in sizes:
        places = model.somewhere(size, generator, particles)
        known = {name: entry._replace(energy=entry.energy.named(name)) for name, entry in places.items()}
        energy = meaning(formula, known, shares)
        drawn = yield from drawing([model], energy, min(size, n), generator, **options)
        parts.append(Somewhere(drawn, energy, known, size))
    told, last = [part.drawn for part in parts], parts[-1]
    film = [torch.cat(level) for level in zip(*(one.film for one in told), strict=True)]
    ess = [sum(level) / len(level) for level in zip(*(one.ess for one in told), strict=True)]
    return last._replace(drawn=Drawn(torch.cat([one.x for one in told]), film, told[0].levels, ess))


def sampling_somewhere(
    model: Any, formula: str, read: Callable[[Tensor], Tensor | None], *, n: int, shares: Sequence[float] | None,
    steps: int, sigma: float, corrections: int | None, particles: int, seed: int,
) -> collections.abc.Generator[Passing, None, Samples]:  # fmt: skip
    """What `ergosum sample` shows of a formula that tells no place; arguments as of `sample_concepts`."""
    generator = torch.Generator().manual_seed(seed)
    settings = {"steps": steps, "sigma": sigma, "corrections": corrections, "particles": particles}
    made = yield from drawing_somewhere(model, formula, shares, n, generator, **settings, film=True)
    lines = tree(made.energy, made.drawn.x[-made.last :]) if particles == 1 else []
    return judged(
        model, formula, made.known, str(made.energy), lines, made.drawn, read, generator, seed, particles
    )  # fmt: skip


def value_lifts(model: Any, values: Tensor) -> Energy:
    """What each named value of values (n, columns) adds to an object at its place, one for each of n points."""
    bare = torch.full_like(values, torch.nan)
    bare[:, model.family.place] = values[:, model.family.place]
    terms = []
    for column in model.family.others:
        row = bare.clone()
        row[:, column] = values[:, column]
        terms.append(model.family(row[:, None]))
    return lifted(*terms, prior=model.family(bare[:, None]))


WAYS: dict[str, Callable[[Any, Tensor], Energy]] = {
    "and": lambda model, values: model.family(values[:, None]),
    "lifted": lambda model, values: value_lifts(model, values),
}
"""How the values of an object are joined, see the module."""
