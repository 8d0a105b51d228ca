r"""An energy beside a change: frames that both think likely, such as a density of frames that keeps roll-outs real.

A change tells where a frame leads, m, and no more: of small errors none is likelier than another, and over many frames
they add up to blur. An energy of frames, R, knows which of them look real. At temperature T the change's density is a
Gaussian of variance T per pixel about m (as in `futures.py`), and the next frame is where the conjunction of both is
least,

$$ x' = \arg\min_x \; \|x - m\|^2 / 2 T + R(x), $$

found by descent from m, which ends in the nearest minimum. Where R = w (-log p) and w = 1 it is the most likely frame
given the change's error; with less, the change counts for more.
"""

from math import isfinite

import torch
from torch import Tensor

from ergosum.compose import And
from ergosum.energy import Energy, summed
from ergosum.samplers.guards import expect_finite
from ergosum.shapes import Images, PerSample

__all__ = ["Beside"]

NOISE = 0.05
"""Noise level of frames where none is asked for."""
SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step must bring, after Armijo."""


class _Near(Energy):
    """$\\|x - m\\|^2 / 2 T$, of frames."""

    def __init__(self, mean: Tensor, temperature: float) -> None:
        super().__init__()
        self.mean, self.variance = mean, temperature

    def forward(self, x: Images) -> PerSample:
        return summed((x - self.mean).square()) / (2 * self.variance)


class Beside:
    """An energy of frames that acts beside every change.

    Args:
        energy: of frames (batch, 3, side, side) in [0, 1], weighted as it shall count: `0.1 * real`; acts in units.
        temperature: T, mean squared error of a pixel of a predicted frame, > 0; the default is that of the shipped
            angle energy. steps: evaluations of descent in each frame, >= 1.
    Raises:
        ValueError: for settings out of range, or an energy that is known by its gradient alone.
    """

    def __init__(self, energy: Energy, temperature: float = 5e-4, steps: int = 8) -> None:
        if not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"Beside: expected a finite temperature > 0, got {temperature!r}.")
        if steps < 1:
            raise ValueError(f"Beside: expected steps >= 1, got {steps!r}.")
        if not energy.has_value:
            raise ValueError(f"{energy}: only its gradient is known; what acts beside a change needs a value as well.")
        self.energy, self.temperature, self.steps = energy.in_units(), float(temperature), steps

    def settled(self, mean: Images) -> Images:
        """The frames where change and energy together are least, near those that the change leads to.

        Gradient descent with the step sizes of Barzilai & Borwein 1988, one for each frame; a step that does not lower
        the energy is taken back and tried a quarter as long.

        Raises:
            NonFiniteError: if energy or gradient are not finite.
        """
        with torch.no_grad():
            return _descended(And(_Near(mean, self.temperature), self.energy), mean, self.temperature, self.steps)


def _descended(energy: Energy, x: Tensor, size: float, steps: int) -> Tensor:
    """The lowest of the points of a descent, whose first step has a size."""
    value, gradient = _at(energy, x, 0)
    column = lambda v: v.view(-1, *[1] * (x.ndim - 1))  # noqa: E731
    h = torch.full_like(value, size)
    for n in range(1, steps + 1):
        made = (x - column(h) * gradient).clamp(0, 1)
        moved = made - x
        told, slope = _at(energy, made, n)
        falls = told <= value + SUFFICIENT * summed(gradient * moved)
        bend = summed(moved * (slope - gradient))
        secant = torch.where(bend > 0, summed(moved.square()) / bend.clamp(min=1e-12), 2 * h)
        h = torch.where(falls, torch.minimum(secant, 10 * h), h / 4)
        keep = column(falls)
        x, gradient = torch.where(keep, made, x), torch.where(keep, slope, gradient)
        value = torch.where(falls, told, value)
    return x


def _at(energy: Energy, x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Value and gradient, both finite."""
    value, gradient = energy.value_and_gradient(x)
    expect_finite("Beside", value, n, energy, x)
    expect_finite("Beside", gradient, n, energy, x)
    return value, gradient
