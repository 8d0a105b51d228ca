"""Networks that judge images: which digit it is, whatever its colour; which upright digit it is; and which set an image
is from. Features of the last two tell how far made images are from true ones.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DigitClassifier", "ImageClassifier", "UprightClassifier"]


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


class UprightClassifier(nn.Module):
    """Four convolutions on grey images of upright digits and a hidden layer of all places, which gives the features.

    Unlike `DigitClassifier`, which knows digits at every angle and scale, it may tell 6 from 9 by the way they stand.

    Args:
        width: channels of the first convolution; there are three times as many features.
    Shape:
        x: (batch, channels, side, side) in [0, 1], brought to 28 pixels; of colours the brightest counts. Returns
        logits (batch, 10).
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((4, width, 1), (width, 2 * width, 1), (2 * width, 3 * width, 2)):
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.SiLU()]
        self.convs = nn.Sequential(*layers, nn.Conv2d(3 * width, 2 * width, 3, stride=2, padding=1), nn.SiLU())
        self.hidden = nn.Linear(2 * width * 16, 3 * width)
        self.head = nn.Linear(3 * width, 10)
        self.register_buffer("centre", torch.zeros(3 * width))
        self.register_buffer("spread", torch.ones(3 * width))

    def seen(self, x: Tensor) -> Tensor:
        """The hidden layer, (batch, 3 width)."""
        grey = x.amax(1, keepdim=True)
        if grey.shape[-1] != 28:
            grey = F.interpolate(grey, (28, 28), mode="area")
        return F.silu(self.hidden(self.convs(F.pixel_unshuffle(grey, 2)).flatten(1)))

    def features(self, x: Tensor) -> Tensor:
        """The same in deviations from the mean over true digits, bounded softly at 3 so that none decides alone."""
        return 3 * torch.tanh((self.seen(x) - self.centre) / (3 * self.spread))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the ten digits."""
        return self.head(self.seen(x))


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
