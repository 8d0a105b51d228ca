"""Response, identity and sharpness in closed form."""

import math

import pytest
import torch
from torch.nn import functional as F

from ergosum.data.sequences import SPACING
from ergosum.metrics.identity import accuracy, identity_kept
from ergosum.metrics.response import diagonal_share, levels_moved
from ergosum.metrics.sharpness import gradient_energy, sharpness


def test_the_diagonal_share_of_identity_is_one_of_sameness_a_third_and_of_nothing_zero():
    assert diagonal_share(torch.eye(3)) == pytest.approx(1)
    assert diagonal_share(-2 * torch.eye(3)) == pytest.approx(1)
    assert diagonal_share(torch.ones(3, 3)) == pytest.approx(1 / 3)
    assert diagonal_share(torch.zeros(3, 3)) == diagonal_share(torch.eye(3).roll(1, 0)) == 0
    assert diagonal_share(torch.tensor([[3.0, 1.0], [0.0, 0.0]])) == pytest.approx(0.375)
    with pytest.raises(ValueError, match=r"expected a square matrix, got shape \(2, 3\)"):
        diagonal_share(torch.ones(2, 3))


def test_moves_are_counted_in_levels_the_short_way_round():
    before = torch.tensor([[6.2, 170.0, 1.0]])
    after = torch.tensor([[6.2 + 6 / 17 - 2 * math.pi, -170.0, 0.8]])
    assert levels_moved(before, after, SPACING)[0].tolist() == pytest.approx([1, 1, -2], abs=1e-4)


def test_identity_is_the_share_of_digits_still_recognised():
    labels = torch.tensor([0, 1, 2, 3])
    logits = F.one_hot(labels, 5).float()[:, :, None, None]
    half = F.one_hot(torch.tensor([0, 1, 4, 4]), 5).float()[:, :, None, None]
    itself = lambda x: x.flatten(1)  # noqa: E731
    assert accuracy(itself, half, labels) == 0.5
    assert identity_kept(itself, half, logits, labels) == 0.5
    assert identity_kept(itself, half, half, labels) == 1
    with pytest.raises(ValueError, match="recognises none"):
        identity_kept(itself, logits, logits.roll(1, 0), labels)


def test_gradient_energy_is_the_mean_squared_step_between_neighbours():
    board = (torch.arange(4)[:, None] + torch.arange(4)).remainder(2).float().expand(1, 3, 4, 4)
    stripes = torch.arange(4).remainder(2).float().expand(1, 3, 4, 4)
    assert gradient_energy(torch.cat([board, stripes, torch.ones_like(board)])).tolist() == [2, 1, 0]


def test_blur_costs_sharpness_and_a_blank_has_none(digits):
    images = digits.images.expand(-1, 3, -1, -1)
    blurred = F.avg_pool2d(images, 3, 1, 1)
    assert sharpness(images, images) == pytest.approx(1)
    assert 0 < sharpness(F.avg_pool2d(blurred, 3, 1, 1), images) < sharpness(blurred, images) < 0.9
    assert sharpness(torch.zeros_like(images), images) == 0
    assert sharpness(0.5 * images, images) == pytest.approx(0.25)
