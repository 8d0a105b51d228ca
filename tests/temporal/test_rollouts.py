"""Persistent roll-outs: the digit and its true factors go on, whatever the model drew."""

import pytest
import torch

from ergosum.data.render import render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.temporal.rollouts import RollOuts

MARK = 0.123


@pytest.fixture
def store():
    return RollOuts(DigitSequences(source="digits", lag=2, split="test"), 0.9, size=8)


def turn(store, rng):
    """One update: draw, predict a frame of constant grey, keep it."""
    pairs = store.draw(8, rng)
    store.keep(pairs, torch.full_like(pairs.start, MARK))
    return pairs


def continued(pairs):
    return (pairs.start == MARK).flatten(1).all(1)


def test_without_probability_every_pair_is_fresh_and_nothing_is_stored(rng):
    data = DigitSequences(source="digits", split="test")
    store = RollOuts(data, 0.0)
    drawn, fresh = store.draw(5, rng), data.pairs(5, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(drawn, fresh, strict=True))
    store.keep(drawn, drawn.target)
    assert store.state() == {}


def test_the_first_draw_starts_from_true_frames(store, rng):
    pairs = store.draw(8, rng)
    torch.testing.assert_close(pairs.start, render(pairs.digits, pairs.before))


def test_a_stored_prediction_goes_on_with_its_digit_and_move_from_its_true_factors(store, rng):
    first = turn(store, rng)
    second = turn(store, rng)
    going = continued(second)
    assert going.sum() >= 3
    for i in going.nonzero()[:, 0]:
        same = [j for j in range(8) if torch.equal(first.digits[j], second.digits[i])
                and torch.allclose(first.after[j], second.before[i])]  # fmt: skip
        assert same and torch.equal(first.moves[same[0]], second.moves[i])
        assert first.labels[same[0]] == second.labels[i]


def test_targets_are_true_frames_one_move_on(store, rng):
    for _ in range(4):
        pairs = turn(store, rng)
        torch.testing.assert_close(pairs.after, pairs.before + SPACING * pairs.moves)
        torch.testing.assert_close(pairs.target, render(pairs.digits, pairs.after))
        fresh = ~continued(pairs)
        torch.testing.assert_close(pairs.start[fresh], render(pairs.digits, pairs.before)[fresh])


def test_roll_outs_never_leave_the_range_of_scales(store, rng):
    for _ in range(60):
        after = turn(store, rng).after[:, 2]
        assert after.min() >= 0.4 - 2e-4 and after.max() <= 1.8 + 2e-4


def test_about_the_stated_share_goes_on(rng):
    store = RollOuts(DigitSequences(source="digits", factors=("colour",), split="test"), 0.6, size=64)
    shares = []
    for _ in range(20):
        pairs = store.draw(64, rng)
        store.keep(pairs, torch.full_like(pairs.start, MARK))
        shares.append(continued(pairs).float().mean().item())
    late = sum(shares[1:]) / 19  # after the first turn the whole store holds predictions
    assert abs(late - 0.6) < 4 * (0.24 / (19 * 64)) ** 0.5


def test_a_resumed_store_draws_the_same_bits(store, rng):
    turn(store, rng)
    other = RollOuts(store.data, 0.9, size=8)
    other.load({k: v.clone() for k, v in store.state().items()})
    state = rng.get_state()
    one = turn(store, rng)
    rng.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(one, turn(other, rng), strict=True))


def test_a_batch_larger_than_the_store_is_served(rng):
    store = RollOuts(DigitSequences(source="digits", split="test"), 0.5, size=4)
    for _ in range(2):
        assert len(turn_of(store, 10, rng).start) == 10


def turn_of(store, n, rng):
    pairs = store.draw(n, rng)
    store.keep(pairs, pairs.target)
    return pairs
