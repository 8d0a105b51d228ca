"""Annealing: any kernel on a ladder of energies, from the flattest to the target."""

from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Generator

from ergosum.energy import Energy
from ergosum.samplers.chain import Info, Sampler, State
from ergosum.shapes import Batch

__all__ = ["Annealed"]


@dataclass(frozen=True, kw_only=True)
class Annealed:
    r"""`steps` steps of a kernel on $E.\mathrm{at}(l)$ for each level l in turn; then it stays at the last level.

    For an `Energy`, a level is a temperature: `energy.at(T)` is E / T. An `Energy` of noised data overrides `at(sigma)`
    with its energy at that noise level; then a level is a noise level. Both are the same loop.

    Args:
        kernels: one per level, with its step size. levels: from flat to sharp. steps: per level, >= 1.
    Raises:
        ValueError: without levels, or with another number of kernels.
    Exact: as the kernel, at the last level, once it has been reached and run for long.   Cost: as the kernel.
    Source: Kirkpatrick et al. 1983 (temperature); Song & Ermon 2019, algorithm 1 (noise levels).
    """

    kernels: tuple[Sampler, ...]
    levels: tuple[float, ...]
    steps: int

    def __post_init__(self) -> None:
        if not self.levels or len(self.kernels) != len(self.levels) or self.steps < 1:
            raise ValueError(
                f"Annealed: expected one kernel for each level and steps >= 1, got {len(self.kernels)} kernels, "
                f"{len(self.levels)} levels, {self.steps} steps."
            )
        if any(hasattr(k, "levels") or hasattr(k, "visible") for k in self.kernels):
            raise ValueError("Annealed: expected plain kernels (Langevin, Mala, Hmc), not samplers that hold others.")

    @classmethod
    def over(cls, kernel: Any, levels: tuple[float, ...], steps: int, power: float = 0.0) -> Self:
        """The same kernel at each level, its step size times $(l / l_{last})^{power}$.

        For temperatures, power 1 keeps a Langevin step's noise as strong as its kernel's at T = l; for noise levels,
        Song & Ermon use power 2.
        """
        sizes = [kernel.step_size * (level / levels[-1]) ** power for level in levels]
        return cls(kernels=tuple(replace(kernel, step_size=h) for h in sizes), levels=tuple(levels), steps=steps)

    @property
    def total(self) -> int:
        """Steps until the last level has had its share."""
        return self.steps * len(self.levels)

    def init(self, energy: Energy, x: Batch) -> State:
        """The state at the first level."""
        return self._enter(energy, State(x), 0)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step of the kernel at the level of this step."""
        rung = min(state.n // self.steps, len(self.levels) - 1)
        same = isinstance(state.held, tuple) and state.held[0] is energy
        if not same or (state.n == rung * self.steps and state.n > 0):
            state = self._enter(energy, state, rung)
        following, info = self.kernels[rung].step(state.held[1], state, generator)
        return following._replace(n=state.n + 1, held=state.held), info

    def _enter(self, energy: Energy, state: State, rung: int) -> State:
        closed = energy.at(self.levels[rung])
        return self.kernels[rung].init(closed, state.x)._replace(n=state.n, held=(energy, closed))
