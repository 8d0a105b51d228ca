r"""What a formula means over trained densities: names of classes, joined, excluded, offered as alternatives.

    three                 the density of a class            0.9:three | 0.1:seven    a mixture with shares
    red & cube            both, each lifted over the prior  2*three                  stricter, lifted twice
    ~zero                 all that is not a zero            ~(zero | red)            neither
    at(0.3,0.6)           what is told in numbers           ~(red & cube)            all but what is both

Over one prior these are the densities of `algebra.py`. Names are those of the classes, and `prior` is all data. Of
several models a name that two of them have is written after the model's: `mnist-density.three`.

How much of the prior a negation leaves is known of single values by their share, of values of one kind by the sum of
theirs, and of values of different kinds by the product, as if they were independent. It scales the complement as a
whole, so that it matters among alternatives alone; of a conjunction the posterior, $\\pi_c p(x | c) / p(x)$, is the
product of those of its terms, and is what counts.

Terms that are all about kinds of their own are lifted one by one. Where several speak of one kind, and the model's
kinds are independent, the formula is the mixture of the combinations of values that it asks for, each with its share
(`algebra.Combinations`): so every formula is exact there, however nested. `~` reads as in logic: `~(~a & ~b)` is what
is a or b.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import isfinite, log, prod
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.compose import And, Not, Or, Scaled, disjunction, leaves
from ergosum.density.algebra import Combinations, complement, lifted
from ergosum.density.model import PRIOR, Density, Entry
from ergosum.energy import Energy, as_energy, summed
from ergosum.formula import numbered, parse_formula
from ergosum.nodes import Named, Node, silence
from ergosum.weights import expect_shares

__all__ = ["Entry", "Vocabulary", "Worlds", "holds", "kinds", "meaning", "vocabulary", "worlds"]

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
    each = [model.entries() for model in models]
    times = Counter(name for entries in each for name in entries)
    made: Vocabulary = {}
    for number, entries in enumerate(each):
        own = _called(runs[number]) if number < len(runs) else f"model{number + 1}"
        own = own if [_called(r) for r in runs].count(own) <= 1 else f"{own}{number + 1}"
        for name, entry in entries.items():
            told = name if times[name] == 1 or (name == PRIOR and number == 0) else f"{own}.{name}"
            made[told] = entry._replace(energy=entry.energy.named(told))
    return made


def meaning(formula: str, known: Vocabulary, shares: Sequence[float] | None = None) -> Energy:
    """The energy that a formula stands for.

    Args:
        shares: > 0, of sum 1 within 0.01, of the alternatives of a formula `a | b | ...`; without, the formula's own
            weights, or equal shares.
    Raises:
        FormulaError: if the formula cannot be read. ValueError: if something in it has no meaning here.
    Warns:
        EqualPartitionWarning: if shares or complements rest on energies that are not known to be normalised.
    """
    read, known = _read(formula, known, shares)
    return _of(read, known)


def _read(formula: str, known: Vocabulary, shares: Sequence[float] | None) -> tuple[Energy, Vocabulary]:
    """A formula over stand-ins, and what its names stand for."""
    known = {**known, **_numbered(formula, known)}
    with silence():  # the stand-ins are all normalised
        read = parse_formula(formula, {name: _stand_in(name) for name in known}, _not)
    return (read if shares is None else _shared(read, shares)), known


def _not(term: Energy, margin: float | None = None) -> Energy:
    """What `~` reads as: of a conjunction of negations, unlike in plain sums, all that is in none of them."""
    twice = isinstance(term, Not) and not _weighted(term) and margin is None
    return term.term if twice else Not(term, margin=margin)  # type: ignore[attr-defined]


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
    expect_shares(shares)
    return Or(*read, log_weights=[log(s / sum(shares)) for s in shares])


def _numbered(formula: str, known: Vocabulary) -> Vocabulary:
    """What a formula tells in numbers, `at(0.3,0.6)`, by the name that it has there."""
    owners = dict.fromkeys(entry.owner for entry in known.values())
    made: Vocabulary = {}
    for name, numbers in numbered(formula):
        found = [entry for owner in owners if (entry := owner.at(name, numbers)) is not None]
        if found:
            told = f"{name}({','.join(f'{n:g}' for n in numbers)})"
            made[told] = found[0]._replace(energy=found[0].energy.named(told))
    return made


def _of(read: Energy, known: Vocabulary) -> Energy:
    """A composition of stand-ins as one of densities."""
    if isinstance(read, Named):
        return _of(read.term, known)
    if isinstance(read, Or):
        return disjunction(*(_of(part, known) for part in read), log_weights=list(read.given))
    if isinstance(read, And | Scaled | Not):
        _refuse_nothing(read, known)
        told = [part for part in read if _in_numbers(part, known)] if isinstance(read, And) else []
        told = told if len({known[part.name].kind for part in told}) == len(told) else []
        named = [part for part in read if part not in told] if told else [read]
        if named and _tangled(one := And(*named) if len(named) > 1 else named[0], known):
            return _combined(one, known, told, str(read))
        weighed = [_weighed(part, known) for part in (read if isinstance(read, And) else [read])]
        return _joined(_merged(weighed), read, known)
    return known[read.name].energy


def _tangled(read: Energy, known: Vocabulary) -> bool:
    """Whether a conjunction or negation of values of independent kinds speaks of one kind in several terms, so that it
    is no sum of what each term adds, but a mixture of combinations.
    """
    named = [known[leaf.name] for leaf in leaves(read)]
    owners = {entry.owner for entry in named}
    if len(owners) > 1 or not named[0].owner.independent or not all(0 < entry.share < 1 for entry in named):
        return False
    inner = read.term if isinstance(read, Not) else read
    parts = list(inner) if isinstance(inner, And | Or) else [inner]
    spoken = [{known[leaf.name].kind for leaf in leaves(part)} for part in parts]
    repeated = sum(map(len, spoken)) > len(set().union(*spoken))
    if isinstance(read, Not) and all(part.name in known for part in parts):
        repeated = len(set().union(*spoken)) > 1 and repeated  # of one kind, the complement of a mixture is exact
    return repeated and not any(_weighted(part) for part in [read, *_all_parts(read)])


def _in_numbers(part: Energy, known: Vocabulary) -> bool:
    """Whether a term is a name that stands for numbers, such as a place."""
    return part.name in known and known[part.name].share == 0


def _weighted(part: Energy) -> bool:
    """Whether a term has a weight, or is a negation in part."""
    return isinstance(part, Scaled) or (isinstance(part, Not) and not (float(part.alpha) == 1 and part.margin is None))


def _all_parts(read: Energy) -> Iterator[Energy]:
    """Everything that a formula is made of."""
    for part in read if isinstance(read, Node) else ():
        yield part
        yield from _all_parts(part)


def _combined(read: Energy, known: Vocabulary, told: Sequence[Energy], name: str) -> Energy:
    """A formula over values of independent kinds as a mixture of their combinations, each with what is told beside it
    in numbers, of other kinds.
    """
    names, prior = _worlds(read, known)
    ratio = _ratio(read, names, prior)
    entries = {leaf.name: known[leaf.name] for leaf in leaves(read)}
    kinds: dict[str, list[str]] = {}
    for held, entry in entries.items():
        kinds.setdefault(entry.kind, []).append(held)
    rows = [torch.stack([names[held] for held in own], 1) for own in kinds.values()]
    chosen = torch.stack([torch.where(row.any(1), row.long().argmax(1), -1) for row in rows], 1)
    with silence():  # terms are only shown
        shown = [*(read if isinstance(read, And) else [read.term]), *told]  # type: ignore[attr-defined]
        terms = [_of(part, known) for part in shown]
    return Combinations(
        next(iter(entries.values())).prior,
        [*([entries[held].energy for held in own] for own in kinds.values()), *([known[p.name].energy] for p in told)],
        torch.cat([chosen, chosen.new_zeros(len(chosen), len(told))], 1),
        prior * ratio / (prior * ratio).sum(),
        [*([entries[held].share for held in own] for own in kinds.values()), *([0.0] for _ in told)],
        terms,
        name,
    )


class _Weighed(NamedTuple):
    """A term of a conjunction: its weight, its energy without it, and the prior that it is lifted over; its entry where
    it is a name.
    """

    weight: float
    energy: Energy
    prior: Energy
    entry: Entry | None = None


def _weighed(part: Energy, known: Vocabulary) -> _Weighed:
    """A term as it stands in a conjunction."""
    prior = known[leaves(part)[0].name].prior
    if isinstance(part, Scaled):
        return _Weighed(float(part.weight), _of(part.term, known), prior)
    if isinstance(part, Not):
        if part.margin is not None:
            raise ValueError(f"{part}: a margin bounds a plain negation; here ~ is the complement, which needs none.")
        return _Weighed(float(part.alpha), _complement(part.term, known), prior)
    return _Weighed(1.0, _of(part, known), prior, known[part.name] if part.name in known else None)


def _merged(terms: list[_Weighed]) -> list[_Weighed]:
    """Names of one model that tells them at once in place of several."""
    kept, groups = [], {}  # type: ignore[var-annotated]
    for term in terms:
        if term.entry is None or term.weight != 1:
            kept.append(term)
        else:
            groups.setdefault(term.entry.owner, []).append(term)
    for owner, group in groups.items():
        one = owner.together([term.energy for term in group]) if len(group) > 1 else None
        kept += group if one is None else [_Weighed(1.0, one, group[0].prior)]
    return kept


def _joined(terms: list[_Weighed], read: Energy, known: Vocabulary) -> Energy:
    """A conjunction of terms, which is normalised where they tell of kinds that are independent."""
    return lifted(
        *(t.energy for t in terms), prior=[t.prior for t in terms], weights=[t.weight for t in terms],
        exact=_apart(list(read) if isinstance(read, And) else [read], known),
    )  # fmt: skip


def _apart(parts: Sequence[Energy], known: Vocabulary) -> bool:
    """Whether no two terms speak of one kind, and all kinds are independent."""
    spoken = [{known[leaf.name].kind for leaf in leaves(part)} for part in parts]
    owners = {known[leaf.name].owner for part in parts for leaf in leaves(part)}
    repeated = sum(map(len, spoken)) > len(set().union(*spoken))
    return len(owners) == 1 and not repeated and all(owner.independent for owner in owners)


def _complement(inner: Energy, known: Vocabulary) -> Energy:
    """All of the prior but what a formula says."""
    named = [known[leaf.name] for leaf in leaves(inner)]
    told = f"~({inner})" if isinstance(inner, And | Or) else f"~{inner}"
    if len({entry.owner for entry in named}) > 1:
        raise ValueError(f"{told}: expected names of one model, which share a prior.")
    if isinstance(inner, Named):
        return _complement(inner.term, known)
    if isinstance(inner, Not):
        return _of(inner.term, known)
    if isinstance(inner, Scaled) or (isinstance(inner, Or) and any(w is not None for w in inner.given)):
        raise ValueError(f"{told}: what is left of the prior is all but this, whatever its weights; leave them away.")
    if any(entry.share == 0 for entry in named):
        numbers = ", ".join(leaf.name for leaf in leaves(inner) if known[leaf.name].share == 0)
        raise ValueError(
            f"{told}: {numbers} is told in numbers and has no share of the prior that could be taken away."
        )
    if isinstance(inner, Or) and (any(isinstance(p, Node) for p in inner) or len({e.kind for e in named}) > 1):
        terms = [_complement(part, known) for part in inner]
        return lifted(*terms, prior=named[0].prior, exact=_apart(list(inner), known))
    share = _share(inner, known)
    if share >= 1 - 1e-6:
        raise ValueError(f"{told}: nothing is left of the prior.")
    if share <= 0:
        raise ValueError(f"{told}: how much of the prior is left is known of classes one by one, not of what is both.")
    if isinstance(inner, Or):
        log_weights = [log(entry.share / share) for entry in named]
        return complement(disjunction(*(e.energy for e in named), log_weights=log_weights), named[0].prior, share)
    if isinstance(inner, And):
        with silence():  # the posterior of a conjunction is what counts, not its log Z
            return complement(_of(inner, known), named[0].prior, share)
    return complement(named[0].energy, named[0].prior, share)


def kinds(formula: str, known: Vocabulary) -> set[str]:
    """What the names of a formula are values of, such as colour and place; errors as `meaning`."""
    read, known = _read(formula, known, None)
    return {known[leaf.name].kind for leaf in leaves(read)} - {""}


class Worlds(NamedTuple):
    """Every combination of the values that a formula names, or of others, each with its share of the prior where kinds
    are independent of each other, and its share of what the formula stands for.

    Attributes:
        names: for each name of the formula, in which worlds it holds, (worlds,) bool. prior, formula: (worlds,), each
            of sum 1.
    """

    names: dict[str, Tensor]
    prior: Tensor
    formula: Tensor


def worlds(formula: str, known: Vocabulary, shares: Sequence[float] | None = None) -> Worlds:
    """What a formula asks for, as shares of the combinations of values that it names: what draws are compared with.

    Arguments and errors as `meaning`.
    """
    read, known = _read(formula, known, shares)
    names, prior = _worlds(read, known)
    ratio = _ratio(read, names, prior)
    return Worlds(names, prior, prior * ratio / (prior * ratio).sum())


def holds(formula: str, known: Vocabulary, of: Callable[[str], Tensor]) -> Tensor:
    """Whether a formula holds where `of(name)` says of each of its names whether that does, (n,) bool."""
    read, known = _read(formula, known, None)
    return _holds(read, {leaf.name: of(leaf.name) for leaf in leaves(read)})


def _holds(read: Energy, names: Mapping[str, Tensor]) -> Tensor:
    """Whether a formula holds where its names do."""
    if isinstance(read, Named | Scaled):
        return _holds(read.term, names)
    if isinstance(read, Not):
        return ~_holds(read.term, names)
    if isinstance(read, Or | And):
        held = torch.stack([_holds(part, names) for part in read])
        return held.any(0) if isinstance(read, Or) else held.all(0)
    return names[read.name]


def _ratio(read: Energy, names: Mapping[str, Tensor], prior: Tensor) -> Tensor:
    """How much more of each world there is in what a formula stands for than in the prior."""
    if isinstance(read, Named | Scaled):
        return _ratio(read.term, names, prior)
    if isinstance(read, Or):
        told = [0.0 if w is None else w for w in read.given]
        shares = torch.tensor(told, dtype=torch.float64).softmax(0)
        return sum(s * _ratio(part, names, prior) for s, part in zip(shares, read, strict=True))  # type: ignore[return-value]
    if isinstance(read, And):
        made = torch.stack([_ratio(part, names, prior) for part in read]).prod(0)
        return made / (made * prior).sum()
    holding = _holds(read, names).double()
    return holding / (holding * prior).sum()


def _worlds(read: Energy, known: Vocabulary) -> tuple[dict[str, Tensor], Tensor]:
    """In which worlds each name holds, and how much of the prior each world is."""
    kinds: dict[tuple[Density, str], dict[str, float]] = {}
    for leaf in leaves(read):
        entry = known[leaf.name]
        kinds.setdefault((entry.owner, entry.kind), {})[leaf.name] = entry.share
    for told in kinds.values():
        told[""] = max(0.0, 1 - sum(told.values()))
    every = list(product(*kinds.values()))
    share = [prod(kinds[kind][name] for kind, name in zip(kinds, names, strict=True)) for names in every]
    holding = {leaf.name: torch.tensor([leaf.name in names for names in every]) for leaf in leaves(read)}
    return holding, torch.tensor(share, dtype=torch.float64)


def _share(read: Energy, known: Vocabulary) -> float:
    """How much of the prior a formula holds in."""
    names, prior = _worlds(read, known)
    return float((prior * _holds(read, names)).sum())


def _refuse_nothing(read: Energy, known: Vocabulary) -> None:
    """Refuse what no image can be: an image has one value of each kind."""
    named = {leaf.name: known[leaf.name] for leaf in leaves(read)}
    if any(entry.kind == "" for entry in named.values()):
        return
    if not _holds(read, _worlds(read, known)[0]).any():
        kinds = {entry.kind: [n for n, e in named.items() if e.kind == entry.kind] for entry in named.values()}
        told = "; ".join(f"its {kind} may be {', '.join(names)} or another" for kind, names in kinds.items())
        raise ValueError(f"{read}: nothing satisfies this, for an image has one value of each kind ({told}).")


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
