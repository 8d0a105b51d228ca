r"""InfoGAN: a generator whose codes a recogniser Q must read back off its images.

$$ \min_{G, Q} \max_D\; \mathbb E \log D(x) + \mathbb E \log(1 - D(G(c, e))) -
   \lambda\, \mathbb E \log Q(c\,|\,G(c, e)) $$

with codes $c \sim U(-1, 1)^D$ and as much noise $e \sim N(0, 1)$; Q is a Gaussian with diagonal covariance on the
discriminator's convolutions, and the encoder: an image's latent is the mean of Q. The log-likelihood is the mean over
codes. An image is recomposed from its codes with e = 0, which no term asks for: its error tells how much of an image
is in the codes.

Source: Chen et al. 2016, equations 5 and 6. Differs: the generator's loss is the non-saturating one, and its output is
linear (behind a sigmoid it stayed black on white shapes); in place of batch normalisation (the weights that are scored
are averages, and have no statistics of their own) weights start at He's scale and the discriminator pays
$\frac{R}{2} \|\nabla_x \log D / (1 - D)\|^2$ on a quarter of the true images (Mescheder et al. 2018, equation 9);
discriminator, generator and Q have one learning rate and learn from one sum of losses.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline, frozen, require_least
from ergosum.nets.blocks import widen
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.samplers.tensors import gaussian, uniform
from ergosum.shapes import Images, Latents

__all__ = ["InfoGan"]

ROUGHNESS = 10.0
"""R, the weight of the penalty on a discriminator that is steep at true images."""


class InfoGan(ImageBaseline):
    """A generator, and one network for its discriminator and the recogniser of its codes; K = 1.

    Args:
        information: lambda, weight of how well codes are read back, >= 0. latent, width, side: as `ImageBaseline`.
    """

    def __init__(self, latent: int = 64, width: int = 32, information: float = 1.0, side: int = 64) -> None:
        super().__init__(1, latent, width, side)
        require_least(0, information=information)
        self.information = information
        self.generator = PyramidDecoder(2 * latent, 3, width, side)
        self.critic = PyramidEncoder(1 + 2 * latent, 3, width, side)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                weight = layer.weight  # of a transposed convolution of 4 x 4 with stride 2 four places meet in a pixel
                fan = 4 * len(weight) if isinstance(layer, nn.ConvTranspose2d) else weight[0].numel()
                nn.init.normal_(weight, std=(2 / fan) ** 0.5)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Means of $Q(c|x)$, (batch, 1, D)."""
        return self._read(images)[1][:, None]

    def recompose(self, latents: Latents) -> Images:
        """Images of the codes without noise."""
        return self._draw(latents[:, 0], torch.zeros_like(latents[:, 0])).clamp(0, 1)

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """The generator's, the recogniser's and the discriminator's terms."""
        empty = images.new_empty(len(images), self.latent)
        codes = 2 * uniform(empty, generator) - 1
        drawn = self._draw(codes, gaussian(empty, generator))
        fooled = widen(frozen(self.critic)(drawn))[:, 0]
        _, mean, log_deviation = self._read(drawn)
        unread = ((codes - mean) / log_deviation.exp()).square() / 2 + log_deviation
        true, made = widen(self.critic(torch.cat([images, drawn.detach()])))[:, 0].chunk(2)
        told = F.softplus(-true).mean() + F.softplus(made).mean()
        told = told + ROUGHNESS / 2 * self._roughness(images[: max(1, len(images) // 4)])
        with torch.no_grad():
            again = self.recompose(self.encode(images))
        return F.softplus(-fooled).mean() + self.information * unread.mean() + told, again

    def _roughness(self, images: Images) -> Tensor:
        """Mean squared slope of the discriminator's logit."""
        x = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(widen(self.critic(x))[:, 0].sum(), x, create_graph=True)
        return slope.square().flatten(1).sum(1).mean()

    def _draw(self, codes: Tensor, noise: Tensor) -> Images:
        return 0.5 + widen(self.generator(torch.cat([codes, noise], 1)))

    def _read(self, images: Images) -> tuple[Tensor, Tensor, Tensor]:
        """Whether images look true (logits), and mean and logarithm of the deviation of each code."""
        seen = widen(self.critic(images))
        mean, log_deviation = seen[:, 1:].chunk(2, 1)
        return seen[:, 0], mean, log_deviation
