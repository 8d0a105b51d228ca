r"""A double well: two valleys with a barrier between them.

With $u = x_1 / a$ and a half the separation,

$$ E(x) = b (u^2 - 1)^2 + t u / 2 + 1/2 sum_{i > 1} x_i^2 $$

Wells at $x_1 = -a$ and $a$, b high in between; the tilt t lifts the right one by t over the left. A chain that stays in
one well gets the share of the other wrong, and no number it reports from there says so.

Integrals over u use Gauss-Legendre quadrature on cells that shrink towards the stationary points, so that wells of any
width are resolved. E is monotone on each cell, so its minimum over a cell is at an end, and a step function through
these minima is an envelope for exact rejection.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, positive
from ergosum.energies.rejection import rejection
from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["DoubleWell"]

FAR = 750.0
"""Beyond this energy above the minimum, exp(-E) is zero in float64."""


class _Cells(NamedTuple):
    """Cells of u on which E is monotone: their left ends, widths and least energies, each (cells,)."""

    left: Tensor
    width: Tensor
    least: Tensor


class DoubleWell(Energy):
    """A double well in the first coordinate, standard normal in the others.

    Args:
        barrier: b > 0, in units of energy, without tilt. separation: 2 a > 0, between the wells, in units of x.
        dimensions: D >= 1. tilt: t, energy at $x_1 = a$ minus energy at -a; with |t| > 3.08 b only one well is left.
    Shape:
        x: (batch, D). Returns (batch,).
    Exact: draws (rejection); log_z, mean and variance by quadrature, to 1e-10.   Cost: O(D).
    Raises:
        ValueError: if barrier or separation is not > 0, the tilt is not finite, D < 1, or x does not fit.
    """

    origin: Tensor

    def __init__(self, barrier: float, separation: float, dimensions: int = 1, tilt: float = 0.0) -> None:
        super().__init__()
        positive("DoubleWell", "a barrier", barrier)
        positive("DoubleWell", "a separation", separation)
        if not math.isfinite(tilt):
            raise ValueError(f"DoubleWell: expected a finite tilt, got {tilt}; 0 gives equal wells.")
        if dimensions < 1:
            raise ValueError(f"DoubleWell: expected at least one dimension, got {dimensions}.")
        self.barrier, self.valley, self.tilt = float(barrier), float(separation) / 2, float(tilt)
        self.register_buffer("origin", torch.zeros(dimensions), persistent=False)
        edges = self._edges()
        lowest = self._profile(edges).min()
        mass, first, second = self._moments(edges, lowest)
        self.log_z = float(math.log(self.valley * mass) - lowest + (dimensions - 1) * math.log(2 * math.pi) / 2)
        self._mean, self._variance = self.valley * first, self.valley**2 * second
        least = np.minimum(self._profile(edges[:-1]), self._profile(edges[1:]))
        self._cells = _Cells(*map(torch.from_numpy, (edges[:-1], np.diff(edges), least - lowest)))
        self._lowest = float(lowest)

    def _profile(self, u: np.ndarray) -> np.ndarray:
        return self.barrier * (u * u - 1) ** 2 + self.tilt * u / 2

    def _edges(self) -> np.ndarray:
        """Ends of the cells, ascending, with every stationary point among them and exp(-E) = 0 beyond."""
        # dE/du = 4 b u (u^2 - 1) + t / 2; a pair of roots that are complex adds an edge that does no harm
        turns = np.unique(np.roots([1.0, 0.0, -1.0, self.tilt / (8 * self.barrier)]).real)
        lowest = self._profile(turns).min()
        reach = 1e-3
        while self._profile(np.array([turns[0] - reach, turns[-1] + reach])).min() < lowest + FAR:
            reach *= 1.5
        low, high = turns[0] - reach, turns[-1] + reach
        offsets = (high - low) * np.geomspace(1e-7, 1, 250)
        edges = np.concatenate([turns, *(turn + sign * offsets for turn in turns for sign in (-1, 1)), [low, high]])
        return np.unique(edges[(edges >= low) & (edges <= high)])

    def _moments(self, edges: np.ndarray, lowest: float) -> tuple[float, float, float]:
        """Integral of exp(lowest - E) over u, mean and variance of u."""
        nodes, weights = np.polynomial.legendre.leggauss(8)
        half = np.diff(edges)[:, None] / 2
        u = edges[:-1, None] + half * (1 + nodes)
        density = half * weights * np.exp(lowest - self._profile(u))
        mass = density.sum()
        mean = (density * u).sum() / mass
        return mass, float(mean), float((density * (u - mean) ** 2).sum() / mass)

    @property
    def mean(self) -> Tensor:
        """(D,), by quadrature in the first coordinate."""
        return torch.cat([self.origin.new_tensor([self._mean]), self.origin[1:]])

    @property
    def variance(self) -> Tensor:
        """(D,), by quadrature in the first coordinate, where it includes the distance between the wells."""
        return torch.cat([self.origin.new_tensor([self._variance]), torch.ones_like(self.origin[1:])])

    def forward(self, x: Batch) -> PerSample:
        """The well in the first coordinate plus half the squares of the others."""
        fits("DoubleWell", x, self.origin.shape)
        u = x[:, 0] / self.valley
        return self.barrier * (u * u - 1).square() + self.tilt * u / 2 + x[:, 1:].square().sum(1) / 2

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples; rejection in float64 under the step envelope, so exact in any dtype."""
        device = self.origin.device
        left, width, least = (c.to(device) for c in self._cells)
        shares = width * (-least).exp()

        def propose(m: int) -> tuple[Tensor, Tensor]:
            cell = torch.multinomial(shares, m, replacement=True, generator=generator)
            within = torch.rand(m, generator=generator, dtype=torch.float64, device=device)
            u = left[cell] + width[cell] * within
            energy = self.barrier * (u * u - 1).square() + self.tilt * u / 2 - self._lowest
            return u, least[cell] - energy

        first = (self.valley * rejection(n, propose, generator)).to(self.origin.dtype)
        others = torch.randn(n, len(self.origin) - 1, generator=generator, dtype=self.origin.dtype, device=device)
        return torch.cat([first[:, None], others], 1)
