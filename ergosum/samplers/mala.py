"""Metropolis-adjusted Langevin: Langevin's proposal, accepted or not, so that the target is met exactly."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy, summed
from ergosum.samplers.langevin import check_positive
from ergosum.samplers.state import Info, State, start
from ergosum.samplers.tensors import accepted, along, expect_mask, gaussian, masked, plus
from ergosum.shapes import Batch

__all__ = ["Mala", "accept"]

DIVERGENT = 1000.0
"""Rise of energy over temperature beyond which a proposal counts as a divergent transition (Stan's threshold)."""


@dataclass(frozen=True, kw_only=True)
class Mala:
    r"""Propose $y = x - h \nabla E(x) + \sqrt{2 h T}\,\varepsilon$; accept with probability

    $$ \min\left(1, \exp\left[\tfrac{E(x) - E(y)}{T} + \tfrac{\|\varepsilon\|^2}{2}
       - \tfrac{\|x - y + h \nabla E(y)\|^2}{4 h T}\right]\right). $$

    Energy and gradient of x travel in the state, so a step costs one gradient. Each chain decides for itself.

    Args:
        step_size: h > 0, in units of x^2 per unit of energy; one number, or one per chain.
        temperature: T > 0, one number or one per chain.
        mask: 1 for free coordinates, 0 for fixed ones: the target is then the conditional of the free ones.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size or temperature that is not positive, a mask of other values than 0 and 1, or an
            energy that is known by its score alone.
    Exact: yes.   Cost: one gradient per step.   Acceptance to aim for: 0.574 (`warm_up` does).
    Source: Roberts & Tweedie 1996, the adjusted algorithm; target acceptance Roberts & Rosenthal 1998.
    """

    exact: ClassVar[bool] = True

    step_size: float | Tensor
    temperature: float | Tensor = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_positive("Mala", self.step_size, self.temperature)
        expect_mask("Mala", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Energy and gradient at the start."""
        return start(energy, x, self.mask)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """Propose, accept or stay."""
        if state.energy is None or state.gradient is None:  # of a sampler that carries neither
            state = self.init(energy, state.x)._replace(n=state.n)
        x, before, gradient = state.x, state.energy, masked(state.gradient, self.mask)  # type: ignore[arg-type]
        h, t = along(self.step_size, x), along(self.temperature, x)
        noise = gaussian(x, generator, self.mask)
        spread = (2 * h * t) ** 0.5  # type: ignore[operator]
        proposal = plus(plus(x, -h, gradient), spread, noise)
        value, slope = energy.value_and_gradient(proposal)
        slope = masked(slope, self.mask)
        # the two squares of the ratio, multiplied out: |noise|^2 / 2 is in both, and is never computed
        both = gradient + slope
        rest = noise.mul_(-2 * spread).add_(h * both).mul_(both)
        log_ratio = torch.sub(before - value, summed(rest), alpha=0.25) / along(self.temperature, value)  # type: ignore[operator]
        following, taken, info = accept(state, State(proposal, value, slope), log_ratio, generator)
        return following, Info(before, gradient, taken, info)  # type: ignore[arg-type]


def accept(
    state: State, proposal: State, log_ratio: Tensor, generator: Generator | None
) -> tuple[State, Tensor, Tensor]:
    """Each chain's accept test of its own proposal: the state, acceptance (batch,), divergent (batch,).

    A proposal that is not finite is refused and counted as divergent.
    """
    log_ratio = log_ratio.nan_to_num(-torch.inf, -torch.inf, -torch.inf)
    taken = accepted(log_ratio, generator)
    where = along(taken, state.x)
    following = State(
        torch.where(where, proposal.x, state.x),  # type: ignore[arg-type]
        torch.where(taken, proposal.energy, state.energy),  # type: ignore[arg-type]
        torch.where(where, proposal.gradient, state.gradient),  # type: ignore[arg-type]
        state.n + 1,
        state.held,
    )
    return following, log_ratio.clamp(max=0).exp_(), log_ratio <= -DIVERGENT
