r"""A ring in the plane.

$$ E(x) = (|x| - r)^2 / (2 w^2) $$

A thin curved valley: what coordinate-wise step sizes cannot follow. Along a ray the density of the distance s = |x| is
s exp(-E), whose integrals $J_k = int_0^inf s^k exp(-(s - r)^2 / 2 w^2) ds$ obey

$$ J_0 = sqrt(pi/2) w (1 + erf(r / sqrt(2) w)),   J_1 = r J_0 + w^2 exp(-r^2 / 2 w^2),
   J_{k+1} = r J_k + k w^2 J_{k-1} $$

so $Z = 2 pi J_1$ and the variance of each coordinate is $E[s^2] / 2 = J_3 / 2 J_1$.
"""

import math

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, positive
from ergosum.energies.rejection import rejection
from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["Ring"]


class Ring(Energy):
    """A smooth ring around the origin of the plane.

    Args:
        radius: r > 0. width: w > 0, both in units of x; the density bends but does not break at the origin.
    Shape:
        x: (batch, 2). Returns (batch,).
    Exact: log_z, mean, variance, draws (rejection, at least 0.65 accepted).   Cost: O(1).
    Raises:
        ValueError: if radius or width is not > 0, or x does not fit.
    """

    origin: Tensor

    def __init__(self, radius: float, width: float) -> None:
        super().__init__()
        positive("Ring", "a radius", radius)
        positive("Ring", "a width", width)
        self.radius, self.width = r, w = float(radius), float(width)
        self.register_buffer("origin", torch.zeros(2), persistent=False)
        j0, j1 = self._integrals(w)
        j2 = r * j1 + w**2 * j0
        self.log_z = math.log(2 * math.pi * j1)
        self._variance = (r * j2 + 2 * w**2 * j1) / (2 * j1)

    def _integrals(self, width: float) -> tuple[float, float]:
        """$J_0$ and $J_1$ of a ring of the same radius."""
        r, w = self.radius, width
        j0 = math.sqrt(math.pi / 2) * w * (1 + math.erf(r / (math.sqrt(2) * w)))
        return j0, r * j0 + w**2 * math.exp(-(r**2) / (2 * w**2))

    def log_z_at(self, temperature: float) -> float | None:
        """Exact: the same ring, wider by $sqrt(T)$."""
        return math.log(2 * math.pi * self._integrals(math.sqrt(temperature) * self.width)[1])

    @property
    def mean(self) -> Tensor:
        """Zero, (2,)."""
        return self.origin

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, (2,)."""
        return torch.full_like(self.origin, self._variance)

    def forward(self, x: Batch) -> PerSample:
        """Half the squared distance to the circle, in units of the width."""
        fits("Ring", x, (2,))
        return ((torch.linalg.vector_norm(x, dim=1) - self.radius) / self.width).square() / 2

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        r"""n independent samples, exact.

        The distance is drawn by rejection. For any c > 0, $s <= c exp(s/c - 1)$, so s exp(-E(s)) lies below a multiple
        of a normal density with mean $r + w^2 / c$ and deviation w; c is chosen so that this mean is c, the mode.
        """
        c = (self.radius + math.sqrt(self.radius**2 + 4 * self.width**2)) / 2
        like = {"dtype": self.origin.dtype, "device": self.origin.device}

        def propose(m: int) -> tuple[Tensor, Tensor]:
            s = c + self.width * torch.randn(m, generator=generator, **like)
            ratio = (s / c).clamp_min(0)
            return s, ratio.log() + 1 - ratio

        s = rejection(n, propose, generator)
        angle = 2 * math.pi * torch.rand(n, generator=generator, **like)
        return s[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
