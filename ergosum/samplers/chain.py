"""What passes through a chain, and the one loop that runs every sampler.

A sampler is a frozen record of hyper-parameters with two pure methods, `init(energy, x)` and
`step(energy, state, generator)`. `run` yields step by step; `sample` collects what is wanted of a run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from ergosum.compose import Not, leaves
from ergosum.energy import Energy, Term, as_energy
from ergosum.metrics.diagnostics import ess, mcse, rhat
from ergosum.shapes import Batch, PerSample

__all__ = [
    "Chain",
    "Info",
    "NonFiniteError",
    "Sampler",
    "State",
    "Step",
    "UnboundedError",
    "Varying",
    "along",
    "differentiable_steps",
    "freed",
    "gaussian",
    "run",
    "sample",
    "start",
]

FALL = 1e3
"""How many times the size of its start an energy with an unbounded negation may fall before it counts as bottomless."""

TOGETHER = 64
"""Steps whose acceptances `sample` adds up in one operation."""

Tally = dict[int, tuple[Tensor, Tensor]]
"""Sums and counts, by place in Info."""


class NonFiniteError(ArithmeticError):
    """A chain or a training run left the finite numbers; the message names the step, the chain and the term."""


class UnboundedError(ArithmeticError):
    """The energy of a composition with a negation falls without bound along a chain."""


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


def gaussian(x: Tensor, generator: Generator | None, mask: Tensor | None = None) -> Tensor:
    """Standard normal noise like x, zero where the mask holds x fixed."""
    if generator is None or generator.device == x.device:
        noise = torch.randn_like(x, generator=generator, memory_format=torch.contiguous_format)
    else:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
    return noise if mask is None else noise * mask.to(noise)


def uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """Uniform numbers in 0..1, shaped like x."""
    if generator is None or generator.device == x.device:
        return torch.rand_like(x, generator=generator, memory_format=torch.contiguous_format)
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)


def along(value: float | Tensor, x: Tensor) -> float | Tensor:
    """A number for all chains as it is; one number per chain shaped so that it multiplies x, of x's kind."""
    if not isinstance(value, Tensor):
        return value
    value = value if value.dtype == x.dtype or value.dtype == torch.bool else value.to(x.dtype)
    return value.to(x.device).reshape(-1, *[1] * (x.ndim - 1)) if value.ndim else value.to(x.device)


def freed(gradient: Tensor, mask: Tensor | None) -> Tensor:
    """The gradient where the mask lets x move, zero elsewhere, whatever it is there."""
    return gradient if mask is None else torch.where(mask.to(gradient.device).bool(), gradient, 0)


def plus(x: Tensor, scale: float | Tensor, direction: Tensor) -> Tensor:
    """x + scale * direction; one operation where the scale is a number."""
    return x + scale * direction if isinstance(scale, Tensor) else torch.add(x, direction, alpha=scale)


