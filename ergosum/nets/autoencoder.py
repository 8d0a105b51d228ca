"""A variational autoencoder of images: codes that a density is learned of."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import reduced, widen

__all__ = ["Autoencoder", "Posterior"]


class Posterior(NamedTuple):
    """Mean and standard deviation of codes, each (batch, D)."""

    mean: Tensor
    deviation: Tensor

    def drawn(self, generator: Generator) -> Tensor:
        """A code of each."""
        return self.mean + self.deviation * torch.randn(self.mean.shape, generator=generator).to(self.mean)


class Autoencoder(nn.Module):
    """Convolutions to a quarter of the side, a Gaussian code, and the way back.

    Args:
        latent: D, numbers in a code. width: channels at half of the side; twice as many at a quarter.
        channels, side: of an image, side a multiple of 4.
    Shape:
        images: (batch, channels, side, side) in [0, 1]. codes: (batch, D).
    """

    def __init__(self, latent: int = 24, width: int = 32, channels: int = 1, side: int = 28) -> None:
        super().__init__()
        self.latent, self.coarse = latent, reduced(side, 4)
        wide = 2 * width
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(width, wide, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(wide, wide, 3, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(wide * self.coarse**2, 256), nn.SiLU(), nn.Linear(256, 2 * latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(latent, 256), nn.SiLU(), nn.Linear(256, wide * self.coarse**2), nn.SiLU(),
            nn.Unflatten(1, (wide, self.coarse, self.coarse)),
            nn.Conv2d(wide, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.SiLU(),
            nn.Conv2d(width, wide, 3, padding=1), nn.PixelShuffle(2), nn.SiLU(),
            nn.Conv2d(wide // 4, channels, 3, padding=1),
        )  # fmt: skip

    def posterior(self, images: Tensor) -> Posterior:
        """Where the codes of images lie."""
        mean, log_deviation = widen(self.encoder(2 * images - 1)).chunk(2, 1)
        return Posterior(mean, log_deviation.clamp(-8, 3).exp())

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Codes: the posterior's mean, or with a generator a draw of it."""
        at = self.posterior(images)
        return at.mean if generator is None else at.drawn(generator)

    def decode(self, codes: Tensor) -> Tensor:
        """Images, not clamped: near [0, 1]."""
        return (widen(self.decoder(codes)) + 1) / 2

    def loss(self, images: Tensor, generator: Generator, divergence: float = 2e-5) -> tuple[Tensor, Tensor]:
        """$MSE + \\beta KL(q(z|x) || N(0, 1))$ and the mean squared error alone, of pixels in [0, 1]."""
        at = self.posterior(images)
        made = self.decode(at.drawn(generator))
        error = F.mse_loss(made, images)
        kl = (at.mean.square() + at.deviation.square() - 1 - 2 * at.deviation.log()).sum(1).mean() / 2
        return error + divergence * kl, error.detach()
