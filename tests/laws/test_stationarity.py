"""Exact samplers leave their target as it is; the biased one follows its own law; compositions have known laws."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from kernels import EXACT, ROWS, TARGETS
from sampling import (
    SIGMAS,
    acceptance_tends_to_one,
    every_chain_has_an_accept_test_of_its_own,
    goes_back_the_way_it_came,
    leaves_its_target_as_it_is,
    variance_of_ula,
    z_of_variance,
)
from torch import Generator

from ergosum.compose import negation
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.samplers.annealed import Annealed
from ergosum.samplers.chain import sample
from ergosum.samplers.hmc import Hmc, leapfrog
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.warmup import TARGETS as AIMS
from ergosum.samplers.warmup import warm_up

N = 20_000


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def normal(mean=0.0, variance=1.0):
    return Gaussian(double(mean), double(variance))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_sampler_leaves_its_target_as_it_is(name, target):
    leaves_its_target_as_it_is(ROWS[name].make(TARGETS[target].width, 1.0), TARGETS[target])


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_sampler_at_a_temperature_leaves_the_tempered_target_as_it_is(name, rng):
    temperature = 2.5
    start = temperature**0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    kept = sample(ROWS[name].make(1.0, temperature), normal(), start, 6, keep=6, generator=rng).x
    assert abs(z_of_variance(kept, temperature)) < SIGMAS


@pytest.mark.parametrize("name", EXACT)
def test_every_chain_has_an_accept_test_of_its_own(name):
    every_chain_has_an_accept_test_of_its_own(ROWS[name].make(1.4, 1.0))


@pytest.mark.parametrize("name", [n for n in EXACT if n != "Annealed"])
def test_acceptance_tends_to_one_with_the_step(name):
    acceptance_tends_to_one(lambda width: ROWS[name].make(width, 1.0), ROWS[name].order)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("h", [0.05, 0.2, 0.5, 1.0])
def test_langevin_follows_its_own_law(h, temperature, rng):
    variance = variance_of_ula(h, temperature)
    assert variance == pytest.approx(temperature / (1 - h / 2))
    start = variance**0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    kept = sample(Langevin(step_size=h, temperature=temperature), normal(), start, 10, keep=10, generator=rng).x
    assert abs(z_of_variance(kept, variance)) < SIGMAS
    if h >= 0.2:
        assert z_of_variance(kept, temperature) > SIGMAS, "the bias of this step size should show"


def test_langevin_is_biased_to_first_order_in_its_step(rng):
    """log bias against log step has the slope of log[(h/2) / (1 - h/2)]: 1 as h tends to 0, 1.2 between these."""
    steps, bias = (0.2, 0.8), []
    for h in steps:
        start = variance_of_ula(h, 1.0) ** 0.5 * torch.randn(20 * N, 1, generator=rng, dtype=torch.float64)
        kept = sample(Langevin(step_size=h), normal(), start, 3, keep=3, generator=rng).x
        bias.append(kept.square().mean().item() - 1)
    exact = [variance_of_ula(h, 1.0) - 1 for h in steps]
    slope = torch.tensor(bias[1] / bias[0]).log().item() / torch.tensor(4.0).log().item()
    declared = torch.tensor(exact[1] / exact[0]).log().item() / torch.tensor(4.0).log().item()
    error = sum(((1 + b) * (2 / (20 * N)) ** 0.5 / b) ** 2 for b in exact) ** 0.5 / 1.386
    assert abs(slope - declared) < SIGMAS * error and 1 < declared < 1.3


def test_leapfrog_is_its_own_inverse_and_of_second_order():
    goes_back_the_way_it_came(Hmc(step_size=0.3), leapfrog)
    goes_back_the_way_it_came(Hmc(step_size=0.3, mass=torch.tensor([0.5, 2.0]), temperature=0.7), leapfrog)
    energy = normal()
    x, p = double([1.0]), double([0.5])
    errors = []
    for step in (0.2, 0.1, 0.05):
        hmc = Hmc(step_size=step)
        end, q = leapfrog(hmc, energy, hmc.init(energy, x), p, round(2 / step))
        errors.append(abs((end.energy + q.square().sum() / 2 - 0.5 - 0.125).item()))
    for coarse, fine in pairwise(errors):
        assert 3.5 < coarse / fine < 4.5


LADDER = (1.0, 2.0, 4.0)
TEMPERED = {
    "Gaussian": normal(0.7, 1.3),
    "Mixture": Mixture(double([-1.5], [1.0]), double(0.5, 1.0), double(0.7, 0.3)),
}


@pytest.mark.parametrize("kernel", [Mala(step_size=0.4), Hmc(step_size=0.6, length=3)])
@pytest.mark.parametrize("name", TEMPERED)
def test_parallel_tempering_leaves_its_ladder_as_it_is(name, kernel, rng):
    """Replicas that start as draws of p^(1/T) stay that, each at its temperature: all moments within 4 errors."""
    energy, ladder = TEMPERED[name], ParallelTempering(kernel=kernel, temperatures=LADDER)
    grid = torch.linspace(-25, 25, 100_001, dtype=torch.float64)[:, None]
    shares = [(-energy(grid) / t).softmax(0) for t in LADDER]
    x = torch.cat([grid[p.multinomial(N, replacement=True, generator=rng)] for p in shares])
    settled = ladder.kernel.init(energy, x)
    state = ladder.init(energy, x[:N])._replace(x=x, energy=settled.energy, gradient=settled.gradient)
    chain = sample(ladder, energy, state, 7, keep=7, generator=rng)
    assert (chain.swaps > 0.3).all()
    for kept, share in zip(chain.state.x.unflatten(0, (3, N))[..., 0], shares, strict=True):
        for power in (1, 2, 3):
            mean = (share * grid[:, 0] ** power).sum()
            spread = (share * (grid[:, 0] ** power - mean) ** 2).sum().sqrt()
            assert abs((kept.pow(power).mean() - mean) / (spread / N**0.5)) < SIGMAS


def test_parallel_tempering_finds_both_modes_in_their_shares(rng):
    """All chains start in the light mode, 7 widths away; 1,000 independent chains end in the heavy one with p = 0.7."""
    energy = Mixture(double([-3.5], [3.5]), double(1.0, 1.0), double(0.7, 0.3))
    start = 3.5 + torch.randn(1_000, 1, generator=rng, dtype=torch.float64)
    ladder = ParallelTempering(kernel=Mala(step_size=0.7), temperatures=(1.0, 2.0, 4.0, 8.0))
    chain = sample(ladder, energy, start, 400, keep=400, generator=rng)
    share = (chain.x < 0).double().mean().item()
    assert abs(share - 0.7) < SIGMAS * (0.7 * 0.3 / 1_000) ** 0.5
    alone = sample(Mala(step_size=0.7), energy, start, 400, keep=400, generator=rng).x
    assert (alone < 0).double().mean() < 0.2, "without the ladder the chains should still be stuck"
    trips = chain.state.held.trips
    assert trips.sum() > 0 and (chain.swaps > 0.2).all() and (chain.swaps < 1).all()
    assert torch.equal(chain.state.held.walker.sort(0).values, torch.arange(4)[:, None].expand(4, 1_000))


A, B = normal(-1.0, 1.0), normal(2.0, 0.5)
"""Precisions 1 and 2."""

COMPOSITES = {
    "product": (A & B, (2 * 2.0 - 1.0) / 3, 1 / 3),
    "weighted": (0.5 * A & 2.0 * B, (4 * 2.0 - 0.5) / 4.5, 1 / 4.5),
    "tempered": (B.at_temperature(3.0), 2.0, 1.5),
    "wide minus narrow": (B & ~(0.5 * A), (2 * 2.0 + 0.5) / 1.5, 1 / 1.5),
    "nested": ((A & ~(0.25 * A)) & B.at_temperature(2.0), (-0.75 + 2.0) / 1.75, 1 / 1.75),
}
"""Composition, mean, variance: Gaussians' precisions and weighted means add, and are taken away by a negation."""


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composition_with_a_closed_form_is_sampled_as_that(name, rng):
    energy, mean, variance = COMPOSITES[name]
    start = mean + variance**0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    for sampler in (Mala(step_size=0.5 * variance), Hmc(step_size=variance**0.5, length=3)):
        kept = sample(sampler, energy, start, 6, keep=6, generator=rng).x
        assert abs((kept.mean().item() - mean) / (variance / N) ** 0.5) < SIGMAS
        assert abs(z_of_variance(kept - mean, variance)) < SIGMAS


