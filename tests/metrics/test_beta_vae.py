"""Naming the held factor from differences."""

import pytest
import torch

from ergosum.metrics.beta_vae import beta_vae

GRID = torch.cartesian_prod(*[torch.arange(4.0)] * 3).repeat(6, 1)
DRAWN = {"train": 300, "evaluate": 300, "batch": 32}


def test_released_form_punishes_codes_for_their_unit_and_ours_does_not():
    small = 1e-4 * GRID
    ours, released = (beta_vae(small, GRID, torch.Generator().manual_seed(0), **DRAWN, standardise=s)
                      for s in (True, False))  # fmt: skip
    assert ours == 1 and released < 0.95


def test_wide_noise_cannot_be_learned_by_heart(rng):
    """64 codes of noise on 384 rows: chance on rows that were not fitted, 4 standard errors at 300 batches."""
    codes = torch.randn(len(GRID), 64, generator=rng)
    assert beta_vae(codes, GRID, rng, **DRAWN) == pytest.approx(1 / 3, abs=4 * (2 / 9 / 300) ** 0.5)


def test_two_factors_at_least_must_vary(rng):
    with pytest.raises(ValueError, match="beta_vae: needs at least 2 factors"):
        beta_vae(GRID, GRID[:, :1], rng)
