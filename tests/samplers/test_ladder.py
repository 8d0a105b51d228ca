"""Down a ladder of noise levels: the laws that are known in closed form, and what is refused."""

import math
from itertools import pairwise

import pytest
import torch

from ergosum.compose import disjunction
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.score import as_score
from ergosum.energy import Energy
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.ladder import UNITS, NoiseLadder, Particles, Rung
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import Ancestral, ProbabilityFlow, Reverse, denoised, levels
from ergosum.samplers.underdamped import UnderdampedLangevin

SIGMAS = 4
"""Standard errors that a right sampler may be off."""

DOWN = levels(0.1, 8.0, 24)


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def start_of(energy, n, rng, sigma=DOWN[0]):
    return energy.at_noise(sigma).draw(n, rng)


def expect_moments(x, mean, variance, n=None):
    n = n or len(x)
    assert ((x.mean(0) - mean).abs() < SIGMAS * (variance / n) ** 0.5).all(), (x.mean(0), mean)
    assert ((x.var(0) / variance - 1).abs() < SIGMAS * (2 / n) ** 0.5).all(), (x.var(0), variance)


BOWL = Gaussian(double(2.0, -1.0), double(0.5, 0.09))


def ancestral_law(mean, variance, deviation, down):
    """Mean and variance at the last level of a chain that starts right: a linear map of x and noise at every step."""
    centre, spread = mean, variance + down[0] ** 2
    for s, t in pairwise(down):
        keep = (variance + t**2) / (variance + s**2)
        centre = mean + keep * (centre - mean)
        spread = keep**2 * spread + (deviation**2 + t**2) * (s**2 - t**2) / (deviation**2 + s**2)
    return centre, spread


@pytest.mark.parametrize("deviation", [0.0, 0.4, 3.0])
def test_the_ancestral_chain_of_a_gaussian_has_its_own_law(deviation, rng):
    ladder = NoiseLadder(levels=levels(0.1, 8.0, 8), reverse=Ancestral(deviation=deviation))
    x = ladder.sample(BOWL, start_of(BOWL, 8_000, rng), generator=rng).x
    mean, variance = ancestral_law(BOWL.mean, BOWL.variance, deviation, ladder.levels)
    expect_moments(x, mean, variance)


def test_with_the_datas_own_deviation_the_ancestral_step_is_exact_however_few_the_levels(rng):
    ladder = NoiseLadder(levels=(8.0, 0.1), reverse=Ancestral(deviation=BOWL.variance.sqrt()))
    x = ladder.sample(BOWL, start_of(BOWL, 8_000, rng), generator=rng).x
    expect_moments(x, BOWL.mean, BOWL.variance + 0.01)


def test_the_flow_maps_quantiles_and_heuns_error_falls_faster_than_eulers():
    """Of a Gaussian, x - m grows as the root of the variance."""
    x = BOWL.mean + double(-1.5, 0.0, 0.7)[:, None] * (BOWL.variance + 64) ** 0.5
    truth = BOWL.mean + (x - BOWL.mean) * ((BOWL.variance + 0.01) / (BOWL.variance + 64)) ** 0.5
    wrong = {
        (heun, n): (
            NoiseLadder(levels=levels(0.1, 8.0, n), reverse=ProbabilityFlow(heun=heun)).sample(BOWL, x).x - truth
        ).abs().max().item()
        for heun in (False, True)
        for n in (40, 160)
    }  # fmt: skip
    assert wrong[True, 160] < 2e-3
    euler, heun = (math.log(wrong[h, 40] / wrong[h, 160], 4) for h in (False, True))
    assert euler == pytest.approx(1, abs=0.15) and heun == pytest.approx(2, abs=0.25)


LEFT, RIGHT = Gaussian(double(-3.0, 0.0), 0.04), Gaussian(double(3.0, 0.0), 0.25)


def test_a_disjunction_keeps_its_shares_without_corrections(rng):
    shares = double(0.8, 0.2)
    mixture = Mixture(torch.stack([LEFT.mean, RIGHT.mean]), double(0.04, 0.25), shares)
    energy = disjunction(LEFT, RIGHT, log_weights=(shares.log() - double(LEFT.log_z, RIGHT.log_z)).tolist())
    n = 4_000
    x = NoiseLadder(levels=levels(0.05, 20.0, 60)).sample(energy, start_of(mixture, n, rng, 20.0), generator=rng).x
    share = (x[:, 0] < 0).double().mean().item()
    assert abs(share - 0.8) < SIGMAS * (0.8 * 0.2 / n) ** 0.5


A, B = Gaussian(double(-1.0, 0.0), double(1.0, 0.2)), Gaussian(double(1.0, 0.5), double(0.3, 1.0))


