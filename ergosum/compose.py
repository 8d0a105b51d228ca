r"""The algebra of energies: conjunction, disjunction, negation and weights, in a flat normal form.

With $p_i = exp(-E_i) / Z_i$:

| written | means | energy |
|---|---|---|
| `a & b` | both hold | $E_a + E_b$ |
| `a \| b` | one of them holds | $-log sum_i w_i exp(-E_i)$ |
| `a & ~b` | a holds and b does not | $E_a - alpha E_b$ |
| `0.5 * a`, `a.at(2)` | a holds, less strictly | $E_a / 2$ |

Energies that were trained at a temperature T are in units of T: there a disjunction, and a negation with a margin, is T
times what it makes of $E_i / T$.

Sums of sums, alternatives of alternatives and weights of weights or of sums are merged when they are built, so that a
composition is a short list of terms. It is evaluated term by term, except that members of one family (`Conditional`) go
through their network in one call, with the conditions folded into the batch.

Example:
    >>> left, right = (as_energy(lambda x, m=m: (x - m).square().sum(1) / 2) for m in (-1.0, 1.0))
    >>> both = left.named("left") & 0.5 * (right.named("right") & left)
    >>> print(both)
    left & 0.5*right & 0.5*left
    >>> terms(both, torch.zeros(1, 1)).weights
    tensor([[1.5000],
            [0.5000]])

Source: Du, Li, Mordatch 2020, section 3; the weights of a disjunction are ours, theirs are all one.
"""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Closed, Conditional, Energy, Term, as_energy, per_sample
from ergosum.shapes import Batch, PerSample

__all__ = [
    "And",
    "EqualPartitionWarning",
    "Not",
    "Or",
    "Scaled",
    "TemperatureWarning",
    "Terms",
    "conjunction",
    "disjunction",
    "leaves",
    "negation",
    "scaled",
    "terms",
]


class EqualPartitionWarning(UserWarning):
    """A disjunction was weighted as if its terms had equal partition functions."""


class TemperatureWarning(UserWarning):
    """Energies that were trained at different temperatures were composed."""


def conjunction(*parts: Term) -> Energy:
    """$E_1 + E_2 + ...$, what `a & b` builds; a single term comes back as it is."""
    return And(*parts) if len(parts) != 1 else as_energy(parts[0])


def disjunction(*parts: Term, log_weights: Sequence[float | None] | None = None) -> Energy:
    """$-log sum_i w_i exp(-E_i)$, what `a | b` builds."""
    return Or(*parts, log_weights=log_weights)


def negation(term: Term, alpha: float = 1.0, margin: float | None = None) -> Energy:
    """What `~a` builds: $-alpha E$, or with a margin its bounded form; `~~a` is a again."""
    term = as_energy(term)
    if isinstance(term, Not) and margin is None and term.margin is None:
        return rescaled(alpha * term.alpha, term.term, term.temperature)
    return Not(term, alpha, margin)


def scaled(weight: float, term: Term) -> Energy:
    """$w E$, what `0.5 * a` builds; a weight of one changes nothing."""
    term = as_energy(term)
    return rescaled(float(weight), term, term.temperature)


def rescaled(weight: float, term: Energy, temperature: float) -> Energy:
    """$w E$ in normal form, told to be in units of `temperature`."""
    same = temperature == term.temperature
    if same and weight == 1:
        return term
    if isinstance(term, And):
        return And(*(rescaled(weight, part, part.temperature if same else temperature) for part in term))
    if isinstance(term, Not) and weight > 0 and (same or term.margin is None):
        made = Not(term.term, weight * term.alpha, term.margin)
    else:
        made = Scaled(weight, term)
        if made.weight == 1 and made.term.temperature == temperature:
            return made.term
    made.temperature = temperature
    made.log_z = None if same else term.log_z
    return made


class Node:
    """What the four compositions share: parts, which `join` makes one energy of, and the leaves below them."""

    parts: tuple[Energy, ...]
    leaves: tuple[Energy, ...]

    def hold(self, *parts: Energy) -> None:
        """Take the parts, and find the leaves once and for all."""
        self.parts = parts
        self.leaves = tuple(dict.fromkeys(leaf for part in parts for leaf in leaves(part)))

    def __iter__(self) -> Iterator[Energy]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def forward(self, x: Batch) -> PerSample:
        """The composition's energy, from one evaluation of each leaf."""
        return self.joined(_leaf_values(self.leaves, [x] * len(self.leaves)))

    def joined(self, values: Mapping[Energy, Tensor]) -> Tensor:
        """The energy that follows from the leaves' values."""
        return self.join([part.joined(values) if isinstance(part, Node) else values[part] for part in self.parts])

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The energy that follows from the parts' values."""
        raise NotImplementedError


