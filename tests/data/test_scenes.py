"""The ray caster against closed forms: silhouettes, shadows, depth, light, camera; and its scenes."""

import importlib
import math
from itertools import pairwise

import pytest
import torch
from torch import Generator

from ergosum.data.dataset import grid
from ergosum.data.mujoco_scenes import MujocoScenes
from ergosum.data.scenes import COLOURS, FACTORS, FIELD, SIZES, VARIANTS, Scenes, camera_axes
from ergosum.data.shadows import CastsShadows, with_shadows
from ergosum.data.solids import SOLIDS, dot, length
from ergosum.data.tetrominoes import Tetrominoes

USUAL = torch.tensor([1.0, -3.0, -4.0, 7.0, 0.0, -9.0, 5.5])
"""Light and camera in the middle of their usual range."""
BALL = (0, 1, 1, 0, 0.0, 0.4, 0.0)
SETS = [Scenes(variant=v) for v in VARIANTS] + [Scenes((1, 8), side=32, smooth=2)]


def scene(*things, factors=USUAL, **settings):
    """One image of the given things."""
    data = Scenes(len(things), **settings)
    return data.render(torch.tensor([things], dtype=torch.float32), factors[None])


def changed(name, value):
    factors = USUAL.clone()
    factors[FACTORS.index(name)] = value
    return factors


def pixel_rays(factors, side):
    right, up, ahead = (v[0].double() for v in camera_axes(factors[None, 4:]))
    at = ((torch.arange(side, dtype=torch.float64) + 0.5) * 2 / side - 1) * FIELD
    return ahead + at[None, :, None] * right - at[:, None, None] * up


def cut(name, n=20_000):
    """Random rays towards a solid in double precision: origins, directions, whether they hit, where."""
    generator = Generator().manual_seed(0)
    o, aim = torch.randn(2, 3, n, generator=generator, dtype=torch.float64)
    o = 5 * o / length(o)
    o[2] = o[2].abs() + 0.3
    d = torch.stack([aim[0], aim[1], aim[2] + 1]) - o
    t = SOLIDS[name].hit(o, d)
    return o, d, t.isfinite(), o + torch.where(t.isfinite(), t, 0.0) * d


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_meet_a_solid_on_its_surface_at_its_front_within_its_ball(name):
    solid = SOLIDS[name]
    _, d, hit, point = cut(name)
    hit &= point[2] > 1e-6  # from above the floor
    assert 0.1 < hit.double().mean() < 0.9
    normal, centre = solid.outward(point[:, hit]), torch.tensor([[0.0], [0.0], [solid.middle]])
    torch.testing.assert_close(length(normal), torch.ones(hit.sum(), dtype=torch.float64))
    assert (dot(normal, d[:, hit]) <= 1e-9).all()
    assert 0.97 < length(point[:, hit] - centre).max() / solid.reach <= 1 + 1e-6
    assert point[:2, hit].norm(dim=0).max() <= solid.foot + 1e-6
    again = solid.hit(point[:, hit] + 1e-3 * normal, normal)
    assert again.isinf().all() or not solid.convex


@pytest.mark.parametrize("name", SOLIDS)
def test_a_normal_is_at_right_angles_to_the_surface_around_it(name):
    o, d, hit, point = cut(name)
    normal = SOLIDS[name].outward(point)
    turned = d + 1e-6 * torch.randn(d.shape, generator=Generator().manual_seed(1), dtype=torch.float64)
    t = SOLIDS[name].hit(o, turned)
    beside = o + torch.where(t.isfinite(), t, 0.0) * turned
    both = hit & t.isfinite() & (length(beside - point) < 1e-3) & (length(beside - point) > 0)
    along = (beside - point)[:, both] / length(beside - point)[both]
    assert both.sum() > 1000 and (dot(along, normal[:, both]).abs() < 1e-2).double().mean() > 0.98


@pytest.mark.parametrize("data", SETS, ids=lambda d: str(d.settings))
def test_masks_part_the_image_and_every_object_is_seen(data):
    p = data.draw(12, Generator().manual_seed(0))
    assert p.images.shape == (12, 3, data.side, data.side) and 0 <= p.images.min() and p.images.max() <= 1
    assert (p.masks.sum(1) == 1).all()
    present = ~p.attributes.isnan().any(2)
    seen = p.masks[:, 1:].sum((2, 3))
    assert (seen[~present] == 0).all() and seen[present].min() >= 10 * (data.side / 64) ** 2
    assert not p.masks[:, 1:, :, [0, -1]].any()


