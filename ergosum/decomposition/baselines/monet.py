r"""MONet: a network looks at one part of the image after the other, and one VAE codes every part.

Attention takes from what is left, $s_0 = 1$: $m_k = s_{k-1} \alpha(x, s_{k-1})$, $s_k = s_{k-1} - m_k$, and the last
mask is all that remains. The component VAE sees image and mask, and draws means and a mask of its own, $\tilde m$:

$$ L = -\sum_i \log \sum_k m_{ki} N(x_i; \mu_{ki}, \sigma_k^2) + \beta \sum_k KL(q(z_k) \| N(0, 1)) +
       \gamma \sum_i KL(m_{\cdot i} \| \tilde m_{\cdot i}) $$

with $\sigma_1$ = 0.09 for the first part and 0.11 for the others; sums over pixels, less what the surprise is at best.

Source: Burgess et al. 2019, equations 1 to 3. Differs: a smaller attention network, without normalisation; the
component decoder broadcasts to a quarter of the resolution, not to all of it; the logarithm of the mask that the VAE
sees is at least -10. An image is recomposed from the decoder's masks, since latents are all that is left of it.
"""

import torch
from einops import repeat
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline, require_least
from ergosum.decomposition.bottleneck import divergence
from ergosum.nets.blocks import widen
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.nets.pyramid import PyramidEncoder
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Images, Latents

__all__ = ["Monet"]

DEVIATIONS = (0.09, 0.11)
"""Standard deviation of the pixels of the first part, and of the others."""
DARKEST = -10.0
"""Least logarithm of a mask that the component encoder is shown."""


class Monet(ImageBaseline):
    """Recurrent attention and a component VAE; latents in the order in which parts were looked at.

    Args:
        components: K, parts that the attention takes, >= 2. beta, gamma: weights of the divergences of latents and of
        masks, in nats, >= 0. latent, width, side: as `ImageBaseline`.
    """

    def __init__(
        self,
        components: int = 4,
        latent: int = 16,
        width: int = 32,
        beta: float = 0.5,
        gamma: float = 0.5,
        side: int = 64,
    ) -> None:
        super().__init__(components, latent, width, side)
        require_least(2, components=components)
        require_least(0, beta=beta, gamma=gamma)
        self.beta, self.gamma = beta, gamma
        self.attention = _Attention(width)
        self.encoder = PyramidEncoder(2 * latent, 4, width, side)
        self.decoder = BroadcastDecoder(latent, 4, width, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Posterior means of all parts, (batch, K, D)."""
        return self._posterior(images, self._attend(images))[0]

    def recompose(self, latents: Latents) -> Images:
        """Means of all parts, each where the decoder's masks put it."""
        means, masks = self._draw(latents)
        return (masks.exp()[:, :, None] * means).sum(1).clamp(0, 1)

    def masks(self, images: Images) -> Tensor:
        """The attention's masks, (batch, K, side, side)."""
        return self._attend(images).exp()

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """Surprise of the mixture, and the divergences of latents and of masks, in nats."""
        masks = self._attend(images)
        mean, log_variance = self._posterior(images, masks)
        z = mean + (log_variance / 2).exp() * gaussian(mean, generator)
        means, drawn = self._draw(z)
        deviation = torch.full((self.components, 1, 1), DEVIATIONS[1], device=z.device)
        deviation[0] = DEVIATIONS[0]
        misfit = (means - images[:, None]).square().sum(2) / (2 * deviation.square())
        surprise = -(masks - misfit - 3 * (deviation / DEVIATIONS[0]).log()).logsumexp(1).flatten(1).sum(1)
        untold = (masks.exp() * (masks - drawn)).flatten(1).sum(1)
        kl = divergence(mean.flatten(1), log_variance.flatten(1))
        loss = surprise + self.beta * kl + self.gamma * untold
        return loss.mean(), (drawn.exp()[:, :, None] * means).sum(1)

    def _attend(self, images: Images) -> Tensor:
        """Logarithms of the masks, (batch, K, side, side)."""
        left, masks = torch.zeros_like(images[:, :1]), []
        for _ in range(self.components - 1):
            taken = widen(self.attention(torch.cat([images, left], 1)))
            masks.append(left + F.logsigmoid(taken))
            left = left + F.logsigmoid(-taken)
        return torch.cat([*masks, left], 1)

    def _posterior(self, images: Images, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, (batch, K, D) each."""
        shown = repeat(images, "batch ... -> (batch k) ...", k=masks.shape[1])
        parts = torch.cat([shown, masks.flatten(0, 1)[:, None].clamp(min=DARKEST)], 1)
        mean, log_variance = widen(self.encoder(parts)).unflatten(0, masks.shape[:2]).chunk(2, 2)
        return mean, log_variance

    def _draw(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Means (batch, K, 3, side, side), and logarithms of masks."""
        maps = widen(self.decoder(latents.flatten(0, 1))).unflatten(0, latents.shape[:2])
        return 0.5 + maps[:, :, :3], maps[:, :, 3].log_softmax(1)


class _Attention(nn.Module):
    """A U-Net over three halvings that knows the mean of its coarsest features: logits of what is taken next."""

    def __init__(self, width: int) -> None:
        super().__init__()
        down = ((4, width), (width, width), (width, 2 * width))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in down)
        self.summary = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width))
        up = ((2 * width, width), (2 * width, width), (2 * width, 1))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in up)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for conv in self.down:
            x = F.relu(conv(x))
            kept.append(x)
        x = F.relu(x + self.summary(x.mean((2, 3)))[:, :, None, None])
        x = F.relu(self.up[0](x))
        x = F.relu(self.up[1](torch.cat([x, kept[1]], 1)))
        return self.up[2](torch.cat([x, kept[0]], 1))