class And(Node, Energy):
    """$E(x) = sum_k E_k(x)$: a product of densities, likely only where every term is.

    Sums within it flatten, and a weighted sum becomes a sum of weighted terms.

    Args:
        parts: energies or plain callables, at least one of them no negation.
    Raises:
        ValueError: without terms, or with negations only, whose density has no finite integral.
    Warns:
        TemperatureWarning: if terms were trained at different temperatures.
    """

    def __init__(self, *parts: Term) -> None:
        super().__init__()
        held = [as_energy(p) for p in parts]
        if not held:
            raise ValueError("And: expected at least one energy, got none.")
        flat = [term for part in held for term in _spread(part)]
        if all(map(_negative, flat)):
            raise ValueError(
                f"And: {', '.join(map(str, flat))}: a conjunction of negations alone has no finite integral. "
                "Add at least one plain energy that says where samples may be, such as a wide Gaussian."
            )
        self.temperature = _common_temperature("And", held)
        self.grounded = any(t.grounded for t in flat)
        self.terms = nn.ModuleList(flat)
        self.hold(*flat)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The sum of given values of the terms."""
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def at_noise(self, sigma: float) -> Energy:
        """The sum of the terms at that noise level."""
        return And(*(part.at_noise(sigma) for part in self))

    def extra_repr(self) -> str:
        """The number of terms."""
        return f"{len(self)} terms"


class Or(Node, Energy):
    """$E(x) = -log sum_i w_i exp(-E_i(x))$: a mixture with shares proportional to $w_i Z_i$.

    For equal shares, $w_i = 1 / Z_i$, which is the default where $log Z_i$ is known. Where it is not, $Z_i = 1$ is
    assumed and a warning says so, because the share of a term then depends on a constant nobody chose. Estimate the
    weights with `partition.weighted`, or give them.

    Args:
        log_weights: $log w_i$, one for each part; None for the default.
    Raises:
        ValueError: without terms, or if there are not as many finite weights as parts.
    Warns:
        EqualPartitionWarning, TemperatureWarning.
    """

    def __init__(self, *parts: Term, log_weights: Sequence[float | None] | None = None) -> None:
        super().__init__()
        held = [as_energy(p) for p in parts]
        if not held:
            raise ValueError("Or: expected at least one energy, got none.")
        given = [None if w is None else float(w) for w in ([None] * len(held) if log_weights is None else log_weights)]
        if len(given) != len(held):
            raise ValueError(f"Or: expected {len(held)} log-weights, one per term, got {len(given)}.")
        self.temperature = _common_temperature("Or", held)
        flat: list[tuple[Energy, float | None]] = []
        unknown: list[Energy] = []
        for part, weight in zip(held, given, strict=True):
            if isinstance(part, Or) and part.temperature == self.temperature:
                flat += part.shifted(weight)
            else:
                flat.append((part, weight))
                unknown += [part] if weight is None and part.log_z is None else []
        if unknown and len(flat) > 1:
            _warn(
                f"Or: log Z of {', '.join(dict.fromkeys(map(str, unknown)))} is not known; assuming equal partition "
                "functions (log Z = 0), so the shares of the terms are not what you may expect. Pass log_weights=, or "
                "estimate them with ergosum.partition.weighted.",
                EqualPartitionWarning,
            )
        self.given = tuple(w for _, w in flat)
        default = [0.0 if t.log_z is None else -t.log_z for t, _ in flat]
        self.log_weights = tuple(d if w is None else w for d, (_, w) in zip(default, flat, strict=True))
        if not all(map(isfinite, self.log_weights)):
            raise ValueError(f"Or: expected finite log-weights, got {', '.join(map(str, self.log_weights))}.")
        known = [t.log_z for t, _ in flat if t.log_z is not None and t.temperature == self.temperature]
        if len(known) == len(flat):
            masses = torch.tensor(known, dtype=torch.float64) + torch.tensor(self.log_weights, dtype=torch.float64)
            self.log_z = masses.logsumexp(0).item()
        self.grounded = all(t.grounded for t, _ in flat)
        self.terms = nn.ModuleList(t for t, _ in flat)
        self.hold(*(t for t, _ in flat))

    def shifted(self, by: float | None) -> list[tuple[Energy, float | None]]:
        """Terms and given log-weights as alternatives of a larger disjunction, which gives this one a log-weight."""
        if by is None:
            return list(zip(self, self.given, strict=True))
        return [(term, weight + by) for term, weight in zip(self, self.log_weights, strict=True)]

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The soft minimum of given values of the terms."""
        t = self.temperature
        in_units = values if t == 1 else [v / t for v in values]
        shifted = [v - w if w else v for v, w in zip(in_units, self.log_weights, strict=True)]
        soft = (-torch.stack(shifted)).logsumexp(0)
        return -soft if t == 1 else -t * soft

    def at_noise(self, sigma: float) -> Energy:
        """The disjunction of the terms at that noise level."""
        return Or(*(part.at_noise(sigma) for part in self), log_weights=self.given)

    def extra_repr(self) -> str:
        """The number of terms."""
        return f"{len(self)} terms"


