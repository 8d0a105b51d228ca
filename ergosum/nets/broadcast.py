"""A decoder without places of its own: the code stands at every point of a grid, beside the point's coordinates."""

import torch
from torch import Tensor, nn

from ergosum.nets.blocks import coordinates, reduced

__all__ = ["BroadcastDecoder"]


class BroadcastDecoder(nn.Module):
    """Code and coordinates on a grid of side / 4, two convolutions, and two transposed ones to the image's size.

    Since the code is the same everywhere, what it draws must be bound to places by the coordinates: a bias for objects.

    Args:
        channels: of the output. width: channels. side: of the image, a multiple of 4.
    Shape:
        z: (batch, code). Returns (batch, channels, side, side).
    Source: Watters et al. 2019. Differs: a quarter of the resolution (an eighth in Locatello et al. 2020); coordinates
    enter by a linear map that is added to the code's.
    """

    grid: Tensor

    def __init__(self, code: int, channels: int = 4, width: int = 32, side: int = 64) -> None:
        super().__init__()
        self.code, self.place = nn.Linear(code, width), nn.Conv2d(2, width, 1)
        self.register_buffer("grid", coordinates(reduced(side, 4)), persistent=False)
        self.convs = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(), nn.ConvTranspose2d(width, width, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Maps as large as the image."""
        h = self.code(z)[:, :, None, None] + self.place(self.grid.to(z.dtype))
        return self.convs(h.contiguous(memory_format=torch.channels_last))
