"""Gradient descent on an energy, as one step."""

from dataclasses import dataclass

from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.chain import Info, State
from ergosum.samplers.tensors import freed, gaussian
from ergosum.shapes import Batch

__all__ = ["Descent"]


@dataclass(frozen=True, kw_only=True)
class Descent:
    """$x' = x - h grad E(x) + s eps$, eps ~ N(0, I).

    With s = 0 a minimiser; with small s a way to leave flat places, not a sampler of exp(-E): for that use Langevin
    dynamics, whose noise is tied to its step.

    Args:
        step_size: h > 0, in units of x^2 per unit of energy; a float, or a scalar tensor when it is learned.
        noise: s >= 0, in units of x. mask: 1 where x may move, 0 where it is held.
    Shape:
        x: (batch, *event).
    Exact: finds minima.   Cost: one gradient per step.
    """

    step_size: float | Tensor = 1.0
    noise: float = 0.0
    mask: Tensor | None = None

    def init(self, energy: Energy, x: Batch) -> State:
        """Nothing to prepare."""
        return State(x)

    def step(
        self, energy: Energy, state: State, generator: Generator | None = None, create_graph: bool = False
    ) -> tuple[State, Info]:
        """The next x; with `create_graph` it can be differentiated with respect to all that `energy` holds."""
        value, gradient = energy.value_and_gradient(state.x, create_graph)
        gradient = freed(gradient, self.mask)
        x = state.x - self.step_size * gradient
        if self.noise > 0:
            x = x + self.noise * gaussian(x, generator, self.mask)
        return State(x, n=state.n + 1), Info(value.detach(), gradient.detach())
