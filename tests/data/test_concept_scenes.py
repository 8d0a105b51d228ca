"""Solids whose shape, colour, size and place are told: what is held out, and what the reader sees."""

import pytest
import torch

from ergosum.data import ConceptScenes
from ergosum.data.concept_scenes import _Renderer
from ergosum.data.concept_solids import MIDDLE, points, rendered
from ergosum.data.scene_reader import scene_reader
from ergosum.data.scenes import FIELD, Scenes, camera_axes


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def sampled(n=4000, **settings):
    """Values of random solids (n, 5), without their images."""
    data = ConceptScenes(**settings)
    values, _ = _Renderer(data).sample(n, rng())
    return data, values.flatten(0, 1)[~values.flatten(0, 1).isnan().any(1)]


def pairs(values, *columns):
    return {tuple(row) for row in values[:, list(columns)].long().tolist()}


@pytest.mark.parametrize("objects", [1, (1, 3)])
def test_what_is_held_out_is_never_in_training_and_every_value_is(objects):
    data, values = sampled(objects=objects, hold="both")
    assert not data.held_out(values).any()
    assert len(pairs(values, 0, 1)) == 18
    for shape in range(3):
        assert len({c for s, c in pairs(values, 0, 1) if s == shape}) == 6
    for column, count in enumerate((3, 8, 3)):
        assert values[:, column].unique().tolist() == list(range(count))
    quarter = (values[:, 3] >= 0.5) + 2 * (values[:, 4] >= 0.5).long()
    for colour in range(8):
        seen = set(quarter[values[:, 1] == colour].tolist())
        assert seen == set(range(4)) - ({colour} if colour < 4 else set())


def test_the_test_part_shows_everything():
    data, values = sampled(hold="both", split="test")
    assert len(pairs(values, 0, 1)) == 24
    pair, place = data.held_out_pair(values), data.held_out_place(values)
    assert abs(pair.float().mean() - 6 / 24) < 5 * (0.25 * 0.75 / len(values)) ** 0.5
    assert torch.equal(data.held_out(values), pair | place) and (place & ~pair).any() and (pair & ~place).any()
    assert torch.equal(ConceptScenes(hold="pairs").held_out(values), pair)
    assert torch.equal(ConceptScenes(hold="places").held_out(values), place)
    assert not ConceptScenes().held_out(values).any()
    untold = torch.full((1, 5), torch.nan)
    assert not data.held_out(untold).any()


def test_the_test_part_has_no_more_than_is_needed():
    sizes = [len(ConceptScenes(count=n, split="test")) for n in (None, 60_000, 6_000, 400)]
    assert sizes == [4_000, 6_000, 6_000, 400]
    assert [len(ConceptScenes(count=n)) for n in (None, 60_000)] == [20_000, 60_000]


def test_only_fixes_values():
    _, values = sampled(100, objects=(1, 4), only={"colour": "purple", "shape": "cube"})
    assert (values[:, 0] == 1).all() and (values[:, 1] == 5).all() and len(values[:, 2].unique()) == 3


def test_a_point_is_seen_where_it_was_asked_for():
    place, camera = torch.rand(5, 4, 2, generator=rng()), torch.tensor(MIDDLE["usual"])[4:].expand(5, -1)
    point = points(place, camera, torch.full((5, 4), 0.5))
    right, up, ahead = (axis[:, None] for axis in camera_axes(camera))
    away = point - camera[:, None]
    seen = torch.stack([(away * right).sum(2), -(away * up).sum(2)], 2) / (away * ahead).sum(2, keepdim=True) / FIELD
    torch.testing.assert_close((seen + 1) / 2, place, rtol=0, atol=1e-5)
    torch.testing.assert_close(point[..., 2], torch.full((5, 4), 0.5), rtol=0, atol=1e-5)


def test_a_sphere_is_where_its_place_says_and_as_large_as_its_size():
    values = torch.tensor([[[0, 1, size, 0.3, 0.6]] for size in range(3)])
    factors = torch.tensor(MIDDLE["usual"]).expand(3, -1)
    masks = rendered(Scenes(1, 64), values, torch.zeros(3, 1), factors).masks[:, 1]
    areas = masks.flatten(1).sum(1)
    at = (torch.arange(64) + 0.5) / 64
    for axis, place in ((1, 0.3), (2, 0.6)):
        middle = (masks.sum(axis) * at).sum(1) / areas
        assert (middle - place).abs().max() < 1 / 64
    assert areas[0] < areas[1] < areas[2]