def start(energy: Energy, x: Batch, mask: Tensor | None = None) -> State:
    """The state of a sampler that carries energy and gradient."""
    value, gradient = energy.value_and_gradient(x)
    _expect_shape(value, x)
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
    at = energy.at if isinstance(energy, Varying) else None
    fixed = None if isinstance(energy, Varying) else as_energy(energy)
    visible = getattr(sampler, "visible", None)
    if fixed is not None:
        _refuse_ungrounded(fixed)
    elif visible is not None or hasattr(sampler, "levels"):
        raise ValueError(f"{type(sampler).__name__} keeps an energy of its own and cannot follow one that varies.")
    steep = getattr(sampler, "clip", None) is not None or getattr(sampler, "clamp", None) is not None
    state = x if isinstance(x, State) else None
    before = x.x if isinstance(x, State) else x
    floor = None
    if check:
        _expect_finite(before, None, None, sampler, 0)
    for n in range(1, steps + 1):
        differentiable = n in build
        if before.requires_grad and (not differentiable or n in cut):
            before = before.detach()
        with torch.set_grad_enabled(differentiable):
            acting = fixed if at is None else at(1 if state is None else state.n + 1, before)
            if state is None or at is not None:
                state = sampler.init(acting, before)._replace(n=0 if state is None else state.n)  # type: ignore[arg-type]
                if check and state.energy is not None:
                    _expect_finite(state.energy, before, acting, sampler, 0)
                    _expect_finite(state.gradient, before, acting, sampler, 0)  # type: ignore[arg-type]
            elif state.x is not before:
                state = state._replace(x=before)
            options = {"create_graph": True} if differentiable else {}
            state, info = sampler.step(acting, state, generator, **options)  # type: ignore[arg-type]
        if n == 1:
            _expect_shape(info.energy, state.x)
            floor = None if fixed is None else lowest(fixed, sampler, info.energy)
        if check and not isfinite(state.x.sum().item() + info.energy.sum().item()):
            _expect_finite(state.x, before, acting, sampler, n)
            _expect_finite(info.energy, before, acting, sampler, n)
        if check and steep:  # a gradient that is not finite would be clipped or clamped out of sight
            _expect_finite(info.gradient, before, acting, sampler, n)
        if floor is not None:
            refuse_fall(fixed, sampler, info.energy, floor, n)  # type: ignore[arg-type]
        before = state.x
        yield Step(n, before if visible is None else visible(state), info, state)


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
    """Weights that ask for no gradient: a forward pass then keeps only what the gradient of x needs, up to 20 % less.

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


def _expect_shape(value: Tensor, x: Tensor) -> None:
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"Expected one energy per sample, shape ({len(x)},) for x of shape {tuple(x.shape)}; got shape "
            f"{tuple(value.shape)}. Sum over everything but the batch."
        )


def _refuse_ungrounded(energy: Energy) -> None:
    if not energy.grounded:
        raise ValueError(
            f"{energy}: a negation alone has no finite integral and cannot be sampled. Compose it with a positive "
            "energy that says where samples may be: positive & ~this."
        )


def lowest(energy: Energy, sampler: Sampler, value: Tensor) -> float | None:
    """Below what an energy with an unbounded negation counts as bottomless; None where it has none, or is annealed,
    which changes its scale.
    """
    if hasattr(sampler, "levels") or not _bottomless(energy):
        return None
    return value.min().item() - FALL * (1 + value.abs().max().item())


def refuse_fall(energy: Energy, sampler: Sampler, value: Tensor, floor: float, n: int) -> None:
    """Raise if an energy has fallen below its floor."""
    if value.min().item() < floor:
        raise UnboundedError(
            f"{type(sampler).__name__}: the energy of chain {value.argmin().item()} fell below {floor:.3g} at step "
            f"{n}: in {energy} the negation outweighs the positive terms. Lower its alpha, or bound it: "
            "negation(term, alpha, margin=...)."
        )


def _bottomless(energy: Energy) -> bool:
    """Whether the composition holds an unbounded negation."""
    if isinstance(energy, Not) and energy.margin is None:
        return True
    return any(_bottomless(part) for part in energy) if hasattr(energy, "join") else False  # type: ignore[attr-defined]


def _expect_finite(value: Tensor, before: Tensor | None, energy: Energy | None, sampler: Sampler, n: int) -> None:
    if torch.isfinite(value).all():
        return
    chain = (~torch.isfinite(value.flatten(1) if value.ndim > 1 else value[:, None]).all(1)).nonzero()[0].item()
    term = _culprit(energy, before, int(chain)) if energy is not None and before is not None else ""
    where = f"at step {n}, chain {chain}{term}"
    if n == 0:
        raise NonFiniteError(f"{type(sampler).__name__}: the start is not finite {where}.")
    raise NonFiniteError(f"{type(sampler).__name__} left the finite numbers {where}; try a smaller step size.")


def _culprit(energy: Energy, x: Tensor, chain: int) -> str:
    """Which term first gives a value or gradient that is not finite in a chain."""
    for leaf in leaves(energy):
        try:
            value, gradient = leaf.value_and_gradient(x)
        except (RuntimeError, ValueError):
            continue
        row = chain % len(value)
        if not (torch.isfinite(value[row]).all() and torch.isfinite(gradient[row]).all()):
            return f", term {leaf}"
    return ""
