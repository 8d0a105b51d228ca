"""Transport energy: a quadratic bowl around the anchor with its pixels moved and mixed.

$$ E(x; a, z) = 1/2 ||x - m(a, z)||^2,   m(a, z) = M(a, z) (a o phi(a, z)) + r(a, z) $$

A U-Net looks at the anchor $a$ under the code $z$ and gives three maps: a flow $phi$ (where each pixel comes from), a
3x3 colour matrix $M$ per pixel and a residual $r$. Nothing in it knows which factor it will learn.

In x the energy is quadratic, so descent with step size 1 lands on $m$, and with h < 1 closes in on it by 1 - h per
step; only the anchor makes it expressive. It is the unit-precision case of a Gaussian expert: $-log N(x; m, I)$ up to
a constant.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import coordinates, widen
from ergosum.nets.body import UNetBody
from ergosum.shapes import Batch, PerSample

__all__ = ["Bowl", "Transport"]


class Bowl(Energy):
    """$E(x) = 1/2 ||x - m||^2$ per sample, minus the log-density of a unit Gaussian up to a constant.

    Args:
        mean: m, (batch, *event).
    Raises:
        ValueError: if x has another shape than the mean.
    """

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, x: Batch) -> PerSample:
        """Half the squared distance to the mean."""
        if x.shape != self.mean.shape:
            raise ValueError(f"Bowl: expected x of shape {tuple(self.mean.shape)}, got {tuple(x.shape)}.")
        return (x - self.mean).square().flatten(1).sum(1) / 2


class Transport(Conditional):
    """The family of transport energies.

    Args:
        code: width of z. width: channels of the U-Net at half resolution. side: canvas in pixels.
    Cost: one U-Net evaluation per `bind`, however many descent steps follow.
    """

    anchored = True
    grid: Tensor

    def __init__(self, code: int, width: int = 32, side: int = 28) -> None:
        super().__init__()
        self.body = UNetBody(3, 12 + 2 + 9, code, width, side)
        self.register_buffer("grid", coordinates(side).permute(0, 2, 3, 1).contiguous(), persistent=False)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Bowl:
        """The bowl around the transported anchor."""
        if anchor is None:
            raise ValueError("Transport moves the pixels of its anchor; set model.anchor to 'start' or 'step'.")
        return Bowl(self.mean(z, anchor))

    def mean(self, z: Tensor, anchor: Tensor) -> Tensor:
        """$m(a, z)$, shape of the anchor."""
        maps = self.body(anchor, z)
        residual = F.pixel_shuffle(maps[:, :12], 2)
        maps = F.interpolate(widen(maps[:, 12:]), size=anchor.shape[-2:], mode="bilinear", align_corners=True)
        flow, colour = maps[:, :2].permute(0, 2, 3, 1), maps[:, 2:].unflatten(1, (3, 3))
        moved = F.grid_sample(widen(anchor), self.grid + 0.5 * flow, mode="bicubic", align_corners=True)
        return moved + torch.einsum("bijhw,bjhw->bihw", colour, moved) + 0.5 * widen(residual)
