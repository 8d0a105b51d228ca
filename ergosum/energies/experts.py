r"""Gaussian experts: each says what a pixel should be and how sure it is.

$$ E(x) = 1/2 sum_p a_p (x_p - m_p)^2,   log Z = 1/2 sum_p log(2 pi / a_p) $$

Their sum has its minimum in closed form, the average weighted by precision,

$$ x = sum_k a_k m_k / sum_k a_k $$

in which the shares $a_k / sum_j a_j$ act as soft masks: each expert rules where it is surest. In the limit of extreme
precisions the masks become hard, which is a composition of segments (see `masks.py`).
"""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, level, positive, real
from ergosum.energies.quadratic import Quadratic
from ergosum.energy import Energy, alike
from ergosum.shapes import Batch

__all__ = ["Agreement", "Experts", "agreement"]


class Experts(Quadratic, Energy):
    """A product of one-dimensional Gaussians, one for each pixel, given by precision.

    The same density as `Gaussian` with independent coordinates; here an expert may be as unsure as one likes, and what
    several agree on is known, see `agreement`.

    Args:
        mean: m, (*event,), finite. precision: a > 0, in units of 1 / x^2: a number or (*event,).
    Shape:
        x: (batch, *event). Returns (batch,).
    Exact: log_z, mean, variance, draws.   Cost: O(D).
    Raises:
        ValueError: if the mean is no float tensor, the precision is not > 0 or has another shape, or x does not fit.
    """

    mean: Tensor
    precision: Tensor

    def __init__(self, mean: Tensor, precision: float | Tensor = 1.0) -> None:
        super().__init__()
        mean = real("Experts", "a mean", mean)
        held = torch.as_tensor(precision, dtype=mean.dtype, device=mean.device)
        if held.shape not in {(), mean.shape}:
            raise ValueError(f"Experts: expected a precision that is a number or of shape {tuple(mean.shape)}, "
                             f"got shape {tuple(held.shape)}; for correlated pixels use Gaussian.")  # fmt: skip
        positive("Experts", "a precision", held)
        self.register_buffer("mean", mean)
        self.register_buffer("precision", held.expand(mean.shape).clone())
        self.log_z = (2 * math.pi / self.precision.detach().double()).log().sum().item() / 2

    @property
    def size(self) -> int:
        """D, the number of coordinates."""
        return self.mean.numel()

    def at_noise(self, sigma: float) -> "Experts":
        """Exact: the variance $1 / a$ grows by $sigma^2$."""
        return alike(Experts(self.mean, self.precision / (1 + level("Experts", sigma) * self.precision)), self)

    @property
    def variance(self) -> Tensor:
        """$1 / a$, (*event,)."""
        return 1 / self.precision

    def pulled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Half the squared distance to the mean, weighted by precision, and $a (x - m)$."""
        fits("Experts", x, self.mean.shape)
        gap = x - self.mean
        pull = self.precision * gap
        return (gap * pull).flatten(1).sum(1) / 2, pull

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples, exact."""
        noise = torch.randn(n, *self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + noise / self.precision.sqrt()


class Agreement(NamedTuple):
    """What K experts agree on: `Experts(mean, precision)` is their sum up to a constant.

    Shape:
        mean, precision: (*event,). masks: (K, *event), the experts' shares, which sum to one at each pixel.
    """

    mean: Tensor
    precision: Tensor
    masks: Tensor


def agreement(*experts: Experts) -> Agreement:
    """The minimum of the experts' sum, its precision, and how much each expert counts at each pixel.

    Raises:
        ValueError: without experts, or if their shapes differ.
    """
    shapes = {tuple(e.mean.shape) for e in experts}
    if len(shapes) != 1:
        came = f"shapes {sorted(shapes)}" if shapes else "none"
        raise ValueError(f"agreement: expected experts on one event shape, got {came}; bring them to one canvas.")
    precisions = torch.stack([e.precision for e in experts])
    total = precisions.sum(0)
    masks = precisions / total
    return Agreement((masks * torch.stack([e.mean for e in experts])).sum(0), total, masks)
