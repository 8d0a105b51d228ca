r"""Tempered sequential Monte Carlo: a population that is carried from one density to another, weeding out as it goes.

Annealed importance sampling carries every draw to the end and weighs it there; where the weights spread, a single draw
may hold them all. Here the path stops whenever weights spread, draws are resampled by their weights, and moved.
"""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energy import Term, as_energy
from ergosum.samplers.chain import run
from ergosum.samplers.guards import expect_value, refuse_ungrounded
from ergosum.samplers.importance import LogZ, between, expect_exact, gap, log_mean, systematic, told
from ergosum.shapes import Batch

__all__ = ["Population", "tempered_smc"]

LEAST = 1e-4
"""The least that beta rises by, so that the path comes to its end whatever the weights are."""


class Population(NamedTuple):
    """Where the draws ended.

    Attributes:
        x: (n, *event), draws of b of equal weight; those with a common ancestor are correlated.
        log_z: $log Z_b - log Z_a$, its error between islands, and how many ancestors, weighted, the draws descend from.
        betas: the rungs, ending in 1. acceptance: of the kernel's moves, one mean for each rung.
        ancestor: (n,), which of the given draws each descends from.
    """

    x: Tensor
    log_z: LogZ
    betas: tuple[float, ...]
    acceptance: tuple[float, ...]
    ancestor: Tensor


def tempered_smc(
    a: Term,
    b: Term,
    draws: Batch,
    sampler: Any,
    *,
    moves: int = 5,
    islands: int = 16,
    spread: float = 0.5,
    generator: Generator | None = None,
) -> Population:
    r"""Draws of b and $\log Z_b - \log Z_a$ from draws of a, along $E_\beta = (1 - \beta) E_a + \beta E_b$.

    Each rung is as far on as leaves the weights $\exp((\beta' - \beta)(E_a - E_b))$ an effective size of `spread` times
    their number. Then draws are resampled within their island, and moved `moves` times by the kernel at $\beta'$.
    Islands do not mix, so that the scatter of their estimates gives an honest error; at the end they are resampled
    together, by their estimates of Z.

    Args:
        draws: exact, independent draws of a, (n, *event), n a multiple of `islands`.
        sampler: an exact kernel at temperature 1, e.g. `Mala` or `Hmc`, whose step suits b as well as a.
        moves: steps of it at each rung, >= 1. islands: >= 2, of at least two draws each. spread: in (0, 1).
        generator: of all randomness; torch's global one by default.
    Raises:
        ValueError: for a setting out of range, a kernel that is biased or at another temperature, or an energy that is
            known by its score alone.
    Warns:
        FewDrawsWarning: if the draws descend from less than 30 ancestors.
    Cost: `moves` steps of the kernel per rung, for n chains.
    Source: Del Moral, Doucet, Jasra 2006, section 3.3.2.3; the rungs, Jasra et al. 2011, section 3.2. Differs: islands,
        and one rung for all of them.
    """
    a, b, n = as_energy(a), as_energy(b), len(draws)
    if islands < 2 or n < 2 * islands or n % islands or moves < 1 or not 0 < spread < 1:
        raise ValueError(
            "tempered_smc: expected moves >= 1, 0 < spread < 1, islands >= 2 and draws in a multiple of them, two or "
            f"more each, got {moves} moves, spread {spread}, {islands} islands and {n} draws."
        )
    for energy in (a, b):
        expect_value("tempered_smc", energy)
        refuse_ungrounded(energy)
    expect_exact("tempered_smc", sampler)
    x, beta, betas, rates = draws, 0.0, [], []
    log_z = torch.zeros(islands, dtype=torch.float64, device=draws.device)
    ancestor = torch.arange(n, device=draws.device)
    while beta < 1:
        ahead = gap("tempered_smc", a, b, x)
        following = _next(beta, ahead, spread)
        log_weight = ((following - beta) * ahead).view(islands, -1)
        log_z += log_weight.logsumexp(1) - torch.tensor(float(n // islands)).log()
        index = _within(systematic(log_weight, generator))
        beta, x, ancestor = following, x[index], ancestor[index]
        steps = list(run(sampler, between(a, b, beta), x, moves, generator=generator))
        x = steps[-1].x
        betas.append(beta)
        told_rates = [s.info.acceptance.mean().item() for s in steps if s.info.acceptance is not None]
        rates.append(sum(told_rates) / max(1, len(told_rates)))
    whole = log_mean(log_z)
    shares = log_z.log_softmax(0).repeat_interleave(n // islands) - torch.tensor(n / islands).log()
    index = systematic(shares, generator)
    family = torch.zeros(n, dtype=torch.float64, device=x.device).index_add_(0, ancestor, shares.exp())
    found = LogZ(whole.value, whole.error, (1 / family.square().sum()).item())
    found = told("tempered_smc", found, "take more draws, more moves, or a step size that suits both energies")
    return Population(x[index], found, tuple(betas), tuple(rates), ancestor[index])


def _next(beta: float, ahead: Tensor, spread: float) -> float:
    """The furthest next beta whose weights have the effective size asked for, by bisection."""
    low, high = beta, 1.0
    if _effective((1 - beta) * ahead) >= spread:
        return 1.0
    while high - low > LEAST / 8:
        middle = (low + high) / 2
        low, high = (middle, high) if _effective((middle - beta) * ahead) >= spread else (low, middle)
    return min(1.0, max(low, beta + LEAST))


def _effective(log_weight: Tensor) -> float:
    """Effective size of weights as a share of their number."""
    share = log_weight.softmax(0)
    return (1 / share.square().sum()).item() / len(log_weight)


def _within(index: Tensor) -> Tensor:
    """Indices within islands, (islands, size), as indices of all draws, (islands * size,)."""
    islands, size = index.shape
    return (index + size * torch.arange(islands, device=index.device)[:, None]).flatten()
