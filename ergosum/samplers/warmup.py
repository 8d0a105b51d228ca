"""Find the step size at which an exact kernel accepts as often as it should."""

from dataclasses import replace
from math import exp, log
from typing import TypeVar

from torch import Generator

from ergosum.energy import Term, as_energy
from ergosum.samplers.chain import State, run
from ergosum.samplers.guards import NonFiniteError, lowest, refuse_fall
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.mala import Mala
from ergosum.shapes import Batch

__all__ = ["TARGETS", "warm_up"]

TARGETS: dict[type, float] = {Mala: 0.574, Hmc: 0.8}
"""Acceptance to aim for: optimal for Mala in high dimension, safe for Hmc."""

GAMMA, OFFSET, KAPPA = 0.05, 10.0, 0.75
"""Dual averaging's constants, as in its source."""

LIMIT = 100.0
"""Largest logarithm of a step size, either way."""

AnyExact = TypeVar("AnyExact", bound=Mala | Hmc)


def warm_up(
    sampler: AnyExact,
    energy: Term,
    x: Batch | State,
    steps: int = 200,
    *,
    target: float | None = None,
    generator: Generator | None = None,
) -> tuple[AnyExact, State]:
    r"""The sampler with its step size adapted by dual averaging, and the chains' state after it.

    All chains share one step size; what is averaged is their mean acceptance. The adapted steps are not a sample of
    the target: go on with the returned sampler, whose step size is fixed.

    Args:
        sampler: its step size is the first guess. steps: >= 1. target: acceptance in (0, 1), default `TARGETS`.
    Raises:
        ValueError: if steps or target are out of range, the sampler is another, or the step size is one per chain.
        NonFiniteError: if no proposal was ever accepted: the energy or its gradient is not finite.
    Source: Hoffman & Gelman 2014, section 3.2.
    """
    if type(sampler) not in TARGETS:
        raise ValueError(f"warm_up: expected Mala or Hmc, got {type(sampler).__name__}.")
    aim = TARGETS[type(sampler)] if target is None else target
    if steps < 1 or not 0 < aim < 1:
        raise ValueError(f"warm_up: expected steps >= 1 and a target in (0, 1), got {steps} and {aim}.")
    if not isinstance(sampler.step_size, float | int):
        raise ValueError("warm_up: expected one step size for all chains, a float.")
    centre, error, averaged = log(10 * sampler.step_size), 0.0, 0.0
    current, state, energy, floor, accepted = sampler, x, as_energy(energy), None, 0.0
    for n in range(1, steps + 1):
        step = next(run(current, energy, state, 1, generator=generator))
        state = step.state
        floor = lowest(energy, step.info.energy) if n == 1 else floor
        refuse_fall(type(sampler).__name__, energy, step.info.energy, floor, n)
        rate = step.info.acceptance.mean().item()  # type: ignore[union-attr]
        accepted += rate
        error += (aim - rate - error) / (n + OFFSET)
        size = min(max(centre - error * n**0.5 / GAMMA, -LIMIT), LIMIT)
        averaged += n**-KAPPA * (size - averaged)
        current = replace(sampler, step_size=exp(size))
    assert isinstance(state, State)
    if accepted == 0:
        raise NonFiniteError(f"warm_up: none of {steps} proposals was accepted; {energy} or its slope is not finite.")
    return replace(sampler, step_size=exp(averaged)), state
