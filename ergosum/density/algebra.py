r"""The algebra of densities that share a prior: what AND and NOT mean where every energy is minus a log-density.

For densities p_c of conditions, their prior p (of data whatever their condition), and the share pi_c of condition c in
it, $p = \sum_c \pi_c p_c$:

| written | energy | class |
|---|---|---|
| `a & b` | $E(x) = E_0 + \sum_i w_i (E_i - E_0)$, both conditions where they are independent given x | `Lifted` |
| `~a` | minus the log of $(p - \pi_a p_a) / (1 - \pi_a)$, all that is not a | `Complement` |
| `a \| b` | minus the log of $\sum_i s_i p_i$, the mixture with shares s | `Or` of `compose.py` |
| nested | minus the log of $\sum_w s_w p(x | w)$, over combinations w of values of independent kinds | `Combinations` |

This is not what `compose.py` builds from `a & b` and `~a`, which knows no prior: there a sum counts what all conditions
have in common once for each of them, and a negation is $-\alpha E$, of no density by itself.

NOT and OR are linear in densities, and so is adding noise: at every noise level they are exactly the noised complement
and the noised mixture, and a ladder of levels draws from them without corrections. AND is not, and needs them, unless
the kinds of what is joined are independent: then every formula is a mixture of combinations, and exact as well.

Source: the lift over a prior, Liu et al. 2022 (composed guidance) and Hinton 2002 (products of experts). The complement
of a density with a floor is ours.
"""

from collections.abc import Sequence
from math import isfinite, log, log1p

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.compose import EqualPartitionWarning
from ergosum.energy import Energy, Term, as_energy
from ergosum.leaves import leaf_values
from ergosum.nodes import Named, Node, leaves, warn
from ergosum.shapes import Batch

__all__ = ["Combinations", "Complement", "Lifted", "complement", "lifted", "tree"]

FLOOR = 1e-3
"""Least probability that x is not of a condition; below it the complement's density is not exact."""


def lifted(
    *terms: Term, prior: Term | Sequence[Term], weights: Sequence[float] | None = None, exact: bool = False
) -> Energy:
    """What `a & b` means over a prior, see `Lifted`; a single term of weight 1 comes back as it is."""
    if len(terms) == 1 and (weights is None or list(weights) == [1]):
        return as_energy(terms[0])
    return Lifted(*terms, prior=prior, weights=weights, exact=exact)


def complement(term: Term, prior: Term, share: float, floor: float = FLOOR) -> Energy:
    """What `~a` means over a prior; `~~a` is a again."""
    term = as_energy(term)
    return term.term if isinstance(term, Complement) else Complement(term, prior, share, floor)


class Lifted(Node, Energy):
    r"""$E(x) = E_0(x) + \sum_i w_i (E_i(x) - E_0(x))$: all conditions at once, each for what it adds to the prior.

    $p(x | a, b) \propto p(x) \prod_i p(x | c_i) / p(x)$ where the conditions are independent given x. A weight above 1
    makes a condition stricter, as guidance does. At a noise level it is the lift of noised densities, which is not the
    noised lift: draw with corrections.

    Args:
        terms: one energy for each condition. prior: $E_0$, of the same data; one for all, or one for each term where
            they are of models of their own, of which the first counts as $E_0$. weights: w, finite and > 0; all 1
            without. exact: whether terms of weight 1 are of kinds that are independent, each about a part of x: then
            the lift of noised densities is the noised lift, normalised as its terms are, and needs no corrections.
    Raises:
        ValueError: without terms, or if there are not as many priors or weights as terms.
    """

    def __init__(
        self, *terms: Term, prior: Term | Sequence[Term], weights: Sequence[float] | None = None, exact: bool = False
    ) -> None:
        super().__init__()
        held = [as_energy(term) for term in terms]
        given = [float(w) for w in (weights if weights is not None else [1.0] * len(held))]
        several = isinstance(prior, Sequence)
        priors = [as_energy(p) for p in prior] if several else [as_energy(prior)] * len(held)  # type: ignore[union-attr, arg-type]
        if not held or not len(held) == len(given) == len(priors):
            raise ValueError(
                f"Lifted: expected one energy or more with a weight and a prior each, got {len(held)} energies, "
                f"{len(given)} weights and {len(priors)} priors."
            )
        wrong = [w for w in given if not (isfinite(w) and w > 0)]
        if wrong:
            raise ValueError(f"Lifted: expected finite weights > 0, got {wrong[0]:g}; what shall not hold is ~energy.")
        self.terms, self.weights = torch.nn.ModuleList(held), tuple(given)
        self.priors = torch.nn.ModuleList(dict.fromkeys(priors))
        self.temperature = _one_temperature("Lifted", [*held, *priors])
        self.grounded = priors[0].grounded
        self.name = " & ".join(_factor(w, t) for w, t in zip(given, held, strict=True))
        self.exact = exact and all(w == 1 for w in given)
        if self.exact:
            known = [term.log_z for term in held if term.log_z is not None]
            self.log_z = sum(known) if len(known) == len(held) else None
            scales = [term.one_scale for term in held]
            self.one_scale = scales[0] if self.log_z is None and all(s == scales[0] for s in scales) else None
        self.hold(*held, *priors)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The lift of given values of terms and priors."""
        n = len(self.weights)
        total = values[n]
        for weight, value, prior in zip(self.weights, values[:n], values[n:], strict=True):
            total = total + weight * (value - prior)
        return total

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The lift of other terms over other priors."""
        n = len(self.weights)
        return Lifted(*parts[:n], prior=parts[n:], weights=self.weights, exact=self.exact)


