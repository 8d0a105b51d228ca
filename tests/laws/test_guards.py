"""What stops a chain, one guard at a time; whole chains are stopped in test_samplers.py."""

import warnings

import pytest
import torch
from torch import nn

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy, as_energy
from ergosum.samplers.annealed import Annealed
from ergosum.samplers.chain import Varying, run, sample
from ergosum.samplers.descent import Descent
from ergosum.samplers.guards import (
    FallGuard,
    NonFiniteError,
    TrainingModeWarning,
    UnboundedError,
    coupling,
    expect_chains,
    expect_finite,
    expect_shape,
    refuse_non_finite,
    refuse_ungrounded,
)
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.tensors import plus, uniform
from ergosum.samplers.underdamped import UnderdampedLangevin

BOWL = Gaussian(torch.zeros(2)).named("bowl")


def test_expect_shape_wants_one_energy_per_sample():
    expect_shape(torch.zeros(3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"shape \(3,\) for x of shape \(3, 2\); got shape \(3, 2\)"):
        expect_shape(torch.zeros(3, 2), torch.zeros(3, 2))


def test_refuse_ungrounded_wants_a_positive_term():
    refuse_ungrounded(BOWL & ~BOWL)
    with pytest.raises(ValueError, match="positive & ~this"):
        refuse_ungrounded(~BOWL)


def test_expect_chains_wants_a_chain():
    expect_chains("Mala", torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"Mala: expected at least one chain, .* got shape \(0, 2\)"):
        expect_chains("Mala", torch.zeros(0, 2))
    with pytest.raises(ValueError, match="expected at least one chain"):
        sample(Langevin(step_size=0.1), BOWL, torch.zeros(0, 2), 3)


WIDE, NARROW = (Gaussian(torch.zeros(2, dtype=torch.float64), v) for v in (1.0, 0.1))
FALLING = {"negation": WIDE & ~NARROW, "callable": as_energy(lambda x: -x.square().sum(1))}
PROPER = {
    "negation": (Gaussian(torch.full((2,), 100.0).double()) & ~(0.5 * Gaussian(torch.zeros(2).double())), 58.579),
    "callable": (as_energy(lambda x: (x.square() / 2 - 100 * x).sum(1)), 0.0),
    "almost flat": (as_energy(lambda x: (1e-3 * x.square() - 100 * x).sum(1)), 0.0),
}
"""Proper densities and where their energy is about 0; its minimum is -5000 for each coordinate, or -2.5e6."""
SAMPLERS = {
    "Descent": Descent(step_size=0.05),
    "Langevin": Langevin(step_size=0.05),
    "Mala": Mala(step_size=0.05),
    "Hmc": Hmc(step_size=0.2),
    "UnderdampedLangevin": UnderdampedLangevin(step_size=0.2),
    "Annealed": Annealed.over(Langevin(step_size=0.05), 3, temperatures=(3.0, 1.0)),
    "ParallelTempering": ParallelTempering(kernel=Mala(step_size=0.05), temperatures=(1.0, 2.0)),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("energy", FALLING)
def test_no_sampler_runs_away_down_an_energy_that_falls_without_bound(name, energy):
    """An accept test may hold a chain up where its proposals are lopsided; what moves is stopped long before 1e18."""
    if name == "Descent" and energy == "callable":
        pytest.skip("a network's energy may have no minimum; see the next test")
    where = x = torch.ones(4, 2, dtype=torch.float64)
    try:
        for step in run(SAMPLERS[name], FALLING[energy], x, 200, generator=torch.Generator().manual_seed(0)):
            where = step.x
    except UnboundedError as error:
        assert "keeps falling beyond" in str(error)
    else:
        assert name in ("Mala", "Hmc", "ParallelTempering")
    assert where.abs().max() < 1e4


def test_descent_may_take_a_few_steps_down_an_energy_without_a_minimum():
    assert sample(Descent(step_size=1.0), FALLING["callable"], torch.ones(4, 2).double(), 10).x.abs().max() > 1e4


def test_an_energy_that_varies_is_watched_too():
    with pytest.raises(UnboundedError):
        varying = Varying(lambda n, x: WIDE & ~NARROW)
        sample(Langevin(step_size=0.05), varying, torch.ones(4, 2, dtype=torch.float64), 500)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("energy", PROPER)
def test_a_proper_density_is_never_stopped_however_far_its_minimum_lies(name, energy):
    proper, begin = PROPER[energy]
    x = torch.full((4, 2), begin, dtype=torch.float64)
    chain = sample(SAMPLERS[name], proper, x, 250, generator=torch.Generator().manual_seed(0))
    assert proper(x).abs().max() < 1 and chain.energy[-1].max() < -5e3, "it should fall far"


def test_the_check_can_be_switched_off():
    chain = sample(Langevin(step_size=0.05), WIDE & ~NARROW, torch.ones(4, 2).double(), 200, check=False)
    assert chain.x.abs().max() > 1e20


def test_within_a_clamp_an_unbounded_energy_may_be_sampled():
    clamped = Langevin(step_size=0.05, clamp=(-1e4, 1e4))
    assert sample(clamped, WIDE & ~NARROW, torch.ones(4, 2).double(), 500).x.abs().max() == 1e4


def test_the_guard_looks_again_four_times_deeper_and_stops_at_what_does_not_end():
    looks = []
    deep = as_energy(lambda x: (looks.append(len(x)), x.square().sum(1) / 2 - 1e4 * x.sum(1))[1])
    guard, x = FallGuard("Mala", torch.zeros(2, 1)), torch.ones(2, 1)
    for n, total in enumerate((0.0, -1e3, -2.5e3, -9e3, -1.1e4), 1):
        guard.watch(deep, x, torch.full((2,), total / 2), total, n)
        assert len(looks) == (0, 0, 16, 16, 32)[n - 1]


@pytest.mark.parametrize(
    ("net", "layer"),
    [
        (nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), "BatchNorm1d"),
        (nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1)), "Dropout"),
        (nn.Sequential(nn.Linear(2, 4), nn.RReLU(), nn.Linear(4, 1)), "RReLU"),
        (nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.0), nn.LayerNorm(4), nn.Linear(4, 1)), None),
    ],
)
def test_layers_in_training_mode_that_couple_chains_are_told_once(net, layer):
    class Net(Energy):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)[:, 0]

    energy = Net() & Gaussian(torch.zeros(2))
    assert coupling(energy) == layer
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sample(Langevin(step_size=0.01), energy, torch.zeros(3, 2), 3)
    assert [w.category for w in told] == [TrainingModeWarning] * (layer is not None)
    assert all("\n" not in str(w.message) and str(layer) in str(w.message) for w in told)
    energy.eval()
    assert coupling(energy) is None


