"""Energies of change whose moves are exact one-parameter groups of small images: reading them must be exact."""

import math

import torch
from torch import nn

from ergosum.data.record import Clips
from ergosum.temporal.control import Bank

SIDE = 12


def images(n, seed=0):
    """Smooth colourful images (n, 3, SIDE, SIDE) in 0.3 .. 0.65."""
    rough = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.interpolate(rough, (SIDE, SIDE), mode="bicubic", align_corners=True)
    low, high = smooth.amin((1, 2, 3), keepdim=True), smooth.amax((1, 2, 3), keepdim=True)
    return 0.3 + 0.35 * (smooth - low) / (high - low)


def turned(frames, angle):
    """Colours turned about grey by an angle (batch,) in rad."""
    third, root = 1 / 3, math.sqrt(1 / 3)
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    eye, one = torch.eye(3), torch.ones(3, 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) * root
    return torch.einsum("bij,bjhw->bihw", c * eye + s * cross + (1 - c) * one * third, frames)


def shifted(frames, pixels):
    """Frames moved around to the right by (batch,) pixels, through Fourier's series."""
    waves = torch.fft.rfftfreq(SIDE)
    phase = torch.exp(-2j * math.pi * waves * pixels[:, None, None, None])
    phase = torch.where(waves == 0.5, phase.real.to(phase.dtype), phase)
    return torch.fft.irfft(torch.fft.rfft(frames, dim=3) * phase, n=SIDE, dim=3)


class Groups(nn.Module):
    """`hue` turns colours by 0.6 rad per level, `slide` moves by one pixel, `fade` multiplies by exp(0.3)."""

    knows_moves, canvas = True, SIDE
    components = factors = ("hue", "slide", "fade")

    def predict(self, start, target=None, moves=None, active=None, generator=None):
        (k,) = active
        by = moves[:, k]
        if k == 0:
            return turned(start, 0.6 * by)
        return shifted(start, by) if k == 1 else start * torch.exp(0.3 * by)[:, None, None, None]


class Moving:
    """Clips in which any of the groups' moves happen; the moves are not told."""

    def clips(self, n, steps, generator):
        on = (torch.rand(n, 3, generator=generator) < 0.5).float()
        moves = on * (2 * torch.rand(n, 3, generator=generator) - 1)
        bank, frames = Bank([Groups()]), [images(n, int(torch.randint(1000, (1,), generator=generator)))]
        for _ in range(steps):
            frames.append(bank.advance(frames[-1], dict(zip(bank.factors, moves.unbind(1), strict=True))))
        return Clips(torch.stack(frames, 1), torch.zeros(n, steps, 0))
