"""What is particular to moving shapes: edges, places, speeds, and that several never touch."""

import math

import pytest
import torch
from torch import Generator

from ergosum.data.moving_shapes import FACTORS, UNITS, MovingShapes
from ergosum.data.shapes import KINDS


def rng(seed=0):
    return Generator().manual_seed(seed)


def path(drawn):
    """Factors of object k in every frame: (n, time, objects, 4)."""
    return drawn.attributes[..., 1:5]


@pytest.mark.parametrize("objects", [1, 2])
def test_speeds_are_the_change_of_the_attributes_in_units(objects):
    drawn = MovingShapes(canvas=16, objects=objects, mode="sparse").object_clips(40, 4, rng())
    factors = path(drawn)
    steps = factors.diff(dim=1)
    steps[..., 1] = (steps[..., 1] + math.pi).remainder(2 * math.pi) - math.pi
    steps = steps / UNITS
    steps[..., 0] = 10 * (factors[:, 1:, :, 0] / factors[:, :-1, :, 0]).log()
    torch.testing.assert_close(drawn.speeds.unflatten(2, (objects, 4)), steps, rtol=0, atol=1e-4)
    low, high = (0.55, 1.0) if objects == 1 else (0.4, 0.7)
    assert low - 1e-5 <= factors[..., 0].min() and factors[..., 0].max() <= high + 1e-5


def test_half_of_the_moves_are_whole_and_signs_are_even():
    data = MovingShapes(canvas=12, factors=("x", "y"))
    speeds = data.clips(600, 1, rng()).speeds[:, 0]
    moved = speeds[speeds != 0]
    assert len(moved) == 600 and data.factors == ("x", "y")
    for share in ((moved.abs() - 1).abs() < 1e-4, moved > 0, speeds[:, 0] != 0):
        assert abs(share.float().mean().item() - 0.5) < 4 * 0.5 / 600**0.5


def test_single_moves_one_factor_of_each_shape_and_names_go_shape_by_shape():
    data = MovingShapes(canvas=16, objects=2)
    assert data.factors == tuple(f"{name} {k}" for k in (1, 2) for name in FACTORS)
    moving = (data.clips(60, 3, rng()).speeds != 0).any(1).unflatten(1, (2, 4))
    assert (moving.sum(2) == 1).all() and (moving[:, 0] != moving[:, 1]).any(), "drawn apart"


def test_factors_that_may_not_change_differ_between_clips():
    drawn = MovingShapes(canvas=12, factors=("turn",), kinds=("heart", "square")).object_clips(50, 3, rng())
    still = drawn.attributes[..., 0, [0, 1, 3, 4]]
    assert torch.equal(still, still[:, :1].expand_as(still)) and still[:, 0].std(0).min() > 0.1
    assert set(still[:, 0, 0].tolist()) == {KINDS.index("square"), KINDS.index("heart")}


def test_edges_are_smooth_and_a_step_of_a_tenth_of_a_pixel_is_seen():
    data = MovingShapes(canvas=28)
    shape = torch.tensor([[1.0, 0.8, 0.3, 0.5, 0.5]] * 2)[:, None]
    shape[1, 0, 3] += 0.1 / (31 / 64 * 28)
    frames, masks = data._render(shape, torch.zeros(2, 0))
    assert len(frames[0].unique()) > 8 and (frames[1] - frames[0]).abs().max() > 0.05
    torch.testing.assert_close(frames[0].mean(), torch.tensor(math.pi * 15.3 * 8.3 * 0.64 / 64**2), rtol=0.02, atol=0)
    moment = (frames[:, 0] * torch.arange(28.0)).sum((1, 2)) / frames[:, 0].sum((1, 2))
    assert moment[1] - moment[0] == pytest.approx(0.1, abs=0.05)
    assert torch.equal(masks[:, 1], frames[:, 0] > 0.5)


@pytest.mark.parametrize("objects", [2, 3])
def test_several_shapes_are_whole_and_never_touch(objects):
    data = MovingShapes(canvas=32, objects=objects, colour=True, mode="sparse")
    drawn = data.object_clips(40, 6, rng(1))
    alone = [data._shapes.cover(drawn.attributes.flatten(0, 1)[:, [k] * objects])[:, 0] for k in range(objects)]
    together = torch.stack(alone).sum(0)
    assert together.max() == 1, "nothing is covered twice"
    edge = torch.cat([together[:, [0, -1]].flatten(), together[:, :, [0, -1]].flatten()])
    assert not edge.any()
    assert (drawn.masks.sum(2) == 1).all()
    for k in range(objects):
        seen = drawn.masks[:, :, 1 + k]
        colour = drawn.attributes[:, :, k, 5:]
        inside = (drawn.frames - colour[..., None, None]).abs().amax(2)[seen]
        assert seen.flatten(2).any(2).all() and (inside < 1e-5).float().mean() > 0.5


def test_long_clips_shorten_their_moves_and_still_find_room():
    data = MovingShapes(canvas=12, objects=2, mode="sparse")
    drawn = data.object_clips(12, 40, rng())
    assert drawn.frames.shape[1] == 41 and drawn.speeds[..., [2, 3, 6, 7]].abs().max() <= 1.3 / 40 / 0.1 + 1e-4
    assert drawn.speeds[..., [1, 5]].abs().max() > 0.9, "a turn never ends"


def test_clips_and_clips_with_objects_are_the_same_clips():
    data = MovingShapes(canvas=16, objects=2, colour=True)
    plain, full = data.clips(5, 3, rng(2)), data.object_clips(5, 3, rng(2))
    assert torch.equal(plain.frames, full.frames) and torch.equal(plain.speeds, full.speeds)
