r"""An autoencoder with additive decoders: an image is a sum of what K decoders draw, each from its own latent.

$$ \hat x = b + \sum_k f_k(z_k), \qquad L = \|x - \hat x\|^2 $$

(the mean over pixels). Composition in the space of images, without energies, masks or a prior: what it lacks of a
decomposer is the energies alone.

Source: Lachapelle et al. 2023, definition 1. Differs: b is an image, and starts at 1/2.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.nets.blocks import widen
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.shapes import Images, Latents

__all__ = ["Additive"]


class Additive(ImageBaseline):
    """One encoder and K decoders of half its width, whose images are added.

    Args:
        components: K, decoders, >= 1. latent, width, side: as `ImageBaseline`.
    """

    def __init__(self, components: int = 4, latent: int = 16, width: int = 32, side: int = 64) -> None:
        super().__init__(components, latent, width, side)
        self.encoder = PyramidEncoder(components * latent, 3, width, side)
        self.decoders = nn.ModuleList(PyramidDecoder(latent, 3, width // 2, side) for _ in range(components))
        self.bias = nn.Parameter(torch.full((3, side, side), 0.5))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """One latent for each decoder, (batch, K, D)."""
        return widen(self.encoder(images)).unflatten(1, (self.components, self.latent))

    def recompose(self, latents: Latents) -> Images:
        """The sum of all decoders' images and the bias."""
        return self._sum(latents).clamp(0, 1)

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """Mean squared error."""
        made = self._sum(self.encode(images))
        return F.mse_loss(made, images), made

    def _sum(self, latents: Latents) -> Images:
        parts = [widen(decoder(z)) for decoder, z in zip(self.decoders, latents.unbind(1), strict=True)]
        return self.bias + torch.stack(parts).sum(0)