def product(sigma):
    """Mean and variance of the product of A and B noised to a level, and its log Z."""
    a, b = A.variance + sigma**2, B.variance + sigma**2
    variance = 1 / (1 / a + 1 / b)
    log_z = (2 * math.pi * variance).log().sum() / 2 - ((A.mean - B.mean).square() / (a + b)).sum() / 2
    return variance * (A.mean / a + B.mean / b), variance, log_z.item()


def product_start(n, rng, sigma=DOWN[0]):
    mean, variance, _ = product(sigma)
    return mean + variance.sqrt() * torch.randn(n, 2, generator=rng, dtype=torch.float64)


def test_a_product_needs_corrections_and_weights_and_is_exact_with_them(rng):
    n, islands = 4_000, 40
    mean, variance, _ = product(0.1)
    x = product_start(n, rng)
    plain = NoiseLadder(levels=DOWN).sample(A & B, x, generator=rng).x
    centre, spread = product(DOWN[0])[:2]
    for s, t in pairwise(DOWN):
        at, width, _ = product(s)
        keep = 1 - (s**2 - t**2) / width
        centre, spread = at + keep * (centre - at), keep**2 * spread + t**2 * (s**2 - t**2) / s**2
    expect_moments(plain, centre, spread)
    assert ((centre - mean).abs() > 4 * SIGMAS * (variance / n) ** 0.5).any(), "which is another law by far"
    ladder = NoiseLadder(levels=DOWN, correction=Mala(step_size=0.3), corrections=4, islands=islands)
    found = ladder.sample(A & B, x, generator=rng)
    assert isinstance(found, Particles) and len(found.ess) == len(found.acceptance) == len(DOWN)
    assert found.gradients == 1 * len(DOWN) + 4 * len(DOWN), "one at each level, and those of corrections"
    expect_moments(found.pooled(rng), mean, variance, min(n, found.log_z[-1].effective))
    expect_moments(found.one_each(rng), mean, variance, islands)
    assert found.acceptance[-1] == pytest.approx(0.574, abs=0.15)


@pytest.mark.parametrize(
    "kernel", [None, Mala(step_size=0.3), Hmc(step_size=0.5, length=3)], ids=["none", "mala", "hmc"]
)
@pytest.mark.parametrize("deviation", [0.0, 1.0])
def test_log_z_of_every_level_is_that_of_the_product(kernel, deviation, rng):
    ladder = NoiseLadder(
        levels=levels(0.3, 4.0, 12), reverse=Ancestral(deviation=deviation), correction=kernel, islands=50
    )
    found = ladder.sample(A & B, product_start(2_500, rng, 4.0), generator=rng)
    first = product(4.0)[2]
    off = [(z.value - (product(s)[2] - first)) for s, z in zip(ladder.levels, found.log_z, strict=True)]
    assert off[0] == 0 and all(abs(o) < SIGMAS * z.error for o, z in zip(off[1:], found.log_z[1:], strict=True))
    assert found.log_z[-1].error < 0.5 and min(found.ess) > 0.1


def test_from_a_start_of_known_log_z_that_of_every_level_is_absolute(rng):
    """The start is another Gaussian than the first level's density."""
    base = Gaussian(torch.zeros(2, dtype=torch.float64), 10.0)
    ladder = NoiseLadder(levels=levels(0.3, 4.0, 12), reverse=Ancestral(deviation=0.7), correction=Mala(step_size=0.3),
                         corrections=2, islands=40)  # fmt: skip
    found = ladder.sample(A & B, base.draw(2_000, rng), start=base, generator=rng)
    for sigma, z in zip(ladder.levels, found.log_z, strict=True):
        assert abs(z.value - product(sigma)[2]) < SIGMAS * z.error
    assert found.log_z[0].error > 0


def test_weights_are_even_where_the_step_is_the_posterior_itself(rng):
    ladder = NoiseLadder(levels=(8.0, 1.0, 0.1), reverse=Ancestral(deviation=BOWL.variance.sqrt()), islands=2)
    found = ladder.sample(BOWL, start_of(BOWL, 64, rng), generator=rng)
    assert found.ess == pytest.approx((1, 1, 1), abs=1e-9)
    assert found.log_z[-1].value == pytest.approx(BOWL.at_noise(0.1).log_z - BOWL.at_noise(8.0).log_z, abs=1e-9)


JOINT = Gaussian(double(1.0, -1.0, 0.5), double([1.0, 0.8, 0.3], [0.8, 1.0, 0.1], [0.3, 0.1, 0.6]))


