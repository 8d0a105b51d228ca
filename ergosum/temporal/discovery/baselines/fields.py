r"""Fields that every image has for itself: K flows and colour fields that a U-Net draws for the frame they act on.

$$ a \mapsto \exp\Big(\sum_k z_k G_k(a)\Big) a, \qquad z = z(a, b) $$

The same losses and groups as a shared dictionary, but each image may have generators of its own; so nothing ties what
a number means for one image to what it means for another.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.nets.blocks import coordinates, widen
from ergosum.nets.body import UNetBody
from ergosum.temporal.discovery.baselines.encoder import OddPairEncoder
from ergosum.temporal.discovery.baselines.learning import PairModel, losses_of, relative_error
from ergosum.temporal.reading import subsets
from ergosum.training.task import Losses

__all__ = ["ImageFields"]

SQUARINGS, COLOUR_STEPS = 3, 2
"""Of the flow (scaling and squaring), and Euler steps of the colour field."""
MAPS = 11
"""Of a component: a flow (2) and a 3x3 colour matrix per pixel (9)."""


class ImageFields(PairModel):
    r"""Encoder of pairs, and a U-Net that draws the fields of each image.

    Loss: relative error over three resolutions, plus `sparsity` times $\|z\|_1 / \|z\|_2$, which is smallest where one
    component acts alone.

    Args:
        components: names of the K moves. width: channels of the U-Net at half resolution. sparsity: weight, >= 0.
        price: relative error that a move must save to be read, see `read`. side: of a frame in pixels.
    """

    grid: Tensor

    def __init__(
        self,
        components: tuple[str, ...] = ("one", "two", "three"),
        width: int = 16,
        sparsity: float = 0.05,
        price: float = 0.03,
        side: int = 28,
    ) -> None:
        super().__init__(components)
        if sparsity < 0 or price < 0:
            raise ValueError(f"ImageFields: expected sparsity and price >= 0, got {sparsity!r} and {price!r}.")
        self.sparsity, self.price, self.canvas = sparsity, price, side
        self.encoder = OddPairEncoder(len(components), 32, side)
        self.body = UNetBody(3, MAPS * len(components), 1, width, side)
        with torch.no_grad():
            self.body.head.weight.mul_(5)  # its usual start is too still for fields that nothing else moves
        self.register_buffer("grid", coordinates(side), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, start: Tensor, target: Tensor, generator: Generator, progress: float) -> Losses:
        """Error after the moves that were read, and the price of several moves at once."""
        moves = widen(self.encoder(torch.cat([start, target], 1)))
        made = self._moved(start, moves, self._fields(start), "bilinear")
        spread = moves.abs().sum(1) / (moves.square().sum(1) + 0.03**2).sqrt()
        loss = relative_error(made, start, target, 3).mean() + self.sparsity * spread.mean()
        return losses_of(loss, made, start, target)

    @torch.no_grad()
    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """The encoder's moves; of all subsets of them the one of least relative error plus price per move."""
        moves, fields = self.encoder(torch.cat([start, target], 1)), self._fields(start)
        chosen = torch.zeros_like(moves)
        least = relative_error(start, start, target)
        for active in subsets(moves.shape[1]):
            within = torch.zeros_like(moves)
            within[:, active] = moves[:, active]
            made = self._moved(start, within, fields, "bilinear")
            cost = relative_error(made, start, target) + self.price * len(active)
            chosen = torch.where((cost < least)[:, None], within, chosen)
            least = torch.minimum(cost, least)
        return chosen

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """The frame's own fields, followed as far as the moves say."""
        return self._moved(start, moves, self._fields(start), "bicubic")

    def _fields(self, image: Tensor) -> Tensor:
        """Flows and colour matrices of K components, (batch, K, 11, side, side)."""
        maps = widen(self.body(image, image.new_zeros(len(image), 1)))
        maps = F.interpolate(maps, size=image.shape[-2:], mode="bilinear", align_corners=True)
        return maps.unflatten(1, (len(self.components), MAPS))

    def _moved(self, image: Tensor, moves: Tensor, fields: Tensor, mode: str) -> Tensor:
        field = (moves[:, :, None, None, None] * fields).sum(1)
        flow, colour = field[:, :2] / 2**SQUARINGS, field[:, 2:].unflatten(1, (3, 3)) / COLOUR_STEPS
        for _ in range(SQUARINGS):
            flow = flow + _sampled(flow, self.grid + flow, "bilinear", "border")
        x = _sampled(image, self.grid + flow, mode, "zeros")
        for _ in range(COLOUR_STEPS):
            x = x + torch.einsum("bijhw,bjhw->bihw", colour, x)
        return x


def _sampled(maps: Tensor, at: Tensor, mode: str, outside: str) -> Tensor:
    """Values of maps at places (batch, 2, side, side) from -1 to 1."""
    return F.grid_sample(maps, at.permute(0, 2, 3, 1), mode=mode, padding_mode=outside, align_corners=True)
