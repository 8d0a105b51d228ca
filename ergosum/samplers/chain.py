"""What passes through a chain, and the one loop that runs every sampler.

A sampler is a frozen record of hyper-parameters with two pure methods, `init(energy, x)` and
`step(energy, state, generator)`. `run` yields step by step; `sample` collects what is wanted of a run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from ergosum.energy import Energy, Term, as_energy
from ergosum.metrics.diagnostics import ess, mcse, rhat
from ergosum.samplers.guards import (
    expect_finite,
    expect_shape,
    lowest,
    refuse_fall,
    refuse_non_finite,
    refuse_ungrounded,
)
from ergosum.samplers.tensors import freed
from ergosum.shapes import Batch, PerSample

__all__ = [
    "Chain",
    "Info",
    "Sampler",
    "State",
    "Step",
    "Varying",
    "differentiable_steps",
    "run",
    "sample",
    "start",
]

TOGETHER = 64
"""Steps whose acceptances `sample` adds up in one operation."""

Tally = dict[int, tuple[Tensor, Tensor]]
"""Sums and counts, by place in Info."""


class State(NamedTuple):
    """What the next step needs. It belongs to one sampler and one energy: for another, start from its x.

    Attributes:
        x: (batch, *event). energy, gradient: of x where the sampler carries them, (batch,) and like x, else None.
        n: steps taken. held: what a sampler of samplers keeps.
    """

    x: Tensor
    energy: Tensor | None = None
    gradient: Tensor | None = None
    n: int = 0
    held: Any = None


class Info(NamedTuple):
    """What a person wants to know of a step; None where it has no meaning for the sampler.

    Attributes:
        energy: (batch,), where the step started. gradient: like x, where the step started.
        acceptance: (batch,), probability that the proposal was accepted. divergent: (batch,), whether it was absurd
            (not finite, or more than 1000 units of temperature higher). clipped: (batch,), share of the gradient's
            elements that were clipped. swaps: (replicas - 1,), share of exchanges accepted between neighbours.
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
    """Step number n (1 for the first), x after it, the sampler's Info and the State to go on from."""

    n: int
    x: Tensor
    info: Info
    state: State


@runtime_checkable
class Sampler(Protocol):
    """What `run` asks of a sampler."""

    def init(self, energy: Energy, x: Batch) -> State:
        """The state before the first step."""
        ...

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """One step."""
        ...


class Varying(NamedTuple):
    """An energy that changes from step to step: (n, x) -> the energy that acts in step n, maybe anchored at x."""

    at: Callable[[int, Tensor], Energy]


def start(energy: Energy, x: Batch, mask: Tensor | None = None) -> State:
    """The state of a sampler that carries energy and gradient."""
    value, gradient = energy.value_and_gradient(x)
    expect_shape(value, x)
    return State(x, value, freed(gradient, mask))


def differentiable_steps(
    gradient: Literal["last", "truncated", "window", "full"], steps: int, window: int
) -> tuple[set[int], set[int]]:
    """Which steps build a graph, and which of them first cut the graph of those before.

    - `last`: only step N (what COMET's released code amounts to).
    - `truncated`: every step, each cut from the one before (what its paper describes).
    - `window`: the last `window` steps, connected.
    - `full`: all steps, connected.
    """
    everyone = set(range(1, steps + 1))
    if gradient == "last":
        return {steps}, {steps}
    if gradient == "truncated":
        return everyone, everyone
    if gradient == "window":
        first = max(1, steps - window + 1)
        return set(range(first, steps + 1)), {first}
    return everyone, {1}


