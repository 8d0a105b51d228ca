"""Annealing over temperatures and over noise levels, which are two things."""

import pytest
import torch

from ergosum.energy import Energy
from ergosum.samplers.annealed import Annealed, Level
from ergosum.samplers.chain import run, sample
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala

N = 20_000


class Noised(Energy):
    """The energy of a point at m with noise of standard deviation sigma."""

    def __init__(self, mean, sigma):
        super().__init__()
        self.mean, self.sigma = mean, sigma

    def forward(self, x):
        return ((x - self.mean) / self.sigma).square().sum(1) / 2

    def at_noise(self, sigma):
        return Noised(self.mean, sigma)


U, V = Noised(0.0, 1.0), Noised(1.0, 1.0)

COMPOSED = {
    "one": (U, 0.0, 1.0),
    "sum": (U & V, 0.5, 0.5),
    "weighted": (0.5 * U & V, 2 / 3, 2 / 3),
    "divided": (V & ~(0.5 * U), 2.0, 2.0),
}
"""Composition, its mean, and its variance over sigma^2."""


@pytest.mark.parametrize("name", COMPOSED)
def test_noise_levels_reach_the_terms_of_a_composition(name, rng):
    """At sigma = 0.1 the product of two such densities has the standard deviation 0.0707."""
    energy, mean, share = COMPOSED[name]
    ladder = Annealed.over(Mala(step_size=0.004), 60, noise_levels=(1.0, 0.3, 0.1), power=2.0)
    start = torch.randn(N, 1, generator=rng, dtype=torch.float64)
    x = sample(ladder, energy, start, ladder.total + 60, keep=ladder.total + 60, generator=rng).x
    variance = 0.01 * share
    assert abs(x.mean().item() - mean) < 4 * (variance / N) ** 0.5
    assert abs((x - mean).square().mean().item() / variance - 1) < 4 * (2 / N) ** 0.5


def test_at_one_noise_level_a_single_energy_has_that_standard_deviation(rng):
    x = sample(Annealed.over(Mala(step_size=0.005), 100, noise_levels=(0.1,)), U, torch.zeros(N, 1).double(), 100,
               keep=100, generator=rng).x  # fmt: skip
    assert abs(x.std().item() - 0.1) < 4 * 0.1 / (2 * N) ** 0.5


def test_temperatures_flatten_the_energy_and_leave_its_noise_level(rng):
    ladder = Annealed.over(Mala(step_size=0.5), 60, temperatures=(4.0, 2.0), power=1.0)
    x = sample(ladder, U, torch.zeros(N, 1, dtype=torch.float64), 120, keep=60, generator=rng).draws
    for draws, variance in zip(x, (4.0, 2.0), strict=True):
        assert abs(draws.square().mean().item() / variance - 1) < 4 * (2 / N) ** 0.5


def test_an_energy_without_noise_levels_says_so():
    ladder = Annealed.over(Mala(step_size=0.5), 2, noise_levels=(1.0, 0.1))
    with pytest.raises(ValueError, match="noise"):
        sample(ladder, lambda x: x.square().sum(1), torch.zeros(2, 1), 3)


def test_a_step_is_told_with_the_energy_of_its_level_and_a_chain_with_the_one_given():
    ladder = Annealed.over(Langevin(step_size=1e-4), 2, temperatures=(4.0, 1.0))
    x = torch.ones(3, 1, dtype=torch.float64)
    steps = list(run(ladder, U, x, 4, generator=torch.Generator().manual_seed(0)))
    assert [s.state.held.rung for s in steps] == [0, 0, 1, 1] and isinstance(steps[0].state.held, Level)
    assert [round(s.info.energy[0].item(), 1) for s in steps] == [0.1, 0.1, 0.5, 0.5]
    chain = sample(ladder, U, x, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(chain.energy, torch.stack([U(d) for d in chain.draws]))


def test_a_gradient_that_a_kernel_would_clip_out_of_sight_is_found():
    class Cusp(Energy):
        def forward(self, x):
            return x.square().sum(1).sqrt()

    clipped = Annealed.over(Langevin(step_size=0.1, clip=1.0, clamp=(0.0, 1.0)), 2, temperatures=(2.0, 1.0))
    with pytest.raises(NonFiniteError):
        sample(clipped, Cusp(), torch.zeros(2, 1), 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda k: Annealed(kernels=(k,), steps=1), "either temperatures or noise_levels"),
        (lambda k: Annealed(kernels=(k,), steps=1, temperatures=(1.0,), noise_levels=(1.0,)), "one of the two"),
        (lambda k: Annealed(kernels=(k,), steps=1, temperatures=(2.0, 1.0)), "got 1 kernels"),
        (lambda k: Annealed(kernels=(k,), steps=0, temperatures=(1.0,)), "steps >= 1"),
        (lambda k: Annealed.over(k, 2, noise_levels=(1.0, -0.1)), "levels > 0"),
    ],
)
def test_levels_are_of_one_kind_and_positive(build, message):
    with pytest.raises(ValueError, match=message):
        build(Mala(step_size=0.1))
