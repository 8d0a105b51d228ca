r"""Bring independently trained energies to one scale, so that their sum means something.

Training fixes an energy only up to the temperature that its sampler ran at, and two networks trained apart can differ
by orders of magnitude: in their sum the one of the larger scale wins. Their own data decide. If data x are distributed
as $\exp(-E / T)$, then by Stein's identity

$$ \mathrm{E}\left[\Delta E\right] = \mathrm{E}\left[\|\nabla E\|^2\right] / T, $$

so T can be read off, and E / T is in units of minus a log-density.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.compose import Scaled
from ergosum.energy import Energy, Term, as_energy, summed
from ergosum.shapes import Batch

__all__ = ["Scale", "calibrate", "scale_of"]


SURE = 2.0
"""Standard errors that a weight is to be away from 0."""


class Scale(NamedTuple):
    """The weight 1 / T that brings an energy to unit temperature, with its standard error."""

    weight: float
    error: float

    @property
    def temperature(self) -> float:
        """T, at which the energy fits its data."""
        return 1 / self.weight


def calibrate(
    energies: Sequence[Term], data: Sequence[Batch], *, noise: float = 0.0, generator: Generator | None = None
) -> list[Energy]:
    """The energies, each weighted by the `Scale` that its own data give it, at temperature 1: ready to be composed.

    Args:
        energies: trained apart. data: for each, what it should find likely, (n, *event). noise: see `scale_of`.
    Raises:
        ValueError: if there are not as many datasets as energies; else as `scale_of`.
    """
    if len(energies) != len(data):
        raise ValueError(f"calibrate: expected data for each of {len(energies)} energies, got {len(data)} sets.")
    calibrated = []
    for energy, x in zip(energies, data, strict=True):
        unit = Scaled(scale_of(energy, x, noise=noise, generator=generator).weight, energy)
        unit.temperature = 1.0
        calibrated.append(unit)
    return calibrated


def scale_of(energy: Term, x: Batch, *, noise: float = 0.0, generator: Generator | None = None) -> Scale:
    r"""The weight w for which $\exp(-w E)$ fits data x best, by score matching; w = 1 / T in closed form.

    Without noise, $w = \mathrm{E}[\Delta E] / \mathrm{E}\|\nabla E\|^2$, the Laplacian by one random probe per sample
    (needs a smooth energy: ReLU has none). With noise s, by denoising: $\tilde x = x + s \varepsilon$ and
    $w = \mathrm{E}[\nabla E(\tilde x) \cdot \varepsilon / s] / \mathrm{E}\|\nabla E(\tilde x)\|^2$, which needs first
    derivatives only, suits data that fill no volume (images), and fits the data blurred by s.

    Args:
        x: data, (n, *event), n >= 2. noise: s >= 0, in units of x.
    Raises:
        ValueError: for less than two samples, or if the fit is not positive by two standard errors: the energy does not
            fit these data.
    Source: Hyvärinen 2005, theorem 1, and Vincent 2011, denoising score matching, for one free parameter.
    """
    energy = as_energy(energy)
    if len(x) < 2 or not noise >= 0:
        raise ValueError(f"scale_of: expected two samples or more and noise >= 0, got {len(x)} and {noise}.")
    device = x.device if generator is None else generator.device
    probe = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
    if noise > 0:
        gradient = energy.gradient(x + noise * probe)
        along = summed(gradient * probe) / noise
    else:
        with torch.enable_grad():
            point = x.detach().clone().requires_grad_()
            gradient = energy.gradient(point, create_graph=True)
            bent = None
            if gradient.requires_grad:
                (bent,) = torch.autograd.grad((gradient * probe).sum(), point, allow_unused=True)
        if bent is None or not bent.any():
            raise ValueError("scale_of: the energy has no second derivative; pass noise > 0.")
        along = summed(bent * probe)
    return _ratio(along.detach().double(), summed(gradient.detach().double().square()))


def _ratio(above: Tensor, below: Tensor) -> Scale:
    """Ratio of two means with its standard error, by the delta method."""
    weight = (above.mean() / below.mean()).item()
    if not weight > 0:
        raise ValueError(
            f"scale_of: the best weight would be {weight:.3g}; the energy is not low at these data. Check that "
            "they are what it was trained on, in the same range."
        )
    error = ((above - weight * below).std() / below.mean() / len(above) ** 0.5).item()
    if not weight > SURE * error:
        raise ValueError(
            f"scale_of: the best weight, {weight:.3g}, has a standard error of {error:.3g}, so that it cannot be told "
            "from 0: an energy that has not been trained on these data, or too few of them. Train it, or pass more."
        )
    return Scale(weight, error)
