"""Networks that judge images: which digit it is, whatever its colour; and which set an image is from, whose features
tell how far made images are from true ones.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DigitClassifier", "ImageClassifier"]


class DigitClassifier(nn.Module):
    """Four convolutions on the brightest channel of each pixel.

    Shape:
        x: (batch, 3, side, side) in [0, 1], brought to 28 pixels. Returns logits (batch, 10).
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(4, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the ten digits."""
        grey = x.amax(1, keepdim=True)
        if grey.shape[-1] != 28:
            grey = F.interpolate(grey, (28, 28), mode="area")
        return self.head(self.convs(F.pixel_unshuffle(grey, 2)).flatten(1))


class ImageClassifier(nn.Module):
    """Four convolutions with stride 2 and their mean over places: which set an image is from and what it shows.

    Args:
        outputs: logits. width: channels of the first convolution; features are four times as many.
    Shape:
        x: (batch, 3, side, side) in [0, 1], brought to 64 pixels. Returns logits (batch, outputs).
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, outputs: int, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((3, width, 2 * width, 2 * width, 4 * width)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
        self.convs = nn.Sequential(*layers)
        self.head = nn.Linear(4 * width, outputs)
        self.register_buffer("centre", torch.zeros(4 * width))
        self.register_buffer("spread", torch.ones(4 * width))

    def pooled(self, x: Tensor) -> Tensor:
        """The mean over places of the last convolution, (batch, 4 width)."""
        if x.shape[-1] != 64:
            x = F.interpolate(x, (64, 64), mode="bilinear", antialias=True)
        return self.convs(x).mean((2, 3))

    def features(self, x: Tensor) -> Tensor:
        """The same in deviations from the mean over true images, bounded softly at 3 so that none decides alone."""
        return 3 * torch.tanh((self.pooled(x) - self.centre) / (3 * self.spread))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.pooled(x))
