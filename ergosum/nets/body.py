"""The small U-Net under the `transport` and `unet` energies and under the feed-forward baseline."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import ConditionedBlock, coordinates, reduced

__all__ = ["UNetBody"]


class UNetBody(nn.Module):
    """U-Net on 2x2 pixel-unshuffled images with coordinates, conditioned on a code in every block.

    Two resolutions, half and quarter of the canvas; the mean of the coarse features joins the code half-way, so that
    the second half knows the whole image. Output at half resolution.

    Args:
        channels: of the input. outputs: channels of the output. code: width of z. width: channels at half resolution.
        side: canvas in pixels, a multiple of 4.
    Shape:
        x: (batch, channels, side, side). z: (batch, code). Returns (batch, outputs, side / 2, side / 2).
    """

    grid: Tensor

    def __init__(self, channels: int, outputs: int, code: int, width: int, side: int) -> None:
        super().__init__()
        inner = max(16, width)
        self.embed = nn.Sequential(nn.Linear(code, inner), nn.SiLU(), nn.Linear(inner, inner), nn.SiLU())
        self.stem = nn.Conv2d(4 * channels + 2, width, 3, padding=1)
        self.fine_in = ConditionedBlock(width, inner)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.coarse_in = nn.ModuleList(ConditionedBlock(2 * width, inner) for _ in range(2))
        self.summary = nn.Linear(2 * width, inner)
        self.coarse_out = nn.ModuleList(ConditionedBlock(2 * width, inner) for _ in range(2))
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.fine_out = nn.ModuleList(ConditionedBlock(width, inner) for _ in range(2))
        self.head = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.head.weight.mul_(0.1)
        self.register_buffer("grid", coordinates(2 * reduced(side, 4)), persistent=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Features for every 2x2 block of pixels."""
        code = self.embed(z)
        fine = torch.cat([F.pixel_unshuffle(x, 2), self.grid.expand(len(x), -1, -1, -1).to(x.dtype)], 1)
        fine = self.fine_in(self.stem(fine), code)
        coarse = self.down(fine)
        for block in self.coarse_in:
            coarse = block(coarse, code)
        code = code + self.summary(coarse.mean((2, 3)))
        for block in self.coarse_out:
            coarse = block(coarse, code)
        fine = fine + self.up(F.interpolate(coarse, size=fine.shape[-2:]))
        for block in self.fine_out:
            fine = block(fine, code)
        return self.head(F.silu(fine))
