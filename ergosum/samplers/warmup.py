"""Find the step size at which an exact kernel accepts as often as it should, and the mass of Hmc."""

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from typing import Generic, TypeVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy, Term, as_energy
from ergosum.samplers.chain import run
from ergosum.samplers.guards import NonFiniteError, UnboundedError
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.mala import Mala
from ergosum.samplers.state import Info, State, resumed
from ergosum.shapes import Batch

__all__ = ["TARGETS", "warm_up"]

TARGETS: Mapping[type, float] = {Mala: 0.574, Hmc: 0.8}
"""Acceptance to aim for: optimal for Mala in high dimension, safe for Hmc."""

GAMMA, OFFSET, KAPPA = 0.05, 10.0, 0.75
"""Dual averaging's constants, as in its source."""

LIMIT = 80.0
"""Largest logarithm of a step size, either way: a factor of 6e34, which float32 still holds."""

WINDOWS = (0.15, 0.4, 0.8)
"""Shares of the steps at which the mass is estimated anew, from the draws since the one before; the first only ends
the way to where the density is. Stan doubles its windows likewise."""

SURE = 1e6
"""A step that has grown so much and was accepted too often all the way has met no bounds of the density."""

AnyExact = TypeVar("AnyExact", bound=Mala | Hmc)


def warm_up(
    sampler: AnyExact,
    energy: Term,
    x: Batch | State,
    steps: int = 200,
    *,
    target: float | None = None,
    estimate_mass: bool = False,
    generator: Generator | None = None,
    check: bool = True,
) -> tuple[AnyExact, State]:
    r"""The sampler with its step size adapted by dual averaging, and the chains' state after it.

    All chains share one step size; what is averaged is their mean acceptance. The adapted steps are not a sample of
    the target: go on with the returned sampler, whose step size is fixed.

    With `estimate_mass`, the mass of `Hmc` becomes one over the variance of each coordinate, over chains and steps, in
    two windows; coordinates of very different widths then need no smaller step than the widest.

    Args:
        sampler: its step size is the first guess. steps: >= 1, with `estimate_mass` >= 20. target: acceptance in
            (0, 1), default `TARGETS`. generator: of all randomness; torch's global one by default. check: see `run`.
    Raises:
        ValueError: if steps or target are out of range, the sampler is another, or the step size is one per chain.
        NonFiniteError: if no proposal was ever accepted: the energy or its gradient is not finite.
        UnboundedError: if the energy falls without bound, or no step was too long: the target is improper.
    Source: Hoffman & Gelman 2014, section 3.2; the windows: Carpenter et al. 2017, Stan, section 3.1. Differs: two
        windows, over all chains, and variances that are not shrunk.
    """
    if type(sampler) not in TARGETS:
        raise ValueError(f"warm_up: expected Mala or Hmc, got {type(sampler).__name__}.")
    aim = TARGETS[type(sampler)] if target is None else target
    if steps < 1 or not 0 < aim < 1:
        raise ValueError(f"warm_up: expected steps >= 1 and a target in (0, 1), got {steps} and {aim}.")
    if not isinstance(sampler.step_size, float | int):
        raise ValueError("warm_up: expected one step size for all chains, a float.")
    if estimate_mass and (not isinstance(sampler, Hmc) or steps < 20):
        raise ValueError(f"warm_up: expected Hmc and 20 steps or more to estimate a mass, got "
                         f"{type(sampler).__name__} and {steps}.")  # fmt: skip
    adapting = WarmUp(sampler, aim, steps if estimate_mass else None)
    state = None
    for step in run(adapting, energy, x, steps, generator=generator, check=check):
        state = step.state
    assert isinstance(state, State)
    if adapting.accepted == 0:
        raise NonFiniteError(
            f"warm_up: none of {steps} proposals was accepted; {as_energy(energy)} or its slope is not finite."
        )
    if check and adapting.never_too_long:
        raise UnboundedError(
            f"warm_up: steps grew to {adapting.found.step_size:.2g}, and none was too long for {as_energy(energy)}: "
            "its density has no bounds, exp(-E) no finite integral. Compose it with an energy that says where samples "
            "may be, such as a wide Gaussian; if it is proper, begin with a larger step size or take more steps."
        )
    return adapting.found, state


class WarmUp(Generic[AnyExact]):
    """A sampler that adapts while it runs.

    Args:
        windowed: how many steps there will be, if the mass is to be estimated.
    """

    def __init__(self, sampler: AnyExact, aim: float, windowed: int | None) -> None:
        self.aim, self.first = aim, float(sampler.step_size)
        self.accepted, self.steps, self.least = 0.0, 0, 1.0
        self.ends = [] if windowed is None else [round(windowed * share) for share in WINDOWS]
        self.variance = _Variance()
        self._restart(sampler, self.first)

    @property
    def found(self) -> AnyExact:
        """The sampler with the averaged step size."""
        return replace(self.sampler, step_size=exp(self.averaged))

    @property
    def never_too_long(self) -> bool:
        """Whether every step was accepted more often than it should, though steps grew a million times as long."""
        return self.least >= self.aim and self.averaged - log(self.first) > log(SURE)

    def init(self, energy: Energy, x: Batch) -> State:
        """As the sampler."""
        return self.sampler.init(energy, x)

    def resume(self, energy: Energy, state: State) -> State:
        """As the sampler."""
        return resumed(self.sampler, energy, state)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step, after which the step size is another one."""
        state, info = self.sampler.step(energy, state, generator)
        rate = info.acceptance.mean().item()  # type: ignore[union-attr]
        self.accepted += rate
        self.least = min(self.least, rate)
        self.steps += 1
        self._average(rate)
        self.sampler = replace(self.sampler, step_size=exp(self.size))
        if self.ends:
            self.variance.add(state.x)
            if self.steps == self.ends[0]:
                self._end_window(state.x)
        return state, info

    def _restart(self, sampler: AnyExact, size: float) -> None:
        self.sampler, self.size, self.centre = sampler, log(size), log(10 * size)
        self.n, self.error, self.averaged = 0, 0.0, 0.0

    def _average(self, rate: float) -> None:
        """Dual averaging, with the step that was just taken."""
        self.n += 1
        self.error += (self.aim - rate - self.error) / (self.n + OFFSET)
        self.size = min(max(self.centre - self.error * self.n**0.5 / GAMMA, -LIMIT), LIMIT)
        self.averaged += self.n**-KAPPA * (self.size - self.averaged)

    def _end_window(self, x: Tensor) -> None:
        self.ends.pop(0)
        variance, self.variance = self.variance.found, _Variance()
        if len(self.ends) < len(WINDOWS) - 1:
            # in units of its own mass, the best step of a Gaussian is near D^(-1/4)
            size = x[0].numel() ** -0.25
            mass = (1 / variance).to(x.dtype)
            self._restart(replace(self.sampler, mass=mass, step_size=size), size)


class _Variance:
    """Mean and variance of every coordinate over chains and steps, in one pass."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = torch.zeros(())

    def add(self, x: Tensor) -> None:
        """All chains of a step."""
        mean = x.double().mean(0)
        squares = (x.double() - mean).square().sum(0)
        total = self.count + len(x)
        shift = mean - self.mean
        self.squares = self.squares + squares + shift.square() * (self.count * len(x) / total)
        self.mean = self.mean + shift * (len(x) / total)
        self.count = total

    @property
    def found(self) -> Tensor:
        """Variance of each coordinate; 1 where nothing moved."""
        variance = self.squares / max(1, self.count - 1)
        return torch.where(variance > 0, variance, 1.0)
