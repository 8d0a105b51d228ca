"""Inner-product energy: $E(x; a, z) = <x, u(x, a, z)>$ with a U-Net u.

Its gradient is $u + J_u^T x$: near the anchor it can be any vector field, which a network pooled to a scalar learns
slower (Salimans & Ho 2021 discuss such gradient parametrisations).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import widen
from ergosum.nets.body import UNetBody
from ergosum.shapes import Batch, PerSample

__all__ = ["UNetInnerProduct"]


class _Bound(Energy):
    def __init__(self, body: nn.Module, z: Tensor, anchor: Tensor | None) -> None:
        super().__init__()
        self.body, self.z, self.anchor = body, z, anchor

    def forward(self, x: Batch) -> PerSample:
        seen = x if self.anchor is None else torch.cat([x, self.anchor], 1)
        return (x * F.pixel_shuffle(widen(self.body(seen, self.z)), 2)).flatten(1).sum(1)


class UNetInnerProduct(Conditional):
    """The family $E(x; a, z) = <x, u(x, a, z)>$, or $E(x; z) = <x, u(x, z)>$ without anchor.

    Args:
        code: width of z. width: channels of the U-Net at half resolution. side: canvas. anchored: see the anchor?
    Cost: one U-Net evaluation and its backward pass per gradient.
    """

    def __init__(self, code: int, width: int = 32, side: int = 28, anchored: bool = True) -> None:
        super().__init__()
        self.anchored = anchored
        self.body = UNetBody(6 if anchored else 3, 12, code, width, side)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy closed with z and the anchor."""
        return _Bound(self.body, z, anchor if self.anchored else None)
