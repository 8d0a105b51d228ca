"""Effective sample size, potential scale reduction and Monte-Carlo error on chains whose truth is known."""

import pytest
import torch

from ergosum.metrics.diagnostics import ess, mcse, rhat


def autoregressive(rho, draws, chains, generator, shape=()):
    """x_t = rho x_{t-1} + sqrt(1 - rho^2) eps, stationary from the start."""
    noise = torch.randn(draws, chains, *shape, generator=generator, dtype=torch.float64)
    x = [noise[0]]
    for fresh in noise[1:]:
        x.append(rho * x[-1] + (1 - rho**2) ** 0.5 * fresh)
    return torch.stack(x)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.4])
def test_the_effective_sample_size_of_an_autoregression_is_known(rho, rng):
    """ESS = S (1 - rho) / (1 + rho); its estimate over 8 chains of 4,000 is within 10 %."""
    draws = autoregressive(rho, 4_000, 8, rng)
    known = draws.numel() * (1 - rho) / (1 + rho)
    assert ess(draws).item() == pytest.approx(known, rel=0.1)


def test_effective_sample_size_is_told_for_every_coordinate(rng):
    draws = torch.stack([autoregressive(r, 2_000, 4, rng) for r in (0.0, 0.8)], -1)[..., None]
    told = ess(draws)
    assert told.shape == (2, 1) and told[0] > 5 * told[1]
    torch.testing.assert_close(told[1, 0], ess(draws[:, :, 1, 0]))


def test_an_antithetic_chain_knows_more_than_its_length_and_a_constant_one_nothing(rng):
    assert ess(autoregressive(-0.9, 1_000, 4, rng)) > 4_000
    assert ess(torch.ones(100, 3)).isnan()


def test_the_standard_error_is_the_one_that_means_show(rng):
    """400 autoregressions of rho = 0.7: the spread of their means is the told error, within 4 sqrt(1 / 2 n) = 14 %."""
    draws = autoregressive(0.7, 2_000, 4, rng, (400,))
    told = mcse(draws).mean().item()
    seen = draws.mean((0, 1)).std().item()
    assert told == pytest.approx(seen, rel=0.15)


def test_chains_that_agree_have_a_reduction_near_one(rng):
    draws = torch.randn(1_000, 4, 3, generator=rng)
    assert rhat(draws).shape == (3,) and rhat(draws).max() < 1.01


@pytest.mark.parametrize("spoil", ["place", "scale", "drift"])
def test_chains_that_differ_are_seen(spoil, rng):
    draws = torch.randn(1_000, 4, generator=rng)
    if spoil == "place":
        draws[:, 0] += 1
    elif spoil == "scale":
        draws[:, 0] *= 3
    else:
        draws += torch.linspace(0, 2, 1_000)[:, None]
    assert rhat(draws) > 1.05


def test_reduction_sees_heavy_tails_by_ranks(rng):
    """Cauchy draws have no variance, but ranks do."""
    draws = torch.tan(torch.pi * (torch.rand(2_000, 4, generator=rng) - 0.5))
    assert rhat(draws) < 1.01


@pytest.mark.parametrize("of", [ess, rhat, mcse])
def test_too_few_draws_are_refused(of):
    with pytest.raises(ValueError, match="at least 4 draws"):
        of(torch.ones(3, 2))
