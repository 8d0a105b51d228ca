r"""Partition functions, as far as they can be known: differences of $\log Z$ between two energies, with error bars.

$Z = \int \exp(-E(x))\,dx$ of the energy as it is given: the density that samplers draw from. The temperature that a
network was trained at plays no part; what is wanted of `energy.in_units()`, ask of that.

A disjunction of energies needs them: $p_a$ and $p_b$ get equal shares of $-\log \sum_i w_i \exp(-E_i)$ only with
$w_i = 1 / Z_i$, and a network's Z is whatever training left.
"""

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch import Generator

from ergosum.compose import Or
from ergosum.energy import Energy, Term, as_energy
from ergosum.samplers.chain import Chain, run
from ergosum.samplers.guards import expect_value, refuse_ungrounded
from ergosum.samplers.importance import LogZ, between, draws_of, expect_exact, gap, log_mean, told
from ergosum.shapes import Batch

__all__ = ["LogZ", "annealed_importance", "bridge", "log_z_difference", "weighted"]


def log_z_difference(
    a: Term,
    b: Term,
    draws_a: Batch | Chain,
    draws_b: Batch | Chain | None = None,
    *,
    sampler: Any = None,
    rungs: int = 100,
    generator: Generator | None = None,
) -> LogZ:
    r"""$\log Z_b - \log Z_a$: by bridge sampling with draws of both, else by annealing draws of a into b.

    Bridge sampling is exact and cheap where the densities overlap; where they do not, its error bar is large or its
    estimate wrong, and annealing with a sampler is the way; where even that rests on a few draws,
    `samplers.smc.tempered_smc`.

    Args:
        draws_a, draws_b: of each density, see `bridge`. sampler, rungs, generator: see `annealed_importance`.
    Raises:
        ValueError: without draws of b and without a sampler.
    """
    if draws_b is not None:
        return bridge(a, b, draws_a, draws_b)
    if sampler is None:
        raise ValueError("log_z_difference: expected draws of b, for bridge sampling, or a sampler, for annealing.")
    return annealed_importance(a, b, draws_a, sampler, rungs=rungs, generator=generator)


def annealed_importance(
    a: Term, b: Term, draws: Batch | Chain, sampler: Any, *, rungs: int = 100, generator: Generator | None = None
) -> LogZ:
    r"""$\log Z_b - \log Z_a$ from draws of a that an exact sampler moves along $E_\beta = (1 - \beta) E_a + \beta E_b$.

    $$ \log w = \sum_k (\beta_{k+1} - \beta_k) (E_a(x_k) - E_b(x_k)), \qquad Z_b / Z_a = \mathrm{E}[w] $$

    Unbiased in $Z_b / Z_a$ for any sampler that leaves each $\exp(-E_\beta)$ as it is, however few steps it makes; more
    rungs make the weights more equal. The standard error is that of the mean weight, by the delta method.

    Args:
        draws: exact draws of a: independent, (n, *event), or a `Chain`, whose autocorrelation the error allows for.
        sampler: one step of it at each rung; exact and at temperature 1, e.g. `Mala`. rungs: >= 1.
        generator: of the sampler's randomness; torch's global one by default.
    Raises:
        ValueError: for less than two draws or one rung, a sampler that is biased or at another temperature, or an
            energy that is known by its score alone.
    Warns:
        FewDrawsWarning: if a few weights hold the whole estimate.
    Source: Neal 2001, annealed importance sampling, section 2.
    """
    a, b = _asked("annealed_importance", a), _asked("annealed_importance", b)
    expect_exact("annealed_importance", sampler)
    x, chains = draws_of(draws)
    if len(x) < 2 or rungs < 1:
        raise ValueError(f"annealed_importance: expected two draws or more and rungs >= 1, got {len(x)} and {rungs}.")
    log_weight = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for rung in range(1, rungs + 1):
        log_weight += gap("annealed_importance", a, b, x) / rungs
        if rung < rungs:
            x = next(run(sampler, between(a, b, rung / rungs), x, 1, generator=generator)).x
    return told("annealed_importance", log_mean(log_weight, chains), "take more rungs or more draws, or tempered_smc")


