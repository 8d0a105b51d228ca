"""Going on from a state: the energy and gradient that it carries are never those of another energy."""

import pytest
import torch
from torch import Generator, nn

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy
from ergosum.samplers import Annealed, GibbsWithGradients, Hmc, Langevin, Mala, ParallelTempering, UnderdampedLangevin
from ergosum.samplers.chain import Varying, resumed, run, sample

EXACT = {
    "Mala": Mala(step_size=0.5),
    "Hmc": Hmc(step_size=0.8, length=4),
    "Annealed": Annealed.over(Mala(step_size=0.5), 5, temperatures=(1.0, 1.0)),
    "ParallelTempering": ParallelTempering(kernel=Mala(step_size=0.5), temperatures=(1.0, 2.0)),
}
N = 4_000


class Movable(Energy):
    """A normal density whose mean is a weight, on one coordinate."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        return (x - self.mean).square().sum(1) / 2


def at_rest(rng, mean=0.0):
    return mean + torch.randn(N, 1, generator=rng, dtype=torch.float64)


def is_normal_about(x, mean):
    """The mean of N independent draws of variance 1 is within 4 standard errors of it."""
    return abs(x.mean().item() - mean) < 4 / N**0.5


@pytest.mark.parametrize("name", EXACT)
def test_chains_follow_weights_that_change_between_two_runs(name, rng):
    """In bursts of two steps, as persistent chains are trained with; at mean 30 the old energy would refuse all."""
    energy, state = Movable(), at_rest(rng)
    for k in range(200):
        with torch.no_grad():
            energy.mean.fill_(min(30.0, 0.5 * k))
        chain = sample(EXACT[name], energy, state, 2, generator=rng)
        state = chain.state
    assert chain.acceptance.mean() > 0.3 and is_normal_about(chain.x, 30.0)


@pytest.mark.parametrize("name", EXACT)
def test_chains_follow_another_energy_from_their_state(name, rng):
    first = sample(EXACT[name], Gaussian(torch.zeros(1).double()), at_rest(rng), 5, generator=rng)
    second = sample(EXACT[name], Gaussian(torch.full((1,), 3.0).double()), first.state, 150, keep=150, generator=rng)
    assert is_normal_about(second.x, 3.0)


def test_a_stale_gradient_of_underdamped_dynamics_is_taken_anew():
    kernel, x = UnderdampedLangevin(step_size=0.1), torch.ones(2, 1)
    first = sample(kernel, lambda x: x.square().sum(1) / 2, x, 1, generator=Generator().manual_seed(0)).state
    fresh = resumed(kernel, Gaussian(torch.full((1,), 3.0)), first)
    torch.testing.assert_close(fresh.gradient, first.x - 3)
    assert fresh.held is first.held and fresh.n == 1


def test_a_momentum_lives_on_through_levels_and_varying_energies():
    """With almost no friction a particle that falls keeps its speed where the energy changes hands."""
    kernel, bowl = (
        UnderdampedLangevin(step_size=0.01, friction=1e-9, temperature=0.0),
        Gaussian(torch.zeros(1).double()),
    )
    x = torch.ones(1, 1, dtype=torch.float64)
    whole = sample(kernel, bowl, x, 100).x
    varying = sample(kernel, Varying(lambda n, x: bowl), x, 100).x
    annealed = sample(Annealed.over(kernel, 10, temperatures=(1.0, 1.0)), bowl, x, 100).x
    torch.testing.assert_close(varying, whole)
    torch.testing.assert_close(annealed, whole)
    assert abs(whole.item() - torch.cos(torch.tensor(1.0)).item()) < 1e-4


@pytest.mark.parametrize("steps", [1, 7])
def test_a_resumed_run_costs_one_evaluation_more(steps):
    calls = []

    class Counted(Energy):
        def forward(self, x):
            calls.append(len(x))
            return x.square().sum(1) / 2

    energy, rng = Counted(), Generator().manual_seed(0)
    state = sample(Mala(step_size=0.1), energy, torch.zeros(2, 1), 3, generator=rng).state
    calls.clear()
    list(run(Mala(step_size=0.1), energy, state, steps, generator=rng))
    assert len(calls) == steps + 1


SAMPLERS = {**EXACT, "Langevin": Langevin(step_size=0.1), "UnderdampedLangevin": UnderdampedLangevin(step_size=0.1)}


@pytest.mark.parametrize("name", [*SAMPLERS, "GibbsWithGradients"])
def test_every_sampler_runs_in_inference_mode_with_the_same_draws_and_goes_on_after_it(name):
    sampler = GibbsWithGradients() if name == "GibbsWithGradients" else SAMPLERS[name]
    energy, one, two = Movable() & Gaussian(torch.zeros(3).double()), *(Generator().manual_seed(0) for _ in range(2))
    x = torch.ones(4, 3, dtype=torch.float64)
    plain = sample(sampler, energy, x, 6, generator=one)
    with torch.inference_mode():
        inside = sample(sampler, energy, torch.ones(4, 3, dtype=torch.float64), 6, generator=two)
    assert torch.equal(plain.draws, inside.draws) and torch.equal(plain.energy, inside.energy)
    after, same = (sample(sampler, energy, c.state, 3, generator=g) for c, g in ((inside, two), (plain, one)))
    assert torch.equal(after.draws, same.draws) and all(p.requires_grad for p in energy.parameters())