class Complement(Node, Energy):
    r"""Minus the log-density of all that is not c: $-\log (p(x) - \pi_c p_c(x)) + \log (1 - \pi_c)$.

    With the posterior $q = \pi_c p_c(x) / p(x)$ of the condition it is $E_0 - \log(1 - q) + \log(1 - \pi_c)$. Learned
    energies err, so that q comes out near 1, or above it, deep within c, where 1 - q cannot be told. There the
    complement takes what is left as at least a floor f of the prior: $1 - q = f / (q + f)$ for q > 1 - f, continuous,
    and still falling with q, so that x is led away. Of exact densities that adds a mass of at most
    $\pi_c f / (1 - \pi_c)$.

    Args:
        term: $E_c$, an energy with a value. prior: $E_0$. share: $\pi_c$, in (0, 1), of c in the prior. floor: f, in
            (0, 0.5].
    Raises:
        ValueError: if a number is out of range, or an energy is given by its score.
    Warns:
        EqualPartitionWarning: if log Z of the term or of the prior is not known, and 0 is assumed, unless both are of
        one `one_scale`, so that it is the same.
    """

    def __init__(self, term: Term, prior: Term, share: float, floor: float = FLOOR) -> None:
        super().__init__()
        held = as_energy(term), as_energy(prior)
        if not 0 < share < 1:
            raise ValueError(f"Complement: expected a share in the prior between 0 and 1, got {share:g}.")
        if not 0 < floor <= 0.5:
            raise ValueError(f"Complement: expected 0 < floor <= 0.5, got {floor:g}.")
        blind = [str(part) for part in held if not part.has_value]
        if blind:
            raise ValueError(
                f"Complement: {', '.join(blind)}: no energy value, only a score; how much is left beside a condition "
                "depends on its value."
            )
        unknown = [str(part) for part in held if part.log_z is None]
        alike = held[0].one_scale is not None and held[0].one_scale == held[1].one_scale and len(unknown) == 2
        if unknown and not alike:
            warn(
                f"Complement: log Z of {', '.join(unknown)} is not known; assuming log Z = 0, so what counts as "
                f"{held[0]} is not what you may expect.",
                EqualPartitionWarning,
            )
        self.term, self.prior = held
        self.share, self.floor = float(share), float(floor)
        self.temperature = _one_temperature("Complement", held)
        self.log_z, self.one_scale = (0.0, None) if not unknown else (None, held[0].one_scale if alike else None)
        self.grounded = held[1].grounded
        self.name = f"~{_factor(1, held[0])}"
        self.hold(*held)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The complement's energy for given values of the term and the prior."""
        prior = values[1] + (self.prior.log_z or 0.0)
        return prior - _log_left(self._posterior(values), self.floor) + log1p(-self.share)

    def _posterior(self, values: Sequence[Tensor]) -> Tensor:
        """log q, which may come out above 0."""
        term, prior = (v + (p.log_z or 0.0) for v, p in zip(values, (self.term, self.prior), strict=True))
        return log(self.share) + prior - term

    @torch.no_grad()
    def floored(self, x: Batch) -> Tensor:
        """Where the density is not exact, because no more than the floor seems to be left, (batch,) Boolean."""
        held = leaves(self)
        values = leaf_values(held, [x] * len(held))
        told = [part.joined(values) if isinstance(part, Node) else values[part] for part in self.parts]
        return self._posterior(told) > log1p(-self.floor)

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The complement of another term in another prior."""
        return Complement(parts[0], parts[1], self.share, self.floor)


class Combinations(Node, Energy):
    r"""What a formula over values of independent kinds stands for: a mixture of combinations, one value of each kind.

    $$ E(x) = E_0(x) - \log \sum_w s_w \prod_k \frac{p(x | w_k)}{p(x)} , $$

    with s_w the share of combination w in the formula. Where kinds are independent given what nobody tells,
    $p(x | w) = p(x) \prod_k p(x | w_k) / p(x)$ at every noise level, so that the sum is the noised mixture. A kind of
    which w has none of the formula's values has any other, whose density is the `Complement` of all of these.

    Args:
        prior: $E_0$. kinds: the energies of the values of each kind that the formula names. chosen: (W, kinds) int64,
            which of them each combination has, -1 for another one. shares: (W,), of sum 1. left: for each kind the
            shares of its values in the prior. terms: what the formula is made of, for `tree`. name: the formula.
    Raises:
        ValueError: if kinds and columns differ in number.
    """

    def __init__(
        self, prior: Term, kinds: Sequence[Sequence[Term]], chosen: Tensor, shares: Tensor,
        left: Sequence[Sequence[float]], terms: Sequence[Energy] = (), name: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        if not kinds or chosen.shape != (len(shares), len(kinds)) or len(left) != len(kinds):
            raise ValueError(
                f"Combinations: expected a column for each of {len(kinds)} kinds and a row for each of {len(shares)} "
                f"shares, got {tuple(chosen.shape)}."
            )
        held, self.sizes = as_energy(prior), [len(kind) for kind in kinds]
        members = [as_energy(energy) for kind in kinds for energy in kind]
        kept = shares > 0
        self.chosen, self.shares, self.left = chosen[kept], shares[kept], [list(own) for own in left]
        self.shown, self.name = tuple(terms), name
        self.temperature = _one_temperature("Combinations", [held, *members])
        told = all(part.log_z is not None for part in (held, *members))
        self.log_z = 0.0 if told else None
        self.one_scale, self.grounded = (None if told else held.one_scale), held.grounded
        self.hold(held, *members)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The mixture's energy for given values of the prior and of every named value."""
        zeros = [part.log_z or 0.0 for part in self.parts]
        prior, *given = (value + zero for value, zero in zip(values, zeros, strict=True))
        total, at = self.shares.to(prior).log().expand(len(prior), -1), 0
        for number, (size, left) in enumerate(zip(self.sizes, self.left, strict=True)):
            ratios = prior[:, None] - torch.stack(given[at : at + size], 1)
            told, rest = torch.tensor(left).to(prior), 1 - sum(left)
            if (self.chosen[:, number] < 0).any():
                posterior = (ratios + told.log()).logsumexp(1, keepdim=True)
                ratios = torch.cat([ratios, _log_left(posterior, FLOOR) - log(max(rest, FLOOR))], 1)
            total = total + ratios[:, self.chosen[:, number]]  # -1 is the last, any other
            at += size
        return prior - total.logsumexp(1)

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The same mixture of other energies."""
        rest = iter(parts[1:])
        kinds = [[next(rest) for _ in range(size)] for size in self.sizes]
        return Combinations(parts[0], kinds, self.chosen, self.shares, self.left, self.shown, self.name)


def _log_left(log_q: Tensor, floor: float) -> Tensor:
    """log(1 - q), or log(f / (q + f)) where q > 1 - f."""
    most = log1p(-floor)
    below = log_q.clamp(max=most)
    # two forms of log(1 - q), each where it loses no digits; torch.where must not see the other's infinite slope
    near = below > -0.7
    small = torch.log1p(-torch.where(near, torch.full_like(below, -1.0), below).exp())
    large = torch.log(-torch.expm1(torch.where(near, below, torch.full_like(below, -0.5))))
    exact = torch.where(near, large, small)
    above = -F.softplus(log_q - log(floor))  # log(f / (q + f))
    return torch.where(log_q > most, above, exact)


def _factor(weight: float, term: Energy) -> str:
    """A term as it stands in a formula after a sign."""
    text = str(term)
    text = f"({text})" if (" | " in text or " & " in text) and not isinstance(term, Named) else text
    return text if weight == 1 else f"{weight!r}*{text}"


def _one_temperature(node: str, parts: Sequence[Energy]) -> float:
    """The temperature of all parts, which must be one: densities in different units have no lift and no complement."""
    told = {part.temperature for part in parts}
    if len(told) > 1:
        raise ValueError(
            f"{node}: expected energies in one unit, got temperatures {', '.join(f'{t:g}' for t in sorted(told))}; "
            "compose in units, a.in_units()."
        )
    return told.pop()


def tree(energy: Energy, x: Tensor, depth: int = 0) -> list[tuple[str, float]]:
    """A composition as indented lines, each with its term's mean energy at points x, in nats."""
    with torch.no_grad():
        lines = [("   " * depth + _sign(energy), energy(x).mean().item())]
    for part in _below(energy):
        lines += tree(part, x, depth + 1)
    return lines


def _below(energy: Energy) -> list[Energy]:
    """The terms of a composition, without the priors that it is taken over."""
    if isinstance(energy, Lifted):
        return list(energy.terms)  # type: ignore[arg-type]
    if isinstance(energy, Complement):
        return [energy.term]
    if isinstance(energy, Combinations):
        return list(energy.shown)
    return list(energy) if isinstance(energy, Node) and not isinstance(energy, Named) else []


def _sign(energy: Energy) -> str:
    several = "and" if len(_below(energy)) > 1 else "not"
    names = {"Lifted": "and", "Complement": "not", "Or": "or", "Combinations": several}
    return str(energy) if not _below(energy) else f"{names.get(type(energy).__name__, 'sum')}: {energy}"
