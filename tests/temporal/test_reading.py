"""Moves are read off pairs of frames by descent; where energies are exact groups, exactly."""

import pytest
import torch

from ergosum.temporal.control import Bank
from ergosum.temporal.film.explained import act_of
from ergosum.temporal.reading import blurred, descend_moves, read_moves, subsets
from temporal.movers import Groups, images

MOVES = torch.tensor([[0.5, 0.0, 0.0], [0.0, -0.8, 0.3], [0.0, 0.0, 0.0], [-0.4, 0.6, -0.5]])


@pytest.fixture
def act():
    return act_of(Bank([Groups()]))


def test_moves_of_exact_groups_are_read_exactly_and_no_other_acts(act):
    start = images(4)
    read = read_moves(act, start, act(start, MOVES), 3, price=0.01, steps=(6, 4))
    assert torch.equal(read.moves != 0, MOVES != 0)
    torch.testing.assert_close(read.moves, MOVES, atol=2e-3, rtol=0)
    assert (read.error < 1e-6).all()


def test_what_hidden_pixels_show_changes_nothing(act, rng):
    start = images(4)
    seen = (torch.rand(4, 1, 12, 12, generator=rng) > 0.3).float()
    target = act(start, MOVES)
    settings = {"seen": seen, "price": 0.01, "steps": (6, 4)}
    read = read_moves(act, start, target, 3, **settings)
    other = read_moves(
        act, start, torch.where(seen > 0, target, torch.rand(target.shape, generator=rng)), 3, **settings
    )
    assert torch.equal(read.moves != 0, MOVES != 0)
    torch.testing.assert_close(read.moves, MOVES, atol=2e-3, rtol=0)
    torch.testing.assert_close(other.moves, read.moves)


def test_noise_spreads_the_moves_as_the_curvature_says(act, rng):
    start, moves = images(1).expand(400, -1, -1, -1), MOVES[3:].expand(400, -1)
    noisy = act(start, moves) + 0.02 * torch.randn(400, 3, 12, 12, generator=rng)
    free = torch.ones_like(moves, dtype=torch.bool)
    read, curvature = descend_moves(act, start, noisy, moves, free, 3, blur=0.0)
    expected = (0.02**2 * torch.linalg.inv(curvature[0])).diagonal().sqrt()
    ratio = read.std(0) / expected
    assert (ratio - 1).abs().max() < 0.2  # a standard deviation of 400 draws is known to 3.5 %


def test_a_price_forbids_small_gains_and_a_bound_limits_the_set(act):
    start = images(4)
    target = act(start, MOVES)
    assert (read_moves(act, start, target, 3, price=1.0).moves == 0).all()
    assert ((read_moves(act, start, target, 3, price=0.01, most=1).moves != 0).sum(1) <= 1).all()


def test_a_blur_keeps_what_is_inside_and_its_power_is_known():
    spot = torch.zeros(1, 1, 15, 15)
    spot[..., 7, 7] = 1.0
    assert torch.equal(blurred(spot, 0.0), spot)
    torch.testing.assert_close(blurred(spot, 1.0).sum(), torch.tensor(1.0))
    torch.testing.assert_close(blurred(spot, 1.5).square().sum().item(), 1 / (4 * torch.pi * 1.5**2), rtol=0.02, atol=0)


def test_subsets_come_small_ones_first():
    assert list(subsets(3, 2)) == [[0], [1], [2], [0, 1], [0, 2], [1, 2]]
    assert len(list(subsets(4))) == 15