def bridge(a: Term, b: Term, draws_a: Batch | Chain, draws_b: Batch | Chain, *, iterations: int = 1000) -> LogZ:
    r"""$\log Z_b - \log Z_a$ from draws of both, by the optimal bridge, also known as Bennett's acceptance ratio.

    With $l = \exp(E_a - E_b)$ and shares $s_a, s_b$ of the draws, $r = Z_b / Z_a$ solves

    $$ r = \mathrm{E}_a\left[\frac{l}{s_a + s_b l / r}\right] /\, \mathrm{E}_b\left[\frac{1}{s_a + s_b l / r}\right]. $$

    Args:
        draws_a, draws_b: of each: independent draws, (n, *event), or a `Chain` as `sample` returns it. Draws of a chain
            are correlated: handed over as a plain tensor they would count as independent, and the error be too small;
            of a `Chain` the effective sample size counts.
    Raises:
        ValueError: for less than two draws of either, or an energy that is known by its score alone.
        ArithmeticError: if the fixed point is not found: the densities hardly overlap; anneal instead.
    Warns:
        FewDrawsWarning: if a few draws hold the whole estimate.
    Source: Meng & Wong 1996, the iterative optimal bridge; Bennett 1976. The error with the effective sample size:
        Frühwirth-Schnatter 2004, section 3.
    """
    a, b = _asked("bridge", a), _asked("bridge", b)
    (x, chains_a), (y, chains_b) = draws_of(draws_a), draws_of(draws_b)
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"bridge: expected two draws or more of each density, got {n} and {m}.")
    at_a, at_b = gap("bridge", a, b, x), gap("bridge", a, b, y)
    log_a, log_b = log(n / (n + m)), log(m / (n + m))
    estimate = 0.5 * (at_a.median() + at_b.median()).item()
    for _ in range(iterations):
        over_a = at_a - torch.logaddexp(torch.full_like(at_a, log_a), log_b + at_a - estimate)
        over_b = -torch.logaddexp(torch.full_like(at_b, log_a), log_b + at_b - estimate)
        found = log_mean(over_a).value - log_mean(over_b).value
        if abs(found - estimate) < 1e-9 * (1 + abs(found)):
            numerator, denominator = log_mean(over_a, chains_a), log_mean(over_b, chains_b)
            error = (numerator.error**2 + denominator.error**2) ** 0.5
            whole = LogZ(found, error, min(numerator.effective, denominator.effective))
            return told("bridge", whole, "the densities hardly overlap: anneal from one to the other")
        estimate = found
    raise ArithmeticError(
        f"bridge: no fixed point after {iterations} iterations; the densities hardly overlap. Anneal from one to the "
        "other instead: annealed_importance."
    )


def weighted(parts: Sequence[Energy], log_z: Sequence[LogZ | float], shares: Sequence[float] | None = None) -> Or:
    r"""The disjunction in which each part has its share of the probability: $w_i = s_i / Z_i$.

    Args:
        log_z: of each part as it is given, all against the same reference (0.0 for the reference itself).
        shares: > 0, one for each part; equal by default.
    Raises:
        ValueError: if the lengths differ or a share is not positive.
    """
    chosen = [1.0] * len(parts) if shares is None else list(shares)
    if not len(parts) == len(log_z) == len(chosen) or not all(s > 0 for s in chosen):
        raise ValueError(
            f"weighted: expected one log Z and one share > 0 for each of {len(parts)} energies, got {len(log_z)} and "
            f"{chosen}."
        )
    known = [z.value if isinstance(z, LogZ) else float(z) for z in log_z]
    total = sum(chosen)
    return Or(*parts, log_weights=[log(s / total) - z for s, z in zip(chosen, known, strict=True)])


def _asked(who: str, energy: Term) -> Energy:
    """An energy that has a partition function and whose values are known."""
    energy = as_energy(energy)
    expect_value(who, energy)
    refuse_ungrounded(energy)
    return energy
