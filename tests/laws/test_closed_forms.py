"""What every closed form obeys: its draws, moments, normaliser and gradient tell of one and the same density.

Draws are compared by z-scores whose standard error is their own. The limit is four standard errors for one number and,
for many, what makes a false alarm among all of them as rare as that.
"""

import math

import pytest
import torch
from closed_forms import CHARTS, CLOSED_FORMS, NO_DENSITY, PLAIN, covariance, image, seeded, vector
from scipy.special import ive
from scipy.stats import norm

from ergosum.compose import And, Or
from ergosum.energies.arguments import fits, positive, real
from ergosum.energies.box import Box
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.rejection import rejection
from ergosum.energies.ring import Ring
from ergosum.energies.well import DoubleWell
from ergosum.energy import Energy

N = 20_000
N_IMAGES = 4000
H = 1e-5
"""As in test_energies.py."""

EVERY = {**CLOSED_FORMS, **NO_DENSITY}
every_closed_form = pytest.mark.parametrize("name", CLOSED_FORMS)
every_energy = pytest.mark.parametrize("name", EVERY)
low_dimensional = pytest.mark.parametrize(
    # the mild funnel as it is has tails too long for a grid
    "name",
    [n for n in CLOSED_FORMS if CLOSED_FORMS[n]().mean.numel() <= 2 and n != "Funnel, mild"],
)


def agrees(samples, told=0.0):
    """Whether the mean over samples (n, ...) is `told`, to the standard errors of the module's docstring."""
    gap = (samples - told).flatten(1)
    z = gap.mean(0) / (gap.std(0) / len(gap) ** 0.5)
    limit = norm.isf(norm.sf(4) / z.numel())
    assert z.abs().max() < limit, f"z = {z.abs().max():.2f}, limit {limit:.2f}"


def enough(energy):
    return N if energy.mean.numel() < 10 else N_IMAGES


def points(name, n=8):
    """Where an energy is asked: around its density, and a little beyond."""
    if name == "Masked":
        return 4 * image(0, n, 3)
    if name == "Clauses":
        return image(0, n, 3)
    energy = EVERY[name]()
    return energy.mean + 1.3 * (energy.draw(n, seeded(0)) - energy.mean)


@every_closed_form
def test_draws_have_the_mean_and_the_variance_that_are_told(name):
    energy, chart = CLOSED_FORMS[name](), CHARTS.get(name, PLAIN)
    assert energy.mean.shape == energy.variance.shape == energy.draw(3, seeded(0)).shape[1:]
    draws = chart.to(energy.draw(enough(energy), seeded(1)))
    agrees(draws, energy.mean)
    agrees((draws - energy.mean).square(), chart.variance(energy))


@every_closed_form
def test_draws_need_no_generator(name):
    energy = CLOSED_FORMS[name]()
    torch.manual_seed(0)
    assert torch.isfinite(energy.draw(3)).all()


@every_energy
def test_a_batch_of_none_has_no_energies_and_no_gradients(name):
    x = points(name)[:0]
    value, gradient = EVERY[name]().value_and_gradient(x)
    assert EVERY[name]()(x).shape == value.shape == (0,) and gradient.shape == x.shape


@low_dimensional
def test_log_z_and_moments_are_what_a_fine_grid_says(name):
    """Tolerance: twice what halving the step changes; 1e-9 for what lies beyond twelve deviations."""
    energy, chart = CLOSED_FORMS[name](), CHARTS.get(name, PLAIN)
    coarse, fine = (
        _on_a_grid(energy, chart, steps) for steps in ((50_000, 100_000) if len(energy.mean) == 1 else (200, 400))
    )
    told_log_z = torch.tensor(energy.log_z, dtype=torch.float64)
    for told, found, before in zip((told_log_z, energy.mean, chart.variance(energy)), fine, coarse, strict=True):
        slack = 1e-9 + 2 * (found - before).abs().max().item()
        assert slack < 1e-3
        torch.testing.assert_close(told, found, rtol=0, atol=slack)