@pytest.mark.parametrize("data", SETS, ids=lambda d: str(d.settings))
def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone(data):
    before = torch.random.get_rng_state()
    a, b, c = (data.draw(2, Generator().manual_seed(s)) for s in (3, 3, 4))
    assert all(torch.equal(x.nan_to_num(9), y.nan_to_num(9)) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a.images, c.images) and torch.equal(before, torch.random.get_rng_state())


def test_a_image_does_not_depend_on_its_batch_mates():
    data = Scenes((1, 8))
    p = data.draw(20, Generator().manual_seed(0))
    for i in (0, 7, 19):
        alone = data.render(p.attributes[i : i + 1], p.factors[i : i + 1])
        assert (alone.masks[0] != p.masks[i]).sum() <= 2  # a ray along an edge may fall to either side
        assert ((alone.images[0] - p.images[i]).abs() > 1e-4).sum() <= 6


@pytest.mark.parametrize("side", [64, 128])
def test_a_spheres_silhouette_is_the_cone_of_rays_that_meet_it(side):
    for x, y, size in ((0.0, 0.4, 1), (1.5, -1.0, 0)):
        radius = SIZES[size].item()
        mask = scene((0, 1, size, 0, x, y, 0.0), side=side).masks[0, 1]
        to = torch.tensor([x, y, radius], dtype=torch.float64) - USUAL[4:].double()
        rays = pixel_rays(USUAL, side)
        cosine = (rays @ to) / rays.norm(dim=2) / to.norm()
        expected = cosine > (1 - (radius / to.norm()) ** 2).sqrt()
        assert (mask != expected).sum() <= 2 and mask.sum() > 30


def test_depth_is_the_distance_along_the_ray_and_the_nearer_object_hides_the_farther():
    front, back = (0, 1, 1, 0, 0.0, -1.6, 0.0), (0, 2, 1, 0, 0.0, 0.4, 0.0)
    data = Scenes(2)
    both = torch.tensor([[front, back]], dtype=torch.float32)
    p, depth = data.render(both, USUAL[None]), data.depth(both, USUAL[None])[0]
    near, far = (depth[m].mean() for m in p.masks[0, 1:])
    assert near < far - 1
    swapped = data.render(both.flip(1), USUAL[None])
    assert torch.equal(swapped.images, p.images) and torch.equal(swapped.masks[:, [0, 2, 1]], p.masks)
    alone = scene(back)
    overlap = alone.masks[0, 1] & ~p.masks[0, 2]
    assert overlap.sum() > 20 and p.masks[0, 1][overlap].all()
    ray = pixel_rays(USUAL, 64)
    point = USUAL[4:].double() + depth[..., None] * ray / ray.norm(dim=2, keepdim=True)
    centre = torch.tensor([0.0, -1.6, SIZES[1].item()], dtype=torch.float64)
    torch.testing.assert_close((point[p.masks[0, 1]] - centre).norm(dim=1).float(),
                               SIZES[1].expand(int(p.masks[0, 1].sum())), rtol=0, atol=1e-4)  # fmt: skip
    floor = p.masks[0, 0] & depth.isfinite()
    assert point[floor][:, 2].abs().max() < 1e-3 and Scenes(2, smooth=2).depth(both, USUAL[None]).shape == (1, 64, 64)


def shadow(factors, thing=BALL):
    """Where a thing darkens the floor: (side, side) bool, and the floor's points under the pixels."""
    with_it, without = scene(thing, factors=factors), scene((*thing[:4], 40.0, 40.0, 0.0), factors=factors)
    darker = (without.images - with_it.images)[0].mean(0) > 0.02
    ray = pixel_rays(factors, 64)
    t = -factors[6] / ray[..., 2]
    return darker & with_it.masks[0, 0], factors[4:6].double() + t[..., None] * ray[..., :2]


