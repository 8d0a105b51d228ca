"""Underdamped Langevin dynamics: a momentum with friction, which travels where overdamped dynamics only diffuses."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.guards import expect_shape
from ergosum.samplers.langevin import check_positive
from ergosum.samplers.state import Info, State, slope
from ergosum.samplers.tensors import along, expect_mask, gaussian, masked, plus
from ergosum.shapes import Batch

__all__ = ["UnderdampedLangevin"]


@dataclass(frozen=True, kw_only=True)
class UnderdampedLangevin:
    r"""One BAOAB step of $dx = p / m\,dt,\; dp = -\nabla E\,dt - \gamma p\,dt + \sqrt{2 \gamma m T}\,dW$.

    A half kick (B), half a move (A), friction and noise (O), half a move, a half kick:

    $$ p \leftarrow p - \tfrac h2 \nabla E(x), \quad x \leftarrow x + \tfrac h2 p / m, \quad
       p \leftarrow e^{-\gamma h} p + \sqrt{(1 - e^{-2 \gamma h})\, m T}\,\varepsilon, \quad
       x \leftarrow x + \tfrac h2 p / m, \quad p \leftarrow p - \tfrac h2 \nabla E(x). $$

    It diffuses towards exp(-E / T), with a bias of order h^2 where `Langevin` has one of order h. On a Gaussian of
    variance s^2 and T = 1 its positions have the variance s^2 exactly, for any h < 2 s sqrt(m), and its momenta
    $m (1 - h^2 / 4 m s^2)$.

    Args:
        step_size: h > 0, in units of time, as `Hmc`'s; one number, or one per chain.
        friction: gamma > 0, in units of 1 / time; 1 / gamma is the time after which a momentum is forgotten.
        mass: m, a number or a tensor like one event, > 0; the best is the target's precision.
        temperature: T >= 0, one number or one per chain.
        mask: 1 for free coordinates, 0 for fixed ones.
    Shape:
        x: (batch, *event). The momentum is `State.held`, drawn at the first step.
    Raises:
        ValueError: for a setting outside its range.
    Exact: no, biased by O(h^2).   Cost: one gradient per step.   Needs the score alone.
    Source: Leimkuhler & Matthews 2013 (BAOAB, and its law on a Gaussian).
    """

    exact: ClassVar[bool] = False

    step_size: float | Tensor
    friction: float = 1.0
    mass: float | Tensor = 1.0
    temperature: float | Tensor = 1.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_positive("UnderdampedLangevin", self.step_size, self.temperature, cold=True)
        if not self.friction > 0 or not torch.as_tensor(self.mass).min().item() > 0:
            raise ValueError(f"UnderdampedLangevin: expected friction > 0 and every mass > 0, got {self.friction} and "
                             f"{self.mass}.")  # fmt: skip
        expect_mask("UnderdampedLangevin", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Energy and gradient at the start; the momentum is drawn when the first step is taken."""
        value, gradient = slope(energy, x)
        expect_shape(value, x)
        return State(x, value, masked(gradient, self.mask))

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """Kick, move, forget and be pushed, move, kick."""
        if state.energy is None or state.gradient is None:  # of a sampler that carries neither
            state = self.init(energy, state.x)._replace(n=state.n)
        x, gradient = state.x, masked(state.gradient, self.mask)  # type: ignore[arg-type]
        h, mass = along(self.step_size, x), torch.as_tensor(self.mass, dtype=x.dtype, device=x.device)
        spread = (mass * along(self.temperature, x)) ** 0.5
        carried = isinstance(state.held, Tensor) and state.held.shape == x.shape
        momentum = masked(state.held, self.mask) if carried else spread * gaussian(x, generator, self.mask)
        keep = torch.exp(torch.as_tensor(-self.friction * h, dtype=x.dtype, device=x.device))
        momentum = plus(momentum, -0.5 * h, gradient)  # type: ignore[operator]
        x = x + 0.5 * h * momentum / mass  # type: ignore[operator]
        momentum = keep * momentum + (1 - keep**2) ** 0.5 * spread * gaussian(x, generator, self.mask)
        x = x + 0.5 * h * momentum / mass  # type: ignore[operator]
        value, gradient = slope(energy, x)
        gradient = masked(gradient, self.mask)
        momentum = plus(momentum, -0.5 * h, gradient)  # type: ignore[operator]
        return State(x, value, gradient, state.n + 1, momentum), Info(state.energy, state.gradient)  # type: ignore[arg-type]
