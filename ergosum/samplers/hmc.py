"""Hamiltonian Monte Carlo: long moves along the level sets of energy plus kinetic energy."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy, summed
from ergosum.samplers.langevin import check_positive
from ergosum.samplers.mala import accept
from ergosum.samplers.state import Info, State, start
from ergosum.samplers.tensors import along, expect_mask, gaussian, masked, plus
from ergosum.shapes import Batch

__all__ = ["Hmc", "leapfrog"]


@dataclass(frozen=True, kw_only=True)
class Hmc:
    r"""Draw a momentum $p \sim N(0, M)$, follow $H(x, p) = E(x) / T + p^T M^{-1} p / 2$ for L leapfrog steps, flip the
    momentum, accept with probability $\min(1, \exp(H - H'))$.

    Energy and gradient travel in the state, so a trajectory costs L gradients, not L + 1.

    Args:
        step_size: $\epsilon > 0$, in units of x times the square root of the mass; one number, or one per chain.
        length: L >= 1, leapfrog steps. jitter: 0..1; L is drawn anew each trajectory, uniformly within
            L (1 - jitter) .. L (1 + jitter), against trajectories that close on themselves.
        mass: diagonal of M, a number or a tensor like one event, > 0; the best is the target's precision, which
            `warm_up(..., estimate_mass=True)` estimates.
        temperature: T > 0, one number or one per chain.
        mask: 1 for free coordinates, 0 for fixed ones.
    Shape:
        x: (batch, *event), of any shape.
    Raises:
        ValueError: for a setting outside its range, or an energy that is known by its score alone.
    Exact: yes.   Cost: L gradients per step.   Acceptance to aim for: 0.65 to 0.8 (`warm_up` does).
    Source: Neal 2011, sections 5.2.3 (leapfrog) and 5.3.2 (algorithm); Duane et al. 1987.
    """

    exact: ClassVar[bool] = True

    step_size: float | Tensor
    length: int = 10
    jitter: float = 0.0
    mass: float | Tensor = 1.0
    temperature: float | Tensor = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_positive("Hmc", self.step_size, self.temperature)
        if self.length < 1 or not 0 <= self.jitter <= 1:
            raise ValueError(f"Hmc: expected length >= 1 and jitter in 0..1, got {self.length} and {self.jitter}.")
        if not torch.as_tensor(self.mass).min().item() > 0:
            raise ValueError("Hmc: expected every mass > 0.")
        expect_mask("Hmc", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Energy and gradient at the start."""
        return start(energy, x, self.mask)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One trajectory, accepted or not."""
        if state.energy is None or state.gradient is None:  # of a sampler that carries neither
            state = self.init(energy, state.x)._replace(n=state.n)
        momentum = gaussian(state.x, generator, self.mask)
        if not self._unit:
            momentum = momentum * self._mass(state.x).sqrt()
        proposal, end = leapfrog(self, energy, state, momentum, self._length(generator))
        kinetic = self._kinetic(momentum) - self._kinetic(end)
        log_ratio = (state.energy - proposal.energy) / along(self.temperature, state.energy) + kinetic  # type: ignore[operator, arg-type]
        following, taken, divergent = accept(state, proposal, log_ratio, generator)
        return following, Info(state.energy, state.gradient, taken, divergent)  # type: ignore[arg-type]

    def _length(self, generator: Generator | None) -> int:
        if self.jitter == 0:
            return self.length
        low, high = max(1, round(self.length * (1 - self.jitter))), round(self.length * (1 + self.jitter))
        device = "cpu" if generator is None else generator.device
        return int(torch.randint(low, high + 1, (), generator=generator, device=device).item())

    @property
    def _unit(self) -> bool:
        return isinstance(self.mass, float | int) and self.mass == 1

    def _kinetic(self, momentum: Tensor) -> Tensor:
        squares = momentum.square()
        return summed(squares if self._unit else squares / self._mass(momentum)) / 2

    def _mass(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.mass, dtype=x.dtype, device=x.device)


def leapfrog(hmc: Hmc, energy: Energy, state: State, momentum: Tensor, length: int) -> tuple[State, Tensor]:
    """Follow the dynamics for `length` steps and flip the momentum, which makes the map its own inverse.

    Its error in energy is of second order in the step size. Returns the state reached, with its energy and gradient,
    and the flipped momentum.
    """
    x, value, gradient = state.x, state.energy, state.gradient
    step, temperature = along(hmc.step_size, x), along(hmc.temperature, x)
    kick, move = step / temperature, step if hmc._unit else step / hmc._mass(x)
    gradient = masked(gradient, hmc.mask)  # type: ignore[arg-type]
    momentum = plus(momentum, -0.5 * kick, gradient)  # type: ignore[arg-type]
    for n in range(length):
        x = plus(x, move, momentum)
        value, gradient = energy.value_and_gradient(x)
        gradient = masked(gradient, hmc.mask)
        momentum = plus(momentum, -kick if n < length - 1 else -0.5 * kick, gradient)
    return State(x, value, gradient), -momentum
