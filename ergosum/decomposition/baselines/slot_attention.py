r"""Slot attention: K slots compete for the places of an image, and a broadcast decoder draws each.

Slots start as $z_k \sim N(\mu, \sigma^2)$, learned and the same for all k, and are updated three times by a recurrent
cell and a residual layer from what they hold:

$$ A_{nk} = \mathrm{softmax}_k(k_n \cdot q_k / \sqrt D), \qquad
   u_k = \sum_n A_{nk} v_n / \textstyle\sum_n A_{nk}, \qquad
   \hat x = \sum_k \mathrm{softmax}_k(l_k)\, c_k $$

The loss is the mean squared error of the sum of the slots' colours c under their masks.

Source: Locatello et al. 2020, algorithm 1 and section 3.1. Differs: an encoder and a decoder that work at a quarter of
the resolution; without a generator the start is one fixed draw for all images, so that latents are repeatable.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposition.baselines.baseline import ImageBaseline, require_least
from ergosum.nets.blocks import coordinates, widen
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Images, Latents

__all__ = ["SlotAttention"]

ROUNDS = 3
"""Rounds of attention."""


class SlotAttention(ImageBaseline):
    """An autoencoder whose latents are an exchangeable set of slots.

    Args:
        components: K, slots, >= 2. latent, width, side: as `ImageBaseline`.
    """

    grid: Tensor

    def __init__(self, components: int = 4, latent: int = 32, width: int = 32, side: int = 64) -> None:
        super().__init__(components, latent, width, side)
        require_least(2, components=components)
        d = latent
        self.convs = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(width, width, 5, stride=2, padding=2),
            nn.ReLU(), nn.Conv2d(width, width, 5, padding=2), nn.ReLU(),
        )  # fmt: skip
        self.place = nn.Conv2d(2, width, 1)
        self.register_buffer("grid", coordinates(side // 4), persistent=False)
        self.feature = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, d), nn.ReLU(), nn.Linear(d, d))
        self.mean, self.log_deviation = (nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, d))) for _ in range(2))
        self.key, self.value, self.query = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.inside, self.before, self.after = (nn.LayerNorm(d) for _ in range(3))
        self.update = nn.GRUCell(d, d)
        self.refine = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))
        self.decoder = BroadcastDecoder(d, 4, width, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Slots after three rounds, (batch, K, D)."""
        features = self.convs(images) + self.place(self.grid)
        features = widen(self.inside(widen(self.feature(widen(features.flatten(2).transpose(1, 2))))))
        keys, values = widen(self.key(features)), widen(self.value(features))
        z = self._start(len(images), generator)
        for _ in range(ROUNDS):
            match = widen(self.query(self.before(z))) @ keys.transpose(1, 2) / self.latent**0.5
            share = widen(match).softmax(1) + 1e-8
            held = widen((share / share.sum(2, keepdim=True)) @ values)
            z = widen(self.update(held.flatten(0, 1), z.flatten(0, 1))).unflatten(0, z.shape[:2])
            z = z + widen(self.refine(self.after(z)))
        return z

    def recompose(self, latents: Latents) -> Images:
        """The sum of the slots' colours under their masks."""
        return self._sum(latents).clamp(0, 1)

    def masks(self, images: Images) -> Tensor:
        """The decoder's masks, (batch, K, side, side)."""
        return self._draw(self.encode(images))[1]

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """Mean squared error."""
        made = self._sum(self.encode(images, generator))
        return F.mse_loss(made, images), made

    def _start(self, batch: int, generator: Generator | None) -> Tensor:
        drawn = 1 if generator is None else batch
        empty = self.mean.new_empty(drawn, self.components, self.latent)
        noise = gaussian(empty, generator or Generator().manual_seed(0))
        return self.mean + self.log_deviation.exp() * noise.expand(batch, -1, -1)

    def _sum(self, latents: Latents) -> Images:
        colours, masks = self._draw(latents)
        return (masks[:, :, None] * colours).sum(1)

    def _draw(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """Colours (batch, K, 3, side, side) and masks (batch, K, side, side)."""
        maps = widen(self.decoder(latents.flatten(0, 1))).unflatten(0, latents.shape[:2])
        return maps[:, :, :3], maps[:, :, 3].softmax(1)
