"""Correlations and their best pairing."""

import pytest
import torch

from ergosum.metrics.mcc import correlations, mcc

GRID = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0)).double()


def test_correlations_equal_those_of_numpy_and_scipy(rng):
    import numpy as np
    from scipy.stats import spearmanr

    a, b = (torch.randn(100, k, generator=rng, dtype=torch.float64) for k in (2, 3))
    b[:, 0] = a[:, 0].exp()
    both = np.corrcoef(a.numpy().T, b.numpy().T)[:2, 2:]
    torch.testing.assert_close(correlations(a, b, "pearson"), torch.from_numpy(both))
    ranked = spearmanr(a.numpy(), b.numpy()).statistic[:2, 2:]
    torch.testing.assert_close(correlations(a, b), torch.from_numpy(ranked.copy()))
    assert correlations(a, b)[0, 0] == pytest.approx(1)


def test_ranks_see_through_monotone_codes_and_pearson_does_not():
    bent = GRID.exp()
    assert mcc(bent, GRID) == pytest.approx(1) and mcc(bent, GRID, "pearson") < 0.95


def test_the_pairing_is_the_best_of_all_not_the_first_to_grab():
    """Code 0 fits both factors, code 1 the first alone: greedy would leave the second factor with nothing."""
    codes = torch.stack([GRID[:, 0] + 0.9 * GRID[:, 1], GRID[:, 0]], 1)
    table = correlations(codes, GRID).abs()
    assert mcc(codes, GRID) == pytest.approx((table[0, 1] + table[1, 0]).item() / 2)


def test_a_factor_without_a_code_counts_as_zero():
    assert mcc(GRID[:, :1], GRID) == pytest.approx(0.5)
    assert mcc(torch.cat([GRID[:, :1], torch.ones(20, 3)], 1), GRID) == pytest.approx(0.5)


def test_an_unknown_correlation_is_refused():
    with pytest.raises(ValueError, match="expected 'spearman' or 'pearson', got 'kendall'"):
        mcc(GRID, GRID, "kendall")
