"""An encoder of two frames that is odd in time: what it reads backwards is minus what it reads forwards."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import coordinates, reduced
from ergosum.nets.encoders import Encoder

__all__ = ["OddPairEncoder"]

HIDDEN = 128
"""Units of the fully connected layer."""


class OddPairEncoder(Encoder):
    r"""$z(a, b) = (f(a, b) - f(b, a)) / 2$, so that $z(b, a) = -z(a, b)$ and no change reads 0.

    f: 2x2 pixel-unshuffle of a and b - a with coordinates, three convolutions (two strided), a layer of 128 units. It
    keeps places, which a mean over the image would lose: whether a digit turned left or right is a matter of places.

    Args:
        outputs: numbers in all. width: channels of the first convolution. side: of a frame, a multiple of 4.
    Shape:
        x: (batch, 6, side, side), both frames stacked. Returns (batch, outputs).
    """

    reads_pairs = True
    grid: Tensor

    def __init__(self, outputs: int, width: int = 32, side: int = 28) -> None:
        super().__init__()
        half = 2 * reduced(side, 4)
        self.register_buffer("grid", coordinates(half), persistent=False)
        self.convs = nn.Sequential(
            nn.Conv2d(26, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        places = 2 * width * ((half // 2 + 1) // 2) ** 2
        self.head = nn.Sequential(nn.Linear(places, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Signed latents, one row per pair."""
        a, b = x.chunk(2, 1)
        forwards, backwards = self._half(torch.cat([a, b]), torch.cat([b, a])).chunk(2)
        return (forwards - backwards) / 2

    def _half(self, a: Tensor, b: Tensor) -> Tensor:
        x = F.pixel_unshuffle(torch.cat([a, b - a], 1), 2)
        x = torch.cat([x, self.grid.expand(len(x), -1, -1, -1).to(x.dtype)], 1)
        return self.head(self.convs(x.contiguous(memory_format=torch.channels_last)).flatten(1))
