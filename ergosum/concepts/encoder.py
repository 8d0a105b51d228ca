"""What encoders of concepts look with: convolutions to a quarter of the side, at images moved or in other colours."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

__all__ = ["centred_at", "looking", "recoloured"]


def looking(channels: int, width: int, thin: int, coarse: int, out: int) -> nn.Sequential:
    """Numbers (batch, out) of images (batch, channels, 4 coarse, 4 coarse).

    Args:
        width: channels at half of the side, twice as many at a quarter. thin: channels left before the last map is
            flattened; 0 for all.
    """
    wide = 2 * width
    thinned = [nn.Conv2d(wide, thin, 1)] if thin else []
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
        nn.Conv2d(width, wide, 4, stride=2, padding=1), nn.SiLU(),
        nn.Conv2d(wide, wide, 3, padding=1), nn.SiLU(),
        nn.Conv2d(wide, wide, 3, padding=1), nn.SiLU(),
        *thinned, nn.Flatten(), nn.Linear((thin or wide) * coarse**2, 256), nn.SiLU(), nn.Linear(256, out),
    )  # fmt: skip


def centred_at(images: Tensor, place: Tensor) -> Tensor:
    """Images moved so that a place (batch, 2), x and y in -1 .. 1, is in the middle; edges are repeated."""
    turn = torch.eye(2).to(images).expand(len(images), 2, 2)
    grid = F.affine_grid(torch.cat([turn, place.to(images)[:, :, None]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def recoloured(images: Tensor, probability: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images (n, 3, side, side), each with a probability in other colours, and which are, (n,) bool; greys stay.

    The difference of a pixel's channels from their mean goes through a random 3 x 3 matrix of deviation 0.8; the mean
    stays, and what leaves [0, 1] is clamped.
    """
    n = len(images)
    matrix = 0.8 * torch.randn(n, 3, 3, generator=generator).to(images)
    chosen = (torch.rand(n, generator=generator) < probability).to(images.device)
    grey = images.mean(1, keepdim=True)
    mixed = (grey + torch.einsum("nij,njhw->nihw", matrix, images - grey)).clamp(0, 1)
    return torch.where(chosen[:, None, None, None], mixed, images), chosen
