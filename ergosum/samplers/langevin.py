"""Unadjusted Langevin dynamics: the work-horse of energy-based models."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.state import Info, State, slope
from ergosum.samplers.tensors import along, expect_mask, gaussian, masked
from ergosum.shapes import Batch

__all__ = ["Langevin"]


@dataclass(frozen=True, kw_only=True)
class Langevin:
    r"""$x' = x - h \nabla E(x) + \sqrt{2 h T}\,\varepsilon$: diffuses towards $exp(-E / T)$, with a bias of order h.

    On a Gaussian of variance $s^2$ the chain's own law has variance $s^2 / (1 - h / 2 s^2)$ at T = 1. Published
    recipes run it at T of 1e-9 to 1e-4 with clipped gradients, see `presets`: then it is a noisy descent.

    Args:
        step_size: h > 0, in units of x^2 per unit of energy; one number, or one per chain (batch,).
        temperature: T >= 0, one number or one per chain; 0 is descent.
        clip: bound on each element of the gradient, or None. It changes the law; Info tells how much was clipped.
        clamp: (low, high), range that x is brought back into after each step, or None.
        noise_first: add the noise before the gradient is taken, as IGEBM's code does.
        mask: 1 for free coordinates, 0 for fixed ones, broadcastable to x (inpainting).
    Shape:
        x: (batch, *event).
    Raises:
        ValueError: for a step size that is not positive, a temperature below zero, or a mask of other values than 0
            and 1.
    Exact: no, biased by O(h).   Cost: one gradient per step.   Needs the score alone.
    Source: Roberts & Tweedie 1996, the unadjusted algorithm. Differs: h is half their step; clip, clamp, mask,
        temperature.
    """

    exact: ClassVar[bool] = False

    step_size: float | Tensor
    temperature: float | Tensor = 1.0
    clip: float | None = None
    clamp: tuple[float, float] | None = None
    noise_first: bool = False
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_positive("Langevin", self.step_size, self.temperature, cold=True)
        expect_mask("Langevin", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Nothing to prepare: the gradient is taken where a step starts."""
        return State(x)

    def step(
        self, energy: Energy, state: State, generator: Generator | None = None, create_graph: bool = False
    ) -> tuple[State, Info]:
        """The next x; with `create_graph` it can be differentiated with respect to all that `energy` holds."""
        x = self._kicked(state.x, generator) if self.noise_first else state.x
        value, gradient = slope(energy, x, create_graph)
        clipped = None
        if self.clip is not None:
            clipped = (gradient.detach().abs() > self.clip).reshape(len(x), -1).to(value.dtype).mean(1)
            gradient = gradient.clamp(-self.clip, self.clip)
        gradient = masked(gradient, self.mask)
        h = along(self.step_size, x)
        moved = x - h * gradient if isinstance(h, Tensor) or create_graph else torch.add(x, gradient, alpha=-h)
        if not self.noise_first:
            moved = self._kicked(moved, generator)
        if self.clamp is not None:
            moved = self._clamped(moved)
        return State(moved, n=state.n + 1), Info(value.detach(), gradient.detach(), clipped=clipped)

    def _kicked(self, x: Tensor, generator: Generator | None) -> Tensor:
        """x with the step's noise."""
        variance = 2 * along(self.step_size, x) * along(self.temperature, x)  # type: ignore[operator]
        if isinstance(variance, Tensor):
            return x + variance.sqrt() * gaussian(x, generator, self.mask)
        return torch.add(x, gaussian(x, generator, self.mask), alpha=sqrt(variance)) if variance > 0 else x

    def _clamped(self, x: Tensor) -> Tensor:
        """x within its range; fixed coordinates stay as they are."""
        inside = x.clamp(*self.clamp)  # type: ignore[misc]
        return inside if self.mask is None else torch.where(self.mask.to(x.device).bool(), inside, x)


def check_positive(name: str, step_size: float | Tensor, temperature: float | Tensor, cold: bool = False) -> None:
    """Raise unless step size and temperature are positive; `cold` allows a temperature of zero."""
    lowest_step = torch.as_tensor(step_size).min().item()
    lowest = torch.as_tensor(temperature).min().item()
    if not lowest_step > 0:
        raise ValueError(f"{name}: expected a step size > 0, got {lowest_step}.")
    if not (lowest >= 0 if cold else lowest > 0):
        raise ValueError(f"{name}: expected a temperature {'>=' if cold else '>'} 0, got {lowest}.")