@pytest.mark.parametrize("light", [(-4.0, -2.0, 5.0), (4.0, -2.0, 5.0), (0.5, 4.0, 6.0), (0.0, -5.0, 4.0)])
def test_a_balls_shadow_is_where_the_line_to_the_light_passes_the_ball(light):
    factors = USUAL.clone()
    factors[1:4] = torch.tensor(light)
    dark, floor = shadow(factors)
    lamp, radius = factors[1:4].double(), SIZES[1].item()
    centre = torch.tensor([*BALL[4:6], radius], dtype=torch.float64)
    point = torch.cat([floor, torch.zeros(64, 64, 1, dtype=torch.float64)], 2)
    line = lamp - point
    nearest = ((centre - point) * line).sum(2) / (line * line).sum(2)
    blocked = (point + nearest[..., None] * line - centre).norm(dim=2) < radius
    visible = ~scene(BALL, factors=factors).masks[0, 1]
    assert (dark != (blocked & visible)).sum() <= 4 and dark.sum() > 10
    away = floor[dark].mean(0) - centre[:2]
    assert (away @ (centre[:2] - lamp[:2])) > 0


def blocked(point, lamp, centre, radius):
    """Whether the segments from points (..., 3) to the lamp pass a ball, and how far from the lamp they are nearest."""
    line = lamp - point
    nearest = (((centre - point) * line).sum(-1) / (line * line).sum(-1)).clamp(0, 1)
    at = point + nearest[..., None] * line
    return (at - centre).norm(dim=-1) < radius, (at - lamp).norm(dim=-1)


@pytest.mark.parametrize("smooth", [1, 2])
@pytest.mark.parametrize("light", [(-4.0, -2.0, 5.0), (0.5, 4.0, 6.0)])
def test_a_balls_shadow_has_its_place_on_the_floor_in_closed_form(light, smooth):
    factors, data = USUAL.clone(), Scenes(1, smooth=smooth)
    factors[1:4] = torch.tensor(light)
    thing = torch.tensor([[BALL]])
    mask = data.shadows(thing, factors[None])[0, 0]
    radius, floor = SIZES[1].item(), shadow(factors)[1]
    point = torch.cat([floor, torch.zeros(64, 64, 1, dtype=torch.float64)], 2)
    centre = torch.tensor([*BALL[4:6], radius], dtype=torch.float64)
    dark, _ = blocked(point, factors[1:4].double(), centre, radius)
    expected = dark & data.render(thing, factors[None]).masks[0, 0] & floor.isfinite().all(2)
    assert (mask != expected).sum() <= (2 if smooth == 1 else 10) and mask.sum() > 50
    # the tip of the shadow: the ray from the lamp that grazes the ball's far side, in the plane of lamp and ball
    lamp, away = factors[1:4].double(), (centre - factors[1:4].double())[:2].norm()
    down = torch.atan2(lamp[2] - radius, away) - torch.asin(radius / (centre - lamp).norm())
    tip = lamp[2] / torch.tan(down)
    farthest = (point[mask][:, :2] - lamp[:2]).norm(dim=1).max()
    assert tip - 0.25 < farthest < tip + 0.05


def test_of_two_balls_in_the_way_of_the_light_the_first_casts_the_shadow():
    """The large ball stands between the lamp and the small one, whose own shadow its shadow swallows in part."""
    factors = changed("light z", 3.5)
    factors[1:3] = torch.tensor([-5.0, 0.4])
    things = torch.tensor([[[0, 1, 1, 0, -1.0, 0.4, 0.0], [0, 2, 0, 0, 0.9, 0.4, 0.0]]])
    data = Scenes(2, side=128)
    drawn, shadows = data.render(things, factors[None]), data.shadows(things, factors[None])[0]
    ray, lamp = pixel_rays(factors, 128), factors[1:4].double()
    t = -factors[6] / ray[..., 2]
    point = torch.cat([factors[4:6].double() + t[..., None] * ray[..., :2], 0 * t[..., None]], 2)
    told = [blocked(point, lamp, torch.tensor([x, 0.4, r], dtype=torch.float64), r)
            for x, r in ((-1.0, SIZES[1].item()), (0.9, SIZES[0].item()))]  # fmt: skip
    (one, near), (two, far) = told
    both = one & two & drawn.masks[0, 0]
    assert both.sum() > 20 and (near < far)[both].all() and shadows[0, both].float().mean() > 0.95
    floor = drawn.masks[0, 0]
    assert (shadows[0] != (one & floor)).sum() <= 6 and (shadows[1] != (two & ~one & floor)).sum() <= 6
    swapped = data.shadows(things.flip(1), factors[None])[0]
    assert torch.equal(swapped.flip(0), shadows)


