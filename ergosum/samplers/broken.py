r"""Samplers with a mistake, each made in print or in released code, to see what bias looks like and to test the tests.

None of them draws from $exp(-E)$, however long the chain; all look healthy by acceptance and R-hat. They have no place
in an experiment.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.langevin import check_positive
from ergosum.samplers.mala import accept
from ergosum.samplers.state import Info, State, slope, start
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Batch

__all__ = ["HalfNoise", "NoReverse", "SharedTest"]


@dataclass(frozen=True, kw_only=True)
class HalfNoise:
    r"""Langevin's step with noise of variance h: $x' = x - h \nabla E(x) + \sqrt{h}\,\varepsilon$.

    It draws from $exp(-2 E)$: everything is half as wide as it should be in variance.

    Args:
        step_size: h > 0.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size that is not positive.
    Exact: no, and not for small steps either.
    """

    exact: ClassVar[bool] = False

    step_size: float

    def __post_init__(self) -> None:
        check_positive(type(self).__name__, self.step_size, 1.0)

    def init(self, energy: Energy, x: Batch) -> State:
        """Nothing to prepare."""
        return State(x)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """The next x."""
        value, gradient = slope(energy, state.x)
        moved = state.x - self.step_size * gradient + self.step_size**0.5 * gaussian(state.x, generator)
        return State(moved, n=state.n + 1), Info(value.detach(), gradient.detach())


@dataclass(frozen=True, kw_only=True)
class _Proposing:
    """What samplers with an accept test have in common: Langevin's proposal, and a test that is wrong."""

    exact: ClassVar[bool] = False

    step_size: float

    def __post_init__(self) -> None:
        check_positive(type(self).__name__, self.step_size, 1.0)

    def init(self, energy: Energy, x: Batch) -> State:
        """Energy and gradient at the start."""
        return start(energy, x, None)

    def _proposed(
        self, energy: Energy, state: State, generator: Generator | None
    ) -> tuple[State, Tensor, tuple[Tensor, Tensor]]:
        """The proposal, by how much its energy is lower, and half the squared noise that leads there and back."""
        h, gradient = self.step_size, state.gradient
        assert gradient is not None
        noise = gaussian(state.x, generator)
        x = state.x - h * gradient + (2 * h) ** 0.5 * noise
        value, pull = energy.value_and_gradient(x)
        there = noise.square().flatten(1).sum(1) / 2
        back = (state.x - x + h * pull).square().flatten(1).sum(1) / (4 * h)
        return State(x, value, pull), state.energy - value, (there, back)  # type: ignore[operator]


class NoReverse(_Proposing):
    r"""MALA whose accept test looks at energies alone, as if a proposal were as likely as the way back.

    Langevin's proposal leans downhill as $exp(-E)$ does, and the test does so again: small steps draw from
    $exp(-2 E)$.

    Args:
        step_size: h > 0.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size that is not positive.
    Exact: no, and not for small steps either.
    """

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """Propose, accept by the energy, or stay."""
        proposal, lower, _ = self._proposed(energy, state, generator)
        following, taken, bad = accept(state, proposal, lower, generator)
        return following, Info(state.energy, state.gradient, taken, bad)  # type: ignore[arg-type]


class SharedTest(_Proposing):
    r"""MALA with one accept test for all chains, by the mean of their ratios: they move together or not at all.

    A chain is moved where its own test would refuse, so that large steps are nearly those of plain Langevin dynamics.

    Args:
        step_size: h > 0.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size that is not positive.
    Exact: no, biased by O(h).
    """

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """Propose, accept all or none."""
        proposal, lower, (there, back) = self._proposed(energy, state, generator)
        shared = (lower + there - back).mean().expand(len(state.x))
        one = torch.rand((), generator=generator, dtype=shared.dtype, device=shared.device).log()
        taken = bool(one < shared[0])
        following = State(*(proposal if taken else state)[:3], state.n + 1)
        return following, Info(state.energy, state.gradient, shared.clamp(max=0).exp(), torch.zeros_like(shared).bool())  # type: ignore[arg-type]
