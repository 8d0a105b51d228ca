r"""Formulas of concepts as others compose them, for `concepts.py`, whose table says what is whose."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.compose import And, Not, Or
from ergosum.concepts import Concepts
from ergosum.concepts.scores import Asked, conjunction
from ergosum.density.formulas import Vocabulary, meaning, worlds
from ergosum.energy import Energy, as_energy, summed
from ergosum.formula import parse_formula
from ergosum.nodes import Named, silence

__all__ = ["ALPHAS", "GUIDANCE", "Classified", "Guided", "Joint", "Ours", "Reused", "Summed", "swept"]

ALPHAS, GUIDANCE = (0.001, 0.01, 0.03, 0.1, 0.3), (1.0, 3.5, 7.5)
"""Strengths of negations, and of guidance, that are tried."""
SCALE, STRONGER = 3.5, 1.3
"""Of Reduce, Reuse, Recycle: energies in a disjunction, and the positive term beside a negation of 0.3."""
CORRECTIONS = 4


class Weighted(Energy):
    """$\\sum_i w_i E_i(x)$ with weights of any sign.

    Args:
        terms, weights: E and w. accepts: whether a sampler may use the value for an accept test.
    """

    remembers = False

    def __init__(self, terms: Sequence[Energy], weights: Sequence[float], accepts: bool = True) -> None:
        super().__init__()
        self.terms, self.weights, self.has_value = nn.ModuleList(terms), tuple(weights), accepts

    def forward(self, x: Tensor) -> Tensor:
        """(batch,)."""
        return torch.stack([w * term(x) for w, term in zip(self.weights, self.terms, strict=True)]).sum(0)

    def at_noise(self, sigma: float) -> "Weighted":
        """The sum of the terms at that level."""
        return Weighted([t.at_noise(sigma) for t in self.terms], self.weights, self.has_value)  # type: ignore[operator]


class Alternatives(Energy):
    """$-\\log \\sum_i s_i \\exp(-k E_i(x)) / k$; arguments as `Weighted`, s of sum 1, k > 0."""

    remembers = False

    def __init__(self, terms: Sequence[Energy], shares: Tensor, scale: float = 1.0, accepts: bool = True) -> None:
        super().__init__()
        self.terms, self.shares, self.scale, self.has_value = nn.ModuleList(terms), shares, scale, accepts

    def forward(self, x: Tensor) -> Tensor:
        """(batch,)."""
        each = torch.stack([-self.scale * term(x) for term in self.terms], 1)
        return -(each + self.shares.log().to(each)).logsumexp(1) / self.scale

    def at_noise(self, sigma: float) -> "Alternatives":
        """The same of the terms at that level."""
        terms: Any = [t.at_noise(sigma) for t in self.terms]  # type: ignore[operator]
        return Alternatives(terms, self.shares, self.scale, self.has_value)


class Ours:
    """Formulas by the algebra of normalised densities; a conjunction is lifted over the prior, or of independent parts
    one member. Options are those of `density.sampling.draw`.
    """

    strength: float | None = None
    kinds: tuple[str, ...] = ("and", "or", "not", "nested")

    def __init__(self, particles: int = 1) -> None:
        self.options: dict[str, Any] = {"particles": particles}

    def together(self, models: Sequence[Concepts], values: Tensor) -> Energy:
        """The energy of all values (n, columns) at once."""
        model = models[0]
        return model.family(values) if model.independent else conjunction(model, values)

    def formula(
        self, models: Sequence[Concepts], known: Vocabulary, asked: Asked, n: int, generator: Generator
    ) -> Energy | None:
        """The energy of a formula of which n are to be drawn, None if there is no such composition."""
        return meaning(asked.formula, known, asked.shares)


class Joint(Ours):
    """Values that satisfy the formula, one row for each draw, and the energy under all of them."""

    def together(self, models: Sequence[Concepts], values: Tensor) -> Energy:
        """Under all values."""
        return models[0].family(values)

    def formula(
        self, models: Sequence[Concepts], known: Vocabulary, asked: Asked, n: int, generator: Generator
    ) -> Energy | None:
        """Of one world for each draw, as often as asked for; other values of its attributes as often as in the data."""
        model, wanted = models[0], worlds(asked.formula, known, asked.shares)
        chosen = torch.multinomial(wanted.formula, n, replacement=True, generator=generator)
        c, at = model.family.conditions.none(n), 0
        for attribute, column in zip(model.attributes, model.columns, strict=True):
            own = model.shares[at : at + len(attribute.values)]
            at += len(attribute.values)
            here = [name for name in wanted.names if name in attribute.values]
            if not here:
                continue
            left = own.clone()
            left[[attribute.values.index(name) for name in here]] = 0
            left = left.clamp(min=1e-9)  # where all values are named, no world has another one
            c[:, column] = torch.multinomial(left, n, replacement=True, generator=generator)[:, None].float()
            for name in here:
                c[wanted.names[name][chosen], column] = float(attribute.values.index(name))
        return model.family(c)


class Summed(Ours):
    """Du, Li & Mordatch 2020: sums, soft minima, and minus alpha times what shall not hold."""

    def __init__(self, strength: float | None = None, kinds: tuple[str, ...] = Ours.kinds) -> None:
        self.strength, self.kinds = strength, kinds
        self.options = {"corrections": CORRECTIONS}

    def prior(self, models: Sequence[Concepts]) -> Energy:
        """What stands for the positive terms of a lone negation."""
        return models[0].family.prior()

    def joined(self, prior: Energy, held: list[Energy], gone: list[Energy]) -> Energy:
        """What holds of all of `held` and of none of `gone`."""
        held = held or [prior]
        return Weighted([*held, *gone], [1.0] * len(held) + [-(self.strength or 0.0)] * len(gone))

    def either(self, terms: list[Energy], shares: Tensor) -> Energy | None:
        """One of the terms."""
        return Alternatives(terms, shares)

    def ended(self, models: Sequence[Concepts], energy: Energy) -> Energy:
        """What a composition becomes at last."""
        return energy

    def together(self, models: Sequence[Concepts], values: Tensor) -> Energy:
        """The conjunction of each attribute's value."""
        terms = []
        for column in models[0].columns:
            condition = models[0].family.conditions.none(len(values))
            condition[:, column] = values[:, column]
            terms.append(models[0].family(condition))
        return self.ended(models, self.joined(self.prior(models), terms, []))

    def formula(
        self, models: Sequence[Concepts], known: Vocabulary, asked: Asked, n: int, generator: Generator
    ) -> Energy | None:
        """The formula, term by term."""
        with silence():
            read = parse_formula(asked.formula, {name: as_energy(summed).named(name) for name in known})
        made = self._of(read, models, known, asked.shares)
        return None if made is None else self.ended(models, made)

    def _of(self, read: Energy, models: Any, known: Vocabulary, shares: Sequence[float] | None = None) -> Energy | None:
        if isinstance(read, Named):
            return self._of(read.term, models, known, shares)
        if isinstance(read, Or):
            terms = [self._of(part, models, known) for part in read]
            told = torch.tensor(shares or [1.0] * len(terms))
            return None if None in terms else self.either(terms, told / told.sum())  # type: ignore[arg-type]
        if not isinstance(read, And | Not):
            return known[read.name].energy
        held, gone = [], []
        for part in read if isinstance(read, And) else [read]:
            inner = part.term if isinstance(part, Not) else part
            several = list(inner) if isinstance(part, Not) and isinstance(inner, Or) else [inner]  # none of them
            (gone if isinstance(part, Not) else held).extend(self._of(one, models, known) for one in several)
        if None in held or None in gone:
            return None
        return self.joined(self.prior(models), held, gone)


