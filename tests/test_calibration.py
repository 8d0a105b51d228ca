"""The scale of an energy read off its data, and sums of calibrated energies."""

import pytest
import torch

from ergosum.calibration import Scale, calibrate, scale_of
from ergosum.compose import And
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energy import Energy, as_energy

SIGMAS = 4


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


ENERGIES = {
    "Gaussian": Gaussian(double(0.3), double(0.5)),
    "correlated": Gaussian(double(1.0, -2.0), double([2.0, 1.2], [1.2, 1.0])),
    "Mixture": Mixture(double([-1.5, 0.0], [1.0, 1.0]), double(0.5, 1.0), double(0.7, 0.3)),
    "images": Gaussian(torch.zeros(3, 8, 8, dtype=torch.float64), torch.full((3, 8, 8), 0.2, dtype=torch.float64)),
}


@pytest.mark.parametrize("factor", [37.0, 1e-4])
@pytest.mark.parametrize("name", ENERGIES)
def test_the_scale_is_read_off_the_data(name, factor, rng):
    energy = ENERGIES[name]
    found = scale_of(lambda x: factor * energy(x), energy.draw(4_000, rng), generator=rng)
    assert abs(found.weight - 1 / factor) < SIGMAS * found.error and found.error < 0.1 / factor
    assert found.temperature == pytest.approx(factor, rel=0.2)


def test_by_denoising_the_scale_is_that_of_the_blurred_data(rng):
    """For data N(0, v) and E = c x^2 / 2 v, noise s gives w = v / (c (v + s^2)): what fits N(0, v + s^2)."""
    v, s, c = 0.5, 0.3, 20.0
    x = v**0.5 * torch.randn(40_000, 1, generator=rng, dtype=torch.float64)
    found = scale_of(lambda y: c * y[:, 0] ** 2 / (2 * v), x, noise=s, generator=rng)
    assert abs(found.weight - v / (c * (v + s**2))) < SIGMAS * found.error


def test_the_error_bar_is_the_error_that_is_made():
    energy, squares = ENERGIES["Mixture"], []
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        found = scale_of(energy, energy.draw(1_000, rng), generator=rng)
        squares.append(((found.weight - 1) / found.error) ** 2)
    assert abs(sum(squares) / 60 - 1) < SIGMAS * (2 / 60) ** 0.5


def test_calibrated_energies_compose_into_the_product_of_their_densities(rng):
    a, b = Gaussian(double(-1.0), double(1.0)), Gaussian(double(2.0), double(0.5))
    loud, quiet = as_energy(lambda x: 300 * a(x)), as_energy(lambda x: 0.01 * b(x))
    loud.temperature = 300.0
    x, y = a.draw(50_000, rng), b.draw(50_000, rng)
    together = And(*calibrate([loud, quiet], [x, y], generator=rng))  # no warning: both are in units
    grid = torch.linspace(-3, 4, 50, dtype=torch.float64)[:, None]
    expected = a(grid) + b(grid)
    assert (together(grid) / expected - 1).abs().max() < 0.05
    raw = (loud(grid) + quiet(grid)) / expected
    assert raw.max() / raw.min() > 10, "without calibration the sum is another one"


def test_an_energy_that_is_known_by_its_score_alone_has_a_scale_too(rng):
    class Score(Energy):
        has_value = False

        def gradient(self, x, create_graph=False):
            return 20 * x

    x = torch.randn(4_000, 1, generator=rng, dtype=torch.float64)
    for noise, weight in ((0.0, 1 / 20), (0.5, 1 / 25)):
        found = scale_of(Score(), x, noise=noise, generator=rng)
        assert abs(found.weight - weight) < SIGMAS * found.error


def test_data_that_an_energy_does_not_fit_are_refused(rng):
    hill = as_energy(lambda x: -x.square().sum(1))
    with pytest.raises(ValueError, match="not low at these data"):
        scale_of(hill, torch.randn(100, 2, generator=rng, dtype=torch.float64), generator=rng)
    with pytest.raises(ValueError, match="two samples or more and noise >= 0, got 1"):
        scale_of(hill, torch.ones(1, 2))
    with pytest.raises(ValueError, match="no second derivative; pass noise"):
        scale_of(lambda x: x.sum(1), torch.ones(4, 2))
    with pytest.raises(ValueError, match="expected data for each of 2 energies, got 1"):
        calibrate([hill, hill], [torch.ones(2, 2)])
    assert Scale(0.5, 0.1).temperature == 2


def test_a_weight_that_cannot_be_told_from_0_is_refused(rng):
    """A network that was never trained says nothing of the data, and any weight would do."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.SiLU(), torch.nn.Linear(64, 1))
    data = torch.randn(200, 2, generator=rng)
    refused = 0
    for seed in range(10):
        torch.manual_seed(seed)
        for layer in (net[0], net[2]):
            layer.reset_parameters()
        try:
            told = scale_of(lambda x: net(x).squeeze(1), data, noise=0.5, generator=rng)
        except ValueError as error:
            refused += "cannot be told from 0" in str(error) or "is not low" in str(error)
        else:
            assert told.weight > 2 * told.error
    assert refused >= 5
