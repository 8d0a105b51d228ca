r"""Partition functions, as far as they can be known: differences of $\log Z$ between two energies, with error bars.

A disjunction of energies needs them: $p_a$ and $p_b$ get equal shares of $-\log \sum_i w_i \exp(-E_i)$ only with
$w_i = 1 / Z_i$, and a network's Z is whatever training left.
"""

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.compose import Or, conjunction, scaled
from ergosum.energy import Energy, Term, as_energy
from ergosum.samplers.chain import run
from ergosum.samplers.guards import NonFiniteError
from ergosum.shapes import Batch

__all__ = ["LogZ", "annealed_importance", "bridge", "log_z_difference", "weighted"]


class LogZ(NamedTuple):
    """An estimate with its standard error. effective: how many draws it amounts to, 1 if a single one dominates."""

    value: float
    error: float
    effective: float


def log_z_difference(
    a: Term,
    b: Term,
    draws_a: Batch,
    draws_b: Batch | None = None,
    *,
    sampler: Any = None,
    rungs: int = 100,
    generator: Generator | None = None,
) -> LogZ:
    r"""$\log Z_b - \log Z_a$: by bridge sampling with draws of both, else by annealing draws of a into b.

    Bridge sampling is exact and cheap where the densities overlap; where they do not, its error bar is large or its
    estimate wrong, and annealing with a sampler is the way.

    Args:
        draws_a, draws_b: independent draws of each density, (n, *event). sampler, rungs: see `annealed_importance`.
    Raises:
        ValueError: without draws of b and without a sampler.
    """
    if draws_b is not None:
        return bridge(a, b, draws_a, draws_b)
    if sampler is None:
        raise ValueError("log_z_difference: expected draws of b, for bridge sampling, or a sampler, for annealing.")
    return annealed_importance(a, b, draws_a, sampler, rungs=rungs, generator=generator)


def annealed_importance(
    a: Term, b: Term, draws: Batch, sampler: Any, *, rungs: int = 100, generator: Generator | None = None
) -> LogZ:
    r"""$\log Z_b - \log Z_a$ from draws of a that an exact sampler moves along $E_\beta = (1 - \beta) E_a + \beta E_b$.

    $$ \log w = \sum_k (\beta_{k+1} - \beta_k) (E_a(x_k) - E_b(x_k)), \qquad Z_b / Z_a = \mathrm{E}[w] $$

    Unbiased in $Z_b / Z_a$ for any sampler that leaves each $E_\beta$ as it is, however few steps it makes; more rungs
    make the weights more equal. The standard error is that of the mean weight, by the delta method.

    Args:
        draws: exact draws of a, (n, *event). sampler: one step of it at each rung; exact, e.g. `Mala`. rungs: >= 1.
    Raises:
        ValueError: for less than two draws or one rung.
    Source: Neal 2001, annealed importance sampling, section 2.
    """
    a, b = as_energy(a).in_units(), as_energy(b).in_units()
    if len(draws) < 2 or rungs < 1:
        raise ValueError(
            f"annealed_importance: expected two draws or more and rungs >= 1, got {len(draws)} and {rungs}."
        )
    x, log_weight = draws, torch.zeros(len(draws), dtype=torch.float64, device=draws.device)
    for rung in range(1, rungs + 1):
        with torch.no_grad():
            log_weight += _gap(a, b, x) / rungs
        if rung < rungs:
            beta = rung / rungs
            between = conjunction(scaled(1 - beta, a), scaled(beta, b))
            x = next(run(sampler, between, x, 1, generator=generator)).x
    return _log_mean(log_weight)


def bridge(a: Term, b: Term, draws_a: Batch, draws_b: Batch, *, iterations: int = 1000) -> LogZ:
    r"""$\log Z_b - \log Z_a$ from draws of both, by the optimal bridge, also known as Bennett's acceptance ratio.

    With $l = \exp(E_a - E_b)$ and shares $s_a, s_b$ of the draws, $r = Z_b / Z_a$ solves

    $$ r = \mathrm{E}_a\left[\frac{l}{s_a + s_b l / r}\right] /\, \mathrm{E}_b\left[\frac{1}{s_a + s_b l / r}\right]. $$

    Args:
        draws_a, draws_b: independent draws of each, (n, *event).
    Raises:
        ValueError: for less than two draws of either.
        ArithmeticError: if the fixed point is not found: the densities hardly overlap; anneal instead.
    Source: Meng & Wong 1996, the iterative optimal bridge; Bennett 1976.
    """
    a, b = as_energy(a).in_units(), as_energy(b).in_units()
    n, m = len(draws_a), len(draws_b)
    if min(n, m) < 2:
        raise ValueError(f"bridge: expected two draws or more of each density, got {n} and {m}.")
    with torch.no_grad():
        at_a, at_b = (_gap(a, b, x) for x in (draws_a, draws_b))
    log_a, log_b = log(n / (n + m)), log(m / (n + m))
    estimate = 0.5 * (at_a.median() + at_b.median()).item()
    for _ in range(iterations):
        over_a = at_a - torch.logaddexp(torch.full_like(at_a, log_a), log_b + at_a - estimate)
        over_b = -torch.logaddexp(torch.full_like(at_b, log_a), log_b + at_b - estimate)
        numerator, denominator = _log_mean(over_a), _log_mean(over_b)
        found = numerator.value - denominator.value
        if abs(found - estimate) < 1e-9 * (1 + abs(found)):
            error = (numerator.error**2 + denominator.error**2) ** 0.5
            return LogZ(found, error, min(numerator.effective, denominator.effective))
        estimate = found
    raise ArithmeticError(
        f"bridge: no fixed point after {iterations} iterations; the densities hardly overlap. Anneal from one to the "
        "other instead: annealed_importance."
    )


def weighted(parts: Sequence[Energy], log_z: Sequence[LogZ | float], shares: Sequence[float] | None = None) -> Or:
    r"""The disjunction in which each part has its share of the probability: $w_i = s_i / Z_i$.

    Args:
        log_z: of each part, all against the same reference (0.0 for the reference itself).
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


def _gap(a: Energy, b: Energy, x: Tensor) -> Tensor:
    gap = (a(x) - b(x)).double()
    if torch.isnan(gap).any():
        raise NonFiniteError(f"partition: {a} or {b} is not a number at draw {torch.isnan(gap).nonzero()[0].item()}.")
    return gap


def _log_mean(log_weight: Tensor) -> LogZ:
    """Log of the mean of weights given by their logs; its error by the delta method."""
    top = log_weight.max()
    weight = (log_weight - top).exp()
    mean = weight.mean()
    error = weight.std() / mean / len(weight) ** 0.5
    effective = weight.sum().square() / weight.square().sum()
    return LogZ((top + mean.log()).item(), error.item(), effective.item())
