"""Solids read off images of `ConceptScenes` by matching them with drawings of the same renderer.

Every shape, size and colour is drawn at places over the floor, at quarters of a pixel, and a cube at several angles.
What differs from the empty floor is explained by one drawing after another, each time by the one that lowers the sum of
squared differences most; pixels that a solid covers are then known, and a shadow that it casts belongs to it. Of images
under Gaussian noise the first drawing is the most likely one.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from ergosum.data.concept_solids import COLOUR_NAMES, MIDDLE, SHAPES, SIZE_NAMES, Variant, rendered
from ergosum.data.scenes import COLOURS, Scenes

__all__ = ["SceneReader", "scene_reader"]

SIDE = 32
"""Pixels of an image as it is read; larger ones are averaged."""
FINE = 4
"""Pixels of a drawing per pixel of an image and direction, and the number of parts of a pixel that places have."""
WINDOW = 18
"""Pixels of a window that holds a solid and its shadow."""
HALF = WINDOW // 2
_ANGLES = 6
_ANCHORS_X, _ANCHORS_Y = (0.25, 0.5, 0.75), (0.1875, 0.3125, 0.4375, 0.5625, 0.6875, 0.8125)
_NEAR = 3
"""How many pixels around a striking pixel a solid's middle is looked for."""
_LEAST_GAIN, _LEAST_SHARE = 0.9, 0.5
"""Of the squared differences that a solid explains: the sum, and its share of those that it predicts."""
_CAUTION = 0.25
"""By how much more what a drawing predicts counts while several solids are told apart: none is drawn over two."""
_EDGE = 3
"""Pixels at the edge of an image where no solid's middle is."""
_PIECE = 512


class _Drawings(NamedTuple):
    """Windows around solids on a linear scale: colour * diffuse + gloss + floor, and how much a solid covers.

    Shape:
        all (anchors, kinds, phases, 3 or 1, WINDOW, WINDOW).
    """

    diffuse: Tensor
    gloss: Tensor
    floor: Tensor
    empty: Tensor
    cover: Tensor


class _Fits(NamedTuple):
    """The best drawing of each of n images: what it explains, its share of what it predicts, and which it is.

    Shape:
        gain, share: (n,). which: (n, 5), int64: anchor, kind, phase, row and column of its middle.
    """

    gain: Tensor
    share: Tensor
    which: Tensor


class _Solid(NamedTuple):
    """A drawing in a colour, its middle at, or by its phase beyond, a pixel."""

    anchor: int
    kind: int
    phase: int
    row: int
    column: int
    colour: int


