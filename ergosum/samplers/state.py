"""What passes through a chain: the records of a step, and what a sampler has to offer.

A sampler is a frozen record of hyper-parameters with two pure methods, `init(energy, x)` and
`step(energy, state, generator)`; `chain.run` runs it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.guards import expect_shape, expect_value
from ergosum.samplers.tensors import masked
from ergosum.shapes import Batch, PerSample

__all__ = ["Info", "Sampler", "State", "Step", "Varying", "resumed", "slope", "start"]


class State(NamedTuple):
    """What the next step needs. Hand it to `run` or `sample` to go on, with the same sampler and energy to the same
    bits; with another energy, or changed weights, the energy and gradient that it carries are taken anew.

    Attributes:
        x: (batch, *event). energy, gradient: of x where the sampler carries them, (batch,) and like x, else None.
        n: steps taken. held: what else a sampler carries: replicas' places, a momentum.
    """

    x: Tensor
    energy: Tensor | None = None
    gradient: Tensor | None = None
    n: int = 0
    held: Any = None


class Info(NamedTuple):
    """What a person wants to know of a step; None where it has no meaning for the sampler.

    Attributes:
        energy: (batch,), where the step started; not a number for an energy that is known by its score alone.
        gradient: like x, where the step started.
        acceptance: (batch,), probability that the proposal was accepted. divergent: (batch,), whether it was a
            divergent transition (not finite, or more than 1000 units of temperature higher). clipped: (batch,), share
            of the gradient's elements that were clipped. swaps: (replicas - 1,), share of exchanges accepted between
            neighbours.
    """

    energy: PerSample
    gradient: Tensor
    acceptance: Tensor | None = None
    divergent: Tensor | None = None
    clipped: Tensor | None = None
    swaps: Tensor | None = None

    @property
    def gradient_norm(self) -> PerSample:
        """$||grad E||$ where the step started, (batch,)."""
        return self.gradient.reshape(len(self.gradient), -1).norm(dim=1)


class Step(NamedTuple):
    """Step n (1 for the first): x after it, the sampler's Info, the State to go on from, the energy that acted."""

    n: int
    x: Tensor
    info: Info
    state: State
    energy: Energy


@runtime_checkable
class Sampler(Protocol):
    """What `run` asks of a sampler.

    It may say more: a class attribute `exact = True`, if its steps leave exp(-E / T) as it is; `resume(energy, state)`,
    if its state holds more than energy and gradient; `acting(energy, state)`, if a step takes another energy than the
    one given; `visible(state)`, if a state holds more than its chains.
    """

    def init(self, energy: Energy, x: Batch) -> State:
        """The state before the first step."""
        ...

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step."""
        ...


class Varying(NamedTuple):
    """An energy that changes from step to step: (n, x) -> the energy that acts in step n, maybe anchored at x."""

    at: Callable[[int, Tensor], Energy]


def slope(energy: Energy, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
    """Energy and gradient; the energy is not a number where only the score is known."""
    if getattr(energy, "has_value", True):
        return energy.value_and_gradient(x, create_graph)
    return torch.full((len(x),), torch.nan, dtype=x.dtype, device=x.device), energy.gradient(x, create_graph)


def start(energy: Energy, x: Batch, mask: Tensor | None = None) -> State:
    """The state of a sampler that carries energy and gradient.

    Raises:
        ValueError: if the energy is known by its score alone.
    """
    expect_value("An exact sampler", energy)
    value, gradient = energy.value_and_gradient(x)
    expect_shape(value, x)
    return State(x, value, masked(gradient, mask))


def resumed(sampler: Sampler, energy: Energy, state: State) -> State:
    """The state with energy and gradient taken anew, as the sampler does it or, by default, as it starts from x."""
    resume = getattr(sampler, "resume", None)
    if resume is not None:
        return resume(energy, state)
    return sampler.init(energy, state.x)._replace(n=state.n, held=state.held)