def conditional(value):
    """Mean and covariance of the last two coordinates given the first, at noise 0.02 on all of them."""
    cov = JOINT.covariance + 0.02**2 * torch.eye(3, dtype=torch.float64)
    gain = cov[1:, 0] / cov[0, 0]
    return JOINT.mean[1:] + gain * (value - JOINT.mean[0]), cov[1:, 1:] - gain[:, None] * cov[0, 1:]


@pytest.mark.parametrize("islands", [0, 20])
def test_with_known_coordinates_the_rest_has_the_conditional_law(islands, rng):
    n, mask = 2_000, double(0.0, 1.0, 1.0)
    ladder = NoiseLadder(levels=levels(0.02, 8.0, 30), correction=Mala(step_size=0.3), corrections=8, islands=islands)
    found = ladder.sample(
        JOINT, start_of(JOINT, n, rng), known=double(2.5, math.nan, math.nan), mask=mask, generator=rng
    )
    x = found.pooled(rng)
    assert (x[:, 0] - 2.5).abs().max() < 6 * 0.02 and x[:, 0].std().item() == pytest.approx(0.02, rel=0.2)
    mean, covariance = conditional(2.5)
    # the known value bears noise of its own, 0.02, which adds less than a thousandth to each variance
    expect_moments(x[:, 1:], mean, covariance.diagonal(), found.log_z[-1].effective if islands else n)


def test_the_last_step_takes_the_noise_away_and_leaves_known_values_as_they_are(rng):
    ladder = NoiseLadder(levels=(4.0, 1.0, 0.3), denoise=True)
    *_, noisy, last = ladder.descend(BOWL, start_of(BOWL, 100, rng), generator=rng)
    assert isinstance(last, Rung) and last.sigma == 0 and noisy.sigma == 0.3
    truth = BOWL.mean + (noisy.x - BOWL.mean) * BOWL.variance / (BOWL.variance + 0.09)
    torch.testing.assert_close(last.x, truth)
    torch.testing.assert_close(denoised(noisy.x, BOWL.at_noise(0.3).gradient(noisy.x), 0.3), truth)
    mask = double(0.0, 1.0).expand(100, 2)
    known = torch.full((100, 2), 7.0, dtype=torch.float64)
    x = ladder.sample(BOWL, start_of(BOWL, 100, rng), known=known, mask=mask, generator=rng).x
    assert (x[:, 0] == 7).all() and (x[:, 1] != 7).all()


@pytest.mark.parametrize("correction", [None, Langevin(step_size=0.05), UnderdampedLangevin(step_size=0.3)])
def test_a_score_alone_is_enough_without_accept_tests_and_weights(correction, rng):
    score = as_score(lambda x, sigma: -(x - BOWL.mean) / (BOWL.variance + sigma**2), 0.0)
    ladder = NoiseLadder(levels=levels(0.1, 8.0, 30), correction=correction, corrections=2)
    one, two = (
        ladder.sample(energy, start_of(BOWL, 50, torch.Generator().manual_seed(3)), generator=rng.manual_seed(0)).x
        for energy in (score & score, BOWL & BOWL)
    )
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("kernel", [Mala(step_size=0.1), Hmc(step_size=0.1)])
def test_what_needs_a_value_refuses_a_score(kernel, rng):
    score = as_score(lambda x, sigma: -x / (1 + sigma**2), 0.0)
    x = torch.zeros(4, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="known by its score alone"):
        NoiseLadder(levels=(1.0, 0.5), correction=kernel).sample(score, x, generator=rng)
    with pytest.raises(ValueError, match=r"weights: .* known by its score alone"):
        NoiseLadder(levels=(1.0, 0.5), islands=2).sample(score, x, generator=rng)


def test_step_sizes_follow_the_level_and_the_acceptance(rng):
    """The same Gaussian at every scale: a step in units of the level is accepted as often at each of them."""
    point = Gaussian(torch.zeros(3, dtype=torch.float64), 1e-12)
    for kernel, target in ((Mala(step_size=30.0), 0.574), (Hmc(step_size=0.01, length=3), 0.8)):
        assert type(kernel) in UNITS
        ladder = NoiseLadder(levels=levels(0.01, 10.0, 60), correction=kernel)
        found = ladder.sample(point, start_of(point, 500, rng, 10.0), generator=rng)
        assert sum(found.acceptance[-10:]) / 10 == pytest.approx(target, abs=0.08)
        assert found.step_sizes[-1] == pytest.approx(found.step_sizes[-10], rel=0.7)