@pytest.mark.parametrize("data", SETS, ids=lambda d: str(d.settings))
def test_shadows_lie_on_the_floor_where_it_is_darker(data):
    attributes, factors = data.sample(12, Generator().manual_seed(1))
    p, shadows = data.render(attributes, factors), data.shadows(attributes, factors)
    assert shadows.shape == p.masks[:, 1:].shape and (shadows.sum(1) <= p.masks[:, 0]).all()
    present = ~attributes.isnan().any(2)
    assert not shadows[~present].any() and shadows[present].flatten(1).any(1).float().mean() > 0.8
    assert torch.equal(with_shadows(p.masks, shadows).sum(1), torch.ones_like(p.masks[:, 0], dtype=torch.long))
    gone = attributes.clone()
    gone[:] = torch.nan
    plain = data.render(gone, factors).images
    left = (p.images / plain).mean(1)
    floor = p.masks[:, 0]
    dark, light = left[shadows.any(1)], left[floor & ~shadows.any(1)]
    whole = 0.99 if data.smooth == 1 else 0.9  # with several rays, pixels along borders are partly dark
    assert dark.quantile(0.9) < 0.9 and ((light - 1).abs() < 1e-3).float().mean() > whole


def test_masks_and_shadows_that_do_not_fit_are_refused():
    data = Scenes(2)
    attributes, factors = data.sample(1, Generator().manual_seed(0))
    masks, shadows = data.render(attributes, factors).masks, data.shadows(attributes, factors)
    joined = with_shadows(masks, shadows)
    assert torch.equal(joined[:, 1:], masks[:, 1:] | shadows)
    with pytest.raises(ValueError, match="one for each object"):
        with_shadows(masks, shadows[:, :1])
    with pytest.raises(ValueError, match="one shadow at most"):
        with_shadows(masks, masks[:, 1:])
    assert isinstance(data, CastsShadows) and not isinstance(Tetrominoes(), CastsShadows)


def test_a_higher_light_shortens_shadows():
    sizes = [shadow(changed("light z", z))[0].sum().item() for z in (3.5, 5.0, 8.0)]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_a_pawns_head_shades_its_own_skirt():
    factors = USUAL.clone()
    factors[1:4] = torch.tensor([-1.0, 0.4, 9.0])
    data = Scenes(1, variant="toy", side=128)
    pawn = torch.tensor([[BALL]])
    shaded = data.render(pawn, factors[None])
    data.solids = [SOLIDS["pawn"]._replace(convex=True), *data.solids[1:]]
    bright = data.render(pawn, factors[None])
    changed_pixels = (shaded.images < bright.images - 0.05).any(1)
    assert changed_pixels.sum() > 20 and shaded.masks[:, 1][changed_pixels].all()
    assert (shaded.images <= bright.images + 1e-6).all()


def test_every_pixel_brightens_with_the_lights_intensity():
    levels = [scene(BALL, (1, 2, 0, 1, 1.5, -0.5, 0.3), factors=changed("light intensity", i)).images
              for i in (0.0, 0.4, 0.8, 1.2)]  # fmt: skip
    assert all((b >= a - 1e-6).all() and b.mean() > a.mean() + 0.02 for a, b in pairwise(levels))


@pytest.mark.parametrize("name", FACTORS)
def test_light_changes_pixels_alone_and_the_camera_moves_everything(name):
    data, low, high = Scenes(variant="still"), *(
        Scenes(variant="still").levels[FACTORS.index(name)][[1, -2]].tolist()
    )  # fmt: skip
    a, b = (data.from_factors(changed(name, value)[None]) for value in (low, high))
    assert (a.images - b.images).abs().mean() > 0.005
    assert torch.equal(a.attributes, b.attributes) and torch.equal(a.factors[0], changed(name, low))
    same = (a.masks == b.masks).flatten(2).all(2)[0]
    assert not same.any() if name.startswith("camera") else same.all()


