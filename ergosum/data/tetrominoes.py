"""Three Tetris pieces on black: the smallest set in which an image is made of objects.

After the Tetrominoes of Kabra et al. 2019 (Multi-Object Datasets; Greff et al. 2019), drawn here from nothing: 35
pixels a side, cells of 5 pixels, 17 pieces with their orientations, six colours, no overlap. Which 17 of the 19 fixed
tetrominoes the original holds is not written down; here they are those that fit 3 x 3 cells, all but the two straight
bars: the square once, T, J and L in four orientations each, S and Z in two each.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ergosum.data.dataset import check_kind, check_objects, draw_present, one_hot
from ergosum.data.record import ImageRecord

__all__ = ["CELL", "COLOURS", "PIECES", "SIDE", "Tetrominoes"]

SIDE = 35
"""Side of the field in pixels."""
CELL = 5
"""Side of a cell in pixels."""
COLOURS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=torch.float32)
"""Red, green, blue, yellow, magenta, cyan."""
_DRAWN = {"O": ("##", "##"), "T": ("###", ".#."), "J": ("###", "..#"), "L": ("###", "#.."), "S": (".##", "##."),
          "Z": ("##.", ".##")}  # fmt: skip


def _pieces() -> Tensor:
    """All distinct quarter turns of the drawn pieces, in the upper left of 3 x 3 cells: (17, 3, 3), bool."""
    turned: list[Tensor] = []
    for rows in _DRAWN.values():
        piece = torch.tensor([[cell == "#" for cell in row] for row in rows])
        for quarters in range(4):
            turn = torch.rot90(piece, quarters)
            padded = F.pad(turn, (0, 3 - turn.shape[1], 0, 3 - turn.shape[0]))
            if not any(torch.equal(padded, other) for other in turned):
                turned.append(padded)
    return torch.stack(turned)


PIECES = _pieces()
"""The 17 pieces as cells, (17, 3, 3), bool: number 0 is the square, then T, J, L (four each), S, Z (two each)."""


class Tetrominoes:
    """Tetris pieces in six colours on black, anywhere without overlap.

    Attributes are shape (0 .. 16), colour (0 .. 5), and x and y of the upper left corner of the piece's box in pixels
    of the image.

    Args:
        objects: pieces in an image, 1 .. 4, or (fewest, most).
        side: pixels of the image, >= 35: the field of 35 pixels lies in a black frame, for networks that need
        sides of a certain multiple.
    Raises:
        ValueError: if a setting is out of range.
    """

    factors: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ("shape", "colour", "x", "y")

    def __init__(self, objects: int | tuple[int, int] = 3, side: int = SIDE) -> None:
        self._range = check_objects(objects, 4)
        if side < SIDE:
            raise ValueError(f"side: expected at least {SIDE} pixels, got {side!r}.")
        self.objects = self._range[1]
        self.side = side
        self.settings: dict[str, Any] = {"objects": list(self._range), "side": side}

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images: shapes, colours and places are uniform, given that nothing overlaps."""
        device = generator.device
        present = draw_present(n, self._range, generator)
        shape = torch.randint(len(PIECES), present.shape, generator=generator, device=device)
        colour = torch.randint(len(COLOURS), present.shape, generator=generator, device=device)
        room = SIDE - _extent(shape) + 1
        place = torch.zeros(*present.shape, 2, device=device)
        waiting = torch.arange(n, device=device)
        while len(waiting):  # shapes are kept: drawing them again would favour those that fit easily
            u = torch.rand(len(waiting), self.objects, 2, generator=generator, device=device)
            place[waiting] = (u * room[waiting]).floor().clamp(max=room[waiting] - 1)
            waiting = waiting[_overlap(shape[waiting], place[waiting], present[waiting])]
        place = place + (self.side - SIDE) // 2
        attributes = torch.cat([torch.stack([shape, colour], 2).float(), place], 2)
        return self.render(attributes.masked_fill(~present[..., None], torch.nan))

    def render(self, attributes: Tensor) -> ImageRecord:
        """The images of given pieces.

        Shape:
            attributes: (n, objects, 4), NaN where a piece is absent.
        Raises:
            ValueError: if the shape is another, a number is out of range, or pieces overlap or leave the image.
        """
        expected = (self.objects, len(self.attributes))
        if attributes.ndim != 3 or attributes.shape[1:] != expected:
            raise ValueError(f"render: expected attributes (n, {expected[0]}, {expected[1]}), got "
                             f"{tuple(attributes.shape)}.")  # fmt: skip
        present = ~attributes.isnan().any(2)
        known = attributes.masked_fill(~present[..., None], 0)
        check_kind(known[..., 0], len(PIECES), "shape")
        check_kind(known[..., 1], len(COLOURS), "colour")
        shape, colour, place = known[..., 0].long(), known[..., 1].long(), known[..., 2:]
        if (present[..., None] & ((place < 0) | (place + _extent(shape) > self.side))).any():
            raise ValueError(f"render: a piece leaves the image of {self.side} pixels.")
        if (place != place.floor()).any():
            raise ValueError("render: expected x and y in whole pixels.")
        if _overlap(shape, place, present).any():
            raise ValueError("render: pieces overlap.")
        pixel = torch.arange(self.side, device=attributes.device)
        column, row = ((pixel - place[..., axis, None]).div(CELL, rounding_mode="floor").long() for axis in (0, 1))
        cells = F.pad(PIECES.to(attributes.device), (0, 1, 0, 1))[shape]  # the fourth row and column are empty
        column, row = (torch.where((v < 0) | (v > 2), 3, v) for v in (column, row))
        lines = cells.gather(2, row[..., None].expand(-1, -1, -1, 4))
        covered = lines.gather(3, column[:, :, None].expand(-1, -1, self.side, -1)) & present[..., None, None]
        number = torch.arange(1, self.objects + 1, device=attributes.device, dtype=torch.uint8)
        owners = (covered * number[:, None, None]).amax(1)
        paint = F.pad(COLOURS.to(attributes.device)[colour], (0, 0, 1, 0))  # the background's black first
        images = paint.gather(1, owners.flatten(1)[..., None].expand(-1, -1, 3).long()).transpose(1, 2)
        images = images.unflatten(2, owners.shape[1:]).contiguous()
        return ImageRecord(images, attributes.new_zeros(len(attributes), 0), one_hot(owners, self.objects), attributes)


def _extent(shape: Tensor) -> Tensor:
    """Width and height of pieces in pixels: (...,) -> (..., 2)."""
    cells = PIECES.to(shape.device)[shape]
    return torch.stack([cells.any(-2).sum(-1), cells.any(-1).sum(-1)], -1) * CELL


def _overlap(shape: Tensor, place: Tensor, present: Tensor) -> Tensor:
    """Whether two pieces of an image share a pixel: (n,), bool.

    Cells are squares at whole pixels: two of them share a pixel where both distances are below a cell's side.
    """
    offset = torch.stack(torch.meshgrid(*[torch.arange(3, device=shape.device)] * 2, indexing="xy"), -1)
    corners = place[:, :, None] + CELL * offset.flatten(0, 1)
    filled = PIECES.to(shape.device)[shape].flatten(2) & present[..., None]
    corners, filled = corners.flatten(1, 2), filled.flatten(1)
    near = ((corners[:, :, None] - corners[:, None]).abs() < CELL).all(3) & filled[:, :, None] & filled[:, None]
    owner = torch.arange(shape.shape[1], device=shape.device).repeat_interleave(9)
    return (near & (owner[:, None] < owner)).flatten(1).any(1)
