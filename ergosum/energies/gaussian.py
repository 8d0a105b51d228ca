r"""The normal distribution as an energy.

$$ E(x) = 1/2 (x - m)^T Sigma^{-1} (x - m),   log Z = 1/2 log det(2 pi Sigma) $$

A sum of Gaussians is a Gaussian: precisions add, $P = P_1 + P_2$, and $m = P^{-1} (P_1 m_1 + P_2 m_2)$.
"""

import math

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, level, positive, real
from ergosum.energies.quadratic import Quadratic
from ergosum.energy import Energy, alike
from ergosum.shapes import Batch

__all__ = ["Gaussian"]


class Gaussian(Quadratic, Energy):
    """$-log N(x; m, Sigma)$ without its constant, on events of any shape.

    Args:
        mean: m, (*event,), finite.
        covariance: Sigma > 0. A number or (*event,) is the variance of independent coordinates, and no matrix is built;
            (D, D), symmetric and positive definite, is over the D elements of the event flattened.
    Shape:
        x: (batch, *event). Returns (batch,).
    Exact: log_z, mean, variance, draws.   Cost: O(D) if coordinates are independent, else one D x D product.
    Raises:
        ValueError: if the mean is no float tensor, if the covariance has another shape or is not positive definite, or
            if x does not fit.
    """

    mean: Tensor
    covariance: Tensor
    factor: Tensor | None
    precision: Tensor | None

    def __init__(self, mean: Tensor, covariance: float | Tensor = 1.0) -> None:
        super().__init__()
        mean = real("Gaussian", "a mean", mean)
        held = torch.as_tensor(covariance, dtype=mean.dtype, device=mean.device)
        full = held.shape == (mean.numel(), mean.numel()) and held.shape != mean.shape
        if not (full or held.ndim == 0 or held.shape == mean.shape):
            size, event = mean.numel(), tuple(mean.shape)
            raise ValueError(
                f"Gaussian: expected a covariance that is a number, variances of shape {event}, or a matrix "
                f"({size}, {size}) for a mean of shape {event}, got shape {tuple(held.shape)}."
            )
        self.register_buffer("mean", mean)
        self.register_buffer("covariance", held)
        factor, inverse = _factored(held) if full else (None, None)
        self.register_buffer("factor", None if factor is None else factor.to(mean.dtype))
        self.register_buffer("precision", None if inverse is None else inverse.to(mean.dtype))
        if factor is None:
            positive("Gaussian", "a variance", held)
            log_det = held.detach().double().log().expand(mean.shape).sum().item()
        else:
            log_det = 2 * factor.diagonal().log().sum().item()
        self.log_z = 0.5 * (mean.numel() * math.log(2 * math.pi) + log_det)

    @property
    def size(self) -> int:
        """D, the number of coordinates."""
        return self.mean.numel()

    def at_noise(self, sigma: float) -> "Gaussian":
        """Exact: the covariance grows by $sigma^2$."""
        added = level("Gaussian", sigma)
        if self.factor is not None:
            added = added * torch.eye(len(self.covariance), dtype=self.mean.dtype, device=self.mean.device)
        return alike(Gaussian(self.mean, self.covariance + added), self)

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, (*event,)."""
        variance = self.covariance if self.factor is None else self.covariance.diagonal().view(self.mean.shape)
        return variance.expand(self.mean.shape)

    def pulled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Half the squared Mahalanobis distance to the mean, and $Sigma^{-1} (x - m)$."""
        fits("Gaussian", x, self.mean.shape)
        gap = x - self.mean
        pull = gap / self.covariance if self.precision is None else (gap.flatten(1) @ self.precision).view_as(gap)
        return (gap * pull).flatten(1).sum(1) / 2, pull

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples, exact."""
        noise = torch.randn(n, *self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        if self.factor is None:
            return self.mean + self.covariance.sqrt() * noise
        return self.mean + (noise.flatten(1) @ self.factor.T).view_as(noise)


def _factored(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factor and inverse, in float64."""
    wide = covariance.detach().double()
    # what two different orders of summation leave between a matrix and its transpose, with a wide margin
    slack = torch.finfo(covariance.dtype).eps ** 0.5 * wide.abs().max()
    if not torch.isfinite(wide).all() or (wide - wide.T).abs().max() > slack:
        raise ValueError("Gaussian: expected a symmetric, finite covariance; pass (C + C.T) / 2 if C should be.")
    factor, failed = torch.linalg.cholesky_ex((wide + wide.T) / 2)
    if failed:
        least = torch.linalg.eigvalsh((wide + wide.T) / 2)[0].item()
        raise ValueError(
            f"Gaussian: expected a positive definite covariance, got one with the eigenvalue {least:.3g}; "
            "add a small multiple of the identity."
        )
    return factor, torch.cholesky_inverse(factor)
