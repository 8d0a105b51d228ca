"""The judge of digit identity: a small convolutional classifier that ignores colour."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DigitClassifier"]


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
