"""What every way of moving factors obeys."""

import itertools
import math

import pytest
import torch

from ergosum.data.contract import check_clips, columns_of
from ergosum.data.render import render
from ergosum.data.sequences import LEVELS, ORIGIN, REST, SPACING, DigitSequences

MODES = ("lockstep", "single", "sparse", "laplace")
N = 200
CHOICES = list(itertools.product(MODES, ("fixed", "random"), ("forward", "both"), (True, False)))


def data(**settings):
    return DigitSequences(source="digits", split="test", **settings)


def pairs(seed=0, n=N, **settings):
    return data(**settings).pairs(n, torch.Generator().manual_seed(seed))


def near(value, whole):
    return ((value - whole) / 1e-3).abs().max() < 1


@pytest.mark.parametrize("mode, start, signs, continuous", CHOICES)
def test_the_factors_given_are_the_ones_drawn_and_stay_in_range(mode, start, signs, continuous):
    p = pairs(mode=mode, start=start, signs=signs, continuous=continuous, scale_min=0.3, scale_max=1.5, lag=2)
    assert torch.equal(render(p.digits, p.before), p.start)
    assert torch.equal(render(p.digits, p.after), p.target)
    torch.testing.assert_close(p.after - p.before, p.moves * SPACING, rtol=0, atol=1e-4)
    for factors in (p.before, p.after):
        assert 0.3 - 1e-4 <= factors[:, 2].min() and factors[:, 2].max() <= 1.5 + 1e-4
    if not continuous:
        low, high = torch.tensor([0.0, -180.0]) - 1e-3, torch.tensor([6.0, 160.0]) + 1e-3
        assert ((p.before[:, :2] >= low) & (p.after[:, :2] <= high)).all()
    if signs == "forward":
        assert p.moves.min() >= 0
    else:
        assert p.moves.min() < 0 < p.moves.max() or mode == "lockstep"


@pytest.mark.parametrize("mode", MODES)
def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone(mode):
    before = torch.random.get_rng_state()
    a, b, c = (pairs(seed, 4, mode=mode) for seed in (3, 3, 4))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) and not torch.equal(a.start, c.start)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("continuous", [True, False])
def test_how_many_factors_move(continuous):
    moving = {m: (pairs(mode=m, continuous=continuous).moves != 0).sum(1) for m in MODES}
    assert (moving["single"] == 1).all()
    assert (moving["lockstep"] == 3).all()
    assert moving["sparse"].min() == 1 and moving["sparse"].max() == 3
    assert moving["laplace"].min() == 0 and moving["laplace"].max() >= 2


def test_laplace_moves_are_zero_half_of_the_time_and_of_unit_deviation_over_sqrt_two_otherwise():
    moves = data(mode="laplace").draw_moves(20_000, torch.Generator().manual_seed(0))
    n = moves.numel()
    assert abs((moves == 0).float().mean().item() - 0.5) < 4 * 0.5 / n**0.5
    size = moves[moves != 0].abs().mean().item()  # exponential of mean 1/2, whose standard error is mean / sqrt(n)
    assert abs(size - 0.5) < 4 * 0.5 / (n / 2) ** 0.5


@pytest.mark.parametrize("mode", MODES)
def test_factors_that_are_not_active_stay_at_rest(mode):
    p = pairs(mode=mode, factors=("angle",))
    assert (p.moves[:, [0, 2]] == 0).all() and p.moves[:, 1].abs().max() > 0
    assert torch.equal(p.before[:, [0, 2]], REST[[0, 2]].expand(N, 2))


def test_nuisance_factors_differ_between_sequences_and_are_frozen_within():
    made = data(factors=("angle",), nuisance=("colour", "scale")).sequences(30, 4, torch.Generator().manual_seed(0))
    frozen = made.factors[:, :, [0, 2]]
    assert torch.equal(frozen, frozen[:, :1].expand_as(frozen))
    assert frozen[:, 0].std(0).min() > 0.1 and made.factors[:, :, 1].std(1).min() > 1


def test_whole_moves_lie_on_the_grid_of_levels_and_a_lag_multiplies_them():
    for lag in (1, 3):
        p = pairs(continuous=False, lag=lag)
        assert near(p.moves.abs().sum(1), lag)
        levels = (p.before - ORIGIN) / SPACING
        assert near(levels[:, :2], levels[:, :2].round())
    assert pairs(continuous=True).moves.abs().sum(1).std() > 0.1


def test_starts_on_the_grid_reach_every_level_that_leaves_room():
    p = pairs(n=2000, factors=("scale",), continuous=False, signs="forward", scale_min=0.1)
    levels = ((p.before[:, 2] - ORIGIN[2]) / SPACING[2]).round().long()
    assert sorted(set(levels.tolist())) == list(range(LEVELS - 1))


