r"""An autoencoder with additive decoders: a picture is a sum of what K decoders draw, each from its own latent.

$$ \hat x = b + \sum_k f_k(z_k), \qquad L = \|x - \hat x\|^2 $$

(the mean over pixels). Composition in the space of pictures, without energies, masks or a prior: what it lacks of a
decomposer is the energies alone.

Source: Lachapelle et al. 2023, definition 1. Differs: b is a picture, and starts at 1/2.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.baselines.rival import Rival
from ergosum.nets.blocks import widen
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.settings import RivalSettings
from ergosum.shapes import Images, Latents

__all__ = ["Additive"]


class Additive(Rival):
    """One encoder and K decoders of half its width, whose pictures are added."""

    def __init__(self, settings: RivalSettings, side: int) -> None:
        super().__init__(settings, side)
        self.encoder = PyramidEncoder(settings.components * settings.latent, 3, settings.width, side)
        self.decoders = nn.ModuleList(
            PyramidDecoder(settings.latent, 3, settings.width // 2, side) for _ in range(settings.components)
        )
        self.bias = nn.Parameter(torch.full((3, side, side), 0.5))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, pictures: Images, generator: Generator | None = None) -> Latents:
        """One latent for each decoder, (batch, K, D)."""
        return widen(self.encoder(pictures)).unflatten(1, (self.settings.components, self.settings.latent))

    def recompose(self, latents: Latents) -> Images:
        """The sum of all decoders' pictures and the bias."""
        return self._sum(latents).clamp(0, 1)

    def objective(self, pictures: Images, generator: Generator) -> tuple[Tensor, Images]:
        """Mean squared error."""
        made = self._sum(self.encode(pictures))
        return F.mse_loss(made, pictures), made

    def _sum(self, latents: Latents) -> Images:
        parts = [widen(decoder(z)) for decoder, z in zip(self.decoders, latents.unbind(1), strict=True)]
        return self.bias + torch.stack(parts).sum(0)
