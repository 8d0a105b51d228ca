r"""Gaussian experts drawn by a network: $E(x; z) = \frac12 \sum_p a_p(z) (x_p - m_p(z))^2$.

Each component says for every pixel what it should be, m, and how sure it is, a > 0. The sum of K of them has its
minimum in closed form, the mean weighted by precision, and the shares of the precision are soft masks (see
`energies/experts.py`); so masks, segments and recombination all follow from one energy.
"""

import torch
from torch import Tensor, nn

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import coordinates, reduced, widen
from ergosum.nets.pyramid import PyramidDecoder
from ergosum.nets.slots import PLACE
from ergosum.shapes import Batch, PerSample

__all__ = ["DrawnExperts", "ExpertDecoder", "GlobalExperts"]

SHARPEST = 12.0
"""Largest logarithm of a precision, either way."""


class DrawnExperts(Energy):
    """$E(x) = 1/2 sum_p a_p (x_p - m_p)^2$ with an expert for each sample.

    Args:
        mean: (batch, channels, height, width). precision: (batch, 1, height, width), > 0.
    Raises:
        ValueError: if x has another shape than the mean.
    """

    def __init__(self, mean: Tensor, precision: Tensor) -> None:
        super().__init__()
        self.mean, self.precision = mean, precision

    def forward(self, x: Batch) -> PerSample:
        """Half the squared distance to the mean, weighted by precision."""
        if x.shape != self.mean.shape:
            raise ValueError(f"DrawnExperts: expected x of shape {tuple(self.mean.shape)}, got {tuple(x.shape)}.")
        return (self.precision * (x - self.mean).square()).flatten(1).sum(1) / 2

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """In closed form: the gradient is $a (x - m)$."""
        with torch.set_grad_enabled(create_graph):
            return self(x), self.precision * (x - self.mean)


class ExpertDecoder(Conditional):
    """The family of experts: a small convolutional decoder draws m and log a around the component's place.

    Coordinates enter relative to the place (z ends with x, y, placed, see `nets.slots`), so one content is one object
    wherever it stands; a component without a place sees those of the image.

    Args:
        code: width of z. width: channels. side: canvas in pixels, a multiple of 4. spread: unit of coordinates.
    Shape:
        z: (batch, code). x: (batch, 3, side, side).
    """

    curved = True
    placed = True
    grid: Tensor

    def __init__(self, code: int, width: int = 32, side: int = 36, spread: float = 0.4) -> None:
        super().__init__()
        self.spread, content = spread, code - PLACE
        self.register_buffer("grid", coordinates(reduced(side, 4))[0], persistent=False)
        self.relative = nn.Conv2d(2, content, 1)
        self.convs = nn.Sequential(
            nn.Conv2d(content, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, 4 * width, 3, padding=1),
            nn.PixelShuffle(2), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, 16, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip

    def bind(self, z: Tensor, anchor: Tensor | None) -> DrawnExperts:
        """The experts that the latents describe."""
        content, place, placed = z[:, :-PLACE], z[:, -3:-1, None, None], z[:, -1:, None, None]
        gap = (self.grid - place) / torch.where(placed > 0, self.spread, 1.0)
        maps = widen(self.convs(content[:, :, None, None] + widen(self.relative(0.5 * gap.clamp(-8, 8)))))
        return _experts(maps)


class GlobalExperts(Conditional):
    """The family of experts without places: a decoder from one code to the whole image (`nets/pyramid.py`).

    Args:
        code: width of z. width: channels. side: canvas in pixels; what a multiple of 16 has more of is cut off.
        grey: what the mean's bias begins at; that of 0 is drawn, near 0.
    Shape:
        z: (batch, code). x: (batch, 3, side, side).
    """

    curved = True

    def __init__(self, code: int, width: int = 32, side: int = 64, grey: float = 0.0) -> None:
        super().__init__()
        self.side = side
        self.decoder = PyramidDecoder(code, 4, width, -(-side // 16) * 16)
        last = self.decoder.convs[-1]
        if grey and isinstance(last, nn.ConvTranspose2d) and last.bias is not None:
            nn.init.constant_(last.bias[:3], grey)

    def bind(self, z: Tensor, anchor: Tensor | None) -> DrawnExperts:
        """The experts that the latents describe."""
        return _experts(widen(self.decoder(z))[..., : self.side, : self.side])


def _experts(maps: Tensor) -> DrawnExperts:
    """Experts of four maps: red, green and blue of the mean, and the logarithm of the precision."""
    return DrawnExperts(maps[:, :3], maps[:, 3:].clamp(-SHARPEST, SHARPEST).exp())
