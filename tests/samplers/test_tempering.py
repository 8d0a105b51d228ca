"""What a ladder of temperatures tells of itself: rates of exchange and round trips, counted by hand."""

import pytest
import torch
from torch import Generator

from ergosum.energies.gaussian import Gaussian
from ergosum.samplers.chain import run, sample
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering

TEMPERATURES = (1.0, 1.7, 3.0, 6.0)
LADDER = ParallelTempering(kernel=Mala(step_size=0.5), temperatures=TEMPERATURES)
BOWL = Gaussian(torch.zeros(3, dtype=torch.float64))


def seeded(seed=0):
    return Generator().manual_seed(seed)


def test_rates_are_the_mean_probabilities_of_exchange_before_it_happens():
    """exp[(1/T_i - 1/T_j)(E_i - E_j)], at most 1; the energies before the exchange are those of the kernel's step."""
    x = torch.randn(500, 3, generator=seeded(), dtype=torch.float64)
    state = LADDER.init(BOWL, x)
    for n in range(6):
        generator = seeded(n)
        moved, _ = state.held.kernel.step(BOWL, state, generator)
        following, info = LADDER.step(BOWL, state, seeded(n))
        e = moved.energy.view(4, 500)
        pairs = [(i, i + 1) for i in range(3) if i % 2 == (n + 1) % 2]
        for i, j in pairs:
            gap = (1 / TEMPERATURES[i] - 1 / TEMPERATURES[j]) * (e[i] - e[j])
            assert info.swaps[i].item() == pytest.approx(gap.exp().clamp(max=1).mean().item(), rel=1e-12)
        assert info.swaps.isnan().sum() == 3 - len(pairs)
        state = following


def test_a_chain_tells_the_mean_of_each_pair_over_the_steps_that_tried_it():
    x = torch.randn(50, 3, generator=seeded(), dtype=torch.float64)
    told = torch.stack([s.info.swaps for s in run(LADDER, BOWL, x, 21, generator=seeded())])
    chain = sample(LADDER, BOWL, x, 21, discard=4, generator=seeded())
    torch.testing.assert_close(chain.swaps, told[4:].nanmean(0))
    assert not torch.allclose(chain.swaps, told.nanmean(0)) and ((chain.swaps > 0.2) & (chain.swaps < 1)).all()


def test_round_trips_are_counted_from_the_top_back_to_the_bottom():
    """Against the paths that the walkers took, followed from step to step."""
    x = torch.randn(20, 3, generator=seeded(), dtype=torch.float64)
    top, trips = torch.zeros(4, 20, dtype=torch.bool), torch.zeros(4, 20, dtype=torch.long)
    for step in run(LADDER, BOWL, x, 120, generator=seeded()):
        walker = step.state.held.walker
        for chain in range(20):
            bottom = walker[0, chain]
            trips[bottom, chain] += top[bottom, chain]
            top[bottom, chain] = False
            top[walker[-1, chain], chain] = True
        assert torch.equal(step.state.held.trips, trips)
    assert trips.sum() > 50 and (trips.amax(0) > 0).all()


def test_a_kernel_of_ones_own_is_laddered_once_it_says_that_it_is_exact():
    class Plain:
        temperature = 1.0

    with pytest.raises(ValueError, match="an exact kernel with a temperature"):
        ParallelTempering(kernel=Plain(), temperatures=(1.0, 2.0))
