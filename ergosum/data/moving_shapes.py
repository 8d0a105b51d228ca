"""Squares, ellipses and hearts that grow, turn and move along a clip: one white on black, or several, each by itself.

The shapes are those of `Shapes`, which has hard edges: here every pixel is the mean of 4 x 4, since at 28 pixels a step
of a tenth of one would not be seen otherwise.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ergosum.data.record import Clips, ObjectClips
from ergosum.data.shapes import KINDS, Shapes, draw_colours
from ergosum.data.speeds import MODES, Mode, draw_speeds, draw_starts, refuse_unlike

__all__ = ["FACTORS", "UNITS", "MovingShapes"]

FACTORS = ("size", "turn", "x", "y")
UNITS = torch.tensor([0.06, 0.26, 0.1, 0.1])
"""A usual step of the size (1 is the largest), of the angle [rad], and of x and y, of which 1 is 31/64 of a frame."""
_CIRCULAR = torch.tensor([False, True, False, False])
_SMOOTH = 4
"""Points per pixel and direction."""
_RADIUS = 15.5
"""Of the circle around a shape of size 1, in 64ths of a frame; the largest is 15.4."""
_SPAN = 31.0
"""From x = 0 to x = 1, in 64ths of a frame."""
_APART = 2.0
"""Between the circles around two shapes, in 64ths of a frame, at least."""
_PIECE = 1 << 20
"""Points rendered at a time: larger pieces fall out of a CPU's cache."""


