"""What an encoder is, and fast ones: latents of a frame, or of a pair of frames."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Encoder", "PairEncoder", "StridedEncoder"]


class Encoder(nn.Module):
    """From an image to latents: the base class of encoders, yours included.

    A plain encoder is built with `outputs`, and if it takes it `side`, and gives (batch, outputs). One whose components
    are `exchangeable` is built with `latent`, and gives (batch, K, latent) for as many components as it is asked for:
    `forward(x, components, generator=None)`; one with places takes `places` (batch, K, 2) after that (`SlotEncoder`).
    """

    exchangeable: bool = False
    """Whether components are an unordered set of any size, instead of K fixed ones."""
    placed: bool = False
    """Whether components have places in the image."""
    reads_pairs: bool = False
    """Whether it sees a frame and the one to explain, stacked: 6 channels."""


class StridedEncoder(Encoder):
    """Pixel-unshuffle, two strided convolutions, spatial mean, two linear layers.

    Args:
        outputs: numbers in all. channels: of the input. width: channels of the first convolution.

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


class PairEncoder(StridedEncoder):
    """The same on the frame and the frame to explain, stacked: it reads the change itself.

    Shape:
        x: (batch, 6, side, side). Returns (batch, outputs).
    """

    reads_pairs = True

    def __init__(self, outputs: int, width: int = 32) -> None:
        super().__init__(outputs, 6, width)