def test_the_same_seed_gives_the_same_set_and_parts_differ():
    data = [ConceptScenes((1, 2), count=64, **more) for more in ({}, {}, {"seed": 1}, {"split": "test"})]
    digests = [d.digest() for d in data]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    drawn = [d.attributed(16, rng()) for d in data[:2]]
    assert torch.equal(drawn[0].images, drawn[1].images) and torch.equal(drawn[0].values, drawn[1].values)
    assert drawn[0].images.shape == (16, 3, 32, 32) and not drawn[0].values.isnan().any()
    images, objects = data[0].objects(16, rng())
    assert torch.equal(images, drawn[0].images) and objects.shape == (16, 2, 5)
    assert (objects == drawn[0].values[:, None]).all(2).any(1).all()


def blurred(images, sigma=0.5):
    kernel = torch.exp(-(torch.arange(-2, 3.0) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 5)
    x = torch.nn.functional.pad(images, [2] * 4, mode="replicate").flatten(0, 1)[:, None]
    x = torch.nn.functional.conv2d(torch.nn.functional.conv2d(x, kernel), kernel.transpose(2, 3))
    return x.view_as(images)


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("variant", ["usual", "other"])
def test_the_reader_sees_what_is_there(variant, side):
    n = 64 if side == 64 else 256
    data = ConceptScenes(side=side, variant=variant, count=n, split="test")
    images, values = (x[:, 0] if x.ndim == 3 else x for x in data.at(torch.arange(n)))
    noise = 0.02 * torch.randn(images.shape, generator=rng())
    for seen in (images, (blurred(images) + noise).clamp(0, 1)):
        read = data.read(seen)
        right = (read[:, :3] == values[:, :3]).float().mean(0)
        assert (right >= torch.tensor([0.97, 0.99, 0.99])).all(), right
        assert ((read[:, 3:] - values[:, 3:]).abs().amax(1) < 1 / 32).float().mean() >= 0.99


def test_the_reader_notices_what_is_wrong():
    data = ConceptScenes(count=64, split="test")
    images, objects = data.at(torch.arange(24))
    values = objects[:, 0]
    read = data.read(images)
    assert (read[:, 1] == values[:, 1]).all() and (read[:, 3:] - values[:, 3:]).abs().max() < 1 / 32
    moved = data.read(images.roll((-2, 3), (2, 3)))
    assert (moved[:, 3:] - read[:, 3:] - torch.tensor([3 / 32, -2 / 32])).abs().max() < 1 / 32
    red = values[:, 1] == 1
    assert red.any() and (data.read(images.flip(1))[red, 1] == 2).all()
    empty = scene_reader("usual")._empty
    assert data.read(empty).isnan().all() and data.count(torch.cat([empty, images[:2]])).tolist() == [0, 1, 1]
    assert data.read(images[:0]).shape == (0, 5)
    assert scene_reader("usual") is scene_reader("usual")


@pytest.mark.slow
def test_several_solids_are_counted():
    for objects, least in ((2, 0.9), (4, 0.8)):
        data = ConceptScenes(objects, count=32, split="test")
        images, values = data.at(torch.arange(32))
        found = data.found(images)
        counts = torch.tensor([len(solids) for solids in found])
        assert (counts == objects).float().mean() >= least
        near = [(v[:, None, 3:] - f[None, :, 3:]).norm(dim=2).min(1).values for v, f in zip(values, found, strict=True)]
        assert (torch.cat(near) < 2 / 32).float().mean() >= 0.95


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"objects": 9}, "objects: expected"), ({"side": 48}, "side: expected 32"), ({"hold": "all"}, "hold: expected"),
     ({"count": 0}, "count: expected"), ({"variant": "toy"}, "variant: expected"), ({"split": "both"}, "split: exp"),
     ({"only": {"place": "left"}}, "only: expected attributes"), ({"only": {"colour": "pink"}}, "only: colour: exp"),
     ({"hold": "pairs", "only": {"shape": "cylinder", "colour": "purple"}}, "only: expected a shape and a colour")],
)  # fmt: skip
def test_a_wrong_setting_is_named(settings, told):
    with pytest.raises(ValueError, match=told) as error:
        ConceptScenes(**settings)
    assert "\n" not in str(error.value)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"images: expected \(n, 3, side, side\)"):
        ConceptScenes().read(torch.zeros(2, 3, 30, 30))
