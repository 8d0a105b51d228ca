"""The one loop: run a sampler on energies that may change from step to step."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.descent import Descent, Info
from ergosum.shapes import Batch

__all__ = ["NonFiniteError", "Step", "differentiable_steps", "run"]


class NonFiniteError(ArithmeticError):
    """A chain or a training run left the finite numbers; the message names the step and the sample or component."""


class Step(NamedTuple):
    """Step number n (1 for the first), x after it, and the sampler's Info."""

    n: int
    x: Tensor
    info: Info


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
    sampler: Descent,
    energy_at: Callable[[int, Tensor], Energy],
    x: Batch,
    steps: int,
    *,
    graph: tuple[set[int], set[int]] = (set(), set()),
    generator: Generator | None = None,
    check: bool = True,
) -> Iterator[Step]:
    """Yield `steps` steps of the sampler from x.

    Args:
        energy_at: (n, x) -> the energy that acts in step n; it may be anchored at x.
        graph: steps that build a graph and steps that cut it, see `differentiable_steps`.
        check: stop at the first value that is not finite.
    Raises:
        NonFiniteError: with step and sample named.
    """
    build, cut = graph
    for n in range(1, steps + 1):
        differentiable = n in build
        if not differentiable or n in cut:
            x = x.detach()
        with torch.set_grad_enabled(differentiable):
            energy = energy_at(n, x)
            x, info = sampler.step(energy, x, create_graph=differentiable, generator=generator)
        if check and not torch.isfinite(x).all():
            bad = (~torch.isfinite(x.flatten(1)).all(1)).nonzero()[0].item()
            raise NonFiniteError(f"Descent left the finite numbers at step {n}, sample {bad}; try a smaller step size.")
        yield Step(n, x, info)
