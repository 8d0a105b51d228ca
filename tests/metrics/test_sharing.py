"""Rows drawn so that they share one factor's value."""

import pytest
import torch

from ergosum.metrics.sharing import draw_groups, draw_pairs

GRID = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).repeat(3, 1)


def test_pairs_share_the_kept_factor_and_are_two_rows(rng):
    kept, first, second = draw_pairs(GRID, 300, 5, rng)
    assert first.shape == second.shape == (300, 5) and (first != second).all()
    pick = kept[:, None, None].expand(-1, 5, 1)
    assert (GRID[first].gather(2, pick) == GRID[second].gather(2, pick)).all()
    assert not (GRID[first] == GRID[second]).all(1).all()


def test_groups_share_the_kept_factor_alone(rng):
    kept, rows = draw_groups(GRID, 300, 40, rng)
    constant = (GRID[rows] == GRID[rows[:, :1]]).all(1)
    assert (constant.sum(1) == 1).all() and (constant.int().argmax(1) == kept).all()


def test_every_factor_and_every_row_comes_up_alike(rng):
    """4 standard errors of a binomial: of 3,000 factors, and of 30,000 rows among 72."""
    kept, rows = draw_groups(GRID, 3_000, 10, rng)
    assert (torch.bincount(kept) - 1_000).abs().max() < 4 * (3_000 * 2 / 9) ** 0.5
    _, first, second = draw_pairs(GRID, 3_000, 10, rng)
    for drawn in (first, second):
        expected = drawn.numel() / len(GRID)
        assert (torch.bincount(drawn.flatten()) - expected).abs().max() < 4 * expected**0.5
    assert torch.bincount(rows.flatten()).min() > 0


def test_rows_without_a_partner_are_never_drawn(rng):
    lonely = torch.tensor([[0], [1], [1], [2]])
    _, first, second = draw_pairs(lonely, 50, 2, rng)
    assert set(first.unique().tolist()) | set(second.unique().tolist()) == {1, 2}
    with pytest.raises(ValueError, match="no two rows share a level of factor 0"):
        draw_groups(torch.arange(4)[:, None], 2, 2, rng)