class SceneReader:
    """Reads shapes, colours, sizes and places.

    Args:
        variant: of `ConceptScenes`, whose light and floor the images have, drawn by the ray caster.
    Raises:
        ValueError: of images by another renderer.
    """

    def __init__(self, variant: Variant = "usual") -> None:
        if variant == "mujoco":
            raise ValueError(
                "read: expected images by the ray caster, got MuJoCo's, which no drawings are matched with."
            )
        self.kinds, self._drawings = _draw(variant)
        factors = torch.tensor([MIDDLE[variant]])
        nothing = torch.full((1, 1, 5), torch.nan)
        self._empty = rendered(Scenes(1, SIDE, smooth=2), nothing, torch.zeros(1, 1), factors, variant).images
        self._centres = torch.cartesian_prod(torch.tensor(_ANCHORS_Y), torch.tensor(_ANCHORS_X)) * SIDE

    def found(self, images: Tensor, most: int) -> list[Tensor]:
        """The values of the solids in each image, those first that differ most from the floor.

        Args:
            most: solids after which no more are looked for.
        Shape:
            images: (n, 3, side, side), the side a multiple of 32. Returns n tensors (solids, 5).
        Raises:
            ValueError: if the images have another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3] or images.shape[2] % SIDE:
            raise ValueError(
                f"images: expected (n, 3, side, side), the side a multiple of {SIDE}, got {tuple(images.shape)}."
            )
        shrunk = avg_pool2d(images.float(), images.shape[2] // SIDE)
        return [row for piece in shrunk.split(_PIECE) for row in self._found(piece, most)]

    @torch.no_grad()
    def _found(self, images: Tensor, most: int) -> list[Tensor]:
        solids: list[list[_Solid]] = [[] for _ in images]
        rest, weight = images - self._empty, torch.ones(len(images), 1, SIDE, SIDE)
        active, caution = torch.arange(len(images)), _CAUTION if most > 1 else 0.0
        for _ in range(2 * most + 2):
            spot, colours, energy = _striking(images[active], rest[active], weight[active])
            active, spot, colours = (v[energy > _LEAST_GAIN / 4] for v in (active, spot, colours))
            fits = self._best(rest[active], weight[active], spot, colours, caution)
            for i, (image, solid) in enumerate(zip(active.tolist(), fits, strict=True)):
                if solid is None:
                    y, x = spot[i].tolist()
                    weight[image, :, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 0
                else:
                    solids[image].append(solid)
                    self._explain(rest[image], weight[image], solid)
            active = active[[len(solids[i]) < most for i in active.tolist()]]
            if not len(active):
                break
        if most > 1:
            solids = self._again(images - self._empty, solids)
        return [torch.stack([self._values(s) for s in row]) if row else torch.zeros(0, 5) for row in solids]

    def _again(self, seen: Tensor, solids: list[list[_Solid]]) -> list[list[_Solid]]:
        """Every solid fitted once more to what the others leave; one that explains too little then is dropped."""
        kept: list[list[_Solid | None]] = [list(row) for row in solids]
        for k in range(max(map(len, solids), default=0)):
            rows = [i for i, row in enumerate(kept) if len(row) > k]
            rest, weight = seen[rows], torch.ones(len(rows), 1, SIDE, SIDE)
            for at, i in enumerate(rows):
                for other in kept[i][:k] + kept[i][k + 1 :]:
                    if other is not None:
                        self._explain(rest[at], weight[at], other)
            old = torch.tensor([solids[i][k] for i in rows])
            for i, solid in zip(rows, self._best(rest, weight, old[:, 3:5], old[:, 5:], 0.0), strict=True):
                kept[i][k] = solid
        return [[solid for solid in row if solid is not None] for row in kept]

    def _best(self, rest: Tensor, weight: Tensor, spot: Tensor, colours: Tensor, caution: float) -> list[_Solid | None]:
        """What is drawn near pixels (n, 2) in one of the colours (n, k) that are likely there; None if nothing is.

        First at whole pixels around the spot, in each of the colours; then at quarters around the best of them.
        """
        maps = pad(rest * weight, [WINDOW] * 4), pad(weight, [WINDOW] * 4)
        wide = torch.cartesian_prod(*[torch.arange(-_NEAR, _NEAR + 1)] * 2)
        close = torch.cartesian_prod(*[torch.arange(-1, 2)] * 2)
        fits = [self._match(maps, spot, wide, colour, [0, 2 * FINE + 2], caution) for colour in colours.unbind(1)]
        first = torch.stack([fit.gain for fit in fits]).argmax(0)
        rows = torch.arange(len(spot))
        middle = torch.stack([fit.which for fit in fits])[first, rows, 3:]
        colour = colours[rows, first]
        fit = self._match(maps, middle, close, colour, list(range(FINE**2)), 0.0)
        good = (fit.gain > _LEAST_GAIN) & (fit.share > _LEAST_SHARE)
        which = torch.cat([fit.which, colour[:, None]], 1).tolist()
        return [_Solid(*row) if well else None for row, well in zip(which, good.tolist(), strict=True)]

    def _match(
        self, maps: tuple[Tensor, Tensor], spot: Tensor, offsets: Tensor, colour: Tensor, phases: list[int],
        caution: float,
    ) -> _Fits:  # fmt: skip
        """The best drawing in the given colours (n,), of some phases, with its middle at offsets (k, 2) from spots."""
        middle = (spot[:, None] + offsets).clamp(_EDGE, SIDE - 1 - _EDGE)
        anchor = (spot[:, None] - self._centres).square().sum(2).argmin(1)
        gain, share = torch.zeros(len(spot)), torch.zeros(len(spot))
        which = torch.zeros(len(spot), 5, dtype=torch.long)
        for c, a in torch.stack([colour, anchor], 1).unique(dim=0).tolist():
            rows = ((colour == c) & (anchor == a)).nonzero()[:, 0]
            added = _added(_Drawings(*(v[a][:, phases] for v in self._drawings)), c).flatten(0, 1)
            square = added.square().sum(1).flatten(1)
            seen, known = (_windows(v[rows], middle[rows]) for v in maps)
            predicted = (known @ square.T).flatten(1)  # (rows, offsets * drawings)
            explained = 2 * (seen @ added.flatten(1).T).flatten(1) - predicted
            index = (explained - caution * predicted).argmax(1, keepdim=True)
            gain[rows] = explained.gather(1, index)[:, 0]
            share[rows] = gain[rows] / predicted.gather(1, index)[:, 0].clamp(min=1e-9)
            number = index[:, 0] % len(square)
            kind, phase = number // len(phases), torch.tensor(phases)[number % len(phases)]
            place = middle[rows, index[:, 0] // len(square)]
            which[rows] = torch.cat([torch.stack([torch.full_like(kind, a), kind, phase], 1), place], 1)
        return _Fits(gain, share, which)

    def _explain(self, rest: Tensor, weight: Tensor, solid: _Solid) -> None:
        """Take a solid out of what is still to be explained, in place."""
        drawing = _Drawings(*(v[solid.anchor, solid.kind, solid.phase] for v in self._drawings))
        top, left = solid.row - HALF, solid.column - HALF
        rows, columns = slice(max(top, 0), min(top + WINDOW, SIDE)), slice(max(left, 0), min(left + WINDOW, SIDE))
        inside = (
            slice(None),
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        rest[:, rows, columns] -= _added(drawing, solid.colour)[inside]
        weight[:, rows, columns] *= (1 - 1.5 * drawing.cover[inside]).clamp(min=0)

    def _values(self, solid: _Solid) -> Tensor:
        shape, size = self.kinds[solid.kind]
        below, across = divmod(solid.phase, FINE)
        place = (solid.column + across / FINE) / SIDE, (solid.row + below / FINE) / SIDE
        return torch.tensor([shape, solid.colour, size, *place])


@lru_cache(maxsize=2)
def scene_reader(variant: Variant = "usual") -> SceneReader:
    """The reader of a variant, whose drawings are made once."""
    return SceneReader(variant)


def _added(drawings: _Drawings, colour: int) -> Tensor:
    paint = (COLOURS[colour] ** 2)[:, None, None]
    seen = paint * drawings.diffuse + drawings.gloss + drawings.floor
    return seen.clamp(0, 1).sqrt() - drawings.empty.sqrt()


def _windows(maps: Tensor, middles: Tensor) -> Tensor:
    """Windows around middles (n, k, 2) in maps that are padded by WINDOW: (n, k, channels * WINDOW^2)."""
    n, k = middles.shape[:2]
    views = maps.unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)  # (n, c, y, x, WINDOW, WINDOW)
    y, x = (middles + WINDOW - HALF).unbind(2)
    return views[torch.arange(n)[:, None].expand(n, k), :, y, x].flatten(2)


def _striking(images: Tensor, rest: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pixel around which most is unexplained (n, 2), the two likeliest colours there, and how much that is."""
    energy = avg_pool2d((rest.square() * weight).sum(1, keepdim=True), 3, 1, 1, count_include_pad=True)[:, 0] * 9
    value, index = energy.flatten(1).max(1)
    spot = torch.stack([index // SIDE, index % SIDE], 1)
    share = weight + 1e-6
    mean = avg_pool2d(images.square() * share, 3, 1, 1) / avg_pool2d(share, 3, 1, 1)
    seen = mean.flatten(2).gather(2, index[:, None, None].expand(-1, 3, 1))[..., 0]
    paints = COLOURS**2
    along = (seen @ paints.T / paints.square().sum(1)).clamp(0.15, 1.4)
    off = (seen[:, None] - along[..., None] * paints).square().sum(2) / seen.square().sum(1, keepdim=True)
    return spot, off.topk(2, largest=False).indices, value


def _draw(variant: Variant) -> tuple[list[tuple[int, int]], _Drawings]:
    """Shapes and sizes of the drawings, and their windows."""
    kinds, angles = [], []
    for shape, name in enumerate(SHAPES):
        for size in range(len(SIZE_NAMES)):
            turns = _ANGLES if name == "cube" else 1
            kinds += [(shape, size)] * turns
            angles += [math.pi / 2 * i / turns for i in range(turns)]
    scenes = Scenes(1, SIDE * FINE)
    factors = torch.tensor(MIDDLE[variant]).expand(len(kinds), -1)
    red = COLOUR_NAMES.index("red")
    paint = COLOURS[red] ** 2
    nothing = torch.full((1, 1, 5), torch.nan)
    bare = rendered(scenes, nothing, torch.zeros(1, 1), factors[:1], variant).images ** 2
    parts: list[list[Tensor]] = [[] for _ in _Drawings._fields]
    for y in _ANCHORS_Y:
        for x in _ANCHORS_X:
            values = torch.tensor([[[shape, red, size, x, y]] for shape, size in kinds])
            record = rendered(scenes, values, torch.tensor(angles)[:, None], factors, variant)
            linear, cover = record.images**2, record.masks[:, 1:].float()
            diffuse = (linear[:, :1] - linear[:, 2:]) / (paint[0] - paint[2])
            gloss = linear[:, 2:] - paint[2] * diffuse
            maps = diffuse * cover, gloss * cover, linear * (1 - cover), bare.expand_as(linear), cover
            for part, one in zip(parts, maps, strict=True):
                part.append(_phases(one, round(x * SIDE * FINE), round(y * SIDE * FINE)))
    return kinds, _Drawings(*(torch.stack(part) for part in parts))


def _phases(maps: Tensor, x: int, y: int) -> Tensor:
    """Windows whose middle is at, or by quarters of a pixel before, a place in fine pixels: (n, phases, c, W, W)."""
    half, side = HALF * FINE, WINDOW * FINE
    edge = side
    wide = pad(maps, [edge] * 4, mode="replicate")
    starts = [(edge + y - half - i, edge + x - half - j) for i in range(FINE) for j in range(FINE)]
    return torch.stack([avg_pool2d(wide[..., t : t + side, u : u + side], FINE) for t, u in starts], 1)