class MovingShapes:
    """Clips of shapes, each of which changes at a constant speed.

    Factors: size (0.55 .. 1, and 0.4 .. 0.7 of several shapes), turn (counter-clockwise), x (to the right) and y
    (down). In a clip each shape has one speed for each factor: half of the moves are a whole unit (`UNITS`) per frame,
    the others anything shorter, forwards or backwards. Speeds are counted in these units; that of the size is ten
    times the natural logarithm of the ratio of a frame's size to that before, since equal ratios look alike. A shape is
    always whole. Several shapes move by themselves, each with factors of its own (`size 1`, `turn 1`, ..., `size 2`,
    ...), and never touch; shape 1 is the first after the background in the masks.

    Every turn can be seen: no shape is a circle. A square looks the same after a quarter turn and an ellipse after half
    a turn, which hides no move, since the largest is 0.26 rad per frame; but it hides where the turn started.

    Args:
        canvas: side of a frame in pixels, a multiple of 4, at least 12.
        factors: factors that may change, any of `FACTORS`; the others differ from clip to clip.
        kinds: shapes that occur, any of square, ellipse, heart.
        objects: shapes in a frame, 1 .. 3. Smaller ones of several want 48 pixels or more.
        colour: shapes of any colour on grey (True) or white ones on black (False).
        mode: one factor of each shape moves (`single`), or each with probability one half, at least one (`sparse`).
        split: `train`, or `test` for other clips from the same generator.
        device: where frames are rendered.
    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        canvas: int = 28,
        factors: Sequence[str] = FACTORS,
        kinds: Sequence[str] = KINDS,
        objects: int = 1,
        colour: bool = False,
        mode: Mode = "single",
        split: Literal["train", "test"] = "train",
        device: str = "cpu",
    ) -> None:
        _require(canvas >= 12 and canvas % 4 == 0, "canvas", "a multiple of 4, at least 12", canvas)
        for name, given, known in (("factors", factors, FACTORS), ("kinds", kinds, KINDS)):
            _require(len(given) > 0 and set(given) <= set(known), name, f"some of {', '.join(known)}", given)
        _require(objects in (1, 2, 3), "objects", "1 .. 3", objects)
        _require(mode in MODES, "mode", f"one of {', '.join(MODES)}", mode)
        _require(split in ("train", "test"), "split", "'train' or 'test'", split)
        self.canvas, self.objects, self.colour, self.split = canvas, objects, colour, split
        self.mode: Mode = mode
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.active = torch.tensor([name in factors for name in FACTORS])
        moving = [name for name in FACTORS if name in factors]
        numbers = [""] if objects == 1 else [f" {k + 1}" for k in range(objects)]
        self.factors: tuple[str, ...] = tuple(name + number for number in numbers for name in moving)
        """Names of the columns of the speeds: factors that may change, shape by shape."""
        self.device = torch.device(device)
        self._shapes = Shapes(objects, colour, canvas * _SMOOTH)
        self._piece = max(1, _PIECE // (self._shapes.side**2 * objects))
        self.attributes: tuple[str, ...] = self._shapes.attributes
        self._low, self._high = torch.tensor([0.55, 0.0, 0.0, 0.0]), torch.tensor([1.0, 2 * math.pi, 1.0, 1.0])
        if objects > 1:  # the smaller a shape, the nearer to the edge it is whole
            beyond = (1 - 0.7) / 2
            self._low = torch.tensor([0.4, 0.0, -beyond, -beyond])
            self._high = torch.tensor([0.7, 2 * math.pi, 1 + beyond, 1 + beyond])
        self.settings: dict[str, Any] = {
            "canvas": canvas, "factors": moving, "kinds": list(self.kinds), "objects": objects, "colour": colour,
            "mode": mode, "split": split,
        }  # fmt: skip

    @property
    def side(self) -> int:
        """Side of a frame in pixels, the `canvas`."""
        return self.canvas

    def clips(self, n: int, steps: int, generator: Generator) -> Clips:
        """`n` random clips of `steps` moves (`steps` + 1 frames); of many steps, moves are shortened to fit.

        Shape:
            frames: (n, steps + 1, 3, canvas, canvas). speeds: (n, steps, len(factors)).
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        return Clips(*self.object_clips(n, steps, generator)[:2])

    def object_clips(self, n: int, steps: int, generator: Generator) -> ObjectClips:
        """The clips that `clips` draws from the same generator, with masks and attributes of the shapes.

        A pixel belongs to what covers most of it. Attributes are those of `Shapes`: kind, size, angle [rad], x, y and,
        in colour, red, green and blue.

        Shape:
            masks: (n, steps + 1, 1 + objects, canvas, canvas). attributes: (n, steps + 1, objects, 5 or 8).
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        refuse_unlike(n, steps)
        if self.split == "test":
            torch.rand(1, generator=generator)
        kind = torch.tensor([float(KINDS.index(name)) for name in self.kinds])
        kind = kind[torch.randint(len(kind), (n, self.objects), generator=generator)]
        path, moves = self._paths(n, steps, generator)
        colours = draw_colours((n, self.objects), generator) if self.colour else torch.zeros(n, self.objects, 0)
        grey = 0.5 * torch.rand(n, 1, generator=generator) if self.colour else torch.zeros(n, 0)

        def along(still: Tensor) -> Tensor:
            return still[:, None].expand(-1, steps + 1, *still.shape[1:])

        turned = torch.where(_CIRCULAR, path.remainder(2 * math.pi), path)
        attributes = torch.cat([along(kind[..., None]), turned, along(colours)], 3).to(self.device)
        grey = along(grey).to(self.device)
        frames, masks = self._render(attributes.flatten(0, 1), grey.flatten(0, 1))
        ratio = (path[:, 1:, :, :1] / path[:, :-1, :, :1]).log() * 10
        speeds = torch.cat([ratio, moves[:, None, :, 1:].expand(-1, steps, -1, -1)], 3)[..., self.active].flatten(2)
        shape = (n, steps + 1)
        return ObjectClips(frames.unflatten(0, shape), speeds.to(self.device), masks.unflatten(0, shape), attributes)

    def _paths(self, n: int, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Factors (n, steps + 1, objects, 4) and moves (n, objects, 4) in units; of several shapes none touch.

        Starts are drawn until shapes stay apart, and moves anew only where they leave no room for that.
        """
        moves = torch.zeros(n, self.objects, len(FACTORS))
        paths = torch.zeros(n, steps + 1, self.objects, len(FACTORS))
        waiting, attempt = torch.arange(n), 0
        while len(waiting):
            if attempt % 50 == 0:
                drawn = draw_speeds(len(waiting) * self.objects, self.active, self.mode, generator)
                moves[waiting] = drawn.unflatten(0, (-1, self.objects))
            travel = (moves[waiting] * UNITS * steps).flatten(0, 1)
            start, travel = draw_starts(travel, self._low, self._high, _CIRCULAR, generator)
            share = torch.arange(steps + 1)[:, None, None] / steps
            start, travel = (v.unflatten(0, (-1, self.objects)) for v in (start, travel))
            paths[waiting] = start[:, None] + travel[:, None] * share
            touching = _touch(paths[waiting])
            kept = waiting[~touching]
            moves[kept] = travel[~touching] / (UNITS * steps)
            waiting, attempt = waiting[touching], attempt + 1
        return paths, moves

    def _render(self, attributes: Tensor, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (m, 3, canvas, canvas) and masks (m, 1 + objects, canvas, canvas) of shapes that do not touch."""
        frames, masks = [], []
        for shapes, ground in zip(attributes.split(self._piece), grey.split(self._piece), strict=True):
            share = F.avg_pool2d(self._shapes.cover(shapes).float(), _SMOOTH)
            share = torch.cat([1 - share.sum(1, keepdim=True), share], 1)
            paint = torch.ones(len(shapes), 1 + self.objects, 3, device=shapes.device)
            paint[:, 0] = ground if self.colour else 0
            if self.colour:
                paint[:, 1:] = shapes[..., 5:]
            frames.append(torch.einsum("mkhw,mkc->mchw", share, paint).clamp(0, 1))
            owner = share.argmax(1, keepdim=True)
            masks.append(owner == torch.arange(1 + self.objects, device=owner.device)[:, None, None])
        return torch.cat(frames), torch.cat(masks)


def _touch(paths: Tensor) -> Tensor:
    """Whether any two of the shapes of a clip come too near to each other in a frame: (n,), bool."""
    place, radius = _SPAN * paths[..., 2:], _RADIUS * paths[..., 0]
    near = torch.zeros(len(paths), dtype=torch.bool)
    for a in range(paths.shape[2]):
        for b in range(a):
            distance = (place[:, :, a] - place[:, :, b]).norm(dim=2)
            near |= (distance < radius[:, :, a] + radius[:, :, b] + _APART).any(1)
    return near


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")
