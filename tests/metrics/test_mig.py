"""The mutual information gap and its parts in closed form."""

import math

import pytest
import torch

from ergosum.metrics.mig import mig, mutual_information

GRID = torch.cartesian_prod(torch.arange(4), torch.arange(8))


def test_information_is_entropy_of_oneself_and_none_of_the_independent():
    known = mutual_information(GRID, GRID)
    torch.testing.assert_close(known, torch.tensor([[math.log(4), 0], [0, math.log(8)]], dtype=torch.float64))


def test_information_equals_that_of_scikit_learn(rng):
    from sklearn.metrics import mutual_info_score

    a, b = torch.randint(5, (300, 2), generator=rng), torch.randint(7, (300, 3), generator=rng)
    told = [[mutual_info_score(x.numpy(), y.numpy()) for y in b.T] for x in a.T]
    torch.testing.assert_close(mutual_information(a, b), torch.tensor(told, dtype=torch.float64))
    with pytest.raises(ValueError, match="the same rows"):
        mutual_information(a, b[:10])


def test_a_second_code_that_knows_half_halves_the_gap():
    """The copy of a factor of 4 levels knows one of its two bits."""
    codes = torch.stack([GRID[:, 0], GRID[:, 0] // 2], 1)
    assert mig(codes, GRID[:, :1]) == pytest.approx(0.5)
    assert mig(codes[:, :1], GRID[:, :1]) == pytest.approx(1)
    assert mig(codes[:, [0, 0]], GRID[:, :1]) == 0


def test_bins_too_few_lose_what_codes_know():
    assert mig(GRID[:, 1:], GRID[:, 1:], bins=2) == pytest.approx(1 / 3)


def test_each_gap_is_a_share_of_its_own_factor_s_entropy():
    """All of a factor of two bits, and one of three bits of the other: the mean of 1 and 1 / 3."""
    codes = torch.stack([GRID[:, 0], GRID[:, 1] // 4], 1)
    assert mig(codes, GRID) == pytest.approx(2 / 3)