def test_the_same_generator_gives_the_same_bits_and_a_walk_by_hand_is_the_sample(rng):
    ladder = NoiseLadder(levels=DOWN[:8], correction=Mala(step_size=0.3), islands=4, denoise=True)
    x = product_start(64, rng)
    one, two = (ladder.sample(A & B, x, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    walked = list(ladder.descend(A & B, x, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(one.x, two.x) and torch.equal(one.x, walked[-1].x) and one.log_z == two.log_z
    assert [r.n for r in walked] == list(range(9)) and [r.sigma for r in walked] == [*ladder.levels, 0.0]
    assert sum(r.gradients for r in walked) == one.gradients
    always = list(NoiseLadder(levels=DOWN[:4], islands=4, spread=1.0).descend(A & B, x, generator=rng))
    assert all((r.log_weight == 0).all() for r in always) and len(always[-1].ancestor.unique()) < 64


@pytest.mark.parametrize("rho", [1.0, 7.0, math.inf])
def test_levels_fall_from_the_highest_to_the_lowest(rho):
    made = levels(0.03, 8.0, 9, rho)
    assert len(made) == 9 and made[0] == 8.0 and made[-1] == 0.03
    assert all(a > b for a, b in pairwise(made))
    power = (lambda s: math.log(s)) if math.isinf(rho) else (lambda s: s ** (1 / rho))
    gaps = [power(a) - power(b) for a, b in pairwise(made)]
    assert gaps == pytest.approx([gaps[0]] * 8)


def test_gradients_that_are_not_finite_are_told_with_their_level(rng):
    class Broken(Energy):
        def __init__(self, sigma=0.0):
            super().__init__()
            self.sigma = sigma

        def forward(self, x):
            return (x.square() / (self.sigma**2 - 0.25 if self.sigma == 0.5 else 1.0)).sum(1)

        def at_noise(self, sigma):
            return Broken(sigma)

    with pytest.raises(NonFiniteError, match="at step 2, chain 0"):
        NoiseLadder(levels=(2.0, 1.0, 0.5, 0.2), islands=2).sample(Broken(), torch.ones(4, 1), generator=rng)
    with pytest.raises(NonFiniteError, match="at step 2, chain 0"):
        NoiseLadder(levels=(2.0, 1.0, 0.5, 0.2)).sample(Broken(), torch.ones(4, 1), generator=rng)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NoiseLadder(levels=(0.1, 1.0)), "from high to low"),
        (lambda: NoiseLadder(levels=(1.0, 0.0)), "a noise level > 0"),
        (lambda: NoiseLadder(levels=(1.0,), corrections=0), "corrections >= 1"),
        (lambda: NoiseLadder(levels=(1.0,), spread=0.0), "0 < spread <= 1"),
        (lambda: NoiseLadder(levels=(1.0,), correction=object()), "a known unit, Langevin, Mala"),
        (lambda: NoiseLadder(levels=(1.0,), islands=2, correction=Langevin(step_size=0.1)), "an exact kernel"),
        (lambda: NoiseLadder(levels=(1.0,), islands=2, reverse=ProbabilityFlow()), "use Ancestral, or islands=0"),
        (lambda: NoiseLadder(levels=(1.0,), correction=Mala(step_size=1.0, mask=torch.ones(2))), "mask of its own"),
        (lambda: Ancestral(deviation=-1.0), "deviation >= 0"),
        (lambda: levels(1.0, 0.5, 3), "0 < lowest < highest"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("islands", "arguments", "message"),
    [
        (0, {"known": torch.zeros(2)}, "got one of the two"),
        (0, {"known": torch.zeros(2), "mask": torch.zeros(2)}, "no coordinate free"),
        (0, {"known": torch.zeros(2), "mask": torch.tensor([0.0, 0.5])}, "a mask of booleans"),
        (0, {"known": torch.zeros(5, 2), "mask": torch.ones(2)}, "known values that broadcast to x"),
        (5, {}, "a multiple of 5 islands"),
        (0, {"start": BOWL}, "needs islands >= 1"),
        (2, {"start": A & B}, "whose log_z is known"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(islands, arguments, message, rng):
    ladder = NoiseLadder(levels=(1.0, 0.5), islands=islands)
    with pytest.raises(ValueError, match=message):
        ladder.sample(BOWL, torch.zeros(6, 2, dtype=torch.float64), generator=rng, **arguments)
    with pytest.raises(ValueError, match="a negation alone"):
        NoiseLadder(levels=(1.0,)).sample(~BOWL, torch.zeros(6, 2), generator=rng)


def test_steps_down_are_of_one_protocol():
    assert isinstance(Ancestral(), Reverse) and isinstance(ProbabilityFlow(), Reverse)
    with pytest.raises(ValueError, match="no density"):
        x = torch.zeros(1, 1)
        ProbabilityFlow().log_ratio(x, x, x, 1.0, 0.5)
