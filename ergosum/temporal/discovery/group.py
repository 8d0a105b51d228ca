r"""One-parameter groups acting on images: $T(a, z) = \exp(\sum_k z_k \sum_j \theta_{jk} X_j) a$ in a library's basis.

Where a pixel comes from is found by integrating the field of places from each pixel of the new frame; then its colour
is carried along the field of colours. Both fields are polynomials, known everywhere, so that no flow is interpolated:
places take Runge-Kutta steps of fourth order, colours of second. What comes from beyond the canvas repeats its edge.
Pixels are interpolated bilinearly: at small moves the slope of a bicubic patch is half as steep again as the image, and
moves read with it are too short.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.nets.blocks import coordinates
from ergosum.shapes import Images
from ergosum.temporal.discovery.library import Library, monomials

__all__ = ["recoloured", "sources", "transform"]

FAR = 3.0
"""Half sides of the canvas from the origin, beyond which the field of places stays as it is there."""
STEPS = 2
"""Steps of the integration of a move."""


def transform(images: Images, moves: Tensor, theta: Tensor, library: Library) -> Images:
    """Images after moves.

    Shape:
        images: (batch, 3, side, side). moves: (batch, K). theta: (J, K), generators in the library's basis.
    """
    both = moves.to(images.dtype) @ theta.T.to(images.dtype)
    border = 2 * len(library.places)
    grid = sources(images, both[:, :border].unflatten(1, (2, -1)), library)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return recoloured(moved, both[:, border:].unflatten(1, (3, -1)), library)


def sources(images: Images, place: Tensor, library: Library) -> Tensor:
    """Where each pixel comes from, (batch, side, side, 2), x and y in half sides of the canvas.

    Shape:
        place: (batch, 2, M), coefficients of the field of places.
    """
    side = images.shape[-1]
    origin = library.origin_of(images)[:, :, None]
    points = coordinates(side).to(images).flatten(2) - origin

    def field(at: Tensor) -> Tensor:
        return torch.einsum("bim,mbp->bip", place, monomials(at.clamp(-FAR, FAR).transpose(0, 1), library.places))

    h = 1 / STEPS
    for _ in range(STEPS):
        a = field(points)
        b = field(points + h / 2 * a)
        c = field(points + h / 2 * b)
        d = field(points + h * c)
        points = points + h / 6 * (a + 2 * b + 2 * c + d)
    return (points + origin).unflatten(2, (side, side)).permute(0, 2, 3, 1)


def recoloured(images: Images, colour: Tensor, library: Library) -> Images:
    """Images after the colours' moves.

    The field is known for colours in 0 .. 1; beyond, it is that of the nearest such colour, since a polynomial leaves
    all bounds within a few steps.

    Shape:
        colour: (batch, 3, C), coefficients of the field of colours.
    """
    if not library.colours:
        return images
    values = images.flatten(2)

    def field(at: Tensor) -> Tensor:
        return torch.einsum("bic,cbp->bip", colour, monomials(at.clamp(0, 1).transpose(0, 1), library.colours))

    h = 1 / STEPS
    for _ in range(STEPS):
        values = values + h * field(values + h / 2 * field(values))
    return values.unflatten(2, images.shape[2:])
