"""What stops a chain, one guard at a time; whole chains are stopped in test_samplers.py."""

import pytest
import torch

from ergosum.compose import negation
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy
from ergosum.samplers.guards import (
    NonFiniteError,
    UnboundedError,
    expect_finite,
    expect_shape,
    lowest,
    refuse_fall,
    refuse_non_finite,
    refuse_ungrounded,
)
from ergosum.samplers.tensors import plus, uniform

BOWL = Gaussian(torch.zeros(2)).named("bowl")


def test_expect_shape_wants_one_energy_per_sample():
    expect_shape(torch.zeros(3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"shape \(3,\) for x of shape \(3, 2\); got shape \(3, 2\)"):
        expect_shape(torch.zeros(3, 2), torch.zeros(3, 2))


def test_refuse_ungrounded_wants_a_positive_term():
    refuse_ungrounded(BOWL & ~BOWL)
    with pytest.raises(ValueError, match="positive & ~this"):
        refuse_ungrounded(~BOWL)


def test_lowest_is_asked_of_unbounded_negations_only():
    value = torch.tensor([1.0, -3.0])
    assert lowest(BOWL, value) is None
    assert lowest(BOWL & negation(BOWL, 0.1, margin=1.0), value) is None
    assert lowest(BOWL & ~BOWL, value) == -3 - 1e3 * 4


def test_refuse_fall_names_the_chain_that_fell_deepest():
    value = torch.tensor([0.0, -12.0, -11.0])
    refuse_fall("Descent", BOWL, value, None, 7)
    refuse_fall("Descent", BOWL, value, -12.0, 7)
    with pytest.raises(UnboundedError, match="chain 1 fell below -10 at step 7"):
        refuse_fall("Descent", BOWL, value, -10.0, 7)


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
