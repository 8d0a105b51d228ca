"""Calibration error by hand, and of classifiers whose calibration is known."""

import pytest
import torch

from ergosum.metrics.calibration import ece, equal_mass, equal_width


def of_two(confidence):
    return torch.stack([confidence, 1 - confidence], 1)


def test_by_hand_with_bins_of_equal_mass_and_of_equal_width():
    told = of_two(torch.tensor([0.6, 0.7, 0.9, 1.0], dtype=torch.float64))
    labels = torch.tensor([0, 1, 0, 0])  # right, wrong, right, right
    assert ece(told, labels, 2) == pytest.approx((abs(1 - 1.3) + abs(2 - 1.9)) / 4)
    assert ece(told, labels, 10, equal_width) == pytest.approx((0.4 + 0.7 + 0.1 + 0.0) / 4)
    assert ece(told, labels, 1) == pytest.approx(abs(3 - 3.2) / 4)


def test_bins_of_equal_mass_hold_as_many_and_keep_equal_confidences_together():
    assert equal_mass(torch.tensor([0.5, 0.9, 0.7, 0.6]), 2).tolist() == [0, 1, 1, 0]
    assert equal_mass(torch.linspace(0.5, 1, 30), 15).bincount().tolist() == [2] * 15
    assert len(equal_mass(torch.tensor([0.5, *[0.8] * 6, 0.9]), 4)[1:7].unique()) == 1


def test_bins_of_equal_width_end_at_their_upper_edge():
    assert equal_width(torch.tensor([0.0, 0.1, 0.11, 0.5, 1.0], dtype=torch.float64), 10).tolist() == [0, 0, 1, 4, 9]


@pytest.mark.parametrize("into", [equal_mass, equal_width])
def test_an_honest_classifier_has_no_error_and_one_that_is_too_sure_has_as_much_as_it_lies(into, rng):
    """Of n samples in b bins the error of honest ones is at most sqrt(b / 4n) on average; lies are of 0.1."""
    n = 20_000
    sure = 0.55 + 0.3 * torch.rand(n, generator=rng, dtype=torch.float64)
    labels = (torch.rand(n, generator=rng, dtype=torch.float64) > sure).long()
    assert ece(of_two(sure), labels, 15, into) < 2 * (15 / (4 * n)) ** 0.5
    assert ece(of_two(sure + 0.1), labels, 15, into) == pytest.approx(0.1, abs=2 * (15 / (4 * n)) ** 0.5)


def test_what_is_no_calibration_is_refused():
    good, labels = of_two(torch.tensor([0.6, 0.7])), torch.tensor([0, 1])
    for told, right, bins, said in [
        (good[:, 0], labels, 15, "expected probabilities"),
        (good, labels[:1], 15, "expected probabilities"),
        (good, labels, 0, "bins >= 1"),
        (3 * good, labels, 15, "through a softmax"),
        (good, labels + 1, 15, r"labels 0 \.\. 1, got 1 \.\. 2"),
        (good[[0, 0]], labels, 15, "the same probabilities"),
    ]:
        with pytest.raises(ValueError, match=said):
            ece(told, right, bins)
