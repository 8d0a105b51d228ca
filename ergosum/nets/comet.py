"""COMET's networks as its released code runs them: plain gains and biases, no normalisation.

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, released code for 64 pixels (its norm layers are built and never
called). The energy has 0.42 M weights at width and code 64. Differs: no bias in the head, which could not reach a loss
on the gradient.
"""

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import coordinates, widen
from ergosum.nets.encoders import Encoder
from ergosum.nets.residual import Block
from ergosum.shapes import Batch, PerSample

__all__ = ["CometEnergy", "RecurrentEncoder"]


class _Bound(Energy):
    def __init__(self, net: "CometEnergy", z: Tensor) -> None:
        super().__init__()
        self.net, self.z = net, z

    def forward(self, x: Batch) -> PerSample:
        return self.net.value(x, self.z)


class CometEnergy(Conditional):
    """The family E(x; z): conv, pool, three conditional blocks (the last doubles the width), spatial mean, linear.

    Args:
        code: width of z. width: channels, even. side: canvas in pixels. position: half of the stem sees the pixels'
            coordinates instead of the image, which makes objects of parts of it.
    Shape:
        x: (batch, 3, side, side). Energies (batch,), or (batch K,) for K codes per sample.
    """

    folds = True
    grid: Tensor

    def __init__(self, code: int, width: int = 64, side: int = 64, position: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width // 2 if position else width, 3, padding=1)
        self.place = nn.Conv2d(2, width - width // 2, 3, padding=1) if position else None
        self.register_buffer("grid", (1 + coordinates(side)) / 2, persistent=False)
        self.blocks = nn.ModuleList(Block(width, outputs, code) for outputs in (width, width, 2 * width))
        self.head = nn.Linear(2 * width, 1, bias=False)

    def value(self, x: Tensor, z: Tensor) -> Tensor:
        """$E(x; z)$, one per code; stem and pool, which know no code, run once per image."""
        h = F.silu(self.stem(x))
        if self.place is not None:
            h = torch.cat([F.silu(self.place(self.grid)).expand(len(h), -1, -1, -1).to(h.dtype), h], 1)
        h = F.avg_pool2d(h, 3, stride=2, padding=1)
        h = repeat(h, "batch ... -> (batch k) ...", k=len(z) // len(h))
        for block in self.blocks:
            h = block(h, z)
        return self.head(widen(h.mean((2, 3))))[:, 0]

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy closed with z."""
        return _Bound(self, z)


class RecurrentEncoder(Encoder):
    """Four residual blocks to tokens, an LSTM unrolled K times that attends to them: one latent after the other.

    Each step asks the tokens with the LSTM's cell state (additive attention), feeds it what it found, and reads a
    latent off its output; so K may be another number at test time.

    Args:
        latent: numbers per latent. width: channels.
    Shape:
        x: (batch, 3, side, side). Returns (batch, K, latent).
    """

    exchangeable = True

    def __init__(self, latent: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width) for _ in range(4))
        self.ask = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))
        self.found = nn.Linear(2 * width, width)
        self.cell = nn.LSTMCell(width, width)
        self.head = nn.Linear(width, latent)

    def forward(self, x: Tensor, components: int, generator: torch.Generator | None = None) -> Tensor:
        """K latents of an image."""
        h = F.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        tokens = widen(h.flatten(2).transpose(1, 2))
        output = memory = tokens.new_zeros(len(tokens), tokens.shape[2])
        latents = []
        for _ in range(components):
            pairs = torch.cat([tokens, memory[:, None].expand_as(tokens)], 2)
            share = widen(self.ask(pairs)).softmax(1)
            output, memory = self.cell(widen(self.found((share * pairs).sum(1))), (output, memory))
            output, memory = widen(output), widen(memory)
            latents.append(self.head(output))
        return torch.stack(latents, 1)
