r"""What importance weights have in common: the path between two energies, the mean of weights, and their error.

The path from $E_a$ to $E_b$ is $E_\beta = (1 - \beta) E_a + \beta E_b$, whose densities are $\exp(-E_\beta) / Z_\beta$:
temperatures that energies were trained at play no part.
"""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.compose import TemperatureWarning, conjunction, scaled
from ergosum.energy import Energy
from ergosum.metrics.diagnostics import ess
from ergosum.samplers.chain import Chain
from ergosum.samplers.guards import NonFiniteError
from ergosum.shapes import Batch

__all__ = ["FewDrawsWarning", "LogZ", "between", "draws_of", "expect_exact", "gap", "log_mean", "systematic", "told"]

FEW = 30
"""Effective draws below which the error of a mean of weights says little: it is estimated from as few."""


class FewDrawsWarning(UserWarning):
    """An estimate rests on so few effective draws that its standard error cannot be trusted."""


class LogZ(NamedTuple):
    """An estimate of $log Z_b - log Z_a$ with its standard error.

    effective: how many independent draws it amounts to, 1 if a single one dominates; below 30 the error is not to be
    trusted.
    """

    value: float
    error: float
    effective: float


def told(who: str, found: LogZ, advice: str) -> LogZ:
    """The estimate, with a warning if it rests on too few draws."""
    if found.effective < FEW:
        warnings.warn(
            f"{who}: the estimate rests on {found.effective:.1f} effective draws, so neither it nor its error of "
            f"{found.error:.2g} can be trusted; {advice}.",
            FewDrawsWarning,
            stacklevel=3,
        )
    return found


def draws_of(draws: Batch | Chain) -> tuple[Tensor, tuple[int, int] | None]:
    """Draws in one batch, and (steps, chains) if they are a chain's."""
    if isinstance(draws, Chain):
        return draws.draws.flatten(0, 1), (draws.draws.shape[0], draws.draws.shape[1])
    return draws, None


def between(a: Energy, b: Energy, beta: float) -> Energy:
    """$(1 - beta) E_a + beta E_b$, for 0 < beta <= 1."""
    if beta == 1:
        return b
    if a.temperature == b.temperature:
        return conjunction(scaled(1 - beta, a), scaled(beta, b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TemperatureWarning)  # a path between densities, not a sum of units
        return conjunction(scaled(1 - beta, a), scaled(beta, b))


def gap(who: str, a: Energy, b: Energy, x: Tensor) -> Tensor:
    """$E_a(x) - E_b(x)$ in float64, (n,)."""
    with torch.no_grad():
        value = (a(x) - b(x)).double()
    if torch.isnan(value).any():
        raise NonFiniteError(f"{who}: {a} or {b} is not a number at draw {torch.isnan(value).nonzero()[0].item()}.")
    return value


def expect_exact(who: str, sampler: Any) -> None:
    """Raise unless a step of the sampler leaves exp(-E) as it is, chain by chain."""
    name = type(sampler).__name__
    if not getattr(sampler, "exact", False) or hasattr(sampler, "visible"):
        raise ValueError(
            f"{who}: expected an exact kernel such as Mala, Hmc or GibbsWithGradients, got {name}, whose steps do not "
            "leave the density of one energy as it is. A kernel of your own says so by a class attribute: exact = True."
        )
    temperature = torch.as_tensor(getattr(sampler, "temperature", 1.0))
    if (temperature != 1).any():
        raise ValueError(
            f"{who}: expected a kernel at temperature 1, got {name} at {temperature.flatten()[0].item():g}; it would "
            "draw from exp(-E / T). For energies at a temperature pass energy / T instead."
        )


def log_mean(log_weight: Tensor, chains: tuple[int, int] | None = None) -> LogZ:
    """Log of the mean of weights given by their logs; its error by the delta method.

    Args:
        log_weight: (n,). chains: (steps, chains) if the weights are those of correlated draws, step by step: then their
            effective sample size takes the place of n.
    """
    top = log_weight.max()
    weight = (log_weight - top).exp()
    mean = weight.mean()
    share = 1.0
    if chains is not None and chains[0] >= 4:
        known = ess(weight.view(*chains, 1)).item() / len(weight)
        share = known if known == known else 1.0  # weights that are all equal have no correlation
    error = weight.std() / mean / (len(weight) * share) ** 0.5
    effective = weight.sum().square() / weight.square().sum()
    return LogZ((top + mean.log()).item(), error.item(), effective.item() * share)


def systematic(log_weight: Tensor, generator: Generator | None = None) -> Tensor:
    """Indices of n draws from n weighted ones, each as often as its share of n, rounded up or down by one chance.

    Shape:
        log_weight: (..., n). Returns the same, whole numbers.
    Source: Kitagawa 1996, appendix; Douc, Cappé, Moulines 2005, section 2.4.
    """
    n = log_weight.shape[-1]
    edges = log_weight.double().softmax(-1).cumsum(-1)
    device = log_weight.device if generator is None else generator.device
    shift = torch.rand((*log_weight.shape[:-1], 1), generator=generator, dtype=torch.float64, device=device)
    points = (torch.arange(n, device=log_weight.device) + shift.to(log_weight.device)) / n
    return torch.searchsorted(edges / edges[..., -1:], points, right=True).clamp(max=n - 1)
