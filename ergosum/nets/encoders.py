"""Fast encoders: latents of a frame, or of a pair of frames."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["StridedEncoder"]


class StridedEncoder(nn.Module):
    """Pixel-unshuffle, two strided convolutions, spatial mean, two linear layers.

    With `channels` = 6 it is a pair encoder: the frame and the frame to explain, stacked.

    Shape:
        x: (batch, channels, side, side). Returns (batch, outputs).
    """

    def __init__(self, outputs: int, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(4 * channels, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Latents, one row per sample."""
        return self.head(self.convs(F.pixel_unshuffle(x, 2)).mean((2, 3)))
