"""Drawing formulas of concepts: images, what a reader sees in them, and the formula as a tree of energies."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ergosum.concepts.inference import infer
from ergosum.concepts.model import Concepts
from ergosum.data.attributed import Attribute, columns
from ergosum.density.algebra import tree
from ergosum.density.figures import film_of
from ergosum.density.formulas import PRIOR, Vocabulary, holds, kinds, meaning, vocabulary
from ergosum.density.sampling import Drawn, Passing, decoded, drawing, shown_levels
from ergosum.formula import numbered
from ergosum.report.strips import captioned
from ergosum.samplers.chain import finished
from ergosum.training.task import Samples, Table

__all__ = ["NEAR", "caption", "judged", "sample_concepts", "sampling_concepts", "satisfied"]

NEAR = 0.1
"""Distance, in sides of an image, within which a place counts as the one that was asked for: half of a large solid."""
SHOWN = 100
"""Images of a grid, at most."""


def satisfied(formula: str, known: Vocabulary, attributes: Sequence[Attribute], values: Tensor) -> Tensor:
    """Whether images whose values were read, (n, columns), are what a formula asks for, (n,) bool.

    A named value holds where it was read, numbers where those read are near (within 0.1 of a place); what could not be
    read holds nothing, so that a negation holds there only if something was read of that attribute.
    """
    places = dict(zip([a.name for a in attributes], columns(attributes), strict=True))
    told = {f"{name}({','.join(f'{n:g}' for n in numbers)})": (name, numbers) for name, numbers in numbered(formula)}

    def of(name: str) -> Tensor:
        if name in told:
            attribute, numbers = told[name]
            two = next((a.name for a in attributes if a.numbers == 2), "")
            column = places[two if attribute == "at" else attribute]
            return (values[:, column] - torch.tensor(numbers)).norm(dim=1) <= NEAR
        own = name.rpartition(".")[2]
        if own == PRIOR:
            return torch.ones(len(values), dtype=torch.bool)
        attribute = next(a for a in attributes if own in a.values)
        return values[:, places[attribute.name]][:, 0] == attribute.values.index(own)

    seen = ~values.isnan().all(1)
    return holds(formula, known, of) & seen


def caption(attributes: Sequence[Attribute], row: Tensor, only: Sequence[str] = ()) -> str:
    """Values in words: `large red cube`, those of some attributes alone where any are named."""
    told = []
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        if only and attribute.name not in only:
            continue
        if row[column].isnan().any():
            told.append("?")
        elif attribute.values:
            told.append(attribute.values[int(row[column][0])])
        else:
            told.append(",".join(f"{n:.2f}" for n in row[column].tolist()))
    return " ".join(told)


def sample_concepts(
    models: Sequence[nn.Module],
    formula: str,
    read: Callable[[Tensor], Tensor | None],
    *,
    n: int,
    shares: Sequence[float] | None,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
) -> Samples:
    """What `ergosum sample` shows of concepts.

    Args:
        formula: empty for the prior. read: the data's own reader of images, values (n, columns), or None. Others: as
            `density.sampling.draw` and `meaning`.
    """
    return finished(
        sampling_concepts(
            models, formula, read, n=n, shares=shares, steps=steps, sigma=sigma, corrections=corrections,
            particles=particles, seed=seed, runs=runs,
        )
    )  # fmt: skip


def sampling_concepts(
    models: Sequence[nn.Module],
    formula: str,
    read: Callable[[Tensor], Tensor | None],
    *,
    n: int,
    shares: Sequence[float] | None,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
) -> Generator[Passing, None, Samples]:
    """What `sample_concepts` does, level by level: yields the draws at each level."""
    densities: list[Any] = list(models)
    known = vocabulary(densities, runs)
    text = formula or "prior"
    energy = meaning(text, known, shares)
    generator = torch.Generator().manual_seed(seed)
    settings = {"steps": steps, "sigma": sigma, "corrections": corrections, "particles": particles}
    drawn = yield from drawing(densities, energy, n, generator, **settings, film=True)  # type: ignore[arg-type]
    lines = tree(energy, drawn.x)
    return judged(densities[0], text, known, str(energy), lines, drawn, read, generator, seed, particles)


def judged(
    first: Concepts, text: str, known: Vocabulary, energy: str, lines: list[tuple[str, float]], drawn: Drawn,
    read: Callable[[Tensor], Tensor | None], generator: torch.Generator, seed: int, particles: int,
) -> Samples:  # fmt: skip
    """Draws of a formula as `ergosum sample` shows them, read and judged.

    Args:
        first: the model whose space they are in. text: the formula. known: its vocabulary. energy: the energy in words.
            lines: its tree. Others: as `sample_concepts`.
    """
    n = len(drawn.x)
    images = decoded(first, drawn.x)
    numbers: dict[str, Any] = {"formula": energy, "n": n, "seed": seed, "levels": list(drawn.levels),
                               "particles": particles}  # fmt: skip
    if drawn.ess:
        numbers["ess"] = drawn.ess
    values, judge = read(images), "its reader"
    if values is None:
        values, judge = infer(first, drawn.x, generator).values, "Bayes' rule of the model itself"
    told = satisfied(text, known, first.attributes, values) if text != PRIOR else torch.ones(n, dtype=torch.bool)
    numbers |= {"judge": judge, "satisfied": told.float().mean().item(), "read": _shares(first.attributes, values)}
    tables = [Table(("term",), {"energy": 2}, [{"term": t, "energy": e} for t, e in lines], "Mean energy, in nats")]
    named = kinds(text, known)
    rows = [
        {"read as": value, "share": share}
        for kind, own in numbers["read"].items() if kind in named for value, share in own.items()
    ]  # fmt: skip
    title = f"{text}: {numbers['satisfied']:.3f} of {n} draws satisfy it, as {judge} sees them"
    tables.append(Table(("read as",), {"share": 3}, rows, title))
    some = min(n, SHOWN)
    captions = [caption(first.attributes, row, sorted(named)) for row in values[:some]]
    head = [title, *(f"{t}   {e:.1f}" for t, e in lines)]
    good = [bool(g) for g in told[:some]]
    image = captioned(images[:some], captions, good, head)
    return Samples(image, numbers, tables, film_of(shown_levels(first, drawn)), images[:some], captions, good, lines)


def _shares(attributes: Sequence[Attribute], values: Tensor) -> dict[str, dict[str, float]]:
    """How often each named value was read."""
    found = {}
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        if attribute.values:
            told = values[:, column][:, 0]
            found[attribute.name] = {
                name: (told == number).float().mean().item() for number, name in enumerate(attribute.values)
            }
    return found
