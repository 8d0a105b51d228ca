r"""Score matching along random directions: no noise levels and no chains, at the price of second derivatives.

With the score $s = -\nabla_x E$ and random directions v of mean 0 and covariance I,

$$ E_x E_v \left[ v^\top \nabla_x (v^\top s(x)) + \tfrac12 \|s(x)\|^2 \right] $$

is, up to a constant, half the Fisher divergence between data and model: least for the true energy, whatever its
normalisation. The second term is taken without v, where it is known exactly. It never sees how much mass separated
modes have, and needs data with a density: images need `data_noise`.

Source: Song, Garg, Shi, Ermon 2019, Sliced Score Matching (the variant with reduced variance); Hyvärinen 2005.
"""

from math import isfinite
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.density.objective import Objective
from ergosum.density.objectives.starts import FromNoise, GaussianNoise, Start
from ergosum.energy import summed
from ergosum.part import Part
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.state import Sampler
from ergosum.training.task import Losses

__all__ = ["SlicedScoreMatching"]


class SlicedScoreMatching(Objective):
    """The sliced objective, per dimension of x.

    Args:
        directions: v for each sample, >= 1. data_noise: standard deviation of noise added to the data, >= 0, in units
            of x: what is learned is the density of the noised data. classes: whether data have their conditions;
            without, all are of the prior. start, sampler, steps: how samples are drawn of what it has learned; training
            takes none.
    Raises:
        ValueError: for settings out of range.
    """

    levels = False

    def __init__(
        self,
        directions: int = 1,
        data_noise: float = 0.1,
        classes: bool = True,
        start: Part[Start] = Part(FromNoise, noise=Part(GaussianNoise)),  # noqa: B008
        sampler: Part[Sampler] = Part(Langevin, step_size=0.02),  # noqa: B008
        steps: int = 300,
    ) -> None:
        if directions < 1 or not (isfinite(data_noise) and data_noise >= 0):
            raise ValueError(
                f"SlicedScoreMatching: expected directions >= 1 and data_noise >= 0, got {directions!r} and "
                f"{data_noise!r}."
            )
        self.directions, self.data_noise, self.classes = directions, data_noise, classes
        self.start, self.sampler, self.steps = start.build(), sampler.build(), steps

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """The objective; the error is the mean squared score per dimension, which falls to that of the data."""
        c = c if self.classes else torch.full_like(c, -1)
        if self.data_noise:
            x = x + self.data_noise * torch.randn(x.shape, generator=generator).to(x)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = family.bind(c, None)(x)
            (slope,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
            size = x[0].numel()
            square = summed(slope.square()) / size
            curve = torch.zeros_like(square)
            for _ in range(self.directions):
                v = torch.randint(2, x.shape, generator=generator).to(x) * 2 - 1
                (along,) = torch.autograd.grad((v * slope).sum(), x, create_graph=True)
                curve = curve + summed(v * along) / size
        loss = (square / 2 - curve / self.directions).mean()
        health = {"data": energy.detach().mean(), "curvature": (curve / self.directions).detach().mean()}
        return Losses(loss, square.detach().mean(), health=health)
