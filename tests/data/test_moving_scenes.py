"""What is particular to moving scenes: where camera and light stand, and that no object is lost."""

import pytest
import torch
from torch import Generator

from ergosum.data.moving_scenes import FACTORS, UNITS, MovingScenes, placed
from ergosum.data.scenes import FIELD, Scenes, _project


def rng(seed=0):
    return Generator().manual_seed(seed)


@pytest.fixture
def seen(monkeypatch):
    """The factors that scenes are rendered with."""
    rendered, render = [], Scenes.render
    monkeypatch.setattr(Scenes, "render", lambda self, a, f: rendered.append((a, f)) or render(self, a, f))
    return rendered


def angles(vectors):
    """Azimuth and elevation [degrees] of vectors (..., 3), and their length."""
    x, y, z = vectors.unbind(-1)
    return torch.atan2(x, -y).rad2deg(), torch.atan2(z, torch.hypot(x, y)).rad2deg(), vectors.norm(dim=-1)


def test_camera_and_light_stand_where_the_angles_say_and_speeds_are_their_change(seen):
    data = MovingScenes(canvas=16, smooth=1, mode="sparse", factors=FACTORS)
    drawn = data.clips(40, 4, rng())
    factors = seen[0][1].unflatten(0, (40, 5))
    camera = angles(factors[..., 4:] - torch.tensor([0.0, 0.4, 0.4]))
    light = angles(factors[..., 1:4])
    torch.testing.assert_close(camera[2], torch.full((40, 5), 10.7))
    torch.testing.assert_close(light[2], torch.full((40, 5), 8.6))
    values = torch.stack([*camera[:2], *light[:2], factors[..., 0].log()], 2)
    steps = values.diff(dim=1)
    steps[..., 2] = (steps[..., 2] + 180).remainder(360) - 180
    torch.testing.assert_close(drawn.speeds, steps / UNITS, rtol=0, atol=1e-3)
    low, high = torch.tensor([-40, 20, -180, 35, -0.7]), torch.tensor([40, 45, 180, 75, 0.34])
    assert (values >= low - 1e-2).all() and (values <= high + 1e-2).all()


def test_an_azimuth_grows_counter_clockwise_from_the_front():
    factors = torch.tensor([[0.0, 0.0, 0.0, 45.0, 0.0], [90.0, 30.0, 90.0, 0.0, 0.0]])
    made = placed(factors)
    torch.testing.assert_close(made[0, 4:], torch.tensor([0.0, 0.4 - 10.7, 0.4]))
    assert made[1, 4] > 9 and made[1, 5] == pytest.approx(0.4, abs=1e-5) and made[1, 6] == pytest.approx(0.4 + 5.35)
    torch.testing.assert_close(made[1, 1:4], torch.tensor([8.6, 0.0, 0.0]), atol=1e-5, rtol=0)


def test_what_may_not_change_stands_still_or_differs_between_clips_if_it_is_a_nuisance(seen):
    data = MovingScenes(canvas=16, smooth=1, factors=("light azimuth",), nuisance=("camera azimuth",))
    data.clips(20, 3, rng())
    factors = seen[0][1].unflatten(0, (20, 4))
    camera = factors[..., 4:]
    assert torch.equal(camera, camera[:, :1].expand_as(camera)) and camera[:, 0, 0].std() > 1
    assert camera[..., 2].std() < 1e-4 and factors[..., 0].std() == 0 and factors[..., 3].std() < 1e-4


def test_the_middle_of_every_object_stays_in_the_frame_of_every_camera():
    data, n = MovingScenes(canvas=16, smooth=1), 300
    corners = torch.tensor([[a, e, 0, 54, 0] for a in (-40.0, 40.0) for e in (20.0, 45.0)])
    cameras = placed(corners)[:, 4:].expand(n, 4, 3)
    attributes = data._objects(cameras, rng())
    middle = torch.nn.functional.pad(attributes[..., 4:6], (0, 1), value=0.5)
    for camera in cameras.unbind(1):
        inside = _project(middle, camera)[0].abs().amax(2).nan_to_num(0)
        assert 0.8 * FIELD < inside.max() < FIELD


def test_objects_rest_and_differ_between_clips(seen):
    MovingScenes(canvas=16, smooth=1, factors=("camera azimuth",)).clips(5, 3, rng())
    still = seen[0][0].unflatten(0, (5, 4)).nan_to_num(9)
    assert torch.equal(still, still[:, :1].expand_as(still)) and (still[0] != still[1]).any()


def test_still_scenes_have_the_same_objects_in_every_clip(seen):
    data = MovingScenes(canvas=16, smooth=1, variant="still")
    drawn = data.object_clips(5, 2, rng())
    assert torch.equal(drawn.attributes, drawn.attributes[:1, :1].expand_as(drawn.attributes))
    assert drawn.masks.shape == (5, 3, 4, 16, 16) and (drawn.masks.sum(2) == 1).all()
    assert torch.equal(drawn.frames, data.clips(5, 2, rng()).frames)


def test_shadows_of_clips_are_those_of_the_same_clips():
    data = MovingScenes(64, smooth=1)
    clips = data.object_clips(2, 3, Generator().manual_seed(5))
    shadows = data.shadows(2, 3, Generator().manual_seed(5))
    assert shadows.shape == clips.masks[:, :, 1:].shape and (shadows.sum(2) <= clips.masks[:, :, 0]).all()
    dark, floor = shadows.any(2), clips.masks[:, :, 0]
    grey = clips.frames.mean(2)
    for k in range(2):
        for t in range(4):
            if dark[k, t].any():
                around = floor[k, t] & ~dark[k, t]
                assert grey[k, t][dark[k, t]].mean() < 0.8 * grey[k, t][around].mean()
    assert dark.flatten(2).any(2).float().mean() > 0.9
