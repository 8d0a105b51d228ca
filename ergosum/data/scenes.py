"""Solids on a floor under one light: scenes with objects and with global factors, ray-cast in batches by torch.

After CLEVR (Johnson et al. 2017: spheres, cubes and cylinders in eight colours, two sizes, two materials) and Falcor3D
(Nie et al. 2020: one scene under seven factors of light and camera), drawn here from nothing. Every ray is cut with
every solid in closed form; a ray goes on from what it meets to the light, for hard shadows. Light is Lambert's law with
Blinn's highlight, metal mirrors the floor and a plain sky, and the floor fades into the backdrop.

Lengths are in units of about the size of a large object; x points right, y away from the camera, z up.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.data.dataset import check_kind, check_objects, draw_present, grid, one_hot
from ergosum.data.record import ImageRecord
from ergosum.data.solids import SOLIDS, Solid, dot, length

__all__ = ["COLOURS", "FACTORS", "FIELD", "SIZES", "STILL", "VARIANTS", "Scenes", "Variant", "camera_axes"]

FACTORS = ("light intensity", "light x", "light y", "light z", "camera x", "camera y", "camera z")
ATTRIBUTES = ("shape", "colour", "size", "material", "x", "y", "angle")
COLOURS = (
    torch.tensor(
        [[110, 114, 120], [186, 40, 40], [48, 84, 212], [38, 132, 50], [139, 84, 40], [136, 52, 190], [48, 190, 200],
         [240, 208, 46]],
        dtype=torch.float32,
    ) / 255
)  # fmt: skip
"""Grey, red, blue, green, brown, purple, cyan, yellow, as a screen shows them."""
SIZES = torch.tensor([0.48, 0.78, 0.62])
"""Radius of a small, a large and a medium object; `Scenes` draws the first two at random, and renders all three."""
_DRAWN_SIZES = 2
STILL = torch.tensor([[0, 1, 1, 0, -1.35, 0.1, 0.0], [1, 2, 1, 0, 1.15, 0.75, 0.5], [2, 7, 0, 1, 0.35, -1.25, 0.3]])
"""The three objects of the variant `still`, and of every image made by `from_factors`."""


class Variant(NamedTuple):
    """A kind of scene: its solids and the range of each factor."""

    solids: tuple[str, str, str]
    low: tuple[float, ...]
    high: tuple[float, ...]


_CLEVR = ("sphere", "cube", "cylinder")
_NEAR = ((0.95, -4.0, -4.5, 6.5, -0.4, -9.2, 5.4), (1.05, -2.5, -3.0, 7.5, 0.4, -8.6, 6.0))
VARIANTS: dict[str, Variant] = {
    "clevr": Variant(_CLEVR, *_NEAR),
    "toy": Variant(("pawn", "pyramid", "pill"), *_NEAR),
    "lighting": Variant(_CLEVR, (0.35, -6.0, -6.0, 3.5, *_NEAR[0][4:]), (1.4, 6.0, 4.0, 9.0, *_NEAR[1][4:])),
    "still": Variant(_CLEVR, (0.35, -6.0, -6.0, 3.5, -3.0, -10.0, 4.0), (1.4, 6.0, 4.0, 9.0, 3.0, -8.0, 7.0)),
}
"""`clevr`; `toy`, other solids under the same light; `lighting`, the light anywhere; `still`, always the same objects
under any light and from any side."""

_TARGET = (0.0, 0.4, 0.4)
"""Where the camera looks."""
FIELD = 0.33
"""Tangent of half the angle of view."""
_FLOOR, _BACKDROP = 0.42, (0.62, 0.65, 0.70)
"""How much light they send back, on a linear scale."""
_PIECE = 1 << 20
"""Numbers per intermediate tensor: larger pieces fall out of a CPU's cache, smaller ones cost calls."""


