"""Solids that a ray can be cut with in closed form, each standing on the floor in its own frame.

A solid of size 1 stands on z = 0 around the z axis. A convex solid is where several conditions hold at once, each on
one interval of a ray; its first point is the latest beginning, if no condition has ended by then. Vectors are tensors
of shape (3, rays).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["SOLIDS", "Solid", "dot", "length"]

Interval = tuple[Tensor, Tensor]
"""Where along its ray a condition begins to hold and where it ends: two tensors (rays,)."""
_START = 1e-4
"""Hits nearer than this are the surface that the ray starts from."""


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of vectors (3, ...): (...); several times as fast as a reduction over the first dimension."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def length(v: Tensor) -> Tensor:
    """Lengths of vectors (3, ...): (...)."""
    return dot(v, v).sqrt()


class Solid(NamedTuple):
    """A solid of size 1.

    Shape:
        hit: (origin (3, rays), direction (3, rays), any length) -> (rays,), how many directions away the ray meets the
        solid, infinite where it misses. outward: points on the surface (3, points) -> unit vectors (3, points).
    """

    hit: Callable[[Tensor, Tensor], Tensor]
    outward: Callable[[Tensor], Tensor]
    middle: float
    """Height of the centre of a ball around the solid."""
    reach: float
    """Radius of that ball."""
    foot: float
    """Radius of a circle on the floor that the solid stands over."""
    convex: bool = True
    """Whether it casts no shadow on itself."""


def _first(*intervals: Interval) -> Tensor:
    """First point where all conditions hold; a comparison with NaN (a ray along an edge's plane) is a miss."""
    begin, end = intervals[0]
    for other_begin, other_end in intervals[1:]:
        begin, end = torch.maximum(begin, other_begin), torch.minimum(end, other_end)
    return torch.where((begin < end) & (begin > _START), begin, torch.inf)


def _roots(a: Tensor, b: Tensor, c: Tensor) -> Interval:
    """Roots of a t^2 + 2 b t + c in the order of the sign of a; NaN where there are none."""
    root = (b * b - a * c).sqrt()
    return (-b - root) / a, (-b + root) / a


def _ball(o: Tensor, d: Tensor, centre: tuple[float, float, float], radius: float) -> Interval:
    p = o - o.new_tensor(centre)[:, None]
    return _roots(dot(d, d), dot(p, d), dot(p, p) - radius * radius)


def _tube(o: Tensor, d: Tensor, axes: tuple[int, int], centre: tuple[float, float], radius: float) -> Interval:
    """Inside an endless cylinder, given by the two axes that it is round in."""
    p, q = (o[i] - c for i, c in zip(axes, centre, strict=True))
    u, v = (d[i] for i in axes)
    return _roots(u * u + v * v, p * u + q * v, p * p + q * q - radius * radius)


def _slab(o: Tensor, d: Tensor, low: float, high: float) -> Interval:
    """Between two parallel planes, along one coordinate."""
    first, second = (low - o) / d, (high - o) / d
    return torch.minimum(first, second), torch.maximum(first, second)


def _cone(o: Tensor, d: Tensor, slope: float, height: float) -> Interval:
    """Below the tip of a cone that narrows by `slope` per height; its mirror image above the tip is left out."""
    p, q, r = o[0], o[1], slope * (height - o[2])
    u, v, w = d[0], d[1], -slope * d[2]
    a = u * u + v * v - w * w
    first, second = _roots(a, p * u + q * v - r * w, p * p + q * q - r * r)
    # steeper than the cone: below the tip from or up to one root, for ever
    steep, down = a < 0, d[2] < 0
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    begin = torch.where(steep, torch.where(down, high, -torch.inf), low)
    end = torch.where(steep, torch.where(down, torch.inf, low), high)
    return begin, end


def _unit(v: Tensor) -> Tensor:
    return v / length(v).clamp(min=1e-9)


def _sphere_hit(o: Tensor, d: Tensor) -> Tensor:
    return _first(_ball(o, d, (0, 0, 1), 1))


def _sphere_normal(p: Tensor) -> Tensor:
    return _unit(p - p.new_tensor([[0.0], [0.0], [1.0]]))


_EDGE = 0.8


def _cube_hit(o: Tensor, d: Tensor) -> Tensor:
    return _first(*(_slab(o[i], d[i], -_EDGE, _EDGE) for i in (0, 1)), _slab(o[2], d[2], 0, 2 * _EDGE))


def _cube_normal(p: Tensor) -> Tensor:
    q = p - p.new_tensor([[0.0], [0.0], [_EDGE]])
    axis = q.abs().argmax(0, keepdim=True)
    return torch.zeros_like(q).scatter_(0, axis, q.gather(0, axis).sign())


_RADIUS, _TALL = 0.85, 1.7


def _cylinder_hit(o: Tensor, d: Tensor) -> Tensor:
    return _first(_tube(o, d, (0, 1), (0, 0), _RADIUS), _slab(o[2], d[2], 0, _TALL))


def _cylinder_normal(p: Tensor) -> Tensor:
    upright = torch.stack([p[0], p[1], torch.zeros_like(p[2])])
    top = (p[2] - _TALL / 2) / (_TALL / 2) > length(upright) / _RADIUS
    return torch.where(top, p.new_tensor([[0.0], [0.0], [1.0]]), _unit(upright))


_HEAD, _NECK, _SKIRT, _TIP = 0.48, 1.42, 0.8, 2.0


def _pawn_hit(o: Tensor, d: Tensor) -> Tensor:
    head = _first(_ball(o, d, (0, 0, _NECK), _HEAD))
    skirt = _first(_cone(o, d, _SKIRT / _TIP, _TIP), _slab(o[2], d[2], 0, _NECK))
    return torch.minimum(head, skirt)


def _pawn_normal(p: Tensor) -> Tensor:
    from_head = p - p.new_tensor([[0.0], [0.0], [_NECK]])
    across = (p[0] * p[0] + p[1] * p[1]).sqrt()
    skirt = torch.stack([p[0], p[1], _SKIRT / _TIP * across])
    off_head = (length(from_head) - _HEAD).abs()
    off_skirt = (across - _SKIRT / _TIP * (_TIP - p[2])).abs()
    return _unit(torch.where(off_head < off_skirt, from_head, skirt))


_BASE, _PEAK = 0.95, 1.8
_FACES = torch.tensor([[1.0, 0, _BASE / _PEAK], [-1, 0, _BASE / _PEAK], [0, 1, _BASE / _PEAK], [0, -1, _BASE / _PEAK]])


def _face_heights(v: Tensor) -> Tensor:
    """Inner products with the normals of the four faces: (4, rays)."""
    faces = _FACES.to(v)[..., None]
    return faces[:, 0] * v[0] + faces[:, 1] * v[1] + faces[:, 2] * v[2]


def _pyramid_hit(o: Tensor, d: Tensor) -> Tensor:
    approach = _face_heights(d)
    t = (_BASE - _face_heights(o)) / approach
    begin = torch.where(approach < 0, t, -torch.inf).amax(0)
    end = torch.where(approach > 0, t, torch.inf).amin(0)
    return _first((begin, end), _slab(o[2], d[2], 0, _PEAK))


def _pyramid_normal(p: Tensor) -> Tensor:
    return _unit(_FACES.to(p)[_face_heights(p).argmax(0)].T)


_ROUND, _HALF = 0.6, 0.65


def _pill_hit(o: Tensor, d: Tensor) -> Tensor:
    ends = [_first(_ball(o, d, (x, 0, _ROUND), _ROUND)) for x in (-_HALF, _HALF)]
    body = _first(_tube(o, d, (1, 2), (0, _ROUND), _ROUND), _slab(o[0], d[0], -_HALF, _HALF))
    return torch.minimum(torch.minimum(*ends), body)


def _pill_normal(p: Tensor) -> Tensor:
    return _unit(torch.stack([p[0] - p[0].clamp(-_HALF, _HALF), p[1], p[2] - _ROUND]))


SOLIDS: dict[str, Solid] = {
    "sphere": Solid(_sphere_hit, _sphere_normal, 1.0, 1.0, 1.0),
    "cube": Solid(_cube_hit, _cube_normal, _EDGE, 3**0.5 * _EDGE, 2**0.5 * _EDGE),
    "cylinder": Solid(_cylinder_hit, _cylinder_normal, _TALL / 2, (_RADIUS**2 + _TALL**2 / 4) ** 0.5, _RADIUS),
    "pawn": Solid(_pawn_hit, _pawn_normal, 0.91, 1.215, _SKIRT, convex=False),
    "pyramid": Solid(_pyramid_hit, _pyramid_normal, 0.42, 1.41, 2**0.5 * _BASE),
    "pill": Solid(_pill_hit, _pill_normal, _ROUND, _HALF + _ROUND, _HALF + _ROUND),
}
"""Solids by name."""
