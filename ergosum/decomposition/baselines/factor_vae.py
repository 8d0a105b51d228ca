r"""FactorVAE: a VAE that also pays for codes that depend on each other.

$$ L = L_{VAE} + \gamma\, KL(q(z) \| \prod_d q(z_d)), \qquad
   KL \approx \mathbb E_{q(z)} \log \frac{D(z)}{1 - D(z)} $$

where the discriminator D tells codes of images from codes each of which was permuted over the batch.

Source: Kim & Mnih 2018, equations 2 and 3, algorithms 1 and 2. Differs: permuted codes come from the same batch, not
from a second one; the discriminator has four hidden layers of 256 units, not six of 1000, and the model's learning
rate; both learn from one sum of losses, whose terms do not reach each other's weights.
"""

import itertools

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline, frozen, require_least
from ergosum.decomposition.baselines.vae import BetaVae, Likelihood
from ergosum.nets.blocks import widen
from ergosum.samplers.tensors import uniform
from ergosum.shapes import Images, Latents

__all__ = ["FactorVae", "permuted"]

HIDDEN = 256
"""Units of the discriminator's layers."""


class FactorVae(ImageBaseline):
    """A VAE and the discriminator that measures its total correlation; K = 1.

    Args:
        gamma: weight of the total correlation, in nats, >= 0. latent, width, beta, likelihood, side: as `BetaVae`.
    """

    def __init__(
        self,
        latent: int = 64,
        width: int = 32,
        beta: float = 1.0,
        gamma: float = 10.0,
        likelihood: Likelihood = "gaussian",
        side: int = 64,
    ) -> None:
        super().__init__(1, latent, width, side)
        require_least(0, gamma=gamma)
        self.gamma = gamma
        self.vae = BetaVae(latent, width, beta, likelihood, side)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((latent, *[HIDDEN] * 4)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        self.critic = nn.Sequential(*layers, nn.Linear(HIDDEN, 1))

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Posterior means, (batch, 1, D)."""
        return self.vae.encode(images, generator)

    def recompose(self, latents: Latents) -> Images:
        """The mean of $p(x|z)$."""
        return self.vae.recompose(latents)

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """The VAE's objective with its total correlation, and the discriminator's cross-entropy."""
        bound, made, z = self.vae.bound(images, generator)
        correlation = widen(frozen(self.critic)(z)).mean()
        together, apart = widen(self.critic(torch.cat([z, permuted(z, generator)]).detach())).chunk(2)
        told = (F.softplus(-together) + F.softplus(apart)).mean() / 2
        return bound + self.gamma * correlation + told, made


def permuted(z: Tensor, generator: Generator) -> Tensor:
    """Every code in an order of its own over the batch: a sample of the product of its marginals."""
    order = uniform(z, generator).argsort(0)
    return z.gather(0, order)
