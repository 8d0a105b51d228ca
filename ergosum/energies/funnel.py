r"""Neal's funnel.

$$ v ~ N(0, sigma^2),   x_i | v ~ N(0, e^v) $$

$$ E(v, x) = v^2 / 2 sigma^2 + log(sqrt(2 pi) sigma) + sum_i (x_i^2 e^{-v} + v + log 2 pi) / 2,   log Z = 0 $$

One number sets the scale of all the others: no single step size suits both the mouth and the neck.

Source: Neal 2003, Slice sampling, section 8, where sigma = 3 and there are nine x_i.
"""

import math

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, positive
from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["Funnel"]


class Funnel(Energy):
    """Minus the log-density of the funnel; the first coordinate is v, the log-variance of the others.

    Its variances are exact but of little use to check a chain: with sigma = 3 that of $x_i$, $exp(sigma^2 / 2) = 90$,
    comes from rare large values. Check v, and $x_i exp(-v / 2)$, which is standard normal.

    Args:
        dimensions: D >= 2, with v. sigma: > 0, the standard deviation of v.
    Shape:
        x: (batch, D). Returns (batch,).
    Exact: log_z = 0, mean, variance, draws.   Cost: O(D).
    Raises:
        ValueError: if there are fewer than two dimensions, sigma is not > 0, or x does not fit.
    """

    origin: Tensor
    log_z = 0.0

    def __init__(self, dimensions: int, sigma: float = 3.0) -> None:
        super().__init__()
        if dimensions < 2:
            raise ValueError(f"Funnel: expected at least 2 dimensions, v and one more, got {dimensions}.")
        positive("Funnel", "sigma", sigma)
        self.sigma = float(sigma)
        self.register_buffer("origin", torch.zeros(dimensions), persistent=False)

    @property
    def mean(self) -> Tensor:
        """Zero, (D,)."""
        return self.origin

    @property
    def variance(self) -> Tensor:
        """$sigma^2$ for v, $exp(sigma^2 / 2)$ for the others, (D,)."""
        variance = torch.full_like(self.origin, math.exp(self.sigma**2 / 2))
        variance[0] = self.sigma**2
        return variance

    def forward(self, x: Batch) -> PerSample:
        """Minus the log-density."""
        fits("Funnel", x, self.origin.shape)
        v, others = x[:, 0], x[:, 1:]
        constant = math.log(self.sigma) + x.shape[1] * math.log(2 * math.pi) / 2
        spread = others.square().sum(1) * (-v).exp() + others.shape[1] * v
        return (v / self.sigma).square() / 2 + spread / 2 + constant

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples, exact."""
        size = len(self.origin)
        noise = torch.randn(n, size, generator=generator, dtype=self.origin.dtype, device=self.origin.device)
        v = self.sigma * noise[:, :1]
        return torch.cat([v, noise[:, 1:] * (v / 2).exp()], 1)
