"""The networks of the founding report: Table 1 (encoder) and Table 2 (energy), and COMET's conditional block in them.

The report names the layers but neither widths nor how z enters; these follow the COMET code that it builds on: 64
channels, swish, gain and bias from z twice per block, average pooling after each block, no normalisation.
Differs: the head has no bias, which could not reach a loss on the gradient; so weights all get gradients.
"""

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import widen
from ergosum.nets.encoders import Encoder
from ergosum.shapes import Batch, PerSample

__all__ = ["Block", "ResidualEncoder", "ResidualEnergy"]


class Block(nn.Module):
    """conv, modulate, swish, conv, modulate, swish, add, conv, swish, halve (if `pool`)."""

    def __init__(self, channels: int, outputs: int, code: int = 0, pool: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, outputs, 3, padding=1)
        self.code = nn.Linear(code, 4 * channels) if code else None
        self.pool = pool
        if code:
            nn.init.normal_(self.second.weight, std=1e-5)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        h = self.first(x)
        gains = self.code(z)[:, :, None, None].chunk(4, 1) if self.code is not None else None
        h = F.silu(h * gains[0] + gains[1] if gains else h)
        h = self.second(h)
        h = F.silu(h * gains[2] + gains[3] if gains else h)
        h = F.silu(self.last(x + h))
        return F.avg_pool2d(h, 3, stride=2, padding=1) if self.pool else h


class ResidualEncoder(Encoder):
    """Table 1: 3x3 conv, two residual blocks, two linear layers -> latents; COMET's encoder has three blocks.

    Args:
        outputs: numbers in all. channels: of the input. width: channels. blocks: residual blocks.
    Shape:
        x: (batch, channels, side, side). Returns (batch, outputs).
    """

    def __init__(self, outputs: int, channels: int = 3, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width) for _ in range(blocks))
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Latents of a frame, or of two frames stacked as channels."""
        h = F.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean((2, 3)))


class _Bound(Energy):
    def __init__(self, net: "ResidualEnergy", z: Tensor, anchor: Tensor | None) -> None:
        super().__init__()
        self.net, self.z, self.anchor = net, z, anchor

    def forward(self, x: Batch) -> PerSample:
        return self.net.value(x, self.z, self.anchor)


class ResidualEnergy(Conditional):
    """Table 2: 3x3 conv, average pool, four residual blocks, flatten, linear -> energy.

    Args:
        code: width of z. width: channels. side: canvas. anchored: stack the anchor onto the input channels.
    Shape:
        x: (batch, 3, side, side). Energies (batch,), or (batch K,) for K codes per sample.
    """

    folds = True

    def __init__(self, code: int, width: int = 64, side: int = 28, anchored: bool = False) -> None:
        super().__init__()
        self.anchored = anchored
        self.stem = nn.Conv2d(6 if anchored else 3, width, 3, padding=1)
        # 28 pixels: 14 after the pool, then 7 and 4; the last two blocks keep the resolution
        pools = (True, True, False, False)
        self.blocks = nn.ModuleList(Block(width, width, code, pool) for pool in pools)
        half = side // 2
        final = ((half + 1) // 2 + 1) // 2
        self.head = nn.Linear(width * final * final, 1, bias=False)

    def value(self, x: Tensor, z: Tensor, anchor: Tensor | None) -> Tensor:
        """$E(x; a, z)$, one per code; stem and pool, which know no code, run once per frame."""
        h = F.silu(self.stem(x if anchor is None else torch.cat([x, anchor], 1)))
        h = F.avg_pool2d(h, 2)
        h = repeat(h, "batch ... -> (batch k) ...", k=len(z) // len(h))
        for block in self.blocks:
            h = block(h, z)
        return self.head(widen(h.flatten(1)))[:, 0]

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy closed with z and the anchor."""
        return _Bound(self, z, anchor if self.anchored else None)