def test_batch_norm_without_running_statistics_couples_chains_even_in_evaluation():
    net = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)).eval()
    assert coupling(as_energy(net)) == "BatchNorm1d" and coupling(as_energy(net.forward)) == "BatchNorm1d"
    assert coupling(nn.MultiheadAttention(4, 2, dropout=0.1)) == "MultiheadAttention"


def test_expect_finite_tells_a_start_from_a_step():
    bad = torch.tensor([[0.0, 0.0], [0.0, torch.inf]])
    expect_finite("Descent", torch.zeros(2, 2), 0)
    with pytest.raises(NonFiniteError, match="the start is not finite at step 0, chain 1"):
        expect_finite("Descent", bad, 0)
    with pytest.raises(NonFiniteError, match="left the finite numbers at step 4, chain 1; try a smaller step"):
        expect_finite("Descent", bad, 4)


def test_refuse_non_finite_names_the_term():
    class Broken(Energy):
        def forward(self, x):
            return x.square().sum(1) + torch.where(x[:, 0] > 1, torch.nan, 0.0)

    before = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    energy = BOWL & Broken().named("broken")
    with pytest.raises(NonFiniteError, match="step 3, chain 1, term broken"):
        refuse_non_finite("Descent", energy, before, before, energy(before), 3)


def test_refuse_non_finite_lets_large_numbers_pass_whose_sum_overflows():
    large = torch.full((2, 2), 3e38)
    refuse_non_finite("Descent", BOWL, large, large, torch.zeros(2), 1)


def test_plus_is_the_same_with_a_number_and_a_tensor():
    x, direction = torch.randn(3, 2), torch.randn(3, 2)
    torch.testing.assert_close(plus(x, 0.3, direction), plus(x, torch.tensor(0.3), direction))


def test_uniform_is_uniform_and_seeded():
    x = torch.zeros(20_000, 1, dtype=torch.float64)
    drawn = uniform(x, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, uniform(x, torch.Generator().manual_seed(0)))
    assert drawn.min() >= 0 and drawn.max() < 1 and drawn.dtype == x.dtype
    assert abs(drawn.mean().item() - 0.5) < 4 / (12 * 20_000) ** 0.5
