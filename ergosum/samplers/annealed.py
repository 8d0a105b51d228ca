"""Annealing: any kernel on a ladder of energies, from the flattest to the target."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from torch import Generator

from ergosum.energy import Energy
from ergosum.samplers.state import Info, Sampler, State, resumed
from ergosum.shapes import Batch

__all__ = ["Annealed", "Level"]


class Level(NamedTuple):
    """What annealing keeps beside its chains.

    Attributes:
        energy: the one given. acting: that energy at the level. rung: which level it is, from 0.
        held: what the level's kernel keeps.
    """

    energy: Energy
    acting: Energy
    rung: int
    held: Any


@dataclass(frozen=True, kw_only=True)
class Annealed:
    r"""`steps` steps of a kernel on the energy at each level in turn; then it stays at the last level.

    A level is a temperature or a noise level, which are two different things. At the temperature T the energy is E / T:
    the same energy, flattened. At the noise level $\sigma$ it is `energy.at_noise(sigma)`: the energy of the data with
    noise of that standard deviation added, of a composition the composition of its terms at that level.

    Args:
        kernels: one per level, with its step size. temperatures, noise_levels: one of the two, from high to low, > 0.
        steps: per level, >= 1.
    Raises:
        ValueError: without levels or with both kinds, with another number of kernels, or for noise levels of an energy
            that has none.
    Exact: as the kernel, at the last level, once it has been reached and run for long.   Cost: as the kernel.
    Source: Kirkpatrick et al. 1983 (temperature); Song & Ermon 2019, algorithm 1 (noise levels).
    """

    exact: ClassVar[bool] = False

    kernels: tuple[Sampler, ...]
    steps: int
    temperatures: tuple[float, ...] | None = None
    noise_levels: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.temperatures is None) == (self.noise_levels is None):
            raise ValueError("Annealed: expected either temperatures or noise_levels; pass one of the two.")
        levels = self.levels
        if not levels or len(self.kernels) != len(levels) or self.steps < 1 or not all(level > 0 for level in levels):
            raise ValueError(
                f"Annealed: expected one kernel for each level, levels > 0 and steps >= 1, got {len(self.kernels)} "
                f"kernels, levels {levels}, {self.steps} steps."
            )
        if any(hasattr(k, "acting") or hasattr(k, "visible") for k in self.kernels):
            raise ValueError("Annealed: expected plain kernels (Langevin, Mala, Hmc), not samplers that hold others.")

    @classmethod
    def over(
        cls,
        kernel: Any,
        steps: int,
        *,
        temperatures: tuple[float, ...] | None = None,
        noise_levels: tuple[float, ...] | None = None,
        power: float = 0.0,
    ) -> Self:
        """The same kernel at each level l, its step size times $(l / l_{last})^{power}$.

        For temperatures, power 1 keeps a Langevin step's noise as strong as its kernel's at T = l; for noise levels,
        Song & Ermon use power 2.
        """
        levels = tuple(temperatures or noise_levels or ())
        sizes = [kernel.step_size * (level / levels[-1]) ** power for level in levels]
        kernels = tuple(replace(kernel, step_size=h) for h in sizes)
        return cls(kernels=kernels, steps=steps, temperatures=temperatures, noise_levels=noise_levels)

    @property
    def levels(self) -> tuple[float, ...]:
        """Temperatures or noise levels, whichever it has."""
        return tuple(self.temperatures or self.noise_levels or ())

    @property
    def total(self) -> int:
        """Steps until the last level has had its share."""
        return self.steps * len(self.levels)

    def init(self, energy: Energy, x: Batch) -> State:
        """The state at the first level."""
        return self._enter(energy, State(x))

    def resume(self, energy: Energy, state: State) -> State:
        """The state at the level of its next step, with energy and gradient taken anew."""
        return self._enter(energy, state)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step of the kernel at the level of this step."""
        level = state.held
        if not isinstance(level, Level) or level.energy is not energy or level.rung != self._rung(state.n):
            state = self._enter(energy, state)
            level = state.held
        following, info = self.kernels[level.rung].step(level.acting, state._replace(held=level.held), generator)
        return following._replace(n=state.n + 1, held=level._replace(held=following.held)), info

    def acting(self, energy: Energy, state: State) -> Energy:
        """The energy at the level of the step that led to a state."""
        return state.held.acting

    def _rung(self, n: int) -> int:
        return min(n // self.steps, len(self.levels) - 1)

    def _enter(self, energy: Energy, state: State) -> State:
        """The state at its level's energy; what the kernel kept, such as a momentum, stays."""
        rung = self._rung(state.n)
        level = self.levels[rung]
        acting = energy.at_noise(level) if self.temperatures is None else energy.at_temperature(level)
        kept = state.held.held if isinstance(state.held, Level) else None
        fresh = resumed(self.kernels[rung], acting, state._replace(held=kept))
        return fresh._replace(held=Level(energy, acting, rung, fresh.held))
