"""Differences of log Z against known ones, by both ways, and their error bars against the errors made."""

import warnings

import pytest
import torch

from ergosum.compose import And
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.well import DoubleWell
from ergosum.partition import annealed_importance, bridge, log_z_difference, weighted
from ergosum.samplers.chain import Chain, State, sample
from ergosum.samplers.descent import Descent
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.importance import FewDrawsWarning
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala

SIGMAS = 4
TEMPERATURES = [(1.0, 1.0), (5.0, 1.0), (0.2, 3.0)]
"""Of a and of b, that they were trained at: the density is exp(-E), so no estimate may depend on them."""


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


@pytest.fixture
def pair(name, trained):
    """Two energies that say they were trained at some temperatures."""
    a, b = PAIRS[name]
    a.temperature, b.temperature = trained
    yield a, b
    a.temperature = b.temperature = 1.0


@pytest.mark.parametrize("name, trained", [
    pytest.param(name, trained, marks=pytest.mark.slow if name == "images" and trained != TEMPERATURES[0] else ())
    for name in PAIRS for trained in TEMPERATURES
])  # fmt: skip
def test_annealing_finds_the_difference_within_its_error(pair, rng):
    a, b = pair
    found = annealed_importance(a, b, a.draw(2_000, rng), Mala(step_size=0.2), rungs=40, generator=rng)
    assert abs(found.value - (b.log_z - a.log_z)) < SIGMAS * found.error
    assert found.error < 0.1 and found.effective > 200


@pytest.mark.parametrize("trained", TEMPERATURES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_bridge_finds_the_difference_within_its_error_and_both_ways(pair, rng):
    a, b = pair
    x, y = a.draw(2_000, rng), b.draw(1_000, rng)
    there, back = bridge(a, b, x, y), bridge(b, a, y, x)
    assert abs(there.value - (b.log_z - a.log_z)) < SIGMAS * there.error and there.error < 0.2
    assert there.value == pytest.approx(-back.value, abs=1e-6) and there.error == pytest.approx(back.error, rel=1e-3)


@pytest.mark.parametrize("trained", TEMPERATURES)
@pytest.mark.parametrize("name", ["Gaussians"])
@pytest.mark.parametrize("way", ["annealed", "bridge"])
def test_the_error_bar_is_the_error_that_is_made(way, pair):
    """Squared z-scores of 60 repetitions have mean 1 with standard error sqrt(2 / 60) = 0.18."""
    a, b = pair
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


def test_what_is_wanted_of_an_energy_in_units_is_asked_of_that(rng):
    """E / T of a Gaussian of variance v is one of variance T v: log Z rises by log(T) / 2 for each coordinate."""
    a, b = Gaussian(double(0.0), double(1.0)), Gaussian(double(0.0), double(0.5))
    b.temperature = 3.0
    units = b.in_units()
    x = 3**0.5 * b.draw(4_000, rng)
    found = bridge(a, units, a.draw(4_000, rng), x)
    assert abs(found.value - 0.5 * torch.tensor(1.5).log().item()) < SIGMAS * found.error and found.error < 0.03


def autoregressive(energy, keep, rng):
    """Four chains of 800 draws of a one-dimensional Gaussian, each draw correlated with the one before by `keep`."""
    rows = [torch.randn(4, 1, generator=rng, dtype=torch.float64)]
    for _ in range(799):
        rows.append(keep * rows[-1] + (1 - keep**2) ** 0.5 * torch.randn(4, 1, generator=rng, dtype=torch.float64))
    draws = energy.mean + energy.variance.sqrt() * torch.stack(rows)
    return Chain(draws, torch.zeros(800, 4), None, None, None, None, State(draws[-1]))


@pytest.mark.parametrize("way", ["annealed", "bridge"])
def test_the_error_bar_of_a_chain_allows_for_its_correlation(way):
    """With a correlation of 0.85, 12 draws count for one; taken as independent, errors are some 3 times too small.

    Squared z-scores of 30 repetitions have mean 1 with standard error 0.26.
    """
    a, b = PAIRS["Gaussians"]
    honest, naive = [], []
    for seed in range(30):
        rng = torch.Generator().manual_seed(seed)
        chains = [autoregressive(energy, 0.85, rng) for energy in (a, b)]
        flat = [chain.draws.flatten(0, 1) for chain in chains]
        if way == "bridge":
            found, other = bridge(a, b, *chains), bridge(a, b, *flat)
        else:
            found, other = (annealed_importance(a, b, x, Mala(step_size=0.05), rungs=2, generator=rng)
                            for x in (chains[0], flat[0]))  # fmt: skip
        truth = b.log_z - a.log_z
        honest.append(((found.value - truth) / found.error) ** 2)
        naive.append(((other.value - truth) / other.error) ** 2)
    assert abs(sum(honest) / 30 - 1) < SIGMAS * (2 / 30) ** 0.5
    assert sum(naive) / 30 > 3


@pytest.mark.parametrize(
    "sampler",
    [Mala(step_size=0.2, temperature=4.0), Hmc(step_size=0.3, temperature=4.0), Langevin(step_size=0.5), Descent()],
    ids=["Mala, T = 4", "Hmc, T = 4", "Langevin", "Descent"],
)
def test_a_kernel_that_does_not_leave_the_path_as_it_is_is_refused(sampler, rng):
    """They gave -1.755 +- 0.016 and -1.178 +- 0.010 where -0.602 is right."""
    a, b = PAIRS["Gaussians"]
    with pytest.raises(ValueError, match=r"annealed_importance: expected (an exact kernel|a kernel at temperature 1)"):
        annealed_importance(a, b, a.draw(100, rng), sampler, generator=rng)


def test_an_estimate_that_hangs_on_one_draw_says_so(rng):
    """Two rungs from N(0, 1) to N(3, 0.01) in three coordinates: one weight holds all."""
    a, b = Gaussian(torch.zeros(3).double()), Gaussian(torch.full((3,), 3.0).double(), torch.full((3,), 0.01).double())
    with pytest.warns(FewDrawsWarning, match=r"annealed_importance: the estimate rests on .* effective draws"):
        found = annealed_importance(a, b, a.draw(1_000, rng), Mala(step_size=0.01), rungs=2, generator=rng)
    assert found.effective < 5 and abs(found.value - (b.log_z - a.log_z)) > 5 * found.error


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


@pytest.mark.parametrize("distance", [12.0, 80.0])
def test_densities_that_never_meet_have_no_bridge(distance, rng):
    """Far apart, the estimate does not settle, or says that it rests on a few draws; true is 0 in both cases."""
    a, b = (Gaussian(double(m), double(1.0)) for m in (-distance / 2, distance / 2))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found = bridge(a, b, a.draw(100, rng), b.draw(100, rng))
        except ArithmeticError as error:
            assert "no fixed point" in str(error) and "Anneal" in str(error)
            return
    assert found.effective < 30 and [w.category for w in seen] == [FewDrawsWarning]
