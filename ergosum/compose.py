r"""The algebra of energies: conjunction, disjunction, negation and weights, in a flat normal form.

With $p_i = exp(-E_i) / Z_i$:

| written | means | energy |
|---|---|---|
| `a & b` | both hold | $E_a + E_b$ |
| `a \| b` | one of them holds | $-log sum_i w_i exp(-E_i)$ |
| `a & ~b` | a holds and b does not | $E_a - alpha E_b$ |
| `0.5 * a`, `a / 2`, `a.at_temperature(2)` | a holds, less strictly | $E_a / 2$ |

The table holds whatever temperature a term was trained at: a disjunction is the mixture of the densities $exp(-E_i)$.
For the mixture of what networks were trained to be, compose `a.in_units() | b.in_units()`, or take the whole formula in
units, `(a | b).in_units()`, which is the same. Where log Z of a composition follows from that of its terms, it is
known; a weight changes log Z, so that of `0.5 * a` is known for closed forms only.

`composition.at_noise(sigma)` takes every term at that noise level. Of a disjunction this is the energy of the noised
mixture; of sums, weights and negations it is the composition of the noised densities, which is not the noised
composition unless sigma = 0, but the ladder that annealed samplers descend.

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

Source: Du, Li, Mordatch 2020, section 3; the weights of a disjunction are ours, theirs are all one. Compositions at a
noise level: Du et al. 2023, Reduce, Reuse, Recycle, section 3.
"""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.composition_terms import Terms, terms
from ergosum.energy import Energy, Term, as_energy
from ergosum.nodes import Named, Node, leaves, warn
from ergosum.weights import Weight, keep, per_batch, positive_weight, tiled