class Reused(Summed):
    """Du et al. 2023: lifts, soft minima of 3.5 times the energies, 1.3 times what holds less 0.3 times what does not;
    Langevin steps at each level.
    """

    def joined(self, prior: Energy, held: list[Energy], gone: list[Energy]) -> Energy:
        """A lift, and of a negation its two weights."""
        lift = Weighted([*held, prior], [1.0] * len(held) + [1.0 - len(held)], accepts=False)
        if not gone:
            return lift
        weight = (STRONGER - 1) / len(gone)
        return Weighted([lift, *gone], [STRONGER] + [-weight] * len(gone), accepts=False)

    def either(self, terms: list[Energy], shares: Tensor) -> Energy | None:
        """A sharper soft minimum."""
        return Alternatives(terms, shares, SCALE, accepts=False)


class Guided(Summed):
    """Liu et al. 2022: the prior's score, and w times what each condition adds to it, or takes away."""

    def __init__(self, strength: float) -> None:
        super().__init__(strength)
        self.options = {"corrections": 0}

    def joined(self, prior: Energy, held: list[Energy], gone: list[Energy]) -> Energy:
        """$E_0 + w \\sum (E_i - E_0) - w \\sum (E_j - E_0)$."""
        w = self.strength or 0.0
        own = 1 - w * (len(held) - len(gone))
        return Weighted([prior, *held, *gone], [own] + [w] * len(held) + [-w] * len(gone))

    def either(self, terms: list[Energy], shares: Tensor) -> Energy | None:
        """There is none."""
        return None


class Classified(Summed):
    """Nie et al. 2021: classifiers' log-probabilities composed as energies, beside the prior of another model."""

    def joined(self, prior: Energy, held: list[Energy], gone: list[Energy]) -> Energy:
        """A sum; a negation needs no positive term, for the prior is added at last."""
        return Weighted([*held, *gone], [1.0] * len(held) + [-(self.strength or 0.0)] * len(gone))

    def ended(self, models: Sequence[Concepts], energy: Energy) -> Energy:
        """With the prior."""
        return Weighted([self.prior(models[1:]), energy], [1.0, 1.0])


def swept(method: type[Summed]) -> tuple[Ours, ...]:
    """A method at every alpha, which acts in negations alone."""
    return tuple(method(a, method.kinds if a == ALPHAS[0] else ("not", "nested")) for a in ALPHAS)
