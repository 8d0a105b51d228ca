"""From a code in parts to an image: by coordinates that the code modulates at every layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import ConditionedBlock, coordinates, modulating

__all__ = ["Decoder", "LocalDecoder"]

WAVES = (1.0, 2.0, 4.0)
"""Frequencies in which coordinates are told, in turns across the image."""
SLOW = 0.5
"""One more for coordinates that a place shifts by up to a side: the others are the same again one side further."""
SHOWN = 0.03
"""Share of the largest variance between a part's values, over pixels, from which on it shows in a pixel."""


def waved(view: Tensor, waves: Sequence[float] = WAVES) -> Tensor:
    """Coordinates (batch, 2, h, w), -1 .. 1 across the image, with their waves."""
    return torch.cat([view, *(f(view * (w * torch.pi)) for w in waves for f in (torch.sin, torch.cos))], 1)


class Decoder(nn.Module):
    """Coordinates at half of the side, modulated by the code at every layer.

    Args:
        code: D. width: channels. channels: of the image. coarse: a quarter of its side. place: part of the code by
            which coordinates are shifted; without, the code also draws a map.
    """

    grid: Tensor

    def __init__(self, code: int, width: int, channels: int, coarse: int, place: slice | None) -> None:
        super().__init__()
        self.place, self.coarse = place, coarse
        self.register_buffer("grid", coordinates(2 * coarse), persistent=False)
        self.waves = (SLOW, *WAVES) if place else WAVES
        views = 2 if place else 1
        self.stem = nn.Conv2d(views * 2 * (1 + 2 * len(self.waves)), width, 1)
        self.map = None if place else nn.Sequential(
            nn.Linear(code, 256), nn.SiLU(), nn.Linear(256, 2 * width * coarse**2), nn.SiLU(),
            nn.Unflatten(1, (2 * width, coarse, coarse)), nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
        )  # fmt: skip
        self.entering = nn.Linear(code, 2 * width)
        kernel = 1 if place else 3
        self.blocks = nn.ModuleList(ConditionedBlock(width, code, kernel) for _ in range(3))
        self.out = nn.Conv2d(width, 4 * channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Images in about [-1, 1]."""
        views, code = [self.grid], z
        if self.place is not None:
            at = z[:, self.place] * (2 / 12**0.5)
            views.append(self.grid - at[:, :, None, None])
            code = torch.cat([z[:, : self.place.start], torch.zeros_like(at), z[:, self.place.stop :]], 1)
        seen = torch.cat([waved(v, self.waves).expand(len(z), -1, -1, -1) for v in views], 1)
        h = self.stem(seen.contiguous(memory_format=torch.channels_last))
        if self.map is not None:
            h = h + self.map(code)
        gain, bias = self.entering(code)[:, :, None, None].chunk(2, 1)
        h = h * (1 + gain) + bias
        for block in self.blocks:
            h = block(h, code)
        return F.pixel_shuffle(self.out(F.silu(h)), 2)


class LocalDecoder(nn.Module):
    """Coordinates at half of the side, modulated in each place by the parts that show there; the rest shows everywhere.

    What is drawn in one place then cannot depend on what shows in others alone, and a combination of values that was
    never seen is drawn right where its values do not meet, or meet as they did in others. Each part also draws a map of
    its own, from itself and the rest. Where a part shows is known from data (`fit`): where the means of images of each
    of its values differ.

    Args:
        parts: of the code, the rest last. channels: of the image. coarse: a quarter of its side. width: channels.
        hidden: width of the networks that draw maps. own: channels of each part's map.
    Attributes:
        gates: 1 where each number of the code shows, 0 elsewhere, (D, 2 coarse, 2 coarse); 1 everywhere until `fit`.
    """

    grid: Tensor
    gates: Tensor
    fitted: Tensor

    def __init__(
        self, parts: Sequence[slice], channels: int, coarse: int, width: int = 64, hidden: int = 48, own: int = 12
    ) -> None:
        super().__init__()
        self.parts, code, side = tuple(parts), parts[-1].stop, 2 * coarse
        self.register_buffer("grid", coordinates(side), persistent=False)
        self.register_buffer("gates", torch.ones(code, side, side))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        rest = code - parts[-1].start
        self.maps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, 4 * own * coarse**2),
                nn.Unflatten(1, (4 * own, coarse, coarse)), nn.PixelShuffle(2),
            )
            for size in [*(p.stop - p.start + rest for p in parts[:-1]), rest]
        )  # fmt: skip
        self.stem = nn.Conv2d(2 * (1 + 2 * len(WAVES)) + own * len(parts), width, 1)
        self.entering = nn.Linear(code, 2 * width)
        self.blocks = nn.ModuleList(ConditionedBlock(width, code, 1) for _ in range(4))
        self.out = nn.Conv2d(width, 4 * channels, 3, padding=1)

    @torch.no_grad()
    def fit(self, images: Tensor, named: Sequence[tuple[slice, Tensor]]) -> None:
        """Take where parts show from images (n, channels, side, side): each part with the numbers of its values, (n,),
        NaN where nobody tells it; of a part with one value or none nothing is taken. A place at half of the side counts
        as its neighbours do.
        """
        for part, values in named:
            own = [images[values == v] for v in range(part.stop - part.start)]
            means = [x.mean(0) for x in own if len(x)]
            if len(means) < 2:
                continue
            between = torch.stack(means).var(0, correction=0).sum(0)
            shown = (between > SHOWN * between.max()).to(self.gates)[None]
            self.gates[part] = F.max_pool2d(F.max_pool2d(shown, 2), 3, stride=1, padding=1)
        self.fitted.fill_(True)

    def forward(self, z: Tensor) -> Tensor:
        """Images in about [-1, 1]."""
        rest = z[:, self.parts[-1]]
        drawn = [draw(torch.cat([z[:, part], rest], 1)) * self.gates[part.start]
                 for draw, part in zip(self.maps, self.parts[:-1], strict=False)]  # fmt: skip
        code = (z[:, :, None, None] * self.gates).contiguous(memory_format=torch.channels_last)
        seen = torch.cat([waved(self.grid).expand(len(z), -1, -1, -1), *drawn, self.maps[-1](rest)], 1)
        h = self.stem(seen.contiguous(memory_format=torch.channels_last))
        gain, bias = modulating(self.entering, code).chunk(2, 1)
        h = h * (1 + gain) + bias
        for block in self.blocks:
            h = block(h, code)
        return F.pixel_shuffle(self.out(F.silu(h)), 2)
