"""Feed-forward networks of equal size that predict the frame at once, without an energy.

They are trained by the same loop on the same pairs with the same loss as a decomposer.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.data.render import FACTORS
from ergosum.decomposer import Trajectory
from ergosum.nets.body import UNetBody
from ergosum.nets.transport import Transport
from ergosum.shapes import Images

__all__ = ["FeedForwardTransport", "FeedForwardUNet"]


class FeedForward(nn.Module):
    """What both share: one step from the start frame and the move.

    Args:
        components: names, as of a decomposer. side: of a frame in pixels.
    """

    knows_moves = True
    factors = FACTORS

    def __init__(self, components: tuple[str, ...], side: int) -> None:
        super().__init__()
        self.components, self.canvas = tuple(components), side

    def frame(self, start: Images, moves: Tensor) -> Images:
        """The predicted frame."""
        raise NotImplementedError

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
        return Trajectory([start, self.frame(start, moves)], [], torch.zeros(len(start), 1, 0))

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

    def locate(self, start: Images, target: Images | None, moves: Tensor | None) -> str:
        """Words for an error message."""
        return "the feed-forward network"


class FeedForwardUNet(FeedForward):
    """$x_{t+l} = x_t + u(x_t, move)$ with a U-Net u.

    Args:
        components: names, as of a decomposer. width: channels of the U-Net at half resolution. side: of a frame in
            pixels.
    """

    def __init__(self, components: tuple[str, ...] = ("colour",), width: int = 33, side: int = 28) -> None:
        super().__init__(components, side)
        self.body = UNetBody(3, 12, len(FACTORS), width, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def frame(self, start: Images, moves: Tensor) -> Images:
        """The start and what the U-Net adds."""
        return start + F.pixel_shuffle(self.body(start, moves).float(), 2)


class FeedForwardTransport(FeedForward):
    """$x_{t+l} = m(x_t, move)$ with the transport energy's own network.

    Args:
        components: names, as of a decomposer. width: channels of its U-Net at half resolution. side: of a frame in
            pixels.
    """

    def __init__(self, components: tuple[str, ...] = ("colour",), width: int = 32, side: int = 28) -> None:
        super().__init__(components, side)
        self.transport = Transport(len(FACTORS), width, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def frame(self, start: Images, moves: Tensor) -> Images:
        """The transported frame."""
        return self.transport.mean(moves, start)
