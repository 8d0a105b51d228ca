"""Energies that are known by their score alone: what follows the score samples them, what needs the energy says so."""

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy
from ergosum.partition import annealed_importance, bridge
from ergosum.samplers import (
    Annealed,
    Descent,
    GibbsWithGradients,
    Hmc,
    Langevin,
    Mala,
    NonFiniteError,
    ParallelTempering,
    UnderdampedLangevin,
    sample,
    tempered_smc,
)
from ergosum.samplers.chain import slope
from ergosum.samplers.guards import expect_value

N = 20_000


class Score(Energy):
    """A normal density given by the gradient of its energy alone."""

    has_value = False

    def forward(self, x):
        raise ValueError("score: only the gradient is known.")

    def value_and_gradient(self, x, create_graph=False):
        raise ValueError("score: only the gradient is known.")

    def gradient(self, x, create_graph=False):
        return torch.where(x > 1e6, torch.nan, x - 1)


SCORE = Score().named("score")


@pytest.mark.parametrize(
    ("sampler", "variance"),
    [
        (Langevin(step_size=0.2), 1 / 0.9),
        (UnderdampedLangevin(step_size=0.5), 1.0),
        (Annealed.over(UnderdampedLangevin(step_size=0.5), 5, temperatures=(1.0, 1.0)), 1.0),
    ],
    ids=["Langevin", "UnderdampedLangevin", "Annealed"],
)
def test_what_follows_the_score_draws_its_density(sampler, variance, rng):
    start = 1 + variance**0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    chain = sample(sampler, SCORE, start, 10, keep=5, generator=rng)
    z = ((chain.x - 1).square().mean().item() / variance - 1) / (2 / N) ** 0.5
    assert abs(z) < 4 and not torch.equal(chain.x, start)
    assert chain.energy.shape == (2, N) and chain.energy.isnan().all()


def test_descent_finds_the_minimum_of_a_score():
    assert sample(Descent(step_size=0.5), SCORE, torch.zeros(2, 1), 60).x.sub(1).abs().max() < 1e-6


def test_a_score_that_is_not_finite_stops_the_chain():
    for sampler in (Descent(step_size=0.5), Langevin(step_size=0.5), UnderdampedLangevin(step_size=0.5)):
        with pytest.raises(NonFiniteError):
            sample(sampler, SCORE, torch.full((2, 1), 2e6), 3)


REFUSED = {
    "Mala": lambda x: sample(Mala(step_size=0.1), SCORE, x, 1),
    "Hmc": lambda x: sample(Hmc(step_size=0.1), SCORE, x, 1),
    "ParallelTempering": lambda x: sample(
        ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0)), SCORE, x, 1
    ),
    "GibbsWithGradients": lambda x: sample(GibbsWithGradients(), SCORE, x, 1),
    "GibbsWithGradients, differences": lambda x: sample(GibbsWithGradients(differences=True), SCORE, x, 1),
    "annealed_importance": lambda x: annealed_importance(Gaussian(torch.zeros(1)), SCORE, x, Mala(step_size=0.1)),
    "bridge": lambda x: bridge(SCORE, Gaussian(torch.zeros(1)), x, x),
    "tempered_smc": lambda x: tempered_smc(Gaussian(torch.zeros(1)), SCORE, x, Mala(step_size=0.1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_energy_itself_says_why_and_what_to_use(name):
    with pytest.raises(
        ValueError, match=r"score is known by its score alone.*with Langevin, UnderdampedLangevin or Descent"
    ):
        REFUSED[name](torch.zeros(32, 1))


def test_the_energy_of_a_score_is_not_a_number():
    value, gradient = slope(SCORE, torch.zeros(3, 2))
    assert value.isnan().all() and value.shape == (3,) and (gradient == -1).all()
    value, gradient = slope(Gaussian(torch.ones(2)), torch.zeros(3, 2))
    assert (value == 1).all() and (gradient == -1).all()
    expect_value("Mala", Gaussian(torch.ones(2)))
