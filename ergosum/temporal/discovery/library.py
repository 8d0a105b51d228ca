r"""The tangent library: how an image changes under each of a few basis generators, shared by all images.

A change that means the same for every image is, for a short while, a sum of basis fields times one speed:

$$ b - a  ~  \sum_k z_k \sum_j \theta_{jk} \Phi_j,   \Phi_j = (\Phi_j(a) + \Phi_j(b)) / 2 $$

with $\Phi_j(a)$ the change of a under generator j: a monomial of the place times the image's slope (pixels move), or a
monomial of the colour (pixels change colour; black stays black). Both frames are blurred first, so that the slope holds
for moves of a pixel or two. Of a clip only

$$ G = \Phi \Phi^T,   h = \Phi (b - a),   e = \|b - a\|^2 $$

are kept, per pixel and channel, averaged over its steps with weights 1 / (e + floor): no image is needed afterwards.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.nets.blocks import coordinates
from ergosum.part import Part
from ergosum.shapes import Frames, Images
from ergosum.temporal.reading import FLOOR, blurred

__all__ = ["Library", "Origin", "Statistics", "centre_of_canvas", "centre_of_mass", "monomials"]

Origin = Callable[[Images], Tensor]
"""Where an image's coordinates begin: images (batch, 3, side, side) -> (batch, 2), x and y in [-1, 1]."""

CHUNK = 50
"""Frames whose generators are in memory at once."""


def centre_of_canvas(images: Images) -> Tensor:
    """The middle of the canvas, for every image."""
    return images.new_zeros(len(images), 2)


def centre_of_mass(images: Images) -> Tensor:
    """The mean place of an image's brightness: for objects that move about on black."""
    weight = images.mean(1) + 1e-6
    grid = coordinates(images.shape[-1])[0].to(images)
    return (weight[:, None] * grid).sum((2, 3)) / weight.sum((1, 2))[:, None]


class Statistics(NamedTuple):
    """What is kept of N clips (or pairs of frames), float64.

    Shape:
        gram: G, (N, J, J). cross: h, (N, J). energy: e, (N,).
    """

    gram: Tensor
    cross: Tensor
    energy: Tensor

    def first(self, n: int) -> "Statistics":
        """The first n clips."""
        return Statistics(*(v[:n] for v in self))


@dataclass(frozen=True, kw_only=True)
class Library:
    """The basis generators: monomials of place and of colour.

    Raises:
        ValueError: if a setting is out of range.
    """

    place_degree: int = 1
    """Highest degree of the monomials of place, 0 .. 3; 1 spans the affine group."""
    colour_degree: int = 3
    """Highest degree of the monomials of colour, 0 .. 3; 0 leaves colours alone, 1 spans linear maps."""
    blur: float = 1.0
    """Standard deviation of the blur in pixels, >= 0."""
    origin: Part[Any] = field(default_factory=lambda: Part(centre_of_canvas))
    """Where the place is counted from: a function of the images."""

    def __post_init__(self) -> None:
        for name, low, high in (("place_degree", 0, 3), ("colour_degree", 0, 3), ("blur", 0, 10)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"library.{name}: expected {low} .. {high}, got {getattr(self, name)!r}.")

    @property
    def places(self) -> list[tuple[int, ...]]:
        """Powers of (x, y) of each monomial of place."""
        return powers(2, self.place_degree)

    @property
    def colours(self) -> list[tuple[int, ...]]:
        """Powers of (red, green, blue) of each monomial of colour; without the constant, which would colour black."""
        return powers(3, self.colour_degree)[1:]

    @property
    def size(self) -> int:
        """J, the number of basis generators."""
        return 2 * len(self.places) + 3 * len(self.colours)

    def origin_of(self, images: Images) -> Tensor:
        """Where coordinates begin, (batch, 2)."""
        return self.origin.build()(images)

    def generators(self, images: Images) -> Tensor:
        """The change of images under each basis generator, (batch, J, 3 side side): places first, then colours.

        Unit: pixel value per unit of the generator; place in half sides of the canvas.
        """
        side = images.shape[-1]
        grid = coordinates(side)[0].to(images) - self.origin_of(images)[:, :, None, None]
        images = blurred(images, self.blur)
        slopes = (
            F.pad(images[..., 2:] - images[..., :-2], (1, 1)) * (side - 1) / 4,
            F.pad(images[..., 2:, :] - images[..., :-2, :], (0, 0, 1, 1)) * (side - 1) / 4,
        )
        place = monomials(grid.transpose(0, 1), self.places).transpose(0, 1)
        moved = [slope[:, None] * place[:, :, None] for slope in slopes]
        colour = monomials(images.transpose(0, 1), self.colours).transpose(0, 1)
        changed = images.new_zeros(len(images), 3, len(self.colours), 3, side, side)
        for channel in range(3):
            changed[:, channel, :, channel] = colour
        return torch.cat([*(m.flatten(2) for m in moved), changed.flatten(1, 2).flatten(2)], 1)

    @torch.no_grad()
    def statistics(self, frames: Frames, steady: bool = True) -> Statistics:
        """What is kept of clips.

        Args:
            steady: each clip moves at one speed: its steps are summed; False keeps every step apart.
        Shape:
            frames: (batch, time, 3, side, side), time >= 2.
        """
        steps = frames.shape[1] - 1
        kept = []
        for clips in frames.split(max(1, CHUNK // (steps + 1))):
            phi = self.generators(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
            phi = ((phi[:, 1:] + phi[:, :-1]) / 2).flatten(0, 1)
            smooth = blurred(clips.flatten(0, 1), self.blur).unflatten(0, clips.shape[:2])
            change = (smooth[:, 1:] - smooth[:, :-1]).flatten(0, 1).flatten(1)
            pixels = change.shape[1]
            kept.append((phi @ phi.mT / pixels, (phi @ change[..., None])[..., 0] / pixels, change.square().mean(1)))
        gram, cross, energy = (torch.cat(v).double() for v in zip(*kept, strict=True))
        if not steady or steps == 1:
            return Statistics(gram, cross, energy)
        weight = (1 / (energy + FLOOR)).unflatten(0, (-1, steps))
        weight = weight / weight.sum(1, keepdim=True)
        return Statistics(*(
            (v.unflatten(0, (-1, steps)) * weight.view(*weight.shape, *[1] * (v.ndim - 1))).sum(1)
            for v in (gram, cross, energy)
        ))  # fmt: skip


def powers(variables: int, degree: int) -> list[tuple[int, ...]]:
    """Powers of all monomials up to a degree, low ones first."""
    found = [p for p in itertools.product(range(degree + 1), repeat=variables) if sum(p) <= degree]
    return sorted(found, key=lambda p: (sum(p), p))


def monomials(values: Tensor, of: list[tuple[int, ...]]) -> Tensor:
    """Monomials of variables: (variables, ...) -> (len(of), ...)."""
    made: dict[tuple[int, ...], Tensor] = {}
    for power in of:
        first = next((i for i, p in enumerate(power) if p), None)
        if first is None:
            made[power] = torch.ones_like(values[0])
        else:  # one variable times a monomial that was made before
            lower = tuple(p - (i == first) for i, p in enumerate(power))
            made[power] = values[first] * made[lower] if lower in made else values[first]
    return torch.stack([made[p] for p in of]) if of else values.new_zeros(0, *values.shape[1:])