def test_a_disjunction_is_the_mixture_with_its_weights(rng):
    left, right = normal(-1.0, 0.5), normal(1.5, 1.0)
    energy = left | right
    side = torch.rand(N, 1, generator=rng) < 0.5
    start = torch.where(side, left.draw(N, rng), right.draw(N, rng))
    kept = sample(Mala(step_size=0.5), energy, start, 8, keep=8, generator=rng).x
    mean, square = 0.25, (0.5 + 1 + 1 + 2.25) / 2
    variance = square - mean**2
    assert abs((kept.mean().item() - mean) / (variance / N) ** 0.5) < SIGMAS
    spread = kept.square().std().item()
    assert abs((kept.square().mean().item() - square) / (spread / N**0.5)) < SIGMAS


def test_a_bounded_negation_keeps_out_of_what_it_denies(rng):
    """p(x) is proportional to N(x; 0, 4) (1 + exp(m - E(x)))^-alpha, integrated on a grid."""
    wide, narrow = normal(0.0, 4.0), normal(0.5, 0.1)
    energy = wide & negation(narrow, 2.0, margin=3.0)
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    density = (-energy(grid)).exp()
    density = density / density.sum()
    mean = (density * grid[:, 0]).sum().item()
    variance = (density * (grid[:, 0] - mean) ** 2).sum().item()
    start = grid[density.multinomial(N, replacement=True, generator=rng)]
    kept = sample(Mala(step_size=0.3), energy, start, 8, keep=8, generator=rng).x
    assert abs((kept.mean().item() - mean) / (variance / N) ** 0.5) < SIGMAS
    inside = ((kept - 0.5).abs() < 0.5).double().mean().item()
    expected = density[((grid[:, 0] - 0.5).abs() < 0.5)].sum().item()
    assert abs(inside - expected) < SIGMAS * (expected / N) ** 0.5 + 1e-4


