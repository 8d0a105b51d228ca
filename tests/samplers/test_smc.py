"""Tempered sequential Monte Carlo against known log Z, its error against the error made, and what it saves from AIS."""

import warnings

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.partition import annealed_importance
from ergosum.samplers.gibbs import GibbsWithGradients
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.importance import FewDrawsWarning
from ergosum.samplers.mala import Mala
from ergosum.samplers.smc import Population, tempered_smc

SIGMAS = 4


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


PAIRS = {
    "shifted": (Gaussian(double(0.0)), Gaussian(double(3.0), double(0.3)), 0.3),
    "correlated": (
        Gaussian(double(0.0, 0.0), double(3.0, 3.0)), Gaussian(double(1.0, -2.0), double([2.0, 1.2], [1.2, 1.0])), 0.3,
    ),
    "mixture": (
        Gaussian(double(0.0), double(9.0)), Mixture(double([-3.0], [3.0]), double(0.4, 0.4), double(0.7, 0.3)), 0.4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("temperature", [1.0, 6.0])
def test_log_z_and_draws_are_those_of_the_target(name, temperature, rng):
    """The temperature that an energy was trained at changes neither: the density is exp(-E)."""
    a, b, h = PAIRS[name]
    n = 8_000
    b.temperature = temperature
    found = tempered_smc(a, b, a.draw(n, rng), Mala(step_size=h), moves=10, generator=rng)
    b.temperature = 1.0
    assert isinstance(found, Population) and found.betas[-1] == 1 and all(0 < r <= 1 for r in found.acceptance)
    assert abs(found.log_z.value - (b.log_z - a.log_z)) < SIGMAS * found.log_z.error and found.log_z.error < 0.1
    truth = b.draw(200_000, rng)
    for power in (1, 2):
        each = found.x.pow(power)
        error = each.std(0) / min(n, 3 * found.log_z.effective) ** 0.5
        assert ((each.mean(0) - truth.pow(power).mean(0)).abs() < SIGMAS * error).all()


def test_the_error_bar_is_the_error_that_is_made():
    """Squared z-scores of 60 repetitions with 16 islands: Student's t with 15 degrees, mean square 15 / 13."""
    a, b, h = PAIRS["shifted"]
    squares = []
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        found = tempered_smc(a, b, a.draw(640, rng), Mala(step_size=h), moves=3, generator=rng).log_z
        squares.append(((found.value - (b.log_z - a.log_z)) / found.error) ** 2)
    assert abs(sum(squares) / 60 - 15 / 13) < SIGMAS * (2.6 / 60) ** 0.5 * 15 / 13


def test_where_annealed_importance_hangs_on_one_draw_resampling_is_right(rng):
    """Ten coordinates, each shifted by 3 and four times narrower."""
    a = Gaussian(torch.zeros(10, dtype=torch.float64))
    b = Gaussian(torch.full((10,), 3.0, dtype=torch.float64), torch.full((10,), 1 / 16, dtype=torch.float64))
    draws = a.draw(3_200, rng)
    found = tempered_smc(a, b, draws, Hmc(step_size=0.2, length=5), moves=4, generator=rng)
    assert abs(found.log_z.value - (b.log_z - a.log_z)) < SIGMAS * found.log_z.error and found.log_z.error < 0.5
    with pytest.warns(FewDrawsWarning):
        alone = annealed_importance(a, b, draws, Hmc(step_size=0.2, length=5), rungs=len(found.betas), generator=rng)
    assert alone.effective < 5 < 30 < found.log_z.effective


def test_draws_know_their_ancestors_and_the_same_generator_gives_the_same(rng):
    a, b, h = PAIRS["shifted"]
    draws = a.draw(320, rng)
    one, two = (
        tempered_smc(a, b, draws, Mala(step_size=h), generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(one.x, two.x) and one.log_z == two.log_z and torch.equal(one.ancestor, two.ancestor)
    shares = torch.bincount(one.ancestor, minlength=320).double() / 320
    assert one.log_z.effective == pytest.approx((1 / shares.square().sum()).item(), rel=0.3)
    assert (draws[one.ancestor].mean() > draws.mean()).item(), "those on the side of the target leave descendants"


def test_binary_variables_have_a_partition_function_too(rng):
    """sum exp(-E) over 2^6 corners against the uniform density, by enumeration."""
    corners = torch.cartesian_prod(*[double(0.0, 1.0)] * 6)
    field = torch.randn(6, generator=rng, dtype=torch.float64)

    def energy(x):
        return 2 * (x * field).sum(1) + (x.sum(1) - 2).square()

    flat = lambda x: 0 * x.sum(1)  # noqa: E731
    draws = (torch.rand(6_400, 6, generator=rng) < 0.5).double()
    found = tempered_smc(flat, energy, draws, GibbsWithGradients(), moves=8, generator=rng).log_z
    truth = (-energy(corners)).logsumexp(0).item() - 6 * 0.6931471805599453
    assert abs(found.value - truth) < SIGMAS * found.error and found.error < 0.05


def test_settings_out_of_range_are_refused_and_too_few_ancestors_told(rng):
    a, b, h = PAIRS["shifted"]
    kernel = Mala(step_size=h)
    for bad in ({"islands": 1}, {"islands": 7}, {"moves": 0}, {"spread": 1.0}, {"islands": 32}):
        with pytest.raises(ValueError, match="tempered_smc: expected moves >= 1"):
            tempered_smc(a, b, a.draw(48, rng), kernel, **bad)
    with pytest.raises(ValueError, match="at temperature 1"):
        tempered_smc(a, b, a.draw(32, rng), Mala(step_size=h, temperature=2.0))
    with pytest.raises(ValueError, match="a negation alone"):
        tempered_smc(a, ~b, a.draw(32, rng), kernel)
    with pytest.warns(FewDrawsWarning, match=r"tempered_smc: .* take more draws"), warnings.catch_warnings():
        tempered_smc(a, b, a.draw(32, rng), kernel, generator=rng)