def _on_a_grid(energy, chart, steps):
    """log Z, mean and variance by the trapezium rule, which converges fast for densities that vanish at the ends."""
    spread = 12 * chart.variance(energy).sqrt()
    axes = [
        m + s * torch.linspace(-1, 1, steps + 1, dtype=torch.float64) for m, s in zip(energy.mean, spread, strict=True)
    ]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    density = (chart.log_volume(grid) - energy(chart.back(grid))).exp()
    share = density / density.sum()
    mean = share @ grid
    cell = math.prod(2 * s.item() / steps for s in spread)
    return (density.sum() * cell).log(), mean, share @ (grid - mean).square()


@every_closed_form
def test_draws_fit_the_energy_by_the_identities_of_stein(name):
    """$E[grad E] = 0$ and $E[(x - m) . grad E] = D$, by parts."""
    energy = CLOSED_FORMS[name]()
    x = energy.draw(enough(energy), seeded(2))
    gradient = energy.gradient(x)
    agrees(gradient)
    agrees(((x - energy.mean) * gradient).flatten(1).sum(1, keepdim=True), energy.mean.numel())


@every_energy
def test_the_gradient_matches_finite_differences(name):
    energy, x = EVERY[name](), points(name)
    for seed in range(3):
        direction = image(10 + seed, *x.shape) - 0.5
        slope = (energy(x + H * direction) - energy(x - H * direction)) / (2 * H)
        told = (energy.gradient(x) * direction).flatten(1).sum(1)
        torch.testing.assert_close(told, slope, rtol=1e-6, atol=1e-7 * max(1.0, slope.abs().max().item()))


