"""The one loop that runs every sampler: `run` yields step by step, `sample` collects what is wanted of a run.

Every sampler draws from $exp(-E) / Z$, at temperature T from $exp(-E / T)$, whatever temperature the energy was trained
at: for that unit, sample `energy.in_units()`. Randomness comes from `generator`, everywhere optional; without one it is
torch's global generator.
"""

import collections.abc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor, nn

from ergosum.energy import Energy, Term, as_energy
from ergosum.metrics.diagnostics import ess, mcse, rhat
from ergosum.samplers.guards import (
    FallGuard,
    TrainingModeWarning,
    coupling,
    expect_chains,
    expect_finite,
    expect_shape,
    refuse_non_finite,
    refuse_ungrounded,
)
from ergosum.samplers.state import Info, Sampler, State, Step, Varying, resumed, slope, start
from ergosum.samplers.tally import Tally
from ergosum.shapes import Batch

__all__ = [
    "Chain",
    "Info",
    "Sampler",
    "State",
    "Step",
    "Varying",
    "differentiable_steps",
    "finished",
    "resumed",
    "run",
    "sample",
    "sampling",
    "slope",
    "start",
]


Result = TypeVar("Result")


def finished(running: collections.abc.Generator[Any, None, Result]) -> Result:
    """What a generator returns when it has run to its end; what it yields on the way is passed over."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


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

    From a State, energy and gradient are taken anew once, so that a chain never goes on with those of another energy or
    of weights that have changed since.

    Args:
        energy: an energy, any callable, or `Varying`.
        x: where chains start, or the State of an earlier run to go on from.
        graph: steps that build a graph and steps that cut it, see `differentiable_steps`; for samplers whose `step`
            takes `create_graph` (Descent, Langevin).
        check: stop at the first value that is not finite, and if the energy falls without bound; False looks at
            neither.
    Raises:
        ValueError: if there is no chain, if the energy is a negation without a positive term, or gives anything but one
            number per sample.
        NonFiniteError: with step, chain and term named.
        UnboundedError: if the energy of a chain falls without bound.
    Warns:
        TrainingModeWarning: if the energy has layers in training mode that couple chains, and no step builds a graph.
    """
    build, cut = graph
    at, fixed = _told(sampler, energy)
    visible, acts = getattr(sampler, "visible", None), getattr(sampler, "acting", None)
    who, steep, clamped = _traits(sampler)
    state, before = (x, x.x) if isinstance(x, State) else (None, x)
    expect_chains(who, before)
    if before.is_inference() and not torch.is_inference_mode_enabled():
        before = before.clone()  # a chain that began in inference mode goes on outside of it
    guard = None
    if check:
        expect_finite(who, before, 0)
    for n in range(1, steps + 1):
        differentiable = n in build
        if before.requires_grad and (not differentiable or n in cut):
            before = before.detach()
        with torch.set_grad_enabled(differentiable):
            given = fixed or at(1 if state is None else state.n + 1, before)
            if n == 1 and not build:
                _warn_of_coupling(who, given)
            if n == 1 or fixed is None:
                state = _entered(sampler, given, before, state, check)
                before = state.x
            elif state.x is not before:  # type: ignore[union-attr]
                state = state._replace(x=before)  # type: ignore[union-attr]
            options = {"create_graph": True} if differentiable else {}
            state, info = sampler.step(given, state, generator, **options)  # type: ignore[arg-type]
        if n == 1:
            expect_shape(info.energy, state.x)
            # within a clamp every continuous energy is bounded
            minimises = getattr(sampler, "minimises", False)
            guard = FallGuard(who, before, minimises) if check and not clamped else None
        if check:
            acting = given if acts is None else acts(given, state)
            total = refuse_non_finite(who, acting, before, state.x, info.energy, n)
            if steep:
                expect_finite(who, info.gradient, n, acting, before)
            if guard is not None:
                guard.watch(acting, before, info.energy, total, n)
        before = state.x
        yield Step(n, before if visible is None else visible(state), info, state, given)


def _traits(sampler: Sampler) -> tuple[str, bool, bool]:
    """A sampler's name; whether it hides gradients that are not finite by clipping or clamping; whether it clamps x."""
    kernels = getattr(sampler, "kernels", (sampler,))
    clips, clamps = (any(getattr(k, name, None) is not None for k in kernels) for name in ("clip", "clamp"))
    return type(sampler).__name__, clips or clamps, clamps


def _told(sampler: Sampler, energy: Term | Varying) -> tuple[Callable[[int, Tensor], Energy], Energy | None]:
    """The energy of each step, and the one of all steps where there is one."""
    if not isinstance(energy, Varying):
        fixed = as_energy(energy)
        refuse_ungrounded(fixed)
        return lambda n, x: fixed, fixed
    if hasattr(sampler, "visible") or hasattr(sampler, "acting"):
        raise ValueError(f"{type(sampler).__name__} keeps an energy of its own and cannot follow one that varies.")
    return energy.at, None


def _warn_of_coupling(who: str, energy: Energy) -> None:
    layer = coupling(energy)
    if layer is not None:
        warnings.warn(
            f"{who}: the energy holds {layer} in training mode, which couples the chains of a batch or draws another "
            "energy at every call; call eval() on the network before sampling.",
            TrainingModeWarning,
            stacklevel=3,
        )


