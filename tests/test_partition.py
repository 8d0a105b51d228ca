"""Differences of log Z against known ones, by both ways, and their error bars against the errors made."""

import pytest
import torch

from ergosum.compose import And
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.well import DoubleWell
from ergosum.partition import LogZ, annealed_importance, bridge, log_z_difference, weighted
from ergosum.samplers.chain import sample
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.mala import Mala

SIGMAS = 4


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def image(seed, variance):
    generator = torch.Generator().manual_seed(seed)
    return Gaussian(
        0.1 * torch.rand(3, 8, 8, generator=generator, dtype=torch.float64), double(variance).expand(3, 8, 8)
    )


PAIRS = {
    "Gaussians": (Gaussian(double(0.0), double(1.0)), Gaussian(double(0.5), double(0.4))),
    "correlated": (
        Gaussian(double(0.0, 0.0), double([1.0, 0.0], [0.0, 1.0])),
        Gaussian(double(0.5, 0.0), double([1.0, 0.8], [0.8, 1.0])),
    ),
    "ring": (Gaussian(double(0.0, 0.0), double(2.0, 2.0)), Ring(1.5, 0.4).double()),
    "well": (Gaussian(double(0.0), double(1.5)), DoubleWell(1.0, 1.0).double()),
    "images": (image(0, 1.0), image(1, 0.9)),
}
"""Energies whose log Z is known in closed form or by quadrature."""


@pytest.mark.parametrize("name", PAIRS)
def test_annealing_finds_the_difference_within_its_error(name, rng):
    a, b = PAIRS[name]
    found = annealed_importance(a, b, a.draw(2_000, rng), Mala(step_size=0.2), rungs=40, generator=rng)
    assert abs(found.value - (b.log_z - a.log_z)) < SIGMAS * found.error
    assert found.error < 0.1 and found.effective > 200


@pytest.mark.parametrize("name", PAIRS)
def test_a_bridge_finds_the_difference_within_its_error_and_both_ways(name, rng):
    a, b = PAIRS[name]
    x, y = a.draw(2_000, rng), b.draw(1_000, rng)
    there, back = bridge(a, b, x, y), bridge(b, a, y, x)
    assert abs(there.value - (b.log_z - a.log_z)) < SIGMAS * there.error and there.error < 0.2
    assert there.value == pytest.approx(-back.value, abs=1e-6) and there.error == pytest.approx(back.error, rel=1e-3)


@pytest.mark.parametrize("way", ["annealed", "bridge"])
def test_the_error_bar_is_the_error_that_is_made(way):
    """Squared z-scores of 60 repetitions have mean 1 with standard error sqrt(2 / 60) = 0.18."""
    a, b = PAIRS["Gaussians"]
    squares = []
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        x = a.draw(400, rng)
        if way == "bridge":
            found = bridge(a, b, x, b.draw(400, rng))
        else:
            found = annealed_importance(a, b, x, Mala(step_size=0.3), rungs=10, generator=rng)
        squares.append(((found.value - (b.log_z - a.log_z)) / found.error) ** 2)
    assert abs(sum(squares) / 60 - 1) < SIGMAS * (2 / 60) ** 0.5


def test_a_difference_takes_the_way_that_it_is_given_draws_for(rng):
    a, b = PAIRS["Gaussians"]
    x = a.draw(500, rng)
    assert log_z_difference(a, b, x, x) == bridge(a, b, x, x)
    two = (torch.Generator().manual_seed(1) for _ in range(2))
    by_name, direct = (log_z_difference(a, b, x, sampler=Hmc(step_size=0.3), rungs=5, generator=next(two)),
                       annealed_importance(a, b, x, Hmc(step_size=0.3), rungs=5, generator=next(two)))  # fmt: skip
    assert by_name == direct
    with pytest.raises(ValueError, match=r"expected draws of b, for bridge sampling, or a sampler"):
        log_z_difference(a, b, x)


def test_estimated_weights_give_the_shares_that_were_asked_for(rng):
    """Two energies offset by constants that nobody chose: -log(0.7 p_a + 0.3 p_b) all the same."""
    a, b = Gaussian(double(-1.0), double(0.5)), Gaussian(double(1.0), double(0.8))
    shifted = And(b, lambda x: torch.full((len(x),), 5.0, dtype=torch.float64))
    found = bridge(a, shifted, a.draw(50_000, rng), b.draw(50_000, rng))
    energy = weighted([a, shifted], [0.0, found], shares=[0.7, 0.3])
    truth = Mixture(double([-1.0], [1.0]), double(0.5, 0.8), double(0.7, 0.3))
    x = truth.draw(20_000, rng)
    difference = energy(x) - truth(x)
    assert (difference - difference.mean()).abs().max() < 10 * found.error
    kept = sample(Mala(step_size=0.4), energy, x, 5, keep=5, generator=rng).x
    share = a_share = (kept < 0).double().mean().item()
    expected = (x < 0).double().mean().item()
    assert abs(share - expected) < SIGMAS * (2 * a_share * (1 - a_share) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, x: bridge(a, a, x[:1], x), "two draws or more of each"),
        (lambda a, x: annealed_importance(a, a, x[:1], Mala(step_size=0.1)), "two draws or more"),
        (lambda a, x: annealed_importance(a, a, x, Mala(step_size=0.1), rungs=0), "rungs >= 1"),
        (lambda a, x: weighted([a, a], [0.0]), "one log Z and one share"),
        (lambda a, x: weighted([a, a], [0.0, 0.0], shares=[1.0, 0.0]), "share > 0"),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, message, rng):
    a = PAIRS["Gaussians"][0]
    with pytest.raises(ValueError, match=message):
        call(a, a.draw(10, rng))


def test_densities_that_never_meet_have_no_bridge(rng):
    """Far apart, the estimate either stops or owns up to its error; it never looks sure and is wrong."""
    a, b = (Gaussian(double(m), double(1.0)) for m in (-40.0, 40.0))
    try:
        found = bridge(a, b, a.draw(100, rng), b.draw(100, rng))
    except ArithmeticError as error:
        assert "Anneal" in str(error)
    else:
        assert isinstance(found, LogZ) and found.effective < 5
