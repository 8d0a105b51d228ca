"""What energies that are quadratic in x share: their gradient and what a temperature does to log Z, in closed form."""

import math

import torch
from torch import Tensor

from ergosum.shapes import Batch, PerSample

__all__ = ["Quadratic"]


class Quadratic:
    """$E(x) = 1/2 (x - m)^T A (x - m)$; beside `Energy` a base of closed forms that give `pulled` and `size`."""

    @property
    def size(self) -> int:
        """D, the number of coordinates."""
        raise NotImplementedError

    def pulled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """$E(x)$, (batch,), and $A (x - m)$, like x."""
        raise NotImplementedError

    def log_z_at(self, temperature: float) -> float | None:
        """Exact: the same density, wider by $sqrt(T)$ in each of D coordinates."""
        known: float | None = self.log_z  # type: ignore[attr-defined]  # of the energy that this is beside
        return None if known is None else known + self.size * math.log(temperature) / 2

    def forward(self, x: Batch) -> PerSample:
        """Half the squared distance to the minimum, in units of the curvature."""
        return self.pulled(x)[0]

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """In closed form: the gradient is $A (x - m)$."""
        with torch.set_grad_enabled(create_graph):
            return self.pulled(x)
