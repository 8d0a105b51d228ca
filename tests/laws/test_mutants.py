"""A test of the tests: samplers broken on purpose fail the same laws that ours pass."""

import pytest
from kernels import TARGETS
from mutants import InPlaceMomentum, SharedTest, WrongVariance
from sampling import acceptance_tends_to_one, every_chain_has_an_accept_test_of_its_own, leaves_its_target_as_it_is

from ergosum.samplers.hmc import Hmc
from ergosum.samplers.mala import Mala

BROKEN = pytest.raises(AssertionError, match=r"standard errors|squared z-score|refused")


@pytest.mark.parametrize("target", ["Gaussian, 1-D", "Gaussian, correlated", "Gaussian images"])
@pytest.mark.parametrize("h", [0.5, 0.1])
def test_a_wrong_proposal_variance_is_caught(h, target):
    width = TARGETS[target].width
    with BROKEN:
        leaves_its_target_as_it_is(WrongVariance(step_size=h * width**2), TARGETS[target])


def test_a_wrong_proposal_variance_is_refused_even_at_small_steps():
    with BROKEN:
        acceptance_tends_to_one(lambda w: WrongVariance(step_size=w**2), order=3)


def test_a_shared_accept_test_is_caught():
    with BROKEN:
        every_chain_has_an_accept_test_of_its_own(SharedTest(step_size=1.0))


@pytest.mark.parametrize("target", ["Gaussian, 1-D", "Gaussian, correlated"])
def test_a_momentum_changed_in_place_is_caught(target):
    width = TARGETS[target].width
    with BROKEN:
        leaves_its_target_as_it_is(InPlaceMomentum(step_size=0.8 * width, length=4), TARGETS[target])


@pytest.mark.parametrize("target", ["Gaussian, 1-D", "Gaussian, correlated"])
def test_what_the_mutants_break_is_whole_in_ours(target):
    width = TARGETS[target].width
    leaves_its_target_as_it_is(Mala(step_size=0.5 * width**2), TARGETS[target])
    leaves_its_target_as_it_is(Mala(step_size=0.1 * width**2), TARGETS[target])
    leaves_its_target_as_it_is(Hmc(step_size=0.8 * width, length=4), TARGETS[target])
    every_chain_has_an_accept_test_of_its_own(Mala(step_size=1.0))