class Not(Node, Energy):
    r"""$-alpha E(x)$: high where the term is low. Only beside a positive term: alone, $exp(+E)$ has no finite integral.

    In a product it divides, $p_a / p_b^alpha$, which stays integrable only while the positive term grows faster than
    `alpha` times this one; a sampler raises when the sum falls without bound. With a `margin` m it is bounded,
    $alpha log(1 + exp(m - E(x)))$, that is $-alpha log sigma(E - m)$: the probability that a classifier with logit
    $E - m$ says no. It repels within E < m, leaves the rest alone, and nothing can fall without bound.

    Args:
        alpha: > 0, strength. margin: m, in units of energy, or None for the plain form.
    Raises:
        ValueError: if alpha is not a finite number > 0, or the margin is not finite.
    Source: Du, Li, Mordatch 2020, negation, where alpha is the empirical power. The bounded form is ours.
    """

    grounded = False

    def __init__(self, term: Term, alpha: float = 1.0, margin: float | None = None) -> None:
        super().__init__()
        inner, strength = as_energy(term), float(alpha)
        self.temperature = inner.temperature
        if isinstance(inner, Scaled) and margin is None:
            inner, strength = inner.term, strength * inner.weight
        if not (isfinite(strength) and strength > 0):
            raise ValueError(f"Not: expected a finite alpha > 0, got {strength}.")
        if margin is not None and not isfinite(margin):
            raise ValueError(f"Not: expected a finite margin, got {margin}.")
        self.term: Energy = inner
        self.alpha, self.margin = strength, None if margin is None else float(margin)
        self.hold(inner)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The negation of a given value."""
        if self.margin is None:
            return -self.alpha * values[0]
        t = self.temperature
        return -self.alpha * t * F.logsigmoid((values[0] - self.margin) / t)

    def at_noise(self, sigma: float) -> Energy:
        """The negation of the term at that noise level."""
        return Not(self.term.at_noise(sigma), self.alpha, self.margin)


class Scaled(Node, Energy):
    """$w E(x)$, the density to the power w: stricter for w > 1, flatter for w < 1, the same as temperature 1 / w.

    Args:
        weight: w > 0.
    Raises:
        ValueError: if the weight is not a finite number > 0; for less of a property than none use `~`.
    """

    def __init__(self, weight: float, term: Term) -> None:
        super().__init__()
        inner, factor = as_energy(term), float(weight)
        self.temperature, self.grounded = inner.temperature, inner.grounded
        if isinstance(inner, Scaled):
            inner, factor = inner.term, factor * inner.weight
        if not (isfinite(factor) and factor > 0):
            raise ValueError(f"Scaled: expected a finite weight > 0, got {factor}; a negation is written ~energy.")
        self.term: Energy = inner
        self.weight = factor
        self.hold(inner)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """w times a given value."""
        return self.weight * values[0]

    def at_noise(self, sigma: float) -> Energy:
        """w times the term at that noise level."""
        return scaled(self.weight, self.term.at_noise(sigma))


class Terms(NamedTuple):
    """A composition taken apart at some x, from one pass.

    $grad E = sum_l w_l grad E_l$ with $w_l = dE / dE_l$: 1 in a sum, a responsibility in a disjunction, negative under
    a negation.

    Shape:
        names: L. values, weights: (L, batch). gradients: (L, batch, *event). value: (batch,).
        gradient: (batch, *event).
    """

    names: list[str]
    values: Tensor
    gradients: Tensor
    weights: Tensor
    value: PerSample
    gradient: Batch


def leaves(energy: Energy) -> list[Energy]:
    """The energies that a composition is made of, each once, in the order they are written."""
    return list(energy.leaves) if isinstance(energy, Node) else [energy]


def terms(energy: Energy, x: Batch) -> Terms:
    """Every term's energy and gradient at x, what each weighs, and what they come to: the composition explained."""
    held = leaves(energy)
    with torch.enable_grad():
        points = [x.detach().clone().requires_grad_() for _ in held]
        values = _leaf_values(held, points)
        total = torch.stack([values[leaf].sum() for leaf in held]).sum()
        gradients = torch.stack(torch.autograd.grad(total, points, materialize_grads=True))
        known = [values[leaf].detach().requires_grad_() for leaf in held]
        value = energy.joined(dict(zip(held, known, strict=True))) if isinstance(energy, Node) else known[0]
        weights = torch.stack(torch.autograd.grad(value.sum(), known))
    along = weights.reshape(*weights.shape, *[1] * (x.ndim - 1))
    return Terms(
        names=[str(leaf) for leaf in held],
        values=torch.stack(known).detach(),
        gradients=gradients,
        weights=weights,
        value=value.detach(),
        gradient=(along * gradients).sum(0),
    )


