"""Effective sample size, potential scale reduction and Monte-Carlo error on chains whose truth is known."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

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


def known_rhat(draws):
    """Vehtari et al. 2021, written out: halves, ranks of draws and of distances from the median, eqs. 1 to 4."""
    half = len(draws) // 2
    chains = np.concatenate([draws[:half].T, draws[-half:].T])
    told = []
    for x in (chains, np.abs(chains - np.median(chains))):
        z = norm.ppf((rankdata(x, axis=None).reshape(x.shape) - 3 / 8) / (x.size + 1 / 4))
        within, between = z.var(1, ddof=1).mean(), half * z.mean(1).var(ddof=1)
        told.append(np.sqrt(((half - 1) / half * within + between / half) / within))
    return max(told)


def known_ess(draws):
    """Vehtari et al. 2021, eq. 10 and Geyer's initial monotone sequence, sum by sum."""
    half = len(draws) // 2
    chains = np.concatenate([draws[:half].T, draws[-half:].T])
    centred = chains - chains.mean(1, keepdims=True)
    within = chains.var(1, ddof=1)
    variance = (half - 1) / half * within.mean() + chains.mean(1).var(ddof=1)
    rho = [1.0]
    for t in range(1, half):
        own = (centred[:, t:] * centred[:, :-t]).sum(1) / (centred**2).sum(1)
        rho.append(1 - (within.mean() - (within * own).mean()) / variance)
    time, last = -1.0, np.inf
    for pair in (rho[t] + rho[t + 1] for t in range(0, half - 1, 2)):
        if pair <= 0:
            break
        last = min(last, pair)
        time += 2 * last
    return chains.size / max(time, 1 / np.log10(chains.size))


@pytest.mark.parametrize("length", [200, 201, 203])
def test_chains_between_two_modes_have_the_reduction_of_the_paper(length):
    """Modes at +-3 in half of the chains, at +-3.05 in the others, sd 0.2. As many draws lie left as right, so that
    the median is the middle between the modes; folded about a draw of the left mode, the chains look alike (0.9999)."""
    rng = torch.Generator().manual_seed(2)
    side = torch.where(torch.arange(length)[:, None] % 2 == torch.tensor([0, 1, 0, 1]), 1.0, -1.0).double()
    spread = 0.2 * torch.randn(length, 4, generator=rng, dtype=torch.float64)
    draws = side * torch.tensor([3.0, 3.0, 3.05, 3.05]) + spread
    assert rhat(draws).item() == pytest.approx(known_rhat(draws.numpy()), abs=1e-12)
    assert rhat(draws).item() == pytest.approx(1.011, abs=5e-4)


def test_draws_of_two_values_have_the_reduction_of_their_ranks(rng):
    """All lie as far from the median, so that distances from it have no ranks."""
    draws = torch.randint(2, (400, 4), generator=rng) * 2.0 - 1
    assert rhat(draws) == pytest.approx(1, abs=0.02)
    draws[:, 0] = 1
    assert rhat(draws) > 1.1


@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_numbers_equal_sums_written_out_for_chains_that_stay_apart(apart, rng):
    """Chains of unequal spread and memory around unequal means: what lies between chains counts as much as within."""
    unit = torch.tensor([1.0, 0.4, 2.0]).double()
    draws = torch.stack([autoregressive(r, 301, 1, rng)[:, 0] for r in (0.3, 0.8, -0.3)], 1) * unit
    draws = draws + apart * torch.tensor([0.0, 1.0, -2.0])
    known = known_ess(draws.numpy())
    assert ess(draws).item() == pytest.approx(known, rel=1e-9)
    assert rhat(draws).item() == pytest.approx(known_rhat(draws.numpy()), rel=1e-9)
    assert mcse(draws).item() == pytest.approx(draws.numpy().std(ddof=1) / np.sqrt(known), rel=1e-9)


def test_chains_in_different_places_know_little_however_many_they_are(rng):
    """Independent draws around four distant means: about as many as there are chains."""
    draws = torch.randn(1_000, 4, generator=rng) + 10 * torch.arange(4)
    assert ess(draws) < 10 < 3_000 < ess(draws - 10 * torch.arange(4))


@pytest.mark.parametrize("of", [ess, rhat, mcse])
def test_a_coordinate_that_is_not_finite_or_never_moves_has_no_number_and_the_others_keep_theirs(of, rng):
    draws = torch.randn(50, 2, 4, generator=rng)
    draws[7, 1, 1], draws[3, 0, 2], draws[:, :, 3] = torch.nan, torch.inf, 0.1
    told = of(draws)
    assert told[1:].isnan().all() and told[0] == of(draws[..., 0])


@pytest.mark.parametrize("of", [ess, rhat, mcse])
def test_too_few_draws_are_refused(of):
    with pytest.raises(ValueError, match="at least 4 draws"):
        of(torch.ones(3, 2))