def test_a_camera_further_right_sees_near_things_further_left():
    left, right = (scene(BALL, (0, 2, 1, 0, 0.0, -1.9, 0.0), factors=changed("camera x", x)) for x in (-1.0, 1.0))
    columns = torch.arange(64.0)
    near = [(p.masks[0, 2].sum(0).float() @ columns / p.masks[0, 2].sum()).item() for p in (left, right)]
    assert near[1] < near[0] - 3
    sizes = [scene(BALL, factors=changed("camera y", y)).masks[0, 1].sum() for y in (-7.0, -10.0)]
    assert sizes[0] > 1.5 * sizes[1]


def test_the_grid_of_factors_has_the_size_of_falcor3d():
    data = Scenes(variant="still", side=32)
    assert math.prod(map(len, data.levels)) == 233_280
    p = data.draw(30, Generator().manual_seed(0))
    for i, values in enumerate(data.levels):
        assert torch.isin(p.factors[:, i], values).all() and len(p.factors[:, i].unique()) > 3
    assert torch.equal(p.attributes, p.attributes[:1].expand_as(p.attributes))
    q = data.from_factors(grid(data.levels, torch.tensor([0, 233_279])))
    assert torch.equal(q.factors, torch.stack([torch.stack([v[i] for v in data.levels]) for i in (0, -1)]))


def attribute(i, value, **settings):
    thing = [1, 1, 1, 0, 0.2, 0.1, 0.3]
    thing[i] = value
    return scene(tuple(thing), **settings)


def test_every_attribute_changes_what_it_names():
    rest = attribute(0, 1)
    for i, value in ((0, 0), (0, 2), (2, 0), (4, 0.8), (5, -0.6), (6, 0.9)):
        other = attribute(i, value)
        assert (other.masks != rest.masks).sum() > 8, i
    for i, value in ((1, 3), (3, 1)):
        other = attribute(i, value)
        assert torch.equal(other.masks, rest.masks) and (other.images - rest.images).abs().max() > 0.05
    assert attribute(2, 0).masks[0, 1].sum() < 0.6 * rest.masks[0, 1].sum()
    ball = [scene((0, 1, 1, 0, 0.2, 0.1, angle)).images for angle in (0.0, 1.0)]
    torch.testing.assert_close(*ball, rtol=0, atol=2e-3)


@pytest.mark.parametrize("variant", ["clevr", "toy", "lighting"])
def test_matte_objects_have_their_colour(variant):
    data = Scenes(5, variant=variant)
    attributes, factors = data.sample(20, Generator().manual_seed(0))
    attributes[..., 3] = 0
    p = data.render(attributes, factors)
    for colour in range(1, len(COLOURS)):
        for n, k in (attributes[..., 1] == colour).nonzero().tolist():
            mean = p.images[n, :, p.masks[n, 1 + k]].mean(1)
            own = torch.nn.functional.cosine_similarity(mean[None], COLOURS, dim=1)
            assert own.argmax() == colour


def test_objects_stand_apart_and_all_kinds_are_drawn():
    data = Scenes((1, 8))
    attributes, factors = data.sample(200, Generator().manual_seed(0))
    present = ~attributes.isnan().any(2)
    assert sorted(set(present.sum(1).tolist())) == list(range(1, 9))
    foot = torch.tensor([s.foot for s in data.solids])[attributes[..., 0].nan_to_num(0).long()]
    foot = foot * SIZES[attributes[..., 2].nan_to_num(0).long()]
    distance = torch.cdist(attributes[..., 4:6].nan_to_num(0), attributes[..., 4:6].nan_to_num(0))
    pairs = present[:, :, None] & present[:, None] & ~torch.eye(8, dtype=torch.bool)
    assert (distance > foot[:, :, None] + foot[:, None])[pairs].all()
    for i, count in enumerate((3, 8, 2, 2)):
        assert sorted(set(attributes[..., i][present].tolist())) == list(range(count))
    low, high = (torch.tensor(v) for v in VARIANTS["clevr"][1:])
    assert (factors >= low).all() and (factors <= high).all()


