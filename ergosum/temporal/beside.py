r"""An energy beside a change: frames that both think likely, such as a density of frames that keeps roll-outs real.

A change tells where a frame leads, m, and no more: of small errors none is likelier than another, and over many frames
they add up to blur. An energy of frames, R, knows which of them look real. At temperature T the change's density is a
Gaussian of variance T per pixel about m (as in `futures.py`), and the next frame is where the conjunction of both is
least,

$$ x' = \arg\min_x \; \|x - m\|^2 / 2 T + R(x), $$

found by descent from m, which ends in the nearest minimum. Where $R = -\log p$ it is the most likely frame given the
change's error; of `0.1 * R` the change counts for more.

A density over noise levels was trained on noisy data, and knows nothing of a frame without noise that is blurred. So
its energy $R_\sigma$ at a level is taken through noise of that level,

$$ R(x) = E_z R_\sigma(x + \sigma z), $$

which for $R_\sigma = -\log p_\sigma$ is, up to a constant, the Kullback-Leibler divergence of the noised frame,
$N(x, \sigma^2)$, from the noised data. The mean is over a few z, drawn anew for each frame, each with its negative.

Source: the divergence is that of Mardani et al. 2023 (RED-diff) at one noise level; they weight many, and descend by
samples of its gradient.
"""

from math import isfinite

import torch
from torch import Generator, Tensor

from ergosum.compose import And
from ergosum.energy import Energy, summed
from ergosum.samplers.guards import expect_finite
from ergosum.shapes import Images, PerSample

__all__ = ["Beside"]

SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step must bring, after Armijo."""


class _Near(Energy):
    """$\\|x - m\\|^2 / 2 T$, of frames."""

    def __init__(self, mean: Tensor, temperature: float) -> None:
        super().__init__()
        self.mean, self.variance = mean, temperature

    def forward(self, x: Images) -> PerSample:
        return summed((x - self.mean).square()) / (2 * self.variance)


class _Through(Energy):
    """The mean of an energy over given noises, each taken with its negative: (draws, batch, *event)."""

    def __init__(self, energy: Energy, noises: Tensor) -> None:
        super().__init__()
        self.energy, self.noises = energy, torch.cat([noises, -noises])
        self.temperature = energy.temperature

    def forward(self, x: Images) -> PerSample:
        return self.energy((x + self.noises).flatten(0, 1)).unflatten(0, self.noises.shape[:2]).mean(0)


class Beside:
    """An energy of frames that acts beside every change.

    Args:
        energy: of frames (batch, 3, side, side) in [0, 1], weighted as it shall count: `0.1 * real`; acts in units.
        noise: sigma of frames that it is taken at (`energy.at_noise`) and through, >= 0; 0 takes it as it is.
        temperature: T, mean squared error of a pixel of a predicted frame, > 0; the default is that of the shipped
            angle energy. steps: evaluations of descent in each frame, >= 1. draws: pairs of z, >= 1. generator: of the
            noise; torch's global one if None.
    Raises:
        ValueError: for settings out of range, a noise level that the energy has not, or an energy that is known by its
            gradient alone.
    """

    def __init__(
        self,
        energy: Energy,
        noise: float = 0.0,
        temperature: float = 5e-4,
        steps: int = 3,
        draws: int = 1,
        generator: Generator | None = None,
    ) -> None:
        if not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"Beside: expected a finite temperature > 0, got {temperature!r}.")
        if not (isfinite(noise) and noise >= 0):
            raise ValueError(f"Beside: expected a finite noise >= 0, got {noise!r}.")
        for name, count in (("steps", steps), ("draws", draws)):
            if count < 1:
                raise ValueError(f"Beside: expected {name} >= 1, got {count!r}.")
        if not energy.has_value:
            raise ValueError(f"{energy}: only its gradient is known; what acts beside a change needs a value as well.")
        held = energy.at_noise(noise) if noise else energy
        self.energy, self.noise, self.temperature = held.in_units(), float(noise), float(temperature)
        self.steps, self.draws, self.generator = steps, draws, generator

    def settled(self, mean: Images) -> Images:
        """The frames where change and energy together are least, near those that the change leads to.

        Gradient descent with the step sizes of Barzilai & Borwein 1988, one for each frame; a step that does not lower
        the energy is taken back and tried a quarter as long.

        Raises:
            NonFiniteError: if energy or gradient are not finite.
        """
        acting = self.energy
        if self.noise:
            z = torch.randn(self.draws, *mean.shape, generator=self.generator).to(mean)
            acting = _Through(acting, self.noise * z)
        with torch.no_grad():
            return _descended(And(_Near(mean, self.temperature), acting), mean, self.temperature, self.steps)


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
