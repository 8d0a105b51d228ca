"""What every dataset of clips obeys: one row in `clip_cases.py` puts a dataset before these laws."""

import numpy as np
import pytest
import torch
from clip_cases import CLIPS
from PIL import Image
from torch import Generator

from ergosum.data.contract import check_clips, columns_of
from ergosum.part import parameters
from ergosum.report.sheets import clips as sheet

N, STEPS = 10, 4


def rng(seed=0):
    return Generator().manual_seed(seed)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Thirty films of noise of nine frames, no two alike: folders, and animated images."""
    made = tmp_path_factory.mktemp("films")
    for k in range(30):
        frames = [Image.fromarray(x) for x in np.random.default_rng(k).integers(0, 256, (9, 12, 12, 3), dtype=np.uint8)]
        if k % 2:
            frames[0].save(made / f"{k}.png", save_all=True, append_images=frames[1:])
            continue
        (made / str(k)).mkdir()
        for t, frame in enumerate(frames):
            frame.save(made / str(k) / f"{t}.png")
    return made


@pytest.fixture(params=CLIPS)
def row(request):
    return CLIPS[request.param]


@pytest.fixture
def part(row, folder):
    return row.make(folder)


@pytest.fixture
def data(part):
    return part.build()


def test_clips_have_the_stated_shapes_and_frames_are_floats_in_range(data):
    check_clips(data, data.canvas)
    for steps in (1, STEPS):
        drawn = data.clips(N, steps, rng())
        assert drawn.frames.shape == (N, steps + 1, 3, data.canvas, data.canvas)
        assert drawn.frames.dtype == torch.float32 and 0 <= drawn.frames.min() and drawn.frames.max() <= 1
        assert drawn.speeds.shape == (N, steps, len(columns_of(data))) and drawn.speeds.dtype == torch.float32


def test_frames_change_where_and_only_where_a_factor_has_a_speed(data):
    drawn = data.clips(N, STEPS, rng())
    changed = drawn.frames.diff(dim=1).abs().amax((2, 3, 4)) > 0
    if columns_of(data):
        fast = (drawn.speeds.abs() > 0.5).any(2)
        assert fast.float().mean() > 0.3 and changed[fast].float().mean() > 0.95
        assert not changed[(drawn.speeds == 0).all(2)].any()
    else:
        assert changed.any(1).all()


def test_a_speed_is_the_same_in_the_whole_clip(data):
    speeds = data.clips(N, STEPS, rng()).speeds
    sizes = [k for k, name in enumerate(columns_of(data)) if name.startswith(("size", "scale"))]
    rest = [k for k in range(speeds.shape[2]) if k not in sizes]
    assert torch.equal(speeds[..., rest], speeds[:, :1, rest].expand_as(speeds[..., rest]))
    assert torch.equal(speeds[..., sizes].sign(), speeds[:, :1, sizes].sign().expand_as(speeds[..., sizes]))


def test_every_factor_moves_both_ways(data):
    speeds = data.clips(100, 2, rng()).speeds.flatten(0, 1)
    active = [k for k, name in enumerate(columns_of(data)) if name in data.factors]
    assert (speeds[:, active].amax(0) > 0.5).all() and (speeds[:, active].amin(0) < -0.5).all()
    assert speeds.abs().sum(0).nonzero().flatten().tolist() == active


def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone(part):
    before = torch.random.get_rng_state()
    a, b, c = (part.build().clips(N, STEPS, rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(a.frames, b.frames) and torch.equal(a.speeds, b.speeds) and not torch.equal(a.frames, c.frames)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_held_out_part_holds_no_frame_of_the_other(part):
    assert "split" in parameters(part.cls)
    train, test = (part.build(split=split).clips(40, 2, rng()).frames.flatten(0, 1) for split in ("train", "test"))
    train, test = ({x.numpy().tobytes() for x in frames if x.amax() > x.amin()} for frames in (train, test))
    assert len(train) > 20 and len(test) > 5 and not train & test


def test_what_cannot_be_drawn_is_refused(row, part, data):
    for n, steps in ((0, 3), (-1, 3), (2, 0)):
        with pytest.raises(ValueError, match=r"expected (n|an integer) >= 1"):
            data.clips(n, steps, rng())
    for wrong in row.wrong:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            part.but(**wrong).build()


def test_its_sheet_needs_nothing_of_its_own(part):
    drawn = np.asarray(sheet(part))
    assert min(drawn.shape[:2]) > 700 and not np.array_equal(drawn, np.asarray(sheet(part, seed=1)))
