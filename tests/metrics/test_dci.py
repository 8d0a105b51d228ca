"""Importance, disentanglement and completeness where they are known."""

import pytest
import torch

from ergosum.metrics.dci import Dci, dci

GRID = torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).repeat(20, 1)


def test_importance_is_one_table_of_codes_by_factors(rng):
    judged = dci(GRID.flip(1), GRID, rng)
    assert isinstance(judged, Dci)
    torch.testing.assert_close(judged.importance, torch.eye(2, dtype=torch.float64).flip(1))


def test_a_factor_split_over_two_codes_is_disentangled_but_not_complete(rng):
    """Each of two codes holds one bit of a factor: the codes are pure, the factors spread evenly."""
    bits = torch.stack([GRID[:, 0] // 2, GRID[:, 0] % 2, GRID[:, 1] // 2, GRID[:, 1] % 2], 1)
    judged = dci(bits, GRID, rng)
    assert judged.disentanglement == pytest.approx(1) and judged.informativeness == 1
    assert judged.completeness == pytest.approx(0.5, abs=0.05)


def test_two_factors_in_one_code_are_complete_but_not_disentangled(rng):
    judged = dci(GRID[:, :1] + 4 * GRID[:, 1:], GRID, rng)
    assert judged.disentanglement == pytest.approx(0, abs=1e-6) and judged.completeness == pytest.approx(1)
    assert judged.informativeness == 1


def test_a_single_dead_code_is_neither(rng):
    judged = dci(torch.ones(len(GRID), 1), GRID, rng)
    assert judged.disentanglement == judged.completeness == 0 and judged.informativeness < 0.4
