r"""Slots that look for objects: attention in which components compete for places.

Every component has a content $z_k$ and a place $p_k$. Features are seen relative to the place, so that an object's
content does not say where it is; features go to the component that claims them most, and each component moves to the
mean of what it holds:

$$ A_{nk} = \mathrm{softmax}_k\left(q_k \cdot k_{nk} / \sqrt{D} - \beta \|n - p_k\|^2 / 2 s^2\right), \qquad
   p_k \leftarrow \sum_n \bar A_{nk}\, n $$

The local term is ours: at the start, where contents say nothing yet, it makes each component see its neighbourhood
instead of the mean of everything, on which training stands still. The first `globals` components have no place but
see the image's own coordinates: what they explain, a background or a light, is everywhere.

Source: Locatello et al. 2020, algorithm 1; Biza et al. 2023, translation only. Differs: the local term, global slots,
one start for all contents, and places drawn instead of contents.
"""

import torch
from torch import Generator, Tensor, nn

from ergosum.nets.blocks import coordinates, reduced, widen
from ergosum.nets.encoders import Encoder

__all__ = ["PLACE", "SlotEncoder"]

PLACE = 3
"""Numbers at the end of a slot's latent: x and y in -1 .. 1, and 1 where the component has a place (0: global)."""


class SlotEncoder(Encoder):
    """K latents (content, x, y, placed) of an image; K may be another number at test time.

    Places start where they are told to, else at random in training, and otherwise at evenly spread points.

    Args:
        latent: numbers per component, PLACE of them for its place. width: channels, and numbers per slot that latents
        of fewer are read off. globals: components without place.
        iterations: rounds of attention. spread: s, half-width of a component's neighbourhood, image from -1 to 1.
        stochastic: say also how sure contents are.
    Raises:
        ValueError: unless `side` is a multiple of 4.
    Shape:
        x: (batch, 3, side, side), side a multiple of 4. Returns (batch, K, latent); if stochastic, the logarithm of the
        contents' variance follows, (batch, K, 2 * latent - PLACE).
    """

    def __init__(
        self, latent: int, width: int = 32, side: int = 36, globals: int = 1, iterations: int = 3, spread: float = 0.4,
        stochastic: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.content, self.globals, self.iterations, self.spread = latent - PLACE, globals, iterations, spread
        d = max(self.content, width)
        self.convs = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2), nn.SiLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(), nn.Conv2d(2 * width, width, 3, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.feature = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, d), nn.LayerNorm(d)
        )
        self.register_buffer("grid", coordinates(reduced(side, 4)).flatten(2)[0].T.contiguous(), persistent=False)
        self.start = nn.Parameter(nn.init.normal_(torch.empty(2, d), std=0.1))
        self.key, self.value, self.query = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.relative = nn.Linear(2, d)
        self.seen = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.SiLU(), nn.Linear(d, d))
        self.locality, self.everywhere = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(-1.0))
        self.before, self.after = nn.LayerNorm(d), nn.LayerNorm(d)
        self.update = nn.GRUCell(d, d)
        self.refine = nn.Sequential(nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))

        self.said = nn.Linear(d, (2 if stochastic else 1) * self.content) if stochastic or d > self.content else None

    exchangeable = True
    placed = True
    grid: Tensor

    def forward(
        self, x: Tensor, components: int, generator: Generator | None = None, places: Tensor | None = None
    ) -> Tensor:
        """Latents, by `iterations` rounds of attention, from places (batch, K, 2) if they are given."""
        features = widen(self.feature(widen(self.convs(x).flatten(2).transpose(1, 2))))
        batch, k = len(x), components
        placed = (torch.arange(k, device=x.device) >= self.globals).to(features.dtype)
        z = self.start[placed.long()].expand(batch, k, -1)
        unit = torch.where(placed > 0, self.spread, 1.0)
        place = (self._places(batch, k, generator) if places is None else places).to(features)
        keys, values = self.key(features)[:, None], self.value(features)[:, None]
        for n in range(self.iterations + 1):
            gap = (self.grid - place[:, :, None] * placed[:, None, None]) / unit[:, None, None]
            where = self.relative(0.5 * gap.clamp(-8, 8))
            match = (widen(self.seen(keys + where)) * widen(self.query(self.before(z)))[:, :, None]).sum(3)
            near = torch.where(placed[:, None] > 0, -0.5 * self.locality.abs() * gap.square().sum(3), self.everywhere)
            share = (match / keys.shape[-1] ** 0.5 + near).softmax(1) + 1e-8
            share = share / share.sum(2, keepdim=True)
            place = share @ self.grid
            if n == self.iterations:  # the last round only looks where the object is
                break
            held = (share[..., None] * widen(self.seen(values + where))).sum(2)
            z = widen(self.update(held.flatten(0, 1), z.flatten(0, 1))).unflatten(0, (batch, k))
            z = z + widen(self.refine(self.after(z)))
        flags = placed[:, None].expand(batch, k, 1)
        if self.said is None:
            return torch.cat([z, place * flags, flags], 2)
        said = widen(self.said(z))
        return torch.cat([said[..., : self.content], place * flags, flags, said[..., self.content :]], 2)

    def _places(self, batch: int, k: int, generator: Generator | None) -> Tensor:
        """Where components start to look, (batch, K, 2)."""
        if self.training:
            return 2 * torch.rand(batch, k, 2, generator=generator) - 1
        # Roberts' sequence: points that are evenly spread however many are taken
        n = torch.arange(1, k + 1, dtype=torch.float64)[:, None]
        steps = torch.tensor([0.7548776662466927, 0.5698402909980532], dtype=torch.float64)
        return (1.5 * ((0.5 + n * steps) % 1) - 0.75).float().expand(batch, k, 2)