def _entered(sampler: Sampler, energy: Energy, x: Tensor, state: State | None, check: bool) -> State:
    """The state before the next step, where chains start, go on from a state, or the energy has changed."""
    state = sampler.init(energy, x) if state is None else resumed(sampler, energy, state._replace(x=x))
    if check and state.energy is not None and state.gradient is not None:
        who = type(sampler).__name__
        if getattr(energy, "has_value", True):
            expect_finite(who, state.energy, 0, energy, x)
        expect_finite(who, state.gradient, 0, energy, x)
    return state


class Chain(NamedTuple):
    """What `sample` keeps of a run.

    Shape:
        draws: (kept, batch, *event). energy: (kept, batch), of each draw: that of the energy given, for `Varying` of
            the one that acted in the draw's step; not a number for an energy that is known by its score alone.
        acceptance, divergent: (batch,), mean probability and number of divergent transitions; None without proposals.
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
        progress: show a progress bar, on stderr.
        check: see `run`.
    Raises:
        ValueError: if nothing would be kept. Else as `run`.

    Example:
        >>> from ergosum.samplers.langevin import Langevin
        >>> bowl = lambda x: (x**2).sum(1) / 2
        >>> chain = sample(Langevin(step_size=0.1), bowl, torch.zeros(4, 2), 100, keep=10, discard=20)
        >>> chain.draws.shape
        torch.Size([8, 4, 2])
    """
    return finished(
        sampling(
            sampler, energy, x, steps, keep=keep, discard=discard, generator=generator, progress=progress, check=check
        )
    )


def sampling(
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
) -> collections.abc.Generator[Step, None, Chain]:
    """What `sample` does, step by step: yields every step, and returns the chain. Arguments and errors as there."""
    if steps < 1 or keep < 1 or not 0 <= discard <= steps - keep:
        raise ValueError(
            f"sample: of {steps} steps, every {keep}th after the first {discard} keeps nothing; expected steps >= 1, "
            "keep >= 1 and 0 <= discard <= steps - keep."
        )
    energy = energy if isinstance(energy, Varying) else as_energy(energy)
    draws: list[Tensor] = []
    energies: list[Tensor | None] = []
    tally, step = Tally(), None
    tells_start = _tells_start(sampler, energy)
    running = run(sampler, energy, x, steps, generator=generator, check=check)
    with frozen(energy):
        for step in _shown(running, steps, type(sampler).__name__) if progress else running:
            yield step
            if tells_start and energies and energies[-1] is None:
                energies[-1] = step.info.energy
            if step.n <= discard:
                continue
            if (step.n - discard) % keep == 0:
                # of replicas only the visible ones are kept: a view would hold them all
                whole = len(step.x) == len(step.state.x)
                draws.append(step.x if whole else step.x.clone())
                energies.append(_carried(sampler, energy, step))
            tally.add(step.info[2:])
        assert step is not None
        if energies[-1] is None:
            energies[-1] = _evaluated(energy, step)
    acceptance, divergent, clipped, swaps = tally.mean(0), tally.total(1), tally.mean(2), tally.mean(3)
    return Chain(
        torch.stack(draws),
        torch.stack([e for e in energies if e is not None]),
        acceptance,
        divergent,
        clipped,
        swaps,
        step.state,
    )


def _tells_start(sampler: Sampler, energy: Energy | Varying) -> bool:
    """Whether the energy that a step tells is that of the draw before it."""
    return not (isinstance(energy, Varying) or hasattr(sampler, "acting") or getattr(sampler, "noise_first", False))


def _carried(sampler: Sampler, energy: Energy | Varying, step: Step) -> Tensor | None:
    """The energy of a step's x, unless the next step tells it."""
    if not _tells_start(sampler, energy):
        return _evaluated(energy, step)
    value = step.state.energy
    if value is None:
        return None
    return value if len(value) == len(step.x) else value[: len(step.x)].clone()


@torch.no_grad()
def _evaluated(energy: Energy | Varying, step: Step) -> Tensor:
    """The energy of a step's x."""
    acting = step.energy if isinstance(energy, Varying) else energy
    if not getattr(acting, "has_value", True):
        return torch.full_like(step.info.energy[: len(step.x)], torch.nan)
    return acting(step.x)


@contextmanager
def frozen(energy: Energy | Varying) -> Iterator[None]:
    """Weights that ask for no gradient: a forward pass then keeps only what the gradient of x needs.

    Only around a whole run: between two steps of `run` its caller may train.
    """
    weights = energy.parameters() if isinstance(energy, nn.Module) else ()
    fixed = [weight for weight in weights if weight.requires_grad and weight.is_leaf]
    for weight in fixed:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in fixed:
            weight.requires_grad_(True)


def _shown(running: Iterator[Step], steps: int, name: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=steps)
        for step in running:
            if step.n % 10 == 0 or step.n == steps:
                bar.update(task, completed=step.n, description=f"{name}  energy {step.info.energy.mean().item():.4g}")
            yield step
