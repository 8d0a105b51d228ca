"""What a warm-up finds: the averaged step, the mass of each coordinate, and targets that have neither."""

import dataclasses
from math import exp, log

import pytest
import torch
from torch import Generator

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.samplers import Hmc, Mala, UnboundedError, sample, warm_up
from ergosum.samplers.chain import State


def seeded(seed=0):
    return Generator().manual_seed(seed)


def test_the_step_that_is_returned_is_the_average_and_not_the_last(monkeypatch):
    """With an acceptance of 1 / (1 + h) at step h, dual averaging written out again gives the same number."""
    plain = Mala.step

    def accepting(self, energy, state, generator=None):
        following, info = plain(self, energy, state, generator)
        return following, info._replace(acceptance=torch.full_like(info.acceptance, 1 / (1 + self.step_size)).double())

    monkeypatch.setattr(Mala, "step", accepting)
    x = torch.zeros(2, 1, dtype=torch.float64)
    found, _ = warm_up(Mala(step_size=0.1), Gaussian(torch.zeros(1).double()), x, 8, generator=seeded())
    size, gaps, averaged = log(0.1), 0.0, 0.0
    for n in range(1, 9):
        gaps += (0.574 - 1 / (1 + exp(size)) - gaps) / (n + 10)
        size = log(1.0) - gaps * n**0.5 / 0.05
        averaged = n**-0.75 * size + (1 - n**-0.75) * averaged
    assert found.step_size == pytest.approx(exp(averaged), rel=1e-9)
    assert abs(exp(averaged) / exp(size) - 1) > 0.01, "the last step is another one"


WIDTHS = torch.logspace(-2, 2, 20, dtype=torch.float64)
"""Standard deviations that differ by four orders of magnitude."""


def test_the_mass_becomes_the_precision_of_each_coordinate(rng):
    """Within 4 standard errors of variances from 40 steps of 200 chains, which count for at least 2,000 draws."""
    energy = Gaussian(torch.zeros(20).double(), WIDTHS**2)
    kernel = Hmc(step_size=0.1, length=10, jitter=0.5)
    found, state = warm_up(kernel, energy, energy.draw(200, rng), 100, estimate_mass=True, generator=rng)
    assert (found.mass * WIDTHS**2).log().abs().max() < 4 * (2 / 2_000) ** 0.5
    assert found.mass.dtype == torch.float64 and dataclasses.replace(found, mass=1.0, step_size=0.1) == kernel
    chain = sample(found, energy, state, 100, generator=rng)
    assert abs(chain.acceptance.mean().item() - 0.8) < 0.07
    z = chain.draws.mean((0, 1)) / chain.mcse()
    assert z.abs().max() < 4 and (chain.draws.std((0, 1)) / WIDTHS - 1).abs().max() < 0.05
    plain, rest = warm_up(kernel, energy, energy.draw(200, rng), 100, generator=rng)
    slow = sample(plain, energy, rest, 100, generator=rng)
    assert chain.ess().min() > 20 * slow.ess().min(), "with one mass for all, the widest coordinate hardly moves"


def test_from_a_start_far_away_the_mass_is_that_of_the_density_and_not_of_the_way_there(rng):
    energy = Gaussian(torch.tensor([300.0, 0.0], dtype=torch.float64), torch.tensor([1.0, 25.0], dtype=torch.float64))
    start = torch.randn(50, 2, generator=rng, dtype=torch.float64)
    found, _ = warm_up(Hmc(step_size=0.5, length=8), energy, start, 300, estimate_mass=True, generator=rng)
    assert (found.mass * energy.variance).log().abs().max() < 0.2


def test_fixed_coordinates_have_the_mass_one(rng):
    energy = Gaussian(torch.zeros(2).double(), torch.tensor([1e-4, 1.0]).double())
    kernel = Hmc(step_size=0.01, length=5, mask=torch.tensor([1, 0]))
    start = energy.draw(100, rng)
    start[:, 1] = 0.5
    found, state = warm_up(kernel, energy, start, 60, estimate_mass=True, generator=rng)
    assert found.mass[1] == 1 and abs(found.mass[0] * 1e-4 - 1) < 0.2 and isinstance(state, State)


IMPROPER = {
    "flat": as_energy(lambda x: 0 * x.sum(1)),
    "falling": as_energy(lambda x: x.sum(1)),
    "hill": as_energy(lambda x: -0.01 * x.square().sum(1)),
}


@pytest.mark.parametrize("name", IMPROPER)
@pytest.mark.parametrize("kernel", [Mala(step_size=0.1), Hmc(step_size=0.1, length=3)], ids=["Mala", "Hmc"])
def test_an_improper_target_is_refused(name, kernel):
    """It returned a step of 3e18 for the flat one."""
    with pytest.raises(UnboundedError, match="no finite integral"):
        warm_up(kernel, IMPROPER[name], torch.randn(20, 2, generator=seeded()), 200, generator=seeded())


def test_a_guess_a_billion_times_too_small_is_no_sign_of_an_improper_target():
    found, _ = warm_up(Mala(step_size=1e-9), Gaussian(torch.zeros(3)), torch.randn(50, 3, generator=seeded()), 200,
                       generator=seeded())  # fmt: skip
    assert 0.1 < found.step_size < 2


def test_a_mass_is_estimated_for_hmc_and_in_enough_steps():
    for kernel, steps in ((Mala(step_size=0.1), 100), (Hmc(step_size=0.1), 19)):
        with pytest.raises(ValueError, match="expected Hmc and 20 steps or more to estimate a mass"):
            warm_up(kernel, Gaussian(torch.zeros(2)), torch.zeros(3, 2), steps, estimate_mass=True)