def run(
    sampler: Sampler,
    energy: Term | Varying,
    x: Batch | State,
    steps: int,
    *,
    graph: tuple[set[int], set[int]] = (set(), set()),
    generator: Generator | None = None,
    check: bool = True,
) -> Iterator[Step]:
    """Yield `steps` steps of the sampler.

    Args:
        energy: an energy, any callable, or `Varying`.
        x: where chains start, or the State of an earlier run to go on from.
        graph: steps that build a graph and steps that cut it, see `differentiable_steps`; for samplers whose `step`
            takes `create_graph` (Descent, Langevin).
        check: stop at the first value that is not finite.
    Raises:
        ValueError: if the energy is a negation without a positive term, or gives anything but one number per sample.
        NonFiniteError: with step, chain and term named.
        UnboundedError: if an energy with a negation falls by more than 1000 times the size of its start.
    """
    build, cut = graph
    at, fixed = _told(sampler, energy)
    visible = getattr(sampler, "visible", None)
    who, floor = type(sampler).__name__, None
    # a gradient that is not finite would be clipped or clamped out of sight
    steep = getattr(sampler, "clip", None) is not None or getattr(sampler, "clamp", None) is not None
    state, before = (x, x.x) if isinstance(x, State) else (None, x)
    if check:
        expect_finite(who, before, 0)
    for n in range(1, steps + 1):
        differentiable = n in build
        if before.requires_grad and (not differentiable or n in cut):
            before = before.detach()
        with torch.set_grad_enabled(differentiable):
            acting = fixed or at(1 if state is None else state.n + 1, before)
            if state is None or fixed is None:
                state = _entered(sampler, acting, before, 0 if state is None else state.n, check)
            elif state.x is not before:
                state = state._replace(x=before)
            options = {"create_graph": True} if differentiable else {}
            state, info = sampler.step(acting, state, generator, **options)
        if n == 1:
            expect_shape(info.energy, state.x)
            floor = None if fixed is None or hasattr(sampler, "levels") else lowest(fixed, info.energy)
        if check:
            refuse_non_finite(who, acting, before, state.x, info.energy, n)
            if steep:
                expect_finite(who, info.gradient, n, acting, before)
        refuse_fall(who, acting, info.energy, floor, n)
        before = state.x
        yield Step(n, before if visible is None else visible(state), info, state)


def _told(sampler: Sampler, energy: Term | Varying) -> tuple[Callable[[int, Tensor], Energy], Energy | None]:
    """The energy of each step, and the one of all steps where there is one."""
    if not isinstance(energy, Varying):
        fixed = as_energy(energy)
        refuse_ungrounded(fixed)
        return lambda n, x: fixed, fixed
    if hasattr(sampler, "visible") or hasattr(sampler, "levels"):
        raise ValueError(f"{type(sampler).__name__} keeps an energy of its own and cannot follow one that varies.")
    return energy.at, None


def _entered(sampler: Sampler, energy: Energy, x: Tensor, n: int, check: bool) -> State:
    """The state before step n + 1, where chains start or the energy has changed."""
    state = sampler.init(energy, x)._replace(n=n)
    if check and state.energy is not None and state.gradient is not None:
        expect_finite(type(sampler).__name__, state.energy, 0, energy, x)
        expect_finite(type(sampler).__name__, state.gradient, 0, energy, x)
    return state


class Chain(NamedTuple):
    """What `sample` keeps of a run.

    Shape:
        draws: (kept, batch, *event). energy: (kept, batch), of each draw's step where it started.
        acceptance, divergent: (batch,), mean probability and number of absurd proposals; None without proposals.
        clipped: (batch,), mean share of clipped elements, or None. swaps: (replicas - 1,), mean rates, or None.
    """

    draws: Tensor
    energy: Tensor
    acceptance: Tensor | None
    divergent: Tensor | None
    clipped: Tensor | None
    swaps: Tensor | None
    state: State

    @property
    def x(self) -> Tensor:
        """The last draws, (batch, *event)."""
        return self.draws[-1]

    def ess(self) -> Tensor:
        """Effective sample size of every coordinate, see `metrics.diagnostics.ess`."""
        return ess(self.draws)

    def rhat(self) -> Tensor:
        """Potential scale reduction of every coordinate, see `metrics.diagnostics.rhat`."""
        return rhat(self.draws)

    def mcse(self) -> Tensor:
        """Monte-Carlo standard error of every coordinate's mean, see `metrics.diagnostics.mcse`."""
        return mcse(self.draws)


