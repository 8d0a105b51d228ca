"""Votes of the stillest code."""

import pytest
import torch

from ergosum.metrics.factor_vae import factor_vae

GRID = torch.cartesian_prod(*[torch.arange(4.0)] * 3).repeat(6, 1)
DRAWN = {"train": 300, "evaluate": 300, "batch": 16}


def test_codes_much_smaller_than_the_largest_have_no_vote(rng):
    """Two codes remain for three factors: two of three are named, 4 standard errors at 300 batches."""
    unit = torch.tensor([1.0, 1.0, 0.01])
    assert factor_vae(GRID * unit, GRID, rng, **DRAWN) == pytest.approx(2 / 3, abs=4 * (2 / 9 / 300) ** 0.5)
    assert factor_vae(GRID * unit, GRID, rng, **DRAWN, dead=0.001) == 1


def test_every_unit_at_once_makes_no_difference():
    given = [factor_vae(u * GRID, GRID, torch.Generator().manual_seed(0), **DRAWN) for u in (1e-6, 1.0, 1e6)]
    assert given == [1, 1, 1]


def test_two_factors_at_least_must_vary(rng):
    with pytest.raises(ValueError, match="factor_vae: needs at least 2 factors"):
        factor_vae(GRID, GRID[:, :1], rng)