def _leaf_values(held: Sequence[Energy], points: Sequence[Tensor]) -> dict[Energy, Tensor]:
    """Values of energies, each at its own point; members of one family in one call."""
    values: dict[Energy, Tensor] = {}
    families: dict[Conditional, list[tuple[Closed, Tensor]]] = {}
    for leaf, x in zip(held, points, strict=True):
        if isinstance(leaf, Closed):
            families.setdefault(leaf.family, []).append((leaf, x))
        else:
            value = values[leaf] = per_sample(leaf(x), x, leaf)
            told = type(leaf).value_and_gradient is not Energy.value_and_gradient
            if told and x.requires_grad and torch.is_grad_enabled() and not value.requires_grad:
                raise ValueError(
                    f"{leaf} knows its gradient, but a composition differentiates its forward, which torch cannot; "
                    "write forward with torch's operations."
                )
    for family, closed in families.items():
        members, xs = zip(*closed, strict=True)
        for member, x, value in zip(members, xs, _folded(family, members, xs), strict=True):
            values[member] = per_sample(value, x, member)
    return values


def _folded(family: Conditional, members: Sequence[Closed], points: Sequence[Tensor]) -> Sequence[Tensor]:
    if len(members) == 1:
        return [members[0](points[0])]
    first, batch = members[0], len(points[0])
    conditions = [m.conditions(batch) for m in members]
    if family.folds and all(p is points[0] for p in points) and all(m.anchor is first.anchor for m in members):
        bound = family.bind(torch.stack(conditions, 1).flatten(0, 1), first.anchors(batch))
        return bound(points[0]).unflatten(0, (batch, -1)).unbind(1)
    anchors = [a for a in (m.anchors(batch) for m in members) if a is not None]
    bound = family.bind(torch.cat(conditions), torch.cat(anchors) if anchors else None)
    return bound(torch.cat(list(points))).unflatten(0, (-1, batch)).unbind(0)


def _spread(part: Energy) -> Sequence[Energy]:
    """A part of a sum as terms of a flat sum."""
    if isinstance(part, Scaled) and isinstance(part.term, And):
        part = rescaled(part.weight, part.term, part.temperature)
    return part.parts if isinstance(part, And) else [part]


def _negative(energy: Energy) -> bool:
    return isinstance(energy, Not) or (isinstance(energy, Scaled) and _negative(energy.term))


def _common_temperature(node: str, parts: Sequence[Energy]) -> float:
    """The temperature of all parts, or 1 with a warning if they differ."""
    temperatures = {t.temperature: t for t in reversed(parts)}
    if len(temperatures) == 1:
        return parts[0].temperature
    told = ", ".join(f"{part} at T = {t:g}" for t, part in reversed(temperatures.items()))
    _warn(
        f"{node}: terms were trained at different temperatures ({told}), so their energies are in different units. "
        "Compose E / T instead: a.in_units() & b.in_units().",
        TemperatureWarning,
    )
    return 1.0


def _warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that composed, the first one outside of the algebra."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__") in _ALGEBRA:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


_ALGEBRA = {"ergosum.energy", "ergosum.compose", "ergosum.formula"}
