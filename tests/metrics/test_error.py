"""Pixel errors in closed form."""

import pytest
import torch

from ergosum.metrics.equivariance import equivariance_error
from ergosum.metrics.error import mse, psnr, skill


def test_mean_squared_error_is_one_number_per_sample():
    predicted = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    assert mse(predicted, torch.zeros(2, 2)).tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(1, 2\)"):
        mse(predicted, torch.zeros(1, 2))


def test_psnr_of_a_hundredth_is_twenty_decibels_and_never_above_a_hundred():
    assert psnr(torch.tensor([0.01, 1.0, 0.0, 1e-12])).tolist() == pytest.approx([20.0, 0.0, 100.0, 100.0])


def test_skill_is_one_for_perfect_zero_for_copying_and_negative_below():
    assert [skill(e, 0.2) for e in (0.0, 0.05, 0.2, 0.4)] == pytest.approx([1.0, 0.75, 0.0, -1.0])
    with pytest.raises(ValueError, match="nothing changes"):
        skill(0.1, 0.0)


def test_equivariance_error_sums_absolute_differences_after_the_given_frame():
    true = torch.zeros(2, 3, 3, 4, 4)
    predicted = true.clone()
    predicted[:, 0] = 9.0
    predicted[1, 1:] = -0.5
    assert equivariance_error(predicted, true).tolist() == [0.0, 0.5 * 2 * 3 * 16]
    with pytest.raises(ValueError, match="equal shapes"):
        equivariance_error(predicted[:, :2], true)
