"""Samplers with a mistake are wrong by as much as they say, and look healthy."""

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.samplers.broken import HalfNoise, NoReverse, SharedTest
from ergosum.samplers.chain import sample
from ergosum.samplers.mala import Mala

STEPS, CHAINS = 1000, 400


def variance(sampler, rng):
    """Of a standard normal, as the chains have it, with its standard error from the spread between chains."""
    x = torch.randn(CHAINS, 1, generator=rng, dtype=torch.float64)
    draws = sample(sampler, Gaussian(torch.zeros(1).double(), 1.0), x, STEPS, discard=200, generator=rng).draws
    each = draws.square().mean((0, 2))
    return each.mean().item(), (each.std() / CHAINS**0.5).item()


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        # x' = (1 - h) x + sqrt(h) eps is stationary at h / (1 - (1 - h)^2) = 1 / (2 - h)
        (HalfNoise(step_size=0.1), 1 / 1.9),
        (Mala(step_size=0.3), 1.0),
    ],
)
def test_the_variance_of_a_normal_is_what_the_mistake_makes_of_it(sampler, expected, rng):
    found, error = variance(sampler, rng)
    assert found == pytest.approx(expected, abs=4 * error)


def test_without_the_way_back_small_steps_draw_from_the_square_of_the_density(rng):
    # reversible with respect to exp(-2 E) up to O(h): 0.5 and a slope that is measured here between 0.1 and 0.02
    (coarse, e), (fine, f) = variance(NoReverse(step_size=0.1), rng), variance(NoReverse(step_size=0.02), rng)
    extrapolated, error = fine - (coarse - fine) / 4, (25 * f**2 + e**2) ** 0.5 / 4
    assert extrapolated == pytest.approx(0.5, abs=4 * error) and error < 0.02


def test_one_test_for_all_chains_comes_near_to_no_test_at_all(rng):
    h = 0.5
    found, error = variance(SharedTest(step_size=h), rng)
    assert found - 1 > 20 * error  # unadjusted: 1 / (1 - h / 2) = 1.33
    assert found < 1 / (1 - h / 2) + 4 * error


@pytest.mark.parametrize("sampler", [NoReverse, SharedTest])
def test_acceptance_looks_healthy(sampler, rng):
    x = torch.randn(CHAINS, 1, generator=rng, dtype=torch.float64)
    chain = sample(sampler(step_size=0.2), Gaussian(torch.zeros(1).double(), 1.0), x, 300, discard=50, generator=rng)
    assert chain.acceptance.mean() > 0.6 and chain.rhat().max() < 1.1


@pytest.mark.parametrize("sampler", [HalfNoise, NoReverse, SharedTest])
def test_a_step_size_that_is_not_positive_is_refused(sampler):
    with pytest.raises(ValueError, match="step size > 0"):
        sampler(step_size=0.0)
