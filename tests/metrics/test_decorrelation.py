"""How far latents of different components tell the same."""

import pytest
import torch

from ergosum.metrics.decorrelation import decorrelation


def test_decorrelation_is_zero_for_independent_and_one_for_equal_latents(rng):
    n = 4000
    free = torch.randn(n, 3, 1, generator=rng)
    assert decorrelation(free).item() == pytest.approx(0, abs=4 / n)  # squared correlations have mean 1 / n
    equal = free[:, :1].expand(-1, 3, -1)
    assert decorrelation(equal).item() == pytest.approx(1, abs=1e-3)
    assert decorrelation(torch.cat([equal[:, :1], -3 * equal[:, :1] + 2], 1)).item() == pytest.approx(1, abs=1e-3)


def test_decorrelation_looks_between_components_not_within_them(rng):
    one = torch.randn(4000, 1, 1, generator=rng)
    other = torch.randn(4000, 1, 1, generator=rng)
    within = torch.cat([one.expand(-1, 1, 2), other.expand(-1, 1, 2)], 1)
    assert decorrelation(within).item() < 4 / 4000 * 4
    assert decorrelation(one).item() == 0 and decorrelation(within[:1]).item() == 0