def sample(
    sampler: Sampler,
    energy: Term | Varying,
    x: Batch | State,
    steps: int,
    *,
    keep: int = 1,
    discard: int = 0,
    generator: Generator | None = None,
    progress: bool = False,
    check: bool = True,
) -> Chain:
    """Run a sampler and keep every `keep`-th x after the first `discard` steps.

    Args:
        x: where chains start, (batch, *event), or an earlier `Chain.state` to go on from.
        progress: show a progress bar.
    Raises:
        ValueError: if nothing would be kept. Else as `run`.

    Example:
        >>> from ergosum.samplers.langevin import Langevin
        >>> bowl = lambda x: (x**2).sum(1) / 2
        >>> chain = sample(Langevin(step_size=0.1), bowl, torch.zeros(4, 2), 100, keep=10, discard=20)
        >>> chain.draws.shape
        torch.Size([8, 4, 2])
    """
    if steps < 1 or keep < 1 or not 0 <= discard <= steps - keep:
        raise ValueError(
            f"sample: of {steps} steps, every {keep}th after the first {discard} keeps nothing; expected steps >= 1, "
            "keep >= 1 and 0 <= discard <= steps - keep."
        )
    draws, energies = [], []
    told: list[tuple[Tensor | None, ...]] = []
    tally: Tally = {}
    step = None
    running = run(sampler, energy, x, steps, generator=generator, check=check)
    with _frozen(energy):
        for step in _shown(running, steps, type(sampler).__name__) if progress else running:
            if step.n <= discard:
                continue
            if (step.n - discard) % keep == 0:
                # of replicas only the visible ones are kept: a view would hold them all
                whole = len(step.x) == len(step.info.energy)
                draws.append(step.x if whole else step.x.clone())
                energies.append(step.info.energy if whole else step.info.energy[: len(step.x)].clone())
            told.append(step.info[2:])
            if len(told) == TOGETHER or step.n == steps:
                tally = _added(tally, told)
                told.clear()
    assert step is not None
    acceptance, divergent, clipped, swaps = (tally.get(k) for k in range(4))
    return Chain(
        torch.stack(draws), torch.stack(energies), _mean(acceptance), None if divergent is None else divergent[0],
        _mean(clipped), _mean(swaps), step.state,
    )  # fmt: skip


@contextmanager
def _frozen(energy: Term | Varying) -> Iterator[None]:
    """Weights that ask for no gradient: a forward pass then keeps only what the gradient of x needs.

    Only around a whole run: between two steps of `run` its caller may train.
    """
    weights = energy.parameters() if isinstance(energy, nn.Module) else ()
    held = [weight for weight in weights if weight.requires_grad and weight.is_leaf]
    for weight in held:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in held:
            weight.requires_grad_(True)


def _added(tally: Tally, told: list[tuple[Tensor | None, ...]]) -> Tally:
    """Sums and counts of what steps told, with those of some more steps; what was not tried there is not a number."""
    for place, column in enumerate(zip(*told, strict=True)):
        values = [value for value in column if value is not None]
        if values:
            stacked = torch.stack(values)
            known = ~torch.isnan(stacked)
            total, count = torch.where(known, stacked, 0).sum(0), known.sum(0)
            before = tally.get(place)
            tally[place] = (total, count) if before is None else (before[0] + total, before[1] + count)
    return tally


def _mean(tallied: tuple[Tensor, Tensor] | None) -> Tensor | None:
    return None if tallied is None else tallied[0] / tallied[1]


def _shown(running: Iterator[Step], steps: int, name: str) -> Iterator[Step]:
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task(name, total=steps)
        for step in running:
            if step.n % 10 == 0 or step.n == steps:
                bar.update(task, completed=step.n, description=f"{name}  energy {step.info.energy.mean().item():.4g}")
            yield step