def test_a_fixed_start_is_the_first_level_and_lockstep_visits_all_eighteen():
    settings = {"mode": "lockstep", "start": "fixed", "signs": "forward", "continuous": False, "scale_min": 0.1}
    made = data(**settings).sequences(5, LEVELS - 1, torch.Generator().manual_seed(0))
    expected = ORIGIN + SPACING * torch.arange(LEVELS)[:, None]
    torch.testing.assert_close(made.factors, expected.expand(5, -1, -1))
    p = pairs(n=1000, **settings, lag=2)
    levels = ((p.before - ORIGIN) / SPACING).round().long()
    assert torch.equal(levels[:, 0], levels[:, 2]) and sorted(set(levels[:, 1].tolist())) == list(range(LEVELS - 2))


@pytest.mark.parametrize("mode", MODES)
def test_sequences_are_drawn_at_their_factors_and_scales_stay_in_range(mode):
    made = data(mode=mode, scale_min=0.4).sequences(20, 8, torch.Generator().manual_seed(0))
    assert made.frames.shape == (20, 9, 3, 28, 28) and made.factors.shape == (20, 9, 3)
    digits = made.digits.repeat_interleave(9, 0)
    assert torch.equal(render(digits, made.factors.flatten(0, 1)), made.frames.flatten(0, 1))
    assert 0.4 - 1e-4 <= made.factors[..., 2].min() and made.factors[..., 2].max() <= 1.8 + 1e-4
    steps = made.factors.diff(dim=1) / SPACING
    steady = (steps - steps[:, :1]).abs().max() < 1e-3
    assert steady == (mode != "laplace")


def test_moves_that_find_no_room_are_shortened_to_fit():
    start, moves = data(scale_min=0.4).draw_start(torch.tensor([[0.0, 0.0, 3.0]]), 12, torch.Generator())
    assert moves[0, 2].item() == pytest.approx(14 / 12, abs=1e-4)
    assert start[0, 2].item() == pytest.approx(0.4, abs=1e-4)


def test_the_held_out_split_has_other_digits_and_a_limit_keeps_the_first():
    train = DigitSequences(source="digits", limit=7)
    assert len(train) == 7 and len(data(limit=7)) == 400


@pytest.mark.parametrize("mode, signs, continuous, steady", list(itertools.product(
    MODES, ("forward", "both"), (True, False), (True, False))))  # fmt: skip
def test_clips_are_drawn_at_their_speeds_and_stay_in_range(mode, signs, continuous, steady):
    made = data(mode=mode, signs=signs, continuous=continuous, scale_min=0.5, scale_max=1.5)
    drawn = made.clips(30, 6, torch.Generator().manual_seed(0), steady=steady)
    assert drawn.frames.shape == (30, 7, 3, 28, 28) and drawn.speeds.shape == (30, 6, 3)
    moving = (drawn.speeds != 0).any(1).sum(1)
    if steady:
        assert (drawn.speeds[..., :2] == drawn.speeds[:, :1, :2]).all()
        assert moving.max() == {"lockstep": 3, "single": 1, "sparse": 3}.get(mode, moving.max())
    elif mode != "lockstep":
        assert (drawn.speeds != drawn.speeds[:, :1]).any(), "drawn anew in every step"
    if signs == "forward":
        assert drawn.speeds.min() >= 0
    if not continuous:
        assert near(drawn.speeds[..., :2], drawn.speeds[..., :2].round())
    assert drawn.speeds.isfinite().all() and (drawn.speeds[..., 2].cumsum(1).abs() <= 10 * math.log(3) + 1e-3).all()


@pytest.mark.parametrize("steady", [True, False])
def test_the_speeds_of_a_clip_lead_from_each_frame_to_the_next(steady, monkeypatch):
    made, seen = data(mode="sparse", scale_min=0.5), []
    follow = made.follow
    monkeypatch.setattr(made, "follow", lambda digits, factors: seen.append(factors) or follow(digits, factors))
    drawn = made.clips(20, 5, torch.Generator().manual_seed(3), steady=steady)
    steps = seen[0].diff(dim=1) / SPACING
    torch.testing.assert_close(drawn.speeds[..., :2], steps[..., :2], rtol=0, atol=1e-4)
    ratio = (0.1 * drawn.speeds[..., 2]).exp()
    torch.testing.assert_close(ratio * seen[0][:, :-1, 2], seen[0][:, 1:, 2])
    assert seen[0][..., 2].min() >= 0.5 - 1e-4 and seen[0][..., 2].max() <= 1.8 + 1e-4
    assert steps.abs().max() <= 1 + 1e-3 and (drawn.frames.diff(dim=1).abs().amax((2, 3, 4)) > 0.01).all()


def test_clips_of_whole_moves_at_one_speed_are_sequences_of_the_same_generator():
    made = data(continuous=False)
    clips, whole = (f(8, 5, torch.Generator().manual_seed(2)) for f in (made.clips, made.sequences))
    assert torch.equal(clips.frames, whole.frames)
    check_clips(made, 28)
    assert columns_of(data(factors=("angle",))) == ("colour", "angle", "scale")
    for n, steps in ((0, 4), (3, 0)):
        with pytest.raises(ValueError, match="expected an integer >= 1, got 0"):
            made.clips(n, steps, torch.Generator())
