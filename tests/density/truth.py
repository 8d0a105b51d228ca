"""A family over noise levels whose truth is known: a Gaussian for each class, whose mean and deviation learn."""

import math

import torch
from torch import Tensor, nn

from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form


class GaussianForm(Form):
    """The exact correction for data that are Gaussian in each class: what must be added to the anchor."""

    def __init__(self, event: tuple[int, ...], code: int, means: Tensor, deviations: Tensor) -> None:
        nn.Module.__init__(self)
        self.means, self.log_deviations = nn.Parameter(means.clone()), nn.Parameter(deviations.log())
        self.offset = nn.Parameter(torch.zeros(len(means)))

    def forward(self, y, level, code):
        c = code.long()[:, 0]
        mean, variance = self.means[c], (2 * self.log_deviations[c]).exp() + level.sigma.flatten() ** 2
        wide = level.deviation**2 + level.sigma.flatten() ** 2
        size = y.shape[1]
        own = -((y - mean).square().sum(1) / variance + size * variance.log()) / 2
        anchor = -(y.square().sum(1) / wide + size * wide.log()) / 2
        return own - anchor + self.offset[c]


class Gaussians(LevelEnergy):
    """Exact at every level, where means and deviations are those of the data and the offset is 0."""

    def __init__(self, means: Tensor, deviations: Tensor) -> None:
        super().__init__((means.shape[1],), classes=len(means))
        self.form = GaussianForm(self.event, 1, means, deviations)

    def coded(self, log_sigma: Tensor, c: Tensor) -> Tensor:
        return c[:, None].float()


def gaussian_log_density(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return -((x - mean).square() / variance + (2 * math.pi * variance).log()).sum(-1) / 2
