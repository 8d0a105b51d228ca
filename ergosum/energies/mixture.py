r"""Mixtures of Gaussians.

$$ E(x) = -log sum_k w_k N(x; m_k, diag(v_k)),   log Z = 0 $$

Modes that a chain has to find and leave: the ring of eight is the classic test of mixing.
"""

import math

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, level, positive, real
from ergosum.energy import Energy, alike
from ergosum.shapes import Batch, PerSample

__all__ = ["Mixture"]


class Mixture(Energy):
    """$-log sum_k w_k N(x; m_k, diag(v_k))$, normalised.

    Args:
        means: $m_k$, (K, D). variances: $v_k > 0$: a number, (K,) or (K, D). weights: $w_k > 0$, (K,), scaled to sum to
            one; equal without.
    Shape:
        x: (batch, D). Returns (batch,).
    Exact: log_z = 0, mean, variance, draws.   Cost: O(K D).
    Raises:
        ValueError: if shapes disagree, a variance or weight is not > 0, or x does not fit.
    """

    means: Tensor
    variances: Tensor
    log_weights: Tensor
    log_z = 0.0

    def __init__(self, means: Tensor, variances: float | Tensor = 1.0, weights: Tensor | None = None) -> None:
        super().__init__()
        means = real("Mixture", "means", means)
        if means.ndim != 2 or 0 in means.shape:
            raise ValueError(f"Mixture: expected means (K, D), got shape {tuple(means.shape)}; flatten each mean.")
        held = torch.as_tensor(variances, dtype=means.dtype, device=means.device)
        if held.shape not in {(), (len(means),), means.shape}:
            raise ValueError(
                f"Mixture: expected variances as a number, ({len(means)},) or {tuple(means.shape)}, "
                f"got shape {tuple(held.shape)}; write one row for each component."
            )
        positive("Mixture", "a variance", held)
        shares = means.new_ones(len(means)) if weights is None else weights.to(means)
        if shares.shape != means.shape[:1]:
            raise ValueError(
                f"Mixture: expected {len(means)} weights, one for each mean, got shape {tuple(shares.shape)}."
            )
        positive("Mixture", "a weight", shares)
        self.register_buffer("means", means)
        self.register_buffer("variances", (held[:, None] if held.ndim == 1 else held).expand(means.shape).clone())
        self.register_buffer("log_weights", shares.log())

    @classmethod
    def ring(cls, modes: int = 8, radius: float = 2.0, width: float = 0.3) -> "Mixture":
        """Equal Gaussians of standard deviation `width` on a circle of `radius` in the plane."""
        if modes < 1:
            raise ValueError(f"Mixture.ring: expected at least one mode, got {modes}.")
        positive("Mixture.ring", "a radius", radius)
        positive("Mixture.ring", "a width", width)
        angle = 2 * math.pi * torch.arange(modes) / modes
        return cls(radius * torch.stack([angle.cos(), angle.sin()], 1), width**2)

    def at_noise(self, sigma: float) -> "Mixture":
        """Exact: every variance grows by $sigma^2$, and the shares stay."""
        return alike(Mixture(self.means, self.variances + level("Mixture", sigma), self.weights), self)

    @property
    def weights(self) -> Tensor:
        """Shares of the components, (K,), that sum to one."""
        return self.log_weights.softmax(0)

    @property
    def mean(self) -> Tensor:
        """(D,)."""
        return self.weights @ self.means

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, (D,): within the components and between them."""
        return self.weights @ (self.variances + (self.means - self.mean).square())

    def forward(self, x: Batch) -> PerSample:
        """Minus the log-density."""
        return -self._joint(x).logsumexp(1)

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """In closed form: components pull by their responsibilities, $sum_k r_k (x - m_k) / v_k$."""
        with torch.set_grad_enabled(create_graph):
            joint = self._joint(x)
            shares = joint.softmax(1)
            gradient = x * (shares @ (1 / self.variances)) - shares @ (self.means / self.variances)
            return -joint.logsumexp(1), gradient

    def _joint(self, x: Tensor) -> Tensor:
        """$log w_k N(x; m_k, v_k)$, (batch, K)."""
        fits("Mixture", x, self.means.shape[1:])
        # normalised here, not at the start, so that log Z stays 0 to rounding after a change of dtype
        constant = self.log_weights.log_softmax(0) - (2 * math.pi * self.variances).log().sum(1) / 2
        return constant - ((x[:, None] - self.means).square() / self.variances).sum(2) / 2

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples, exact."""
        like = {"dtype": self.means.dtype, "device": self.means.device}
        # rounding may leave the last sum below one, hence the clamp
        chosen = torch.searchsorted(self.weights.cumsum(0), torch.rand(n, generator=generator, **like)).clamp_max(
            len(self.means) - 1
        )
        noise = torch.randn(n, self.means.shape[1], generator=generator, **like)
        return self.means[chosen] + self.variances[chosen].sqrt() * noise