@every_energy
def test_value_and_gradient_are_what_autograd_says_once_and_twice(name):
    energy = EVERY[name]()
    for graph in (False, True):
        found, told = [], []
        for method, kept in (
            (energy.value_and_gradient, found),
            (lambda *a: Energy.value_and_gradient(energy, *a), told),
        ):
            x = points(name).requires_grad_()
            value, gradient = method(x, graph)
            assert gradient.requires_grad == (graph and name != "Clauses") and (graph or not value.requires_grad)
            kept += [value, gradient]
            if gradient.requires_grad:
                kept += torch.autograd.grad(gradient.square().sum() + value.sum(), x)
        for mine, autograd in zip(found, told, strict=True):
            torch.testing.assert_close(mine, autograd, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(energy(points(name)), found[0].detach(), rtol=1e-12, atol=1e-12)


@every_energy
def test_an_energy_is_one_number_per_sample_whatever_its_batch_mates(name):
    energy, x = EVERY[name](), points(name)
    together = energy(x)
    assert together.shape == (len(x),) and torch.isfinite(together).all() and len(energy(x[:0])) == 0
    torch.testing.assert_close(
        torch.cat([energy(x[i : i + 1]) for i in range(len(x))]), together, rtol=1e-12, atol=1e-12
    )


@every_closed_form
def test_draws_repeat_with_their_generator_and_leave_the_global_one_alone(name):
    energy, before = CLOSED_FORMS[name](), torch.get_rng_state()
    a, b, other = (energy.draw(50, seeded(s)) for s in (3, 3, 4))
    assert a.equal(b) and not a.equal(other) and torch.get_rng_state().equal(before)
    assert len(energy.draw(0, seeded(3))) == 0


@every_closed_form
def test_draws_and_moments_follow_the_dtype_of_the_energy(name):
    energy = CLOSED_FORMS[name]()
    x = energy.draw(5, seeded(0))
    single = energy.float()
    assert x.dtype == torch.float64
    assert {v.dtype for v in (single.draw(5, seeded(0)), single.mean, single.variance, single(x.float()))} == {
        torch.float32
    }


@every_energy
def test_x_of_another_shape_is_refused(name):
    wrong = torch.zeros(2, *points(name).shape[1:], 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"expected x of shape \(batch, "):
        EVERY[name]()(wrong)


def test_the_sum_of_two_gaussians_is_the_gaussian_with_added_precisions():
    means, covariances = [image(20, 3), image(21, 3)], [covariance(22, 3), covariance(23, 3)]
    a, b = (Gaussian(m, c) for m, c in zip(means, covariances, strict=True))
    precision = covariances[0].inverse() + covariances[1].inverse()
    mean = torch.linalg.solve(precision, sum(torch.linalg.solve(c, m) for m, c in zip(means, covariances, strict=True)))
    product, x = Gaussian(mean, precision.inverse()), 3 * image(24, 9, 3)
    apart = And(a, b)(x) - product(x)
    torch.testing.assert_close(apart, apart[:1].expand(9), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close((a & b).gradient(x), product.gradient(x), rtol=1e-9, atol=1e-9)


def test_an_alternative_of_gaussians_is_their_mixture_in_closed_form():
    """Equal shares by default; what is summed is twice the mixture, so log Z is log 2."""
    a, b = Gaussian(vector(-1, 0), vector(0.5, 2)), Gaussian(vector(2, 1), 0.3)
    mixture = Mixture(torch.stack([a.mean, b.mean]), torch.stack([a.variance, b.variance]))
    x = 4 * image(25, 9, 2) - 2
    torch.testing.assert_close((a | b)(x) + math.log(2), mixture(x), rtol=1e-12, atol=1e-12)
    assert (a | b).log_z == pytest.approx(math.log(2), abs=1e-12)
    shares = Or(a, b, log_weights=[math.log(0.2) - a.log_z, math.log(0.8) - b.log_z])
    uneven = Mixture(mixture.means, mixture.variances, vector(1, 4))
    torch.testing.assert_close(shares(x), uneven(x), rtol=1e-12, atol=1e-12)
    assert shares.log_z == pytest.approx(0, abs=1e-12)


def test_diagonal_and_full_covariances_describe_one_gaussian():
    spread, mean, x = 0.1 + image(26, 2, 3), image(27, 2, 3), image(28, 5, 2, 3)
    fast, full = Gaussian(mean, spread), Gaussian(mean, spread.flatten().diag())
    torch.testing.assert_close(fast(x), full(x))
    torch.testing.assert_close(fast.draw(4, seeded(0)), full.draw(4, seeded(0)))
    assert fast.log_z == pytest.approx(full.log_z) and fast.precision is None
    assert Gaussian(mean, 0.3).log_z == pytest.approx(Gaussian(mean, torch.full_like(mean, 0.3)).log_z)


def test_log_z_of_gaussian_images_is_half_the_log_determinant():
    told = 0.5 * torch.linalg.slogdet(2 * math.pi * covariance(2, 192)).logabsdet.item()
    assert CLOSED_FORMS["Gaussian, images"]().log_z == pytest.approx(told, rel=1e-12)


@pytest.mark.parametrize("barrier", [0.01, 1.0, 30.0, 1e4, 1e7])
def test_log_z_of_an_even_double_well_is_a_sum_of_bessel_functions(barrier):
    """$int exp(-b (u^2 - 1)^2) du = pi/2 exp(-b/2) (I_{-1/4}(b/2) + I_{1/4}(b/2))$, here with a = 1."""
    told = math.log(math.pi / 2 * (ive(-0.25, barrier / 2) + ive(0.25, barrier / 2)))
    assert DoubleWell(barrier, 2.0).log_z == pytest.approx(told, abs=1e-10)


def test_a_tilt_lifts_the_right_well_by_as_much_and_shares_follow():
    well = DoubleWell(1e4, 2.0, tilt=math.log(3)).double()
    right, left = well(vector(1, -1)[:, None])
    assert right - left == pytest.approx(math.log(3))
    agrees((well.draw(N, seeded(5)) > 0).double(), 0.25)


def test_modes_of_a_ring_of_gaussians_are_visited_equally():
    ring = Mixture.ring(modes=5).double()
    nearest = torch.cdist(ring.draw(N, seeded(6)), ring.means).argmin(1)
    agrees(torch.nn.functional.one_hot(nearest, 5)[:, :4].double(), 0.2)


def test_rejection_keeps_in_proportion_to_the_acceptance():
    """Uniform proposals accepted with probability u have the mean 2/3."""

    def propose(m):
        u = torch.rand(m, generator=generator, dtype=torch.float64)
        return u, u.log()

    generator = seeded(7)
    kept = rejection(N, propose, generator)
    assert kept.shape == (N,)
    agrees(kept[:, None], 2 / 3)


REFUSED = {
    "a mean of integers": (lambda: Gaussian(torch.arange(3)), "a mean as a float tensor"),
    "a mean without dimensions": (lambda: Gaussian(torch.tensor(1.0)), "at least one dimension"),
    "a mean that is a list": (lambda: Gaussian([0.0]), "got list"),
    "a mean with nan": (lambda: Gaussian(vector(0, math.nan)), "expected a finite mean|a finite a mean"),
    "covariance of another shape": (lambda: Gaussian(vector(0, 1), vector(1, 1, 1)), r"a matrix \(2, 2\)"),
    "variance of zero": (lambda: Gaussian(vector(0, 1), vector(1, 0)), "a variance > 0 and finite, got 0"),
    "covariance not symmetric": (lambda: Gaussian(vector(0, 1), vector(1, 2, 0, 1).view(2, 2)), "symmetric"),
    "covariance not positive": (lambda: Gaussian(vector(0, 1), vector(1, 2, 2, 1).view(2, 2)), "eigenvalue -1"),
    "means not (K, D)": (lambda: Mixture(vector(0, 1)), r"expected means \(K, D\)"),
    "variances of another shape": (lambda: Mixture(image(0, 2, 3), vector(1, 1, 1)), "variances as a number"),
    "weights of another number": (lambda: Mixture(image(0, 2, 3), 1.0, vector(1)), "expected 2 weights"),
    "a weight of zero": (lambda: Mixture(image(0, 2, 3), 1.0, vector(1, 0)), "a weight > 0"),
    "a ring of no modes": (lambda: Mixture.ring(modes=0), "at least one mode"),
    "a ring of no width": (lambda: Ring(1.0, 0.0), "a width > 0"),
    "a ring of infinite radius": (lambda: Ring(math.inf, 1.0), "a radius > 0 and finite"),
    "a funnel without others": (lambda: Funnel(1), "at least 2 dimensions"),
    "a funnel of no spread": (lambda: Funnel(2, -1.0), "sigma > 0 and finite, got -1"),
    "no barrier": (lambda: DoubleWell(0.0, 1.0), "a barrier > 0"),
    "no dimensions": (lambda: DoubleWell(1.0, 1.0, 0), "at least one dimension"),
    "an infinite tilt": (lambda: DoubleWell(1.0, 1.0, tilt=math.inf), "expected a finite tilt"),
    "a box inside out": (lambda: Box(vector(0, 1), vector(1, 0), 1.0), "swap them there"),
    "corners of two shapes": (lambda: Box(vector(0), vector(1, 1), 1.0), "of one shape"),
    "softness of another shape": (lambda: Box(vector(0), vector(1), vector(1, 1)), "a softness that is a number"),
    "softness of zero": (lambda: Box(vector(0), vector(1), 0.0), "a softness > 0"),
    "x without a batch": (lambda: fits("Ring", torch.tensor(1.0), ()), "reshape x"),
    "a tensor of inf": (lambda: real("Box", "a corner", vector(math.inf)), "got inf or nan"),
    "a negative number": (lambda: positive("Ring", "a width", -2), "got -2"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_arguments_out_of_range_are_refused_with_a_way_out(what):
    make, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        make()
