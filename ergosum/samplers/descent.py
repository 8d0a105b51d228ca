"""Gradient descent on an energy, as one step."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.state import Info, State, slope
from ergosum.samplers.tensors import expect_mask, gaussian, masked
from ergosum.shapes import Batch

__all__ = ["Descent"]


@dataclass(frozen=True, kw_only=True)
class Descent:
    """$x' = x - h grad E(x) + s eps$, eps ~ N(0, I).

    With s = 0 a minimiser; with small s a way to leave flat places, not a sampler of exp(-E): for that use Langevin
    dynamics, whose noise is tied to its step.

    Args:
        step_size: h > 0, in units of x^2 per unit of energy; a float, or a tensor that broadcasts to x.
        noise: s >= 0, in units of x. mask: 1 for free coordinates, 0 for fixed ones.
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size that is not positive, noise below zero, or a mask of other values than 0 and 1.
    Exact: finds minima.   Cost: one gradient per step.   Needs the score alone.
    """

    exact: ClassVar[bool] = False
    minimises: ClassVar[bool] = True

    step_size: float | Tensor = 1.0
    noise: float = 0.0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        h = self.step_size
        # a computed step size that is not a number is left to the chain's checks, which name step and term
        if bool((h <= 0).any()) if isinstance(h, Tensor) else not h > 0:
            lowest = torch.as_tensor(h).min().item()
            raise ValueError(f"Descent: expected a step size > 0, got {lowest:g}; a negative one climbs.")
        if not self.noise >= 0:
            raise ValueError(f"Descent: expected noise >= 0, got {self.noise}.")
        expect_mask("Descent", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Nothing to prepare."""
        return State(x)

    def step(
        self, energy: Energy, state: State, generator: Generator | None = None, create_graph: bool = False
    ) -> tuple[State, Info]:
        """The next x; with `create_graph` it can be differentiated with respect to all that `energy` holds."""
        value, gradient = slope(energy, state.x, create_graph)
        gradient = masked(gradient, self.mask)
        x = state.x - self.step_size * gradient
        if self.noise > 0:
            x = x + self.noise * gaussian(x, generator, self.mask)
        return State(x, n=state.n + 1), Info(value.detach(), gradient.detach())
