"""Reference rows are what they say."""

import pytest
import torch

from ergosum.metrics.references import reference_rows

FACTORS = torch.cartesian_prod(*[torch.arange(3.0)] * 4)


def test_rows_are_named_as_wide_as_the_factors_and_repeat_with_the_seed():
    rows, again = (reference_rows(FACTORS, torch.Generator().manual_seed(4)) for _ in range(2))
    assert list(rows) == ["oracle", "permuted", "rotated", "noise"]
    assert all(z.shape == FACTORS.shape and torch.equal(z, again[name]) for name, z in rows.items())


def test_the_oracle_is_standard_and_the_permuted_one_has_other_units(rng):
    rows = reference_rows(FACTORS, rng)
    torch.testing.assert_close(rows["oracle"].T.cov(), torch.eye(4, dtype=torch.float64))
    across = (rows["oracle"].T @ rows["permuted"] / (len(FACTORS) - 1)).abs()
    assert ((across > 1e-9).sum(0) == 1).all() and ((across > 1e-9).sum(1) == 1).all()
    assert across.amax(0).min() > 1 / 2.7183 and across.amax(0).max() < 2.7183


def test_the_rotated_one_keeps_distances_and_no_axis(rng):
    rows = reference_rows(FACTORS, rng)
    torch.testing.assert_close(torch.pdist(rows["rotated"]), torch.pdist(rows["oracle"]))
    turn = rows["oracle"].T @ rows["rotated"] / (len(FACTORS) - 1)
    assert turn.abs().max() < 0.9


def test_constant_factors_are_dead_codes_and_wrong_shapes_refused(rng):
    rows = reference_rows(torch.cat([FACTORS, torch.full((81, 1), 0.1)], 1), rng)
    assert rows["oracle"][:, 4].abs().max() == 0
    with pytest.raises(ValueError, match="reference_rows: expected"):
        reference_rows(FACTORS[None], rng)
