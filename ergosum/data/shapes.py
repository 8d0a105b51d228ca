"""Squares, ellipses and hearts: one white on black over a full grid of factors, or several in colour behind each other.

After dSprites (Matthey et al. 2017: 3 shapes x 6 scales x 40 orientations x 32 x 32 places, 64 pixels, binary) and
Multi-dSprites (Kabra et al. 2019: coloured sprites on grey, with occlusion), drawn here from nothing. No edge is
smoothed: a pixel belongs to a shape where its centre does. Differs from dSprites: the 40 orientations are 9 degrees
apart all around, none of them twice; sizes in pixels are our own.
"""

import math
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.dataset import check_kind, check_objects, draw_present, grid, one_hot
from ergosum.data.record import ImageRecord

__all__ = ["KINDS", "LEVELS", "Shapes", "draw_colours"]

KINDS = ("square", "ellipse", "heart")
LEVELS = (
    torch.arange(3.0),
    torch.linspace(0.5, 1.0, 6),
    torch.arange(40.0) * (2 * math.pi / 40),
    torch.linspace(0, 1, 32),
    torch.linspace(0, 1, 32),
)
"""Values of shape, scale, orientation, x and y on the full grid of 737,280 images."""
_VISIBLE = 0.3
"""Smallest part of a shape that stays visible where shapes overlap."""


class Shapes:
    """White shapes on black, or coloured shapes on grey.

    `Shapes()` has one white shape per image; its factors are those of dSprites on their grid: shape (0 square,
    1 ellipse, 2 heart), scale 0.5 .. 1, orientation in rad (counter-clockwise from upright), x (to the right) and y
    (down), both 0 .. 1. A square looks the same after a quarter turn and an ellipse after half a turn.

    `Shapes(objects=(2, 5), colour=True)` has several shapes, later ones in front, at any scale, orientation and place
    where they are whole (x and y of small ones pass 0 and 1); these are attributes, with red, green and blue, and the
    one factor is the grey of the background. Every shape keeps at least 30 % of its pixels visible.

    Args:
        objects: shapes in an image, 1 .. 8, or (fewest, most).
        colour: coloured shapes on grey (True) or white shapes on black (False).
        side: pixels of the image, >= 16; positions and sizes scale with it.
    Raises:
        ValueError: if a setting is out of range.
    """

    def __init__(self, objects: int | tuple[int, int] = 1, colour: bool = False, side: int = 64) -> None:
        self._range = check_objects(objects, 8)
        if side < 16:
            raise ValueError(f"side: expected at least 16 pixels, got {side!r}.")
        self.objects = self._range[1]
        self.colour = colour
        self.side = side
        form = ("shape", "scale", "orientation", "x", "y")
        self._single = self.objects == 1 and not colour
        self.attributes: tuple[str, ...] = (*form, "red", "green", "blue") if colour else form
        self.factors: tuple[str, ...] = form if self._single else ("background",) if colour else ()
        self.levels: tuple[Tensor, ...] = LEVELS if self._single else ()
        self.settings: dict[str, Any] = {"objects": list(self._range), "colour": colour, "side": side}

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images: of the grid with equal probability, or of shapes at random, later ones in front."""
        present = draw_present(n, self._range, generator)
        if self._single:
            index = torch.randint(math.prod(map(len, LEVELS)), (n,), generator=generator, device=generator.device)
            return self.from_factors(grid(LEVELS, index))
        attributes = torch.zeros(n, self.objects, len(self.attributes), device=generator.device)
        if self.colour:
            attributes[..., 5:] = draw_colours((n, self.objects), generator)
            grey = 0.5 * torch.rand(n, 1, generator=generator, device=generator.device)
        else:
            grey = attributes.new_zeros(n, 0)
        waiting = torch.arange(n, device=generator.device)
        while len(waiting):
            form = _draw_form((len(waiting), self.objects), generator)
            attributes[waiting, :, :5] = form.masked_fill(~present[waiting, :, None], torch.nan)
            covered = self.cover(attributes[waiting])
            owners = _front(covered)
            seen = one_hot(owners, self.objects)[:, 1:].sum((2, 3))
            hidden = (seen < _VISIBLE * covered.sum((2, 3))) & present[waiting]
            waiting = waiting[hidden.any(1)]
        return self.render(attributes.masked_fill(~present[..., None], torch.nan), grey)

    def from_factors(self, factors: Tensor) -> ImageRecord:
        """Images of one white shape with given factors, on the grid (`grid(shapes.levels, index)`) or off it.

        Shape:
            factors: (n, 5).
        Raises:
            ValueError: if the shape is another, a factor is out of range, or the set has several shapes or colours.
        """
        if not self._single:
            raise ValueError("from_factors: expected Shapes() with one white shape; here, use render.")
        if factors.ndim != 2 or factors.shape[1] != 5:
            raise ValueError(f"from_factors: expected factors (n, 5), got {tuple(factors.shape)}.")
        return self.render(factors[:, None])._replace(factors=factors)

    def render(self, attributes: Tensor, factors: Tensor | None = None) -> ImageRecord:
        """The images of given shapes, later ones in front.

        Args:
            factors: grey of the background, 0 .. 1, for coloured shapes; None takes black.
        Shape:
            attributes: (n, objects, 5, or 8 in colour), NaN where a shape is absent. factors: (n, 1).
        Raises:
            ValueError: if a shape is another, or a number is out of range.
        """
        expected = (self.objects, len(self.attributes))
        if attributes.ndim != 3 or attributes.shape[1:] != expected:
            raise ValueError(f"render: expected attributes (n, {expected[0]}, {expected[1]}), got "
                             f"{tuple(attributes.shape)}.")  # fmt: skip
        n, device = len(attributes), attributes.device
        grey = torch.zeros(n, int(self.colour), device=device) if factors is None else factors
        if grey.shape != (n, int(self.colour)):
            raise ValueError(f"render: expected factors ({n}, {int(self.colour)}), got {tuple(grey.shape)}.")
        _check(attributes, grey)
        owners = _front(self.cover(attributes))
        paint = torch.ones(n, 1 + self.objects, 3, device=device)
        paint[:, 0] = grey if self.colour else 0
        if self.colour:
            paint[:, 1:] = attributes[..., 5:].nan_to_num(0)
        place = owners.flatten(1)[..., None].expand(-1, -1, 3).long()
        images = paint.gather(1, place).transpose(1, 2).unflatten(2, owners.shape[1:]).contiguous()
        if self._single:
            grey = attributes[:, 0]
        return ImageRecord(images, grey, one_hot(owners, self.objects), attributes)

    def cover(self, attributes: Tensor) -> Tensor:
        """Which pixels each shape covers, hidden or not; none where it is absent.

        Shape:
            attributes: as `render`. Returns (n, objects, side, side), bool.
        """
        n, objects = attributes.shape[:2]
        covered = torch.zeros(n * objects, self.side, self.side, dtype=torch.bool, device=attributes.device)
        unit = self.side / 64
        pixel = (torch.arange(self.side, device=attributes.device) + 0.5) / unit
        for number, inside in enumerate((_square, _ellipse, _heart)):
            chosen = (attributes[..., 0] == number).flatten().nonzero()[:, 0]
            scale, turn, x, y = attributes[..., 1:5].flatten(0, 1)[chosen].unbind(1)
            # centres move over the middle 31 of 64 pixels: one per level, from the centre of a pixel to that of another
            right, down = (pixel - (16.5 + 31 * place[:, None]) for place in (x, y))
            cos, sin = (f(turn)[:, None] / scale[:, None] for f in (torch.cos, torch.sin))
            u = (cos * right)[:, None, :] - (sin * down)[:, :, None]
            v = (sin * right)[:, None, :] + (cos * down)[:, :, None]
            covered[chosen] = inside(u, v)
        return covered.unflatten(0, (n, objects))


def _square(u: Tensor, v: Tensor) -> Tensor:
    """Half a side of 10.9, of which no scale is a whole number of pixels, so that no pixel's centre is on an edge."""
    return torch.maximum(u.abs(), v.abs()) <= 10.9


