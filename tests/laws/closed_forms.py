"""One row for every closed form, in float64, and the coordinates in which the moments of the funnel are tame."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.energies.box import Box
from ergosum.energies.experts import Experts
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.sat import Clauses
from ergosum.energies.well import DoubleWell
from ergosum.energy import Energy


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def image(seed: int, *shape: int) -> Tensor:
    """Numbers in [0, 1]."""
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64)


def covariance(seed: int, size: int) -> Tensor:
    """A full covariance with a spectrum of 0.1 and more."""
    root = torch.randn(size, size, generator=seeded(seed), dtype=torch.float64) / size**0.5
    return root @ root.T + 0.1 * torch.eye(size, dtype=torch.float64)


def _images() -> Gaussian:
    return Gaussian(image(1, 3, 8, 8), covariance(2, 192))


def _uneven() -> Mixture:
    means = torch.stack([vector(-2, 0), vector(1, 1), vector(3, -1)])
    return Mixture(means, torch.stack([vector(0.2, 0.5), vector(1, 0.3), vector(0.1, 0.1)]), vector(0.6, 0.3, 0.1))


def _experts() -> Experts:
    return Experts(image(3, 3, 4, 4), 0.5 + 4 * image(4, 3, 4, 4))


CLOSED_FORMS: dict[str, Callable[[], Energy]] = {
    "Gaussian, line": lambda: Gaussian(vector(0.7), 0.25),
    "Gaussian, correlated": lambda: Gaussian(vector(1, -2), torch.stack([vector(2, 0.9), vector(0.9, 0.5)])),
    "Gaussian, images": _images,
    "Gaussian, diagonal": lambda: Gaussian(image(5, 3, 8, 8), 0.1 + image(6, 3, 8, 8)),
    "Mixture": _uneven,
    "Mixture, ring": lambda: Mixture.ring().double(),
    "Mixture, line": lambda: Mixture(vector(-1, 2)[:, None], vector(0.1, 0.4), vector(3, 1)),
    "Ring": lambda: Ring(2.0, 0.3).double(),
    "Ring, wide": lambda: Ring(0.5, 0.8).double(),
    "Funnel": lambda: Funnel(4).double(),
    "Funnel, plane": lambda: Funnel(2).double(),
    "Funnel, mild": lambda: Funnel(2, sigma=0.5).double(),
    "DoubleWell": lambda: DoubleWell(3.0, 2.0).double(),
    "DoubleWell, tilted": lambda: DoubleWell(2.0, 3.0, dimensions=2, tilt=1.5).double(),
    "DoubleWell, steep": lambda: DoubleWell(1e4, 2.0, tilt=-0.5).double(),
    "DoubleWell, one left": lambda: DoubleWell(0.01, 2.0, tilt=5.0).double(),
    "Box": lambda: Box(vector(-1, 0), vector(2, 0.5), 0.3),
    "Box, image": lambda: Box(torch.zeros(3, 4, 4).double(), 1 + image(7, 3, 4, 4), 0.05 + image(8, 3, 4, 4)),
    "Experts": lambda: Experts(vector(1, -1), vector(4, 0.25)),
    "Experts, image": _experts,
}
"""Each knows log_z, mean and variance and draws exact samples."""

NO_DENSITY: dict[str, Callable[[], Energy]] = {
    "Masked": lambda: Masked(vector(1, 0, 0.5), vector(2, 3, 4)),
    "Clauses": lambda: Clauses([[1, 2, -3], [-1, 2, 3]], 3),
}
"""Energies with flat directions: the laws of energies hold, those of densities do not."""


class Chart(NamedTuple):
    """Coordinates s with x = x(s), and log |det dx/ds|; the moments of s."""

    to: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    log_volume: Callable[[Tensor], Tensor]
    variance: Callable[[Energy], Tensor]


def _unfolded(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1], x[:, 1:] * (-x[:, :1] / 2).exp()], 1)


def _folded(s: Tensor) -> Tensor:
    return torch.cat([s[:, :1], s[:, 1:] * (s[:, :1] / 2).exp()], 1)


PLAIN = Chart(lambda x: x, lambda s: s, lambda s: torch.zeros(len(s), dtype=s.dtype), lambda energy: energy.variance)
UNFOLDED = Chart(
    _unfolded,
    _folded,
    lambda s: s[:, 0] * (s.shape[1] - 1) / 2,
    lambda energy: torch.cat([vector(energy.sigma**2), torch.ones(len(energy.origin) - 1, dtype=torch.float64)]),
)
CHARTS = {"Funnel": UNFOLDED, "Funnel, plane": UNFOLDED}
"""The others, the mild funnel with them, are checked as they are."""