__all__ = [
    "And",
    "EqualPartitionWarning",
    "Named",
    "Node",
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


_NOT = "Not: expected a finite alpha > 0"
_SCALED = ("Scaled: expected a finite weight > 0", "; a negation is written ~energy")


class EqualPartitionWarning(UserWarning):
    """A disjunction was weighted as if its terms had equal partition functions."""


class TemperatureWarning(UserWarning):
    """Energies that were trained at different temperatures were composed."""


def conjunction(*parts: Term) -> Energy:
    """$E_1 + E_2 + ...$, what `a & b` builds; a single term comes back as it is."""
    return And(*parts) if len(parts) != 1 else as_energy(parts[0])


def disjunction(*parts: Term, log_weights: Sequence[float | None] | Tensor | None = None) -> Energy:
    """$-log sum_i w_i exp(-E_i)$, what `a | b` builds."""
    return Or(*parts, log_weights=log_weights)


def negation(term: Term, alpha: Weight = 1.0, margin: float | None = None) -> Energy:
    """What `~a` builds: $-alpha E$, or with a margin its bounded form; `~~a` is a again."""
    term = as_energy(term)
    if margin is None and isinstance(term, Not) and term.margin is None:
        return scaled(alpha, _in(term.temperature, scaled(term.alpha, term.term), term.term))
    if margin is None and isinstance(term, And) and not term.grounded:
        return And(*(negation(part, alpha) for part in term))
    return Not(term, alpha, margin)


def scaled(weight: Weight, term: Term) -> Energy:
    """$w E$, what `0.5 * a` builds; a weight of one changes nothing."""
    term = as_energy(term)
    factor = positive_weight(weight, *_SCALED)
    if not isinstance(factor, Tensor) and factor == 1:
        return term
    if isinstance(term, And):
        return And(*(scaled(factor, part) for part in term))
    if isinstance(term, Not) and _numbers(factor, term.alpha):
        return _in(term.temperature, Not(term.term, factor * term.alpha, term.margin))
    made = Scaled(factor, term)
    plain = not isinstance(made.weight, Tensor) and made.weight == 1 and made.temperature == made.term.temperature
    return made.term if plain else made


def in_own_units(energy: Energy) -> Energy:
    """An energy that is no composition in units of its own temperature, see `Energy.in_units`."""
    return energy if energy.temperature == 1 else _in(1.0, Scaled(1 / energy.temperature, energy))


def _in(temperature: float, made: Energy, *unless: Energy) -> Energy:
    """An energy just made, told to be in units of a temperature, unless it is one of those that were there before."""
    if made not in unless:
        made.temperature = temperature
    return made


def _numbers(*weights: Weight) -> bool:
    """Whether weights are numbers: only these merge, for a product with a tensor that learns would not follow it."""
    return not any(isinstance(w, Tensor) for w in weights)


class And(Node, Energy):
    """$E(x) = sum_k E_k(x)$: a product of densities, likely only where every term is.

    Sums within it flatten, and a weighted sum becomes a sum of weighted terms.

    Args:
        parts: energies or plain callables. Of negations alone the sum is not `grounded`: it has no density until a
            term that has one is added, and samplers refuse it.
    Raises:
        ValueError: without terms.
    Warns:
        TemperatureWarning: if terms were trained at different temperatures.
    """

    def __init__(self, *parts: Term) -> None:
        super().__init__()
        held = [as_energy(p) for p in parts]
        if not held:
            raise ValueError("And: expected at least one energy, got none.")
        flat = [term for part in held for term in _spread(part)]
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

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The sum of other terms."""
        return And(*parts)

    def extra_repr(self) -> str:
        """The number of terms."""
        return f"{len(self)} terms"


class Or(Node, Energy):
    """$E(x) = -log sum_i w_i exp(-E_i(x))$: a mixture with shares proportional to $w_i Z_i$.

    An alternative whose weight is not given gets $w_i = 1 / Z_i$: all such alternatives have equal shares. Where
    $log Z_i$ is not known, $Z_i = 1$ is assumed and a warning says so, because the share of a term then depends on a
    constant nobody chose (unless all alternatives are of one `one_scale`: then their Z are equal). Estimate the weights
    with `partition.weighted`, or give them; a given weight is taken as it is.

    A disjunction within a disjunction stands for its alternatives: they join the outer ones, each as it is, so that
    `(a | b) | c`, `a | (b | c)` and `disjunction(a, b, c)` are one density in which each has a third. If the inner one
    is given a weight by the outer one, the two weights of an alternative multiply.

    In units, or at a noise level, the terms are others and so are their Z: weights that were not given are chosen anew;
    a given one changes so that $w_i Z_i$ stays, which keeps the shares, if Z is known before and after, and stays as it
    is otherwise.

    Args:
        log_weights: $log w_i$, one number for each part, None for the default. Or one tensor (K,), or (K, batch) for
            weights per sample, which may learn: an `nn.Parameter` is registered and trains; such a disjunction stays
            one term of a larger one.
    Raises:
        ValueError: without terms, if there are not as many finite weights as parts, or if a part is given by its score.
    Warns:
        EqualPartitionWarning, TemperatureWarning.
    """

    log_weights: tuple[float, ...] | Tensor
    given: tuple[float | None, ...]

    def __init__(self, *parts: Term, log_weights: Sequence[float | None] | Tensor | None = None) -> None:
        super().__init__()
        held = [as_energy(p) for p in parts]
        if not held:
            raise ValueError("Or: expected at least one energy, got none.")
        _expect_values("Or", held)
        if log_weights is not None and len(log_weights) != len(held):
            raise ValueError(f"Or: expected {len(held)} log-weights, one per term, got {len(log_weights)}.")
        self.temperature = _common_temperature("Or", held)
        if isinstance(log_weights, Tensor) and (log_weights.requires_grad or log_weights.ndim == 2):
            keep(self, "log_weights", _log_weights(log_weights))
            self.given, flat = (None,) * len(held), held
        else:
            flat = self._weigh(held, [None] * len(held) if log_weights is None else [_number(w) for w in log_weights])
        self.grounded = all(t.grounded for t in flat)
        self.terms = nn.ModuleList(flat)
        self.hold(*flat)

    def _weigh(self, held: Sequence[Energy], given: Sequence[float | None]) -> list[Energy]:
        """Give every alternative its weight; the alternatives, those of disjunctions within this one among them."""
        flat: list[tuple[Energy, float | None]] = []
        unknown: list[Energy] = []
        for part, weight in zip(held, given, strict=True):
            if isinstance(part, Or) and not isinstance(part.log_weights, Tensor):
                flat += part.shifted(weight)
            elif isinstance(part, Or) and weight is None:
                flat.append((part, 0.0))
            else:
                flat.append((part, weight))
                unknown += [part] if weight is None and part.log_z is None else []
        if unknown and len(flat) > 1 and not _of_one_scale(flat):
            warn(
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
        known = [t.log_z for t, _ in flat if t.log_z is not None]
        if len(known) == len(flat):
            masses = torch.tensor(known, dtype=torch.float64) + torch.tensor(self.log_weights, dtype=torch.float64)
            self.log_z = masses.logsumexp(0).item()
        return [t for t, _ in flat]

    def shifted(self, by: float | None) -> list[tuple[Energy, float | None]]:
        """Terms and given log-weights as alternatives of a larger disjunction, which gives this one a log-weight."""
        if by is None:
            return list(zip(self, self.given, strict=True))
        return [(term, float(weight) + by) for term, weight in zip(self, self.log_weights, strict=True)]

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The soft minimum of given values of the terms."""
        if not isinstance(self.log_weights, Tensor):
            shifted = [v - w if w else v for v, w in zip(values, self.log_weights, strict=True)]
            return -(-torch.stack(shifted)).logsumexp(0)
        held = self.log_weights.to(values[0].dtype)
        wide = tiled(held.T, len(values[0]), "Or", "weight").T if held.ndim == 2 else held[:, None]
        return -(wide - torch.stack(list(values))).logsumexp(0)

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The disjunction of other terms, with their shares where these are known."""
        if isinstance(self.log_weights, Tensor):
            return Or(*parts, log_weights=self.log_weights)
        weights: list[float | None] = []
        for old, new, given, weight in zip(self, parts, self.given, self.log_weights, strict=True):
            known = old.log_z is not None and new.log_z is not None
            anew = given is None and (old.log_z is None or new.log_z is not None)
            weights.append(None if anew else weight + old.log_z - new.log_z if known else weight)  # type: ignore[operator]
        return Or(*parts, log_weights=weights)

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
        alpha: > 0, strength: a number, or a tensor () or (batch,) that may learn. margin: m, in units of energy, or
            None for the plain form.
    Raises:
        ValueError: if alpha is not a finite number > 0, if the margin is not finite, or if there is one and the term is
            given by its score.
    Source: Du, Li, Mordatch 2020, negation, where alpha is the empirical power. The bounded form is ours.
    """

    grounded = False
    negative = True
    alpha: Weight
    margin: float | None

    def __init__(self, term: Term, alpha: Weight = 1.0, margin: float | None = None) -> None:
        super().__init__()
        inner, strength = as_energy(term), positive_weight(alpha, _NOT)
        self.temperature = inner.temperature
        if margin is None and isinstance(inner, Scaled) and _numbers(strength, inner.weight):
            inner, strength = inner.term, positive_weight(strength * inner.weight, _NOT)
        if margin is not None and not isfinite(margin):
            raise ValueError(f"Not: expected a finite margin, got {margin}.")
        if margin is not None:
            _expect_values("Not with a margin", [inner])
        self.term: Energy = inner
        self.margin = None if margin is None else float(margin)
        keep(self, "alpha", strength)
        self.hold(inner)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The negation of a given value."""
        alpha = per_batch(self.alpha, values[0], "Not")
        return -alpha * (values[0] if self.margin is None else F.logsigmoid(values[0] - self.margin))

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The negation of another term."""
        made = Not(parts[0], self.alpha, self.margin)
        return made if self.temperature == self.term.temperature else _in(self.temperature, made)

    def in_units(self) -> Energy:
        """The negation of the term in units; a margin is an energy, and divided by the same temperature."""
        if self.temperature != self.term.temperature:  # it was made in units
            return self
        inner = self.term.in_units()
        if inner is self.term:
            return self
        margin = None if self.margin is None else self.margin / self.term.temperature
        return negation(inner, self.alpha, margin)


class Scaled(Node, Energy):
    """$w E(x)$, the density to the power w: stricter for w > 1, flatter for w < 1, the same as temperature 1 / w.

    Args:
        weight: w > 0, a number, or a tensor () or (batch,) that may learn: an `nn.Parameter` is registered and trains.
    Raises:
        ValueError: if the weight is not a finite number > 0; for less of a property than none use `~`.
    """

    weight: Weight

    def __init__(self, weight: Weight, term: Term) -> None:
        super().__init__()
        inner, factor = as_energy(term), positive_weight(weight, *_SCALED)
        self.temperature, self.grounded, self.negative = inner.temperature, inner.grounded, inner.negative
        if isinstance(inner, Scaled) and _numbers(factor, inner.weight):
            inner, factor = inner.term, positive_weight(factor * inner.weight, *_SCALED)
        self.term: Energy = inner
        keep(self, "weight", factor)
        self.log_z = self.log_z_at(1.0)
        self.hold(inner)

    def log_z_at(self, temperature: float) -> float | None:
        """What the term knows of itself at T / w."""
        return None if isinstance(self.weight, Tensor) else self.term.log_z_at(temperature / self.weight)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """w times a given value."""
        return per_batch(self.weight, values[0], "Scaled") * values[0]

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """w times another term."""
        made = Scaled(self.weight, parts[0])
        return made if self.temperature == self.term.temperature else _in(self.temperature, made)

    def in_units(self) -> Energy:
        """w times the term in units."""
        if self.temperature != self.term.temperature:  # it was made in units
            return self
        inner = self.term.in_units()
        return self if inner is self.term else scaled(self.weight, inner)


def _spread(part: Energy) -> Sequence[Energy]:
    """A part of a sum as terms of a flat sum."""
    if isinstance(part, Scaled) and isinstance(part.term, And):
        same = part.temperature == part.term.temperature
        spread = [scaled(part.weight, term) for term in part.term]
        return spread if same else [_in(part.temperature, term, *part.term) for term in spread]
    return part.parts if isinstance(part, And) else [part]


def _expect_values(node: str, parts: Sequence[Energy]) -> None:
    """Refuse energies given by their scores where values are needed."""
    blind = [str(part) for part in parts if not part.has_value]
    if blind:
        raise ValueError(
            f"{node}: {', '.join(blind)}: no energy value, only a score, and how much an alternative counts depends on "
            "its value. Scores compose with & and weights."
        )


def _of_one_scale(alternatives: Sequence[tuple[Energy, float | None]]) -> bool:
    """Whether log Z of all is unknown and yet the same."""
    first = alternatives[0][0].one_scale
    return first is not None and all(t.log_z is None and t.one_scale == first for t, _ in alternatives)


def _number(weight: float | Tensor | None) -> float | None:
    if isinstance(weight, Tensor) and (weight.requires_grad or weight.numel() != 1):
        raise ValueError(
            "Or: expected numbers or None in a list of log-weights; pass weights that learn, or differ from sample to "
            "sample, as one tensor (K,) or (K, batch)."
        )
    return None if weight is None else float(weight)


def _log_weights(held: Tensor) -> Tensor:
    if held.ndim > 2 or not held.is_floating_point() or not torch.isfinite(held).all():
        raise ValueError(
            f"Or: expected finite log-weights of shape (K,) or (K, batch), got {held.dtype} of shape "
            f"{tuple(held.shape)}."
        )
    return held


def _common_temperature(node: str, parts: Sequence[Energy]) -> float:
    """The temperature of all parts, or 1 with a warning if they differ."""
    temperatures = {t.temperature: t for t in reversed(parts)}
    if len(temperatures) == 1:
        return parts[0].temperature
    told = ", ".join(f"{part} at T = {t:g}" for t, part in reversed(temperatures.items()))
    warn(
        f"{node}: terms were trained at different temperatures ({told}), so their energies are in different units. "
        "Compose E / T instead: a.in_units() & b.in_units().",
        TemperatureWarning,
    )
    return 1.0
