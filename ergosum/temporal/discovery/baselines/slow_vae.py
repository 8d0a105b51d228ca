r"""SlowVAE: a variational autoencoder of frames whose latents change sparsely from one frame to the next.

$$ L = 2 E[-\log p(x | z)] + \beta (H(q, N(0, 1)) - H(q)) + \gamma (H(q_t, p_{t-1}) + H(q_{t-1}, p_t) - H(q)) $$

for a pair of frames, with the transition prior $p_t(z) = \frac\lambda2 e^{-\lambda |z - \mu_t|}$ around the mean of the
other frame; what has no index is the mean over both frames. With $d = \mu_t - \mu_{t-1}$ a Gaussian's cross-entropy
with it is $-\log\frac\lambda2 + \lambda (\sigma \sqrt{2/\pi}\, e^{-d^2 / 2 \sigma^2} + d\, erf(d / \sqrt2 \sigma))$.

Source: Klindt et al. 2021, arXiv 2007.10930; the objective is that of its released code, entropies included, with its
weights (beta 1, gamma 10, rate 6), ten latents and Bernoulli pixels. Differs: frames of 28 pixels, padded to 32, not of
64; learning rate and number of updates are those of the budget (1e-4 and 300,000 there).
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.nets.blocks import widen
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.temporal.discovery.baselines.learning import PairModel, losses_of
from ergosum.training.task import Losses

__all__ = ["SlowVAE", "laplace_cross_entropy", "normal_entropy"]

MULTIPLE = 16
"""Pixels that a side must be a multiple of for the four halvings."""


def laplace_cross_entropy(difference: Tensor, log_variance: Tensor, rate: float) -> Tensor:
    r"""$-E_{x \sim N(d, \sigma^2)} \log \frac\lambda2 e^{-\lambda |x|}$ in nats, elementwise.

    Args:
        difference: d. log_variance: $\log \sigma^2$. rate: $\lambda > 0$.
    """
    sigma = (log_variance / 2).exp()
    ratio = difference / sigma
    size = sigma * math.sqrt(2 / math.pi) * (-ratio.square() / 2).exp() + difference * torch.erf(ratio / math.sqrt(2))
    return rate * size - math.log(rate / 2)


def normal_entropy(log_variance: Tensor) -> Tensor:
    """Entropy of a Gaussian in nats, elementwise."""
    return (log_variance + math.log(2 * math.pi) + 1) / 2


class SlowVAE(PairModel):
    """Encoder and decoder of single frames; a move is the change of a latent's mean between two frames.

    All latents are components, and the score's best pairing picks those that serve it: no labels choose them before. A
    move acts on an image as the difference that it makes to the decoded image, added to the image itself; its blur is
    then none of the image's.

    Args:
        latents: L, >= 1. width: channels of the networks' first layer. beta, gamma: weights, >= 0. rate: of the
            Laplace prior, > 0. side: of a frame in pixels.
    """

    def __init__(
        self,
        latents: int = 10,
        width: int = 32,
        beta: float = 1.0,
        gamma: float = 10.0,
        rate: float = 6.0,
        side: int = 28,
    ) -> None:
        if latents < 1 or beta < 0 or gamma < 0 or rate <= 0:
            raise ValueError(
                f"SlowVAE: expected latents >= 1, beta and gamma >= 0, rate > 0, got {latents!r}, {beta!r}, {gamma!r}, "
                f"{rate!r}."
            )
        super().__init__(tuple(f"z{k}" for k in range(latents)))
        self.beta, self.gamma, self.rate, self.canvas = beta, gamma, rate, side
        self.edge = (-side % MULTIPLE) // 2
        padded = side + 2 * self.edge
        if padded % MULTIPLE:
            raise ValueError(f"side: expected an even number of pixels, got {side!r}.")
        self.encoder = PyramidEncoder(2 * latents, 3, width, padded)
        self.decoder = PyramidDecoder(latents, 3, width, padded)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def posterior(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the latents, (batch, L) each."""
        mean, log_variance = widen(self.encoder(F.pad(frames, (self.edge,) * 4))).chunk(2, 1)
        return mean, log_variance

    def decode(self, latents: Tensor) -> Tensor:
        """Logits of the pixels, (batch, 3, side, side)."""
        logits = widen(self.decoder(latents))
        e = self.edge
        return logits[..., e : logits.shape[-2] - e, e : logits.shape[-1] - e]

    def forward(self, start: Tensor, target: Tensor, generator: Generator, progress: float) -> Losses:
        """The bound above, per frame and in nats over the number of pixels and channels."""
        frames = torch.cat([start, target])
        mean, log_variance = self.posterior(frames)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        logits = self.decode(mean + (log_variance / 2).exp() * noise)
        reconstruction = F.binary_cross_entropy_with_logits(logits, frames, reduction="none").flatten(1).sum(1).mean()
        entropy = normal_entropy(log_variance)
        normal = (mean.square() + log_variance.exp() + math.log(2 * math.pi)) / 2
        before, after = mean.chunk(2)
        change = torch.cat([before - after, after - before])
        both_ways = 2 * laplace_cross_entropy(change, log_variance, self.rate)
        normal, both_ways = ((x - entropy).sum(1).mean() for x in (normal, both_ways))
        loss = 2 * reconstruction + self.beta * normal + self.gamma * both_ways
        with torch.no_grad():
            made = start + self.decode(after).sigmoid() - self.decode(before).sigmoid()
        return losses_of(loss / frames[0].numel(), made, start, target)

    @torch.no_grad()
    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """Differences of the latents' means."""
        return self.posterior(target)[0] - self.posterior(start)[0]

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """The image, and what the moved latents change in its decoded image."""
        mean, _ = self.posterior(start)
        return start + self.decode(mean + moves).sigmoid() - self.decode(mean).sigmoid()
