"""The three predictors of separated attribute predictability."""

import pytest
import torch

from ergosum.metrics.sap import sap

GRID = torch.cartesian_prod(torch.arange(4.0), torch.arange(3.0)).repeat(30, 1)


def test_thresholds_tell_every_level_and_a_support_vector_machine_the_outer_ones_at_most(rng):
    """Each of L machines is a half-line: of an ordinal factor's inner levels none is one."""
    both = {p: sap(GRID, GRID, torch.Generator().manual_seed(2), p) for p in ("thresholds", "svc")}
    # 4 standard errors of a guess at 120 rows of 360, two factors
    assert both["thresholds"] == pytest.approx(1 - (1 / 4 + 1 / 3) / 2, abs=4 * (0.22 / 120 / 2) ** 0.5)
    assert 0.1 < both["svc"] < both["thresholds"] - 0.1


def test_thresholds_see_a_code_without_order_and_correlations_do_not(rng):
    shuffled = torch.tensor([1.0, 3.0, 0.0, 2.0])[GRID[:, 0].long()][:, None]
    assert sap(shuffled, GRID[:, :1], rng) == pytest.approx(1 - 1 / 4)
    assert sap(shuffled, GRID[:, :1], rng, "correlation") < 0.1


@pytest.mark.parametrize("predictor", ["thresholds", "svc", "correlation"])
def test_a_single_dead_code_is_worth_nothing(predictor, rng):
    assert sap(torch.ones(len(GRID), 1), GRID, rng, predictor) == pytest.approx(0, abs=1e-12)


def test_a_second_copy_closes_the_gap(rng):
    assert sap(GRID[:, [0, 0]], GRID[:, :1], rng) == 0


def test_an_unknown_predictor_is_refused(rng):
    with pytest.raises(ValueError, match="got 'lasso'"):
        sap(GRID, GRID, rng, "lasso")
