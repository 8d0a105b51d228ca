r"""A box with soft walls.

$$ E(x) = 1/2 sum_i (d_i / s_i)^2,   d_i = max(low_i - x_i, 0, x_i - high_i) $$

$$ log Z = sum_i log(high_i - low_i + sqrt(2 pi) s_i) $$

Flat inside, quadratic outside: a constraint as an energy. Coordinates are independent; each is uniform with probability
$(high - low) / Z_i$, else a half-normal beyond one of the walls.
"""

import math

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import fits, positive, real
from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["Box"]


class Box(Energy):
    """Uniform inside of a box, with quadratic walls; continuous with its gradient.

    Args:
        low, high: (*event,), low < high. softness: s > 0, in units of x: a number or (*event,); how far through a wall
            one standard deviation reaches.
    Shape:
        x: (batch, *event). Returns (batch,).
    Exact: log_z, mean, variance, draws.   Cost: O(D).
    Raises:
        ValueError: if low and high are no float tensors of one shape with low < high, the softness is not > 0 or has
            another shape, or x does not fit.
    """

    low: Tensor
    high: Tensor
    softness: Tensor

    def __init__(self, low: Tensor, high: Tensor, softness: float | Tensor) -> None:
        super().__init__()
        low, high = real("Box", "a low corner", low), real("Box", "a high corner", high).to(low)
        if low.shape != high.shape or not (low < high).all():
            raise ValueError(
                f"Box: expected low < high, of one shape, got shapes {tuple(low.shape)} and {tuple(high.shape)}"
                f"{' with low >= high somewhere; swap them there' if low.shape == high.shape else ''}."
            )
        soft = torch.as_tensor(softness, dtype=low.dtype, device=low.device)
        if soft.shape not in {(), low.shape}:
            raise ValueError(f"Box: expected a softness that is a number or of shape {tuple(low.shape)}, "
                             f"got shape {tuple(soft.shape)}.")  # fmt: skip
        positive("Box", "a softness", soft)
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.register_buffer("softness", soft.expand(low.shape).clone())
        inside, walls = (part.detach().double() for part in self._masses())
        self.log_z = (inside + walls).log().sum().item()

    def log_z_at(self, temperature: float) -> float | None:
        """Exact: the walls are softer by $sqrt(T)$."""
        inside, walls = (part.detach().double() for part in self._masses())
        return (inside + math.sqrt(temperature) * walls).log().sum().item()

    def _masses(self) -> tuple[Tensor, Tensor]:
        """Integral of exp(-E) of each coordinate inside and outside."""
        return self.high - self.low, math.sqrt(2 * math.pi) * self.softness

    @property
    def mean(self) -> Tensor:
        """The centre, (*event,)."""
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, (*event,)."""
        inside, walls = self._masses()
        beyond = inside**2 / 4 + math.sqrt(2 / math.pi) * inside * self.softness + self.softness**2
        return (inside * inside**2 / 12 + walls * beyond) / (inside + walls)

    def forward(self, x: Batch) -> PerSample:
        """Half the squared distance to the box, in units of the softness."""
        return (self._outside(x) / self.softness).square().flatten(1).sum(1) / 2

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """In closed form: zero inside, $(x - wall) / s^2$ outside."""
        with torch.set_grad_enabled(create_graph):
            steep = self._outside(x) / self.softness
            return steep.square().flatten(1).sum(1) / 2, steep / self.softness

    def _outside(self, x: Tensor) -> Tensor:
        """Signed distance beyond the walls, 0 inside."""
        fits("Box", x, self.low.shape)
        return (x - self.high).clamp_min(0) - (self.low - x).clamp_min(0)

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None = None) -> Batch:
        """n independent samples, exact."""
        inside, walls = self._masses()
        like = {"dtype": self.low.dtype, "device": self.low.device}
        place = (inside + walls) * torch.rand(n, *self.low.shape, generator=generator, **like)
        beyond = self.softness * torch.randn(n, *self.low.shape, generator=generator, **like)
        return torch.where(place < inside, self.low + place, torch.where(beyond < 0, self.low, self.high) + beyond)
