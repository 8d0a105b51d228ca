"""The honest rival of an energy: a feed-forward network of equal size that predicts the frame at once."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.decomposer import Trajectory
from ergosum.nets.body import UNetBody
from ergosum.nets.transport import Transport
from ergosum.settings import FACTORS, ModelSettings
from ergosum.shapes import Images

__all__ = ["FeedForward"]


class FeedForward(nn.Module):
    """$x_{t+l} = x_t + u(x_t, move)$ with a U-Net u, or $m(x_t, move)$ with the transport energy's own network.

    It is trained by the same loop on the same pairs with the same loss as a decomposer; `model.energy` = `transport`
    selects the second kind, anything else the first.
    """

    def __init__(self, model: ModelSettings, canvas: int = 28) -> None:
        super().__init__()
        self.model, self.canvas = model, canvas
        self.components = model.components
        self.transport = Transport(len(FACTORS), model.width, canvas) if model.energy == "transport" else None
        self.body = None if self.transport else UNetBody(3, 12, len(FACTORS), model.width, canvas)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        generator: Generator | None = None,
        steps: int | None = None,
        active: Sequence[int] | None = None,
        check: bool = False,
    ) -> Trajectory:
        """The predicted frame as a trajectory of one step."""
        moves = torch.ones(len(start), len(FACTORS), device=start.device) if moves is None else moves
        if self.transport is not None:
            frame = self.transport.mean(moves, start)
        else:
            assert self.body is not None
            frame = start + F.pixel_shuffle(self.body(start, moves).float(), 2)
        return Trajectory([start, frame], [], torch.zeros(len(start), 1, 0))

    @torch.no_grad()
    def predict(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        active: Sequence[int] | None = None,
        generator: Generator | None = None,
    ) -> Images:
        """The predicted frame in [0, 1]."""
        return self(start, moves=moves).frames[-1].clamp(0, 1)

    def blame(self, start: Images, target: Images | None, moves: Tensor | None) -> str:
        """Words for an error message."""
        return "the feed-forward network"