class Scenes:
    """Images of solids on a floor, with masks, attributes of the objects and seven factors of light and camera.

    Factors: light intensity (1 is usual), light x, y, z and camera x, y, z; the camera looks at the floor's middle.
    Attributes: shape (0 .. 2), colour (0 .. 7), size (0 small, 1 large; 2 medium, which no random
    scene has), material (0 matte, 1 metal), x and y on the floor, angle around the vertical in rad (which turns nothing
    that is round).

    Args:
        objects: solids in an image, 1 .. 8, or (fewest, most); None takes 3 to 5, and 3 for `still`.
        side: pixels of the image, 16 .. 512.
        variant: `clevr`, `toy`, `lighting` or `still`.
        smooth: rays per pixel and direction, 1 or 2; with 2, edges are smooth and a mask is where most rays meet.
    Raises:
        ValueError: if a setting is out of range.
    """

    factors: tuple[str, ...] = FACTORS
    attributes: tuple[str, ...] = ATTRIBUTES

    def __init__(
        self,
        objects: int | tuple[int, int] | None = None,
        side: int = 64,
        variant: str = "clevr",
        smooth: int = 1,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}.")
        if variant == "still" and objects not in (None, 3, (3, 3)):
            raise ValueError(f"objects: expected 3 with variant 'still', got {objects!r}.")
        usual = 3 if variant == "still" else (3, 5)
        self._range = check_objects(usual if objects is None else objects, 8)
        if not 16 <= side <= 512:
            raise ValueError(f"side: expected 16 .. 512 pixels, got {side!r}.")
        if smooth not in (1, 2):
            raise ValueError(f"smooth: expected 1 or 2 rays per pixel and direction, got {smooth!r}.")
        self.objects = self._range[1]
        self.side, self.variant, self.smooth = side, variant, smooth
        self.solids = [SOLIDS[name] for name in VARIANTS[variant].solids]
        self._low, self._high = (torch.tensor(v) for v in VARIANTS[variant][1:])
        self.levels: tuple[Tensor, ...] = tuple(
            torch.linspace(low, high, 5 if i == 0 else 6)
            for i, (low, high) in enumerate(zip(self._low.tolist(), self._high.tolist(), strict=True))
        )
        """Values of the factors on their full grid of 5 x 6^6 = 233,280 images."""
        self.settings: dict[str, Any] = {"objects": list(self._range), "side": side, "variant": variant,
                                         "smooth": smooth}  # fmt: skip

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images: objects that stand apart, none mostly hidden, under a random light."""
        return self.render(*self.sample(n, generator))

    def sample(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Attributes (n, objects, 7) and factors (n, 7) of `n` random scenes, for `render`.

        `still` takes its factors from the grid of levels; the others take them anywhere in their range.
        """
        present = draw_present(n, self._range, generator)
        device = generator.device
        if self.variant == "still":
            index = torch.randint(math.prod(map(len, self.levels)), (n,), generator=generator, device=device)
            return self.still(n, device), grid(self.levels, index)
        u = torch.rand(n, len(FACTORS), generator=generator, device=device)
        factors = self._low.to(device) + u * (self._high - self._low).to(device)
        attributes = torch.zeros(n, self.objects, len(ATTRIBUTES), device=device)
        waiting = torch.arange(n, device=device)
        while len(waiting):
            drawn, placed = self._place(present[waiting], factors[waiting, 4:], generator)
            attributes[waiting] = drawn
            waiting = waiting[~placed]
        return attributes.masked_fill(~present[..., None], torch.nan), factors

    def from_factors(self, factors: Tensor) -> ImageRecord:
        """Images of always the same objects under given light and camera (`grid(scenes.levels, index)`, or any).

        Shape:
            factors: (n, 7).
        Raises:
            ValueError: as `render`.
        """
        return self.render(self.still(len(factors), factors.device), factors)

    def render(self, attributes: Tensor, factors: Tensor) -> ImageRecord:
        """The images of given scenes; one does not depend on the others.

        Shape:
            attributes: (n, objects, 7), NaN where an object is absent. factors: (n, 7).
        Raises:
            ValueError: if a shape is another, or a number is out of range.
        """
        self.check(attributes, factors)
        images, owners = [], []
        for part in self._pieces(len(factors)):
            seen = self._trace(attributes[part], factors[part])
            images.append(_shrink(seen.colour, self.smooth).clamp(0, 1).sqrt())
            owners.append(_most(seen.owner, self.objects, self.smooth))
        return ImageRecord(torch.cat(images), factors, one_hot(torch.cat(owners), self.objects), attributes)

    def depth(self, attributes: Tensor, factors: Tensor) -> Tensor:
        """Distance from the camera to what each pixel shows, infinite for the backdrop.

        Shape:
            as `render`. Returns (n, side, side); with several rays per pixel, the nearest.
        """
        self.check(attributes, factors)
        parts = [self._trace(attributes[p], factors[p]).depth for p in self._pieces(len(factors))]
        return -torch.nn.functional.max_pool2d(-torch.cat(parts)[:, None], self.smooth)[:, 0]

    def shadows(self, attributes: Tensor, factors: Tensor) -> Tensor:
        """Whose shadow falls on each pixel of the floor; of several solids in the way of the light, the first one's.

        What solids cast on each other and on themselves is no part of it: those pixels are the solids'.

        Shape:
            as `render`. Returns (n, objects, side, side), bool: no pixel is in two shadows, or in a solid's mask; with
            several rays per pixel, what most of its rays to the floor say.
        """
        self.check(attributes, factors)
        parts = []
        for part in self._pieces(len(factors)):
            seen = self._trace(attributes[part], factors[part])
            floor = _most(seen.owner, self.objects, self.smooth) == 0
            casters = _most(seen.caster, self.objects, self.smooth, counted=seen.owner == 0)
            parts.append(one_hot(casters.masked_fill(~floor, 0), self.objects)[:, 1:])
        return torch.cat(parts)

    def still(self, n: int, device: torch.device) -> Tensor:
        """Attributes (n, objects, 7) of the scene that `from_factors` shows."""
        rows = torch.full((self.objects, len(ATTRIBUTES)), torch.nan, device=device)
        count = min(self.objects, len(STILL))
        rows[:count] = STILL[:count].to(device)
        return rows.expand(n, -1, -1).clone()

    def _pieces(self, n: int) -> list[slice]:
        step = max(1, _PIECE // ((self.side * self.smooth) ** 2 * self.objects))
        return [slice(i, i + step) for i in range(0, n, step)]

    def check(self, attributes: Tensor, factors: Tensor) -> None:
        """Refuse what cannot be rendered.

        Raises:
            ValueError: as `render`.
        """
        n = len(factors)
        if attributes.shape != (n, self.objects, len(ATTRIBUTES)) or factors.shape != (n, len(FACTORS)):
            raise ValueError(
                f"render: expected attributes (n, {self.objects}, {len(ATTRIBUTES)}) and factors (n, {len(FACTORS)}), "
                f"got {tuple(attributes.shape)} and {tuple(factors.shape)}."
            )
        for i, count in enumerate((len(self.solids), len(COLOURS), len(SIZES), 2)):
            check_kind(attributes[..., i], count, ATTRIBUTES[i])
        if not (factors.isfinite().all() and (factors[:, 0] >= 0).all() and (factors[:, [3, 6]] > 0).all()):
            raise ValueError("render: expected finite factors, light intensity >= 0, light z and camera z > 0.")
        if ((factors[:, 4:6] - factors.new_tensor(_TARGET[:2])).abs() < 1e-3).all(1).any():
            raise ValueError(f"render: expected a camera that is not straight above what it looks at, {_TARGET}.")

    def _place(self, present: Tensor, camera: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Attributes of random objects, and whether all found room in 24 attempts each.

        On the floor, circles around two objects do not touch; in the image, of two objects' circles neither covers
        the centre of the other, nor much more.
        """
        n, count = present.shape
        u = torch.rand(n, count, 5, generator=generator, device=present.device)
        numbers = u.new_tensor([len(self.solids), len(COLOURS), _DRAWN_SIZES, 2])
        kinds = (u[..., :4] * numbers).floor().minimum(numbers - 1)
        tries = 5.4 * torch.rand(n, count, 24, 2, generator=generator, device=present.device) - 2.7
        table = u.new_tensor([[s.middle, s.reach, s.foot] for s in self.solids])
        size = SIZES.to(u.device)[kinds[..., 2].long()]
        middle, reach, foot = (table[kinds[..., 0].long()] * size[..., None]).unbind(2)
        seen, near = _project(torch.cat([tries, middle[:, :, None, None].expand(-1, -1, 24, 1)], 3), camera)
        whole = 1.15 * reach[..., None] / near  # a ball away from the middle of an image is drawn larger
        radius = 0.9 * reach[..., None] / near
        place = torch.zeros(n, count, 2, device=u.device)
        shown = torch.zeros(n, count, 3, device=u.device)  # centre and radius in the image
        placed = torch.ones(n, dtype=torch.bool, device=u.device)
        for k in range(count):
            free = (seen[:, k].abs() + whole[:, k, :, None] < FIELD).all(2)
            for j in range(k):
                apart = (tries[:, k] - place[:, None, j]).norm(dim=2) > (foot[:, k] + foot[:, j] + 0.12)[:, None]
                wide, small = (f(radius[:, k], shown[:, j, 2:]) for f in (torch.maximum, torch.minimum))
                apart &= (seen[:, k] - shown[:, None, j, :2]).norm(dim=2) > wide + 0.3 * small
                free &= apart | ~present[:, None, j]
            placed &= free.any(1) | ~present[:, k]
            first = free.byte().argmax(1)[:, None, None]
            place[:, k] = tries[:, k].gather(1, first.expand(-1, 1, 2))[:, 0]
            shown[:, k] = torch.cat([seen[:, k], radius[:, k, :, None]], 2).gather(1, first.expand(-1, 1, 3))[:, 0]
        return torch.cat([kinds, place, 2 * math.pi * u[..., 4:]], 2), placed

    def _trace(self, attributes: Tensor, factors: Tensor) -> "_Seen":
        """What every ray sees."""
        side = self.side * self.smooth
        scene = _Scene(attributes, self.solids)
        rays = _rays(factors[:, 4:], side)
        light, camera = (factors[:, i : i + 3].T.contiguous()[..., None] for i in (1, 4))
        near = scene.meet(camera, rays)
        distance, first = near.min(1)
        floor = torch.where(rays[2] < -1e-6, -camera[2] / rays[2], torch.inf)
        owner = torch.where(distance < torch.inf, first + 1, 0)
        distance = torch.where(owner > 0, distance, floor)
        sky = distance.isinf()
        point = camera + distance.clamp(max=1e3) * rays
        normal = scene.normals(point, owner)
        to_light = light - point
        towards = to_light / length(to_light)
        facing = dot(normal, towards).clamp(min=0)
        caster = scene.shaded(point + 1e-3 * normal, to_light, towards, owner, (facing > 0) & ~sky)
        lit = facing * (caster == 0)
        colour = _shade(scene.paint(owner), normal, rays, towards, lit * factors[:, :1], scene.metal(owner))
        colour = _fade(colour, point, owner, sky, factors[:, :1])
        shape = (len(factors), side, side)
        colour = colour.transpose(0, 1).unflatten(2, shape[1:])
        return _Seen(colour, owner.view(shape), distance.view(shape), caster.view(shape))


class _Seen(NamedTuple):
    """What rays see, h = side * smooth of them in each direction.

    Shape:
        colour: (n, 3, h, h), on a linear scale. owner: (n, h, h), the solid's number, 0 for floor and backdrop. depth:
        (n, h, h). caster: (n, h, h), number of the solid that takes the light from what is seen, 0 where none does.
    """

    colour: Tensor
    owner: Tensor
    depth: Tensor
    caster: Tensor


class _Scene:
    """Objects of a batch of scenes, ready to be cut by rays: vectors are (3, n, ...), objects are numbered n * k."""

    def __init__(self, attributes: Tensor, solids: list[Solid]) -> None:
        self.n, self.count = attributes.shape[:2]
        self.solids = solids
        self.present = ~attributes.isnan().any(2)
        known = attributes.masked_fill(~self.present[..., None], 0)
        self.kind, self.tint, size, self.material = known[..., :4].long().unbind(2)
        self.size = SIZES.to(attributes.device)[size]
        self.x, self.y = known[..., 4], known[..., 5]
        self.cos, self.sin = known[..., 6].cos(), known[..., 6].sin()
        table = known.new_tensor([[s.middle, s.reach, s.convex] for s in solids])[self.kind]
        self.convex = table[..., 2] > 0
        self.centre = torch.stack([self.x, self.y, table[..., 0] * self.size])
        self.reach = table[..., 1] * self.size

    def meet(self, origin: Tensor, rays: Tensor) -> Tensor:
        """Distance along unit rays (3, n, p) from (3, n, 1) to each object: (n, objects, p), infinite where missed.

        The origins are outside of the balls around the objects.
        """
        to = self.centre - origin
        tangent = (dot(to, to) - self.reach.square()).clamp(min=0).sqrt()
        along = _pairs(to, rays)
        near = along > tangent.masked_fill(~self.present, torch.inf)[..., None]
        return self._cut(near, origin.expand_as(rays), rays)

    def shaded(self, point: Tensor, to_light: Tensor, towards: Tensor, owner: Tensor, asked: Tensor) -> Tensor:
        """Which object is between points (3, n, p) and the light, for the points asked for: numbers (n, p), 0 for none.

        Of several, that which light meets first. `towards` is `to_light` of length 1. What a ball around an object
        leaves open is settled exactly.
        """
        along = _pairs(self.centre, towards).sub_(dot(towards, point)[:, None])
        beyond = 1.02 * self.reach.square() - dot(self.centre, self.centre)  # R^2 - |c - p|^2 is this + 2 c.p - |p|^2
        outside = _pairs(2 * self.centre, point).add_(beyond.masked_fill(~self.present, -torch.inf)[..., None])
        outside -= dot(point, point).masked_fill(~asked, torch.inf)[:, None]
        near = (outside.addcmul_(along, along) >= 0) & (along > 0)
        own = (owner - 1).clamp(min=0)[:, None]
        lone = (owner > 0)[:, None] & self.convex.gather(1, own[:, 0])[:, None]
        near.scatter_(1, own, near.gather(1, own) & ~lone)
        at = self._cut(near, point, to_light)
        nearest, caster = at.masked_fill_(at >= 1, -torch.inf).max(1)
        return torch.where(nearest > -torch.inf, caster + 1, 0)

    def _cut(self, near: Tensor, origin: Tensor, direction: Tensor) -> Tensor:
        """First meeting of the rays (3, n, p) with the objects that `near` (n, k, p) says they pass closely."""
        scene, k, ray = near.nonzero().unbind(1)
        number, ray = scene * self.count + k, scene * near.shape[2] + ray
        kind = self.kind.flatten()[number]
        o = self._local(origin.reshape(3, -1)[:, ray], number, shift=True)
        d = self._local(direction.reshape(3, -1)[:, ray], number, shift=False)
        hits = torch.empty_like(o[0])
        for i, solid in enumerate(self.solids):
            chosen = (kind == i).nonzero()[:, 0]
            hits[chosen] = solid.hit(o[:, chosen], d[:, chosen])
        return torch.full(near.shape, torch.inf, device=near.device).masked_scatter_(near, hits)

    def _local(self, v: Tensor, number: Tensor, shift: bool) -> Tensor:
        """Points (shifted) or directions (3, m) in the frames of their objects, in units of the object's size."""
        x, y, z = v
        if shift:
            x, y = x - self.x.flatten()[number], y - self.y.flatten()[number]
        cos, sin = self.cos.flatten()[number], self.sin.flatten()[number]
        return torch.stack([cos * x + sin * y, cos * y - sin * x, z]) / self.size.flatten()[number]

    def normals(self, point: Tensor, owner: Tensor) -> Tensor:
        """Unit normals at points (3, n, p) of the objects or, where the owner is 0, of the floor."""
        up = torch.zeros(point.shape, dtype=point.dtype, device=point.device)
        up[2] = 1
        place = (owner > 0).flatten().nonzero()[:, 0]
        number = place // owner.shape[1] * self.count + owner.flatten()[place] - 1
        p = self._local(point.flatten(1)[:, place], number, shift=True)
        kind, local = self.kind.flatten()[number], torch.empty_like(p)
        for i, solid in enumerate(self.solids):
            chosen = (kind == i).nonzero()[:, 0]
            local[:, chosen] = solid.outward(p[:, chosen])
        cos, sin = self.cos.flatten()[number], self.sin.flatten()[number]
        u, v, w = local
        up.view(3, -1)[:, place] = torch.stack([cos * u - sin * v, sin * u + cos * v, w])
        return up

    def paint(self, owner: Tensor) -> Tensor:
        """How much of each colour the owners send back: (3, n, p), on a linear scale."""
        colours = COLOURS.to(self.x)[self.tint] ** 2
        table = torch.cat([torch.full_like(colours[:, :1], _FLOOR), colours], 1)
        number = owner + (self.count + 1) * torch.arange(self.n, device=owner.device)[:, None]
        return table.flatten(0, 1).T.contiguous()[:, number]

    def metal(self, owner: Tensor) -> Tensor:
        """1 where the owner is of metal, else 0: (n, p)."""
        return torch.cat([torch.zeros_like(self.x[:, :1]), self.material.to(self.x)], 1).gather(1, owner)


def _pairs(objects: Tensor, rays: Tensor) -> Tensor:
    """Inner products of vectors (3, n, k) with vectors (3, n, p): (n, k, p).

    Not a matrix product, which settings and autocast of the caller may compute with fewer digits.
    """
    a, b = objects[..., None], rays[:, :, None]
    return (a[0] * b[0]).addcmul_(a[1], b[1]).addcmul_(a[2], b[2])


def camera_axes(camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors to the right, up and ahead of cameras (n, 3) that look at the target."""
    ahead = torch.nn.functional.normalize(camera.new_tensor(_TARGET) - camera, dim=1)
    right = torch.nn.functional.normalize(torch.linalg.cross(ahead, ahead.new_tensor([[0.0, 0, 1]])), dim=1)
    return right, torch.linalg.cross(right, ahead), ahead


def _rays(camera: Tensor, side: int) -> Tensor:
    """Unit directions from cameras (n, 3) through the centres of pixels, row by row: (3, n, side^2)."""
    right, up, ahead = (axis.T.contiguous()[..., None, None] for axis in camera_axes(camera))
    pixel = ((torch.arange(side, device=camera.device) + 0.5) * (2 / side) - 1) * FIELD
    rays = ahead + right * pixel - up * pixel[:, None]
    return (rays / length(rays)).flatten(2)


def _project(points: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """Where cameras (n, 3) see points (n, ..., 3): right and up (n, ..., 2), and how far ahead (n, ...)."""
    shape = (len(camera), *[1] * (points.ndim - 2), 3)
    right, up, ahead = (axis.view(shape) for axis in camera_axes(camera))
    offset = points - camera.view(shape)
    depth = (offset * ahead).sum(-1)
    return torch.stack([(offset * right).sum(-1), (offset * up).sum(-1)], -1) / depth[..., None], depth


def _shade(paint: Tensor, normal: Tensor, rays: Tensor, towards: Tensor, lit: Tensor, metal: Tensor) -> Tensor:
    """Light sent to the camera (3, n, p): sky, lamp, highlight, and what metal mirrors."""
    ambient = 0.20 + 0.12 * normal[2]
    half = towards - rays
    shine = (dot(normal, half) / length(half)).clamp(0, 1) ** 8
    sharp = shine.square().square().square()  # the 64th power
    mirrored = rays[2] - 2 * dot(normal, rays) * normal[2]
    around = torch.where(mirrored < 0, 0.35, 0.95 - 0.55 * mirrored)
    diffuse = (ambient + 0.95 * lit) * (1 - 0.6 * metal) + metal * around * (0.3 + 0.6 * lit.clamp(max=1))
    glossy = lit * 0.07 * shine * (1 - metal)
    return paint * diffuse + glossy + (0.3 + 0.7 * paint) * (lit * sharp * metal)


def _fade(colour: Tensor, point: Tensor, owner: Tensor, sky: Tensor, intensity: Tensor) -> Tensor:
    """Let the floor pass into the backdrop far from the middle."""
    away = (point[0].square() + point[1].square()).sqrt()
    share = ((away - 3.5) / 9).clamp(0, 1)
    share = torch.where(sky, 1.0, share * share * (3 - 2 * share))
    share = torch.where(owner > 0, 0.0, share)
    backdrop = colour.new_tensor(_BACKDROP)[:, None, None] * (0.3 + 0.4 * intensity)
    return colour + share * (backdrop - colour)


def _shrink(colour: Tensor, smooth: int) -> Tensor:
    return torch.nn.functional.avg_pool2d(colour.clamp(0, 1), smooth) if smooth > 1 else colour


def _most(owner: Tensor, objects: int, smooth: int, counted: Tensor | None = None) -> Tensor:
    """The owner of most of a pixel's rays, or of those counted; of equals the first: (n, side, side)."""
    if smooth == 1:
        return owner
    ballots = one_hot(owner, objects) if counted is None else one_hot(owner, objects) & counted[:, None]
    votes = torch.nn.functional.avg_pool2d(ballots.float(), smooth)
    return (votes - 0.01 * torch.arange(1 + objects, device=owner.device)[:, None, None]).argmax(1)