def test_lighting_varies_the_light_and_toy_the_solids():
    spread = {v: Scenes(variant=v).sample(200, Generator().manual_seed(0))[1].std(0) for v in ("clevr", "lighting")}
    assert (spread["lighting"][:4] > 2 * spread["clevr"][:4]).all()
    torch.testing.assert_close(spread["lighting"][4:], spread["clevr"][4:])
    plain, toy = (Scenes(variant=v).draw(4, Generator().manual_seed(0)) for v in ("clevr", "toy"))
    assert not torch.equal(plain.masks, toy.masks)


def test_several_rays_per_pixel_smooth_edges_and_keep_the_masks():
    data, fine = Scenes(), Scenes(smooth=2)
    attributes, factors = data.sample(4, Generator().manual_seed(0))
    a, b = data.render(attributes, factors), fine.render(attributes, factors)
    assert 0 < (a.masks != b.masks).sum() < 0.02 * a.masks[:, 0].numel()
    assert (a.images - b.images).abs().mean() < 0.01


@pytest.mark.parametrize(
    "settings, message",
    [({"objects": 9}, "1 .. 8"), ({"side": 8}, "side: expected 16 .. 512"), ({"smooth": 3}, "smooth"),
     ({"variant": "clever"}, "one of clevr, toy, lighting, still, got 'clever'"),
     ({"variant": "still", "objects": 4}, "expected 3 with variant 'still'"), ({"objects": 0}, "got 0")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Scenes(**settings)


@pytest.mark.parametrize(
    "factors, message",
    [(changed("light intensity", -1.0), "intensity >= 0"), (changed("light z", 0.0), "light z"),
     (changed("camera x", math.nan), "finite"), (torch.tensor([1.0, 0, 0, 5, 0, 0.4, 5]), "straight above"),
     (torch.zeros(6), r"factors \(n, 7\)|factors \(1, 7\)")],
)  # fmt: skip
def test_what_cannot_be_rendered_is_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        scene(BALL, factors=factors)
    with pytest.raises(ValueError, match=r"colour 0 .. 7, got 8"):
        scene((0, 8, 0, 0, 0, 0, 0))


def test_without_mujoco_the_error_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'ergosum\[scenes\]'"):
        MujocoScenes(Scenes())
    with pytest.raises(ValueError, match="got 'toy'"):
        MujocoScenes(Scenes(variant="toy"))


def test_without_opengl_the_error_says_what_to_set(monkeypatch):
    def broken(name):
        raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(RuntimeError, match="Set MUJOCO_GL to egl or osmesa"):
        MujocoScenes(Scenes())


def test_mujoco_sees_the_same_scenes():
    pytest.importorskip("mujoco")
    data = Scenes(side=128)
    try:
        other = MujocoScenes(data)
    except RuntimeError as error:
        pytest.skip(str(error))
    p, q = (d.draw(4, Generator().manual_seed(0)) for d in (data, other))
    assert torch.equal(p.factors, q.factors) and (q.masks.sum(1) == 1).all()
    shared, either = (p.masks & q.masks).sum((2, 3)), (p.masks | q.masks).sum((2, 3))
    agreement = (shared / either)[either > 0]
    assert agreement.min() > 0.75 and agreement.mean() > 0.94
    fixed = other.from_factors(USUAL[None])
    assert fixed.images.mean() > 0.1 and fixed.masks[0, 1:4].flatten(1).any(1).all()


def test_mujoco_s_shadows_are_the_ray_caster_s():
    """Where its images are darker than without shadows is where the ray caster says that the light is blocked."""
    pytest.importorskip("mujoco")
    data = Scenes(side=128)
    try:
        other = MujocoScenes(data)
    except RuntimeError as error:
        pytest.skip(str(error))
    attributes, factors = data.sample(4, Generator().manual_seed(0))
    p, shadows = other.render(attributes, factors), other.shadows(attributes, factors).any(1)
    bright = other.render(attributes, factors, shadows=False).images
    assert torch.equal(other.render(attributes, factors).images, p.images), "shadows are back"
    dark = ((bright - p.images).mean(1) > 0.05) & p.masks[:, 0]
    shadows &= p.masks[:, 0]
    assert (dark & shadows).sum() / (dark | shadows).sum() > 0.9
