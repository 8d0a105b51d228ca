r"""beta-VAE: one latent vector, pressed towards a standard normal.

$$ L = -\mathbb E_{q(z|x)} \log p(x|z) + \beta\, KL(q(z|x) \| N(0, 1)) $$

Sums over pixels and channels and over the D codes; the mean over the batch. The decoder gives the logit of Bernoulli's
probability, or the mean of a Gaussian of variance 1/2 (less 1/2, without bounds), so that
$-\log p(x|z) = \|x - m(z)\|^2$ up to a constant. With variance s^2 instead, beta would count 2 s^2 times as much.

Source: Higgins et al. 2017, equation 4. Differs: fewer updates with a larger, falling learning rate, as every row of
our tables. At such rates a Gaussian's mean behind a sigmoid stayed black for good on white shapes, so it has none.
"""

from typing import Literal, get_args

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline, require_least
from ergosum.decomposition.bottleneck import divergence
from ergosum.nets.blocks import widen
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Images, Latents

__all__ = ["BetaVae", "Likelihood"]

Likelihood = Literal["gaussian", "bernoulli"]


class BetaVae(ImageBaseline):
    """A variational autoencoder of four strided convolutions (`nets/pyramid.py`); K = 1.

    Args:
        beta: weight of the divergence of latents from their prior, in nats, >= 0. likelihood: of the pixels, a Gaussian
        of variance 1/2, or Bernoulli's. latent, width, side: as `ImageBaseline`.
    """

    def __init__(
        self, latent: int = 64, width: int = 32, beta: float = 1.0, likelihood: Likelihood = "gaussian", side: int = 64
    ) -> None:
        super().__init__(1, latent, width, side)
        require_least(0, beta=beta)
        if likelihood not in get_args(Likelihood):
            raise ValueError(f"likelihood: expected one of {', '.join(get_args(Likelihood))}, got {likelihood!r}.")
        self.beta, self.likelihood = beta, likelihood
        self.encoder = PyramidEncoder(2 * latent, 3, width, side)
        self.decoder = PyramidDecoder(latent, 3, width, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def posterior(self, images: Images) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of every code, (batch, D) each."""
        mean, log_variance = widen(self.encoder(images)).chunk(2, 1)
        return mean, log_variance

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Posterior means, (batch, 1, D)."""
        return self.posterior(images)[0][:, None]

    def recompose(self, latents: Latents) -> Images:
        """The mean of $p(x|z)$."""
        return self._mean(widen(self.decoder(latents[:, 0]))).clamp(0, 1)

    def bound(self, images: Images, generator: Generator) -> tuple[Tensor, Images, Tensor]:
        """The objective, the means of the images, and the sample z that they come from."""
        mean, log_variance = self.posterior(images)
        z = mean + (log_variance / 2).exp() * gaussian(mean, generator)
        drawn = widen(self.decoder(z))
        made = self._mean(drawn)
        if self.likelihood == "bernoulli":
            surprise = F.binary_cross_entropy_with_logits(drawn, images, reduction="none")
        else:
            surprise = (made - images).square()
        kl = self.beta * divergence(mean, log_variance)
        return (surprise.flatten(1).sum(1) + kl).mean(), made, z

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """Minus the weighted evidence bound in nats."""
        return self.bound(images, generator)[:2]

    def _mean(self, drawn: Tensor) -> Images:
        return drawn.sigmoid() if self.likelihood == "bernoulli" else 0.5 + drawn