@pytest.mark.parametrize("name", [n for n in EXACT if ROWS[n].masks])
def test_with_a_mask_the_conditional_is_sampled_and_the_rest_stays(name, rng):
    """Of a Gaussian with correlation r, x2 given x1 has mean r x1 and variance 1 - r^2."""
    r = 0.8
    energy = Gaussian(double(0.0, 0.0), double([1.0, r], [r, 1.0]))
    held = torch.full((N, 1), 1.5, dtype=torch.float64)
    free = r * 1.5 + (1 - r**2) ** 0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    sampler = replace(ROWS[name].make(0.6, 1.0), mask=double(0.0, 1.0))
    chain = sample(sampler, energy, torch.cat([held, free], 1), 6, keep=6, generator=rng)
    assert torch.equal(chain.x[:, :1], held)
    assert abs(z_of_variance(chain.x[:, 1] - r * 1.5, 1 - r**2)) < SIGMAS
    assert 0.3 < chain.acceptance.mean() <= 1


def test_annealing_goes_through_its_levels_and_stays_at_the_last(rng):
    """From a start much too narrow, 40 steps at T = 9 then 40 at T = 1 reach variance 1; at the end of the first, 9."""
    annealed = Annealed.over(Mala(step_size=0.8), 40, temperatures=(9.0, 1.0), power=1.0)
    assert annealed.total == 80 and [k.step_size for k in annealed.kernels] == [7.2, 0.8]
    start = torch.full((N, 1), 1e-3, dtype=torch.float64)
    chain = sample(annealed, normal(), start, 120, keep=40, generator=rng)
    for draws, variance in zip(chain.draws, (9.0, 1.0, 1.0), strict=True):
        assert abs(z_of_variance(draws, variance)) < SIGMAS


@pytest.mark.parametrize("make", [lambda h: Mala(step_size=h), lambda h: Hmc(step_size=h, length=5, jitter=0.5)])
@pytest.mark.parametrize("guess", [1e-3, 3.0])
def test_warm_up_finds_the_step_that_accepts_as_often_as_it_should(make, guess, rng):
    target = TARGETS["Gaussian images"]
    energy = target.energy()
    sampler, state = warm_up(make(guess), energy, target.draw(energy, 100, rng), 200, generator=rng)
    told = sample(sampler, energy, state, 50, generator=rng).acceptance.mean().item()
    assert abs(told - AIMS[type(sampler)]) < 0.05


def test_two_thousand_steps_of_a_correlated_gaussian_are_known_to_their_own_standard_error():
    """From a start far away; the Monte-Carlo error that the chains tell is the error they make."""
    energy = Gaussian(double(1.0, -2.0), double([2.0, 1.2], [1.2, 1.0]))
    generator = Generator().manual_seed(3)
    start = torch.zeros(16, 2, dtype=torch.float64) + 5
    chain = sample(Hmc(step_size=0.4, length=6, jitter=0.5), energy, start, 1_000, discard=100, generator=generator)
    z = (chain.draws.mean((0, 1)) - energy.mean) / chain.mcse()
    assert z.abs().max() < SIGMAS and chain.rhat().max() < 1.01 and chain.ess().min() > 1_000
