"""The encoder and the decoder that the literature of disentanglement compares with: four strided convolutions each."""

import itertools

import torch
from torch import Tensor, nn

from ergosum.nets.encoders import Encoder

__all__ = ["PyramidDecoder", "PyramidEncoder"]

LEVELS = 4
"""Halvings of the image."""
HIDDEN = 256
"""Units of the fully connected layer between places and code."""


def _widths(width: int) -> tuple[int, ...]:
    return (width, width, 2 * width, 2 * width)


class PyramidEncoder(Encoder):
    """Convolutions of 4 x 4 with stride 2 (w, w, 2w, 2w channels), a layer of 256 units, the outputs; ReLU between.

    Args:
        channels: of the input. width: w. side: of the image, a multiple of 16.
    Shape:
        x: (batch, channels, side, side). Returns (batch, outputs).
    Source: Higgins et al. 2017 (its network for colour images), Locatello et al. 2019; w = 32 there.
    """

    def __init__(self, outputs: int, channels: int = 3, width: int = 32, side: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((channels, *_widths(width))):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.convs = nn.Sequential(*layers)
        places = 2 * width * (side >> LEVELS) ** 2
        self.head = nn.Sequential(nn.Linear(places, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs, one row per image."""
        return self.head(self.convs(x).flatten(1))


class PyramidDecoder(nn.Module):
    """The encoder's mirror image, with transposed convolutions; its last layer is linear.

    Args:
        channels: of the output. Others as of `PyramidEncoder`.
    Shape:
        z: (batch, code). Returns (batch, channels, side, side).
    """

    def __init__(self, code: int, channels: int = 3, width: int = 32, side: int = 64) -> None:
        super().__init__()
        self.side = side >> LEVELS
        places = 2 * width * self.side**2
        self.stem = nn.Sequential(nn.Linear(code, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, places), nn.ReLU())
        layers: list[nn.Module] = []
        widths = (*_widths(width)[::-1], channels)
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.convs = nn.Sequential(*layers[:-1])

    def forward(self, z: Tensor) -> Tensor:
        """Maps as large as the image."""
        h = self.stem(z).unflatten(1, (-1, self.side, self.side))
        return self.convs(h.contiguous(memory_format=torch.channels_last))
