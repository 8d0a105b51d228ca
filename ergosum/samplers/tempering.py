"""Parallel tempering: replicas at several temperatures that exchange places, so that a chain can leave its mode."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.state import Info, State
from ergosum.samplers.tensors import accepted
from ergosum.shapes import Batch

__all__ = ["Ladder", "ParallelTempering"]


class Ladder(NamedTuple):
    """What parallel tempering keeps beside its replicas.

    Attributes:
        owner: the sampler that made it.
        kernel: for all replicas at once. walker: (replicas, batch), which walker is at each temperature.
        hot: (replicas, batch), by walker, whether it has been at the top since it was last at the bottom.
        trips: (replicas, batch), by walker, how often it came back to the bottom from the top.
    """

    owner: Any
    kernel: Any
    walker: Tensor
    hot: Tensor
    trips: Tensor


@dataclass(frozen=True, kw_only=True)
class ParallelTempering:
    r"""A kernel at temperatures $T_1 < ... < T_R$; after each step, neighbours exchange places with probability

    $$ \min(1, \exp[(1/T_i - 1/T_j)(E(x_i) - E(x_j))]), $$

    even and odd pairs in turn. Replicas lie in the batch axis, so a step costs one call of the energy, at R times the
    batch. What `run` shows as x is the coldest replica; Info tells of all, and of exchanges.

    Args:
        kernel: `Mala`, `Hmc`, `GibbsWithGradients` or any exact kernel with a temperature; at temperature T its step
            size, if it has one, is multiplied by T (by its root for `Hmc`).
        temperatures: increasing, > 0, the first is the target's.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: if there are not at least two increasing temperatures, or the kernel is biased.
    Exact: yes.   Cost: as the kernel, with R times the batch.   Exchange rates to aim for: 0.2 to 0.6.
    Source: Geyer 1991; Earl & Deem 2005.
    """

    exact: ClassVar[bool] = True

    kernel: Any
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        steps = zip(self.temperatures, self.temperatures[1:], strict=False)
        if len(self.temperatures) < 2 or self.temperatures[0] <= 0 or not all(a < b for a, b in steps):
            raise ValueError(
                f"ParallelTempering: expected at least two increasing temperatures, got {self.temperatures}."
            )
        if not hasattr(self.kernel, "temperature") or not getattr(self.kernel, "exact", False):
            raise ValueError(
                f"ParallelTempering: expected an exact kernel with a temperature (Mala, Hmc), got "
                f"{type(self.kernel).__name__}; exchanges are right only between exact chains."
            )

    def init(self, energy: Energy, x: Batch) -> State:
        """R copies of the start."""
        replicas, batch = len(self.temperatures), len(x)
        kernel = self._widened(x)
        walker = torch.arange(replicas, device=x.device)[:, None].repeat(1, batch)
        none = torch.zeros_like(walker)
        state = kernel.init(energy, x.repeat(replicas, *[1] * (x.ndim - 1)))
        return state._replace(held=Ladder(self, kernel, walker, none.bool(), none))

    def _widened(self, x: Batch) -> Any:
        """The kernel for all replicas of x: what is one per chain is repeated for each."""
        replicas, batch = len(self.temperatures), len(x)
        warmth = torch.tensor(self.temperatures, dtype=x.dtype, device=x.device).repeat_interleave(batch)
        changes: dict[str, Any] = {"temperature": warmth}
        mask, size = getattr(self.kernel, "mask", None), getattr(self.kernel, "step_size", None)
        if mask is not None and mask.ndim == x.ndim and len(mask) == batch:
            changes["mask"] = mask.repeat(replicas, *[1] * (x.ndim - 1))
        if size is not None:
            size = size.to(x).repeat(replicas) if isinstance(size, Tensor) and size.ndim else size
            changes["step_size"] = size * (warmth.sqrt() if isinstance(self.kernel, Hmc) else warmth)
        return replace(self.kernel, **changes)

    def resume(self, energy: Energy, state: State) -> State:
        """The same replicas in the same places, with energies and gradients taken anew."""
        if not isinstance(state.held, Ladder):
            return self.init(energy, state.x)._replace(n=state.n)
        ladder = self._own(state)
        fresh = ladder.kernel.init(energy, state.x)
        return fresh._replace(n=state.n, held=ladder)

    def _own(self, state: State) -> Ladder:
        """The state's ladder, with this sampler's kernel."""
        ladder: Ladder = state.held
        if ladder.owner is self:
            return ladder
        if len(ladder.walker) != len(self.temperatures):
            raise ValueError(
                f"ParallelTempering: expected a state of {len(self.temperatures)} replicas, got one of "
                f"{len(ladder.walker)}; start from its coldest replica."
            )
        return ladder._replace(owner=self, kernel=self._widened(self.visible(state)))

    def visible(self, state: State) -> Tensor:
        """The coldest replica, (batch, *event)."""
        return state.x[: state.held.walker.shape[1]]

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step of every replica, then exchanges."""
        if not isinstance(state.held, Ladder):
            state = self.init(energy, state.x)._replace(n=state.n)
        ladder = self._own(state)
        state, info = ladder.kernel.step(energy, state, generator)
        assert state.energy is not None and state.gradient is not None
        replicas, batch = ladder.walker.shape
        energies = state.energy.unflatten(0, (replicas, batch))
        first = state.n % 2
        colder, hotter = slice(first, replicas - 1, 2), slice(first + 1, replicas, 2)
        gaps = [1 / a - 1 / b for a, b in zip(self.temperatures[colder], self.temperatures[hotter], strict=True)]
        gap = torch.tensor(gaps, dtype=energies.dtype, device=energies.device).view(-1, 1)
        log_ratio = gap * (energies[colder] - energies[hotter])
        taken = (accepted(log_ratio, generator)).long()
        place = torch.arange(replicas, device=energies.device)[:, None].repeat(1, batch)
        place[colder] += taken
        place[hotter] -= taken
        order = torch.add(torch.arange(batch, device=place.device), place, alpha=batch).flatten()
        rates = torch.full((replicas - 1,), torch.nan, dtype=energies.dtype, device=energies.device)
        rates[colder] = log_ratio.clamp(max=0).exp().mean(1)
        x, energies, gradient = (each.index_select(0, order) for each in (state.x, state.energy, state.gradient))
        swapped = State(x, energies, gradient, state.n, _moved(ladder, ladder.walker.gather(0, place)))
        return swapped, info._replace(swaps=rates)


def _moved(ladder: Ladder, walker: Tensor) -> Ladder:
    """The ladder with walkers at new places, and their round trips counted."""
    bottom, top = walker[:1], walker[-1:]
    back = ladder.hot.gather(0, bottom)
    trips = ladder.trips.scatter_add(0, bottom, back.to(ladder.trips.dtype))
    hot = ladder.hot.scatter(0, bottom, False).scatter_(0, top, True)
    return Ladder(ladder.owner, ladder.kernel, walker, hot, trips)
