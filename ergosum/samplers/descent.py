"""Gradient descent on an energy, as one step."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["Descent", "Info"]


class Info(NamedTuple):
    """What a person wants to know of a step: the energy before it (batch,), and the gradient's norm (batch,)."""

    energy: PerSample
    gradient_norm: PerSample


@dataclass(frozen=True, kw_only=True)
class Descent:
    """$x' = x - h grad E(x) + s eps$, eps ~ N(0, I).

    With s = 0 a minimiser; with small s a way to leave flat places, not a sampler of exp(-E): for that use Langevin
    dynamics, whose noise is tied to its step.

    Args:
        step_size: h > 0, in units of x^2 per unit of energy; a float, or a scalar tensor when it is learned.
        noise: s >= 0, in units of x.
    Shape:
        x: (batch, *event).
    Cost: one gradient per step.
    """

    step_size: float | Tensor = 1.0
    noise: float = 0.0

    def step(
        self, energy: Energy, x: Batch, *, create_graph: bool = False, generator: Generator | None = None
    ) -> tuple[Batch, Info]:
        """The next x; with `create_graph` it can be differentiated with respect to all that `energy` holds."""
        value, gradient = energy.value_and_gradient(x, create_graph)
        moved = x - self.step_size * gradient
        if self.noise > 0:
            moved = moved + self.noise * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        return moved, Info(value.detach(), gradient.detach().flatten(1).norm(dim=1))