def _ellipse(u: Tensor, v: Tensor) -> Tensor:
    return (u / 15.3).square() + (v / 8.3).square() <= 1


def _heart(u: Tensor, v: Tensor) -> Tensor:
    """The curve x^2 + (y - 0.8 |x|)^2 = 1, y upwards; a unit is 13.4 pixels across and 10.5 up."""
    x, y = u.abs() / 13.4, 0.25 - v / 10.5
    return x.square() + (y - 0.8 * x).square() <= 1


def _front(covered: Tensor) -> Tensor:
    """The number of the foremost shape at every pixel, 0 for none: (n, side, side), uint8."""
    number = torch.arange(1, covered.shape[1] + 1, device=covered.device, dtype=torch.uint8)
    return (covered * number[:, None, None]).amax(1)


def _draw_form(shape: tuple[int, int], generator: Generator) -> Tensor:
    """Shape, scale, orientation, x and y, each uniform: x and y over all places where the shape is whole."""
    u = torch.rand(*shape, 5, generator=generator, device=generator.device)
    kind, scale = (3 * u[..., :1]).floor().clamp(max=2), 0.5 + 0.5 * u[..., 1:2]
    beyond = (1 - scale) / 2
    return torch.cat([kind, scale, 2 * math.pi * u[..., 2:3], (1 + 2 * beyond) * u[..., 3:] - beyond], 2)


def draw_colours(shape: tuple[int, int], generator: Generator) -> Tensor:
    """Colours of any hue, saturated and bright enough to stand out from every grey of a background: (..., 3)."""
    hue, saturation, value = torch.rand(*shape, 3, generator=generator, device=generator.device).unbind(2)
    saturation, value = 0.55 + 0.45 * saturation, 0.6 + 0.4 * value
    distance = torch.remainder(torch.stack([hue, hue + 2 / 3, hue + 1 / 3], 2) * 6, 6)
    pure = ((distance - 3).abs() - 1).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - pure))


def _check(attributes: Tensor, grey: Tensor) -> None:
    scale, colours = attributes[..., 1], attributes[..., 5:]
    check_kind(attributes[..., 0], len(KINDS), "shape")
    if ((scale <= 0) | (scale > 1)).any():
        raise ValueError("render: expected scale 0 < s <= 1.")
    if ((colours < 0) | (colours > 1)).any() or ((grey < 0) | (grey > 1)).any():
        raise ValueError("render: expected colours and the background's grey within 0 .. 1.")
