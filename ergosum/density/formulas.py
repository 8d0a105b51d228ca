"""What a formula means over trained densities: names of classes, joined, excluded, offered as alternatives.

    three                 the density of a class            0.9:three | 0.1:seven    a mixture with shares
    three & italic        both, each lifted over the prior  2*three                  stricter, lifted twice
    ~zero                 all that is not a zero            ~(zero | one)            neither

Over one prior these are the densities of `algebra.py`. Names are those of the classes, and `prior` is all data. Of
several models a name that two of them have is written after the model's: `mnist-density.three`.
"""

from collections import Counter
from collections.abc import Sequence
from math import isfinite, log
from pathlib import Path
from typing import NamedTuple

import torch

from ergosum.compose import And, Not, Or, Scaled, disjunction, leaves
from ergosum.density.algebra import complement, lifted
from ergosum.density.model import Density
from ergosum.energy import Energy, as_energy, summed
from ergosum.formula import parse_formula
from ergosum.nodes import Named, silence

__all__ = ["Entry", "Vocabulary", "meaning", "vocabulary"]

PRIOR = "prior"
"""What formulas call the density of all data."""


class Entry(NamedTuple):
    """What a name stands for.

    Attributes:
        energy: of the name. prior: of its model. share: of it in the prior; 1 of the prior itself.
    """

    energy: Energy
    prior: Energy
    share: float


Vocabulary = dict[str, Entry]
"""What a formula may name."""


def vocabulary(models: Sequence[Density], runs: Sequence[str] = ()) -> Vocabulary:
    """Names of all classes of the models, and of their priors; each class counts as an equal share of its prior.

    Args:
        models: densities in one space. runs: what they are called, where two have a class of the same name.
    Raises:
        ValueError: without models, or if their spaces differ.
    """
    if not models:
        raise ValueError("vocabulary: expected at least one density, got none.")
    _refuse_other_spaces(models, runs)
    each = [model.energies() for model in models]
    times = Counter(name for energies in each for name in energies)
    made: Vocabulary = {}
    for number, (model, energies) in enumerate(zip(models, each, strict=True)):
        own = _called(runs[number]) if number < len(runs) else f"model{number + 1}"
        own = own if [_called(r) for r in runs].count(own) <= 1 else f"{own}{number + 1}"
        for name, energy in energies.items():
            share = 1.0 if name == PRIOR else 1 / len(model.names)
            told = name if times[name] == 1 or (name == PRIOR and number == 0) else f"{own}.{name}"
            made[told] = Entry(energy.named(told), energies[PRIOR], share)
    return made


def meaning(formula: str, known: Vocabulary, shares: Sequence[float] | None = None) -> Energy:
    """The energy that a formula stands for.

    Args:
        shares: > 0, of the alternatives of a formula `a | b | ...`, of any sum; without, the formula's own weights, or
            equal shares.
    Raises:
        FormulaError: if the formula cannot be read. ValueError: if something in it has no meaning here.
    Warns:
        EqualPartitionWarning: if shares or complements rest on energies that are not known to be normalised.
    """
    with silence():  # the stand-ins below are all normalised
        read = parse_formula(formula, {name: _stand_in(name) for name in known})
    if shares is not None:
        read = _shared(read, shares)
    return _of(read, known)


def _stand_in(name: str) -> Energy:
    energy = as_energy(summed).named(name)
    energy.log_z = 0.0
    return energy


def _shared(read: Energy, shares: Sequence[float]) -> Energy:
    """The alternatives of a formula with other shares."""
    if not isinstance(read, Or):
        raise ValueError(f"shares: expected a formula of alternatives, a | b, got {read}; leave the shares away.")
    if len(shares) != len(read) or not all(isfinite(s) and s > 0 for s in shares):
        raise ValueError(
            f"shares: expected {len(read)} numbers > 0, one for each of {', '.join(map(str, read))}; got "
            f"{', '.join(f'{s:g}' for s in shares)}."
        )
    return Or(*read, log_weights=[log(s / sum(shares)) for s in shares])


def _of(read: Energy, known: Vocabulary) -> Energy:
    """A composition of stand-ins as one of densities."""
    if isinstance(read, Named):
        return _of(read.term, known)
    if isinstance(read, Or):
        return disjunction(*(_of(part, known) for part in read), log_weights=list(read.given))
    if isinstance(read, And | Scaled | Not):
        weighed = [_weighed(part, known) for part in (read if isinstance(read, And) else [read])]
        weights, energies, priors = zip(*weighed, strict=True)
        return lifted(*energies, prior=priors, weights=weights)
    return known[read.name].energy


def _weighed(part: Energy, known: Vocabulary) -> tuple[float, Energy, Energy]:
    """A term of a conjunction: its weight, its energy without it, and the prior that it is lifted over."""
    prior = known[leaves(part)[0].name].prior
    if isinstance(part, Scaled):
        return float(part.weight), _of(part.term, known), prior
    if isinstance(part, Not):
        return float(part.alpha), _complement(part, known), prior
    return 1.0, _of(part, known), prior


def _complement(part: Not, known: Vocabulary) -> Energy:
    """What is left of the prior without a class, or without any of several."""
    if part.margin is not None:
        raise ValueError(f"{part}: a margin bounds a plain negation; here ~ is the complement, which needs none.")
    inner = part.term
    named = [known[leaf.name] for leaf in leaves(inner)]
    alone = not isinstance(inner, And | Or | Scaled | Not)
    equal = isinstance(inner, Or) and all(w is None for w in inner.given) and len(leaves(inner)) == len(inner)
    if not alone and not equal:
        raise ValueError(
            f"{part}: how much of the prior is left is known for ~ of a class, or of several, ~(a | b), alone."
        )
    if len({id(entry.prior) for entry in named}) > 1:
        raise ValueError(f"{part}: expected classes of one model, which share a prior.")
    share = sum(entry.share for entry in named)
    if share >= 1 - 1e-9:
        raise ValueError(f"{part}: nothing is left of the prior.")
    energies = [entry.energy for entry in named]
    weights = None if len(named) == 1 else [log(entry.share / share) for entry in named]
    term = energies[0] if weights is None else disjunction(*energies, log_weights=weights)
    return complement(term, named[0].prior, share)


def _called(run: str) -> str:
    """A run's name as part of a name in formulas."""
    text = "".join(c if c.isalnum() or c in "_-" else "_" for c in Path(run).name).strip("-_") or "model"
    return text if not text[0].isdigit() else f"run-{text}"


def _refuse_other_spaces(models: Sequence[Density], runs: Sequence[str]) -> None:
    """Energies add up over one space: the same pixels, or codes of the same encoder."""
    first = models[0]
    for number, model in enumerate(models[1:], 1):
        held, other = first.space.state_dict(), model.space.state_dict()
        same = type(first.space) is type(model.space) and first.space.event == model.space.event
        if not same or held.keys() != other.keys() or not all(torch.equal(held[k], other[k]) for k in held):
            called = [runs[i] if i < len(runs) else f"model {i + 1}" for i in (0, number)]
            raise ValueError(
                f"{called[0]} and {called[1]} are densities of different things ({type(first.space).__name__} and "
                f"{type(model.space).__name__}); compose densities of pixels, or of the codes of one encoder."
            )
