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
_LEAST_GAIN, _LEAST_SHARE = 0.35, 0.5
"""Of the squared differences that a solid explains: the sum, and its share of those that it predicts."""
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


class _Fit(NamedTuple):
    """The best drawing of each image: what it explains, its share of what it predicts, and which and where it is."""

    gain: Tensor
    share: Tensor
    drawing: Tensor
    corner: Tensor


class SceneReader:
    """Reads shapes, colours, sizes and places.

    Args:
        variant: of `ConceptScenes`, whose light and floor the images have.
    """

    def __init__(self, variant: Variant = "usual") -> None:
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
        rest, weight = images - self._empty, torch.ones(len(images), 1, SIDE, SIDE)
        lists: list[list[Tensor]] = [[] for _ in images]
        active = torch.arange(len(images))
        for _ in range(2 * most + 2):
            spot, colours, energy = _striking(images[active], rest[active], weight[active])
            active, spot, colours = (v[energy > _LEAST_GAIN / 4] for v in (active, spot, colours))
            if not len(active):
                break
            fit, colour = self._best(rest[active], weight[active], spot, colours)
            good = (fit.gain > _LEAST_GAIN) & (fit.share > _LEAST_SHARE)
            for i in range(len(active)):
                image = int(active[i])
                if good[i]:
                    lists[image].append(self._values(int(fit.drawing[i]), int(colour[i]), fit.corner[i]))
                    self._explain(rest[image], weight[image], int(fit.drawing[i]), int(colour[i]), fit.corner[i])
                else:
                    y, x = spot[i].tolist()
                    weight[image, :, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 0
            active = torch.tensor([i for i in active.tolist() if len(lists[i]) < most], dtype=torch.long)
            if not len(active):
                break
        return [torch.stack(rows) if rows else torch.zeros(0, 5) for rows in lists]

    def _best(self, rest: Tensor, weight: Tensor, spot: Tensor, colours: Tensor) -> tuple[_Fit, Tensor]:
        """The best drawing near striking pixels (n, 2) and its colour, one of those that are likely there (n, k).

        First at whole pixels around the spot, in each of the colours; then at quarters around the best of them.
        """
        maps = pad(rest * weight, [WINDOW] * 4), pad(weight, [WINDOW] * 4)
        wide = torch.cartesian_prod(*[torch.arange(-_NEAR, _NEAR + 1)] * 2)
        close = torch.cartesian_prod(*[torch.arange(-1, 2)] * 2)
        fits = [self._match(maps, spot, wide, colour, [0, 2 * FINE + 2]) for colour in colours.unbind(1)]
        first = torch.stack([fit.gain for fit in fits]).argmax(0)
        rows = torch.arange(len(spot))
        middle = torch.stack([fit.corner for fit in fits])[first, rows]
        colour = colours[rows, first]
        return self._match(maps, middle, close, colour, list(range(FINE**2))), colour

    def _match(
        self, maps: tuple[Tensor, Tensor], spot: Tensor, offsets: Tensor, colour: Tensor, phases: list[int]
    ) -> _Fit:
        """The best drawing in the given colours (n,), of some phases, with its middle at offsets (k, 2) from spots."""
        n, of = len(spot), len(phases)
        middle = (spot[:, None] + offsets).clamp(-HALF, SIDE + HALF)
        anchor = (spot[:, None] - self._centres).square().sum(2).argmin(1)
        gain, share = torch.zeros(n), torch.zeros(n)
        drawing, place = torch.zeros(n, dtype=torch.long), torch.zeros(n, 2, dtype=torch.long)
        for c, a in torch.stack([colour, anchor], 1).unique(dim=0).tolist():
            rows = ((colour == c) & (anchor == a)).nonzero()[:, 0]
            added = _added(_Drawings(*(v[a][:, phases] for v in self._drawings)), c).flatten(0, 1)
            square = added.square().sum(1).flatten(1)
            seen, w = (_windows(v[rows], middle[rows]) for v in maps)
            predicted = w @ square.T  # (rows, offsets, drawings)
            best, index = (2 * (seen @ added.flatten(1).T) - predicted).flatten(1).max(1)
            gain[rows] = best
            share[rows] = best / predicted.flatten(1).gather(1, index[:, None])[:, 0].clamp(min=1e-9)
            kind, phase = index % len(square) // of, torch.tensor(phases)[index % of]
            drawing[rows] = (a * len(self.kinds) + kind) * FINE**2 + phase
            place[rows] = middle[rows, index // len(square)]
        return _Fit(gain, share, drawing, place)

    def _one(self, drawing: int, colour: int) -> tuple[Tensor, Tensor]:
        """What a drawing adds (3, WINDOW, WINDOW), and how much it covers (1, WINDOW, WINDOW)."""
        anchor, rest = divmod(drawing, len(self.kinds) * FINE**2)
        kind, phase = divmod(rest, FINE**2)
        chosen = _Drawings(*(v[anchor, kind, phase] for v in self._drawings))
        return _added(chosen, colour), chosen.cover

    def _explain(self, rest: Tensor, weight: Tensor, drawing: int, colour: int, corner: Tensor) -> None:
        """Take a solid out of what is still to be explained, in place."""
        added, cover = self._one(drawing, colour)
        (top, left), (bottom, right) = (corner - HALF).tolist(), (corner + HALF).tolist()
        inside = slice(max(top, 0), min(bottom, SIDE)), slice(max(left, 0), min(right, SIDE))
        window = (slice(None), *(slice(s.start - o, s.stop - o) for s, o in zip(inside, (top, left), strict=True)))
        rest[:, *inside] -= added[window]
        weight[:, *inside] *= (1 - 1.5 * cover[window]).clamp(min=0)

    def _values(self, drawing: int, colour: int, corner: Tensor) -> Tensor:
        kind, phase = divmod(drawing % (len(self.kinds) * FINE**2), FINE**2)
        shape, size = self.kinds[kind]
        below, across = divmod(phase, FINE)
        y, x = corner.tolist()
        return torch.tensor([shape, colour, size, (x + across / FINE) / SIDE, (y + below / FINE) / SIDE])


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
