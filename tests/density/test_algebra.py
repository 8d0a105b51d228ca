"""AND and NOT of densities over a prior, against mixtures of Gaussians, of which both are known."""

import math
import warnings

import pytest
import torch

from ergosum.compose import EqualPartitionWarning, disjunction, leaves
from ergosum.density.algebra import Complement, Lifted, complement, lifted
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.score import as_score
from ergosum.energy import Conditional, as_energy

MEANS = torch.tensor([[-3.0, 0.0], [0.5, 2.0], [2.0, -1.0]], dtype=torch.float64)
VARIANCES = torch.tensor([0.5, 1.0, 0.3], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
PRIOR = Mixture(MEANS, VARIANCES, SHARES).named("prior")
TINY = 1e-12
"""A floor that no point of these tests reaches."""


def member(k):
    return Mixture(MEANS[k : k + 1], VARIANCES[k : k + 1]).named("abc"[k])


def rest(*kept):
    return Mixture(MEANS[list(kept)], VARIANCES[list(kept)], SHARES[list(kept)])


def points(rng, n=200):
    return PRIOR.draw(n, rng) + torch.randn(n, 2, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 3.0])
def test_a_complement_is_the_mixture_of_all_others_at_every_noise_level(sigma, rng):
    energy = complement(member(1), PRIOR, 0.3, TINY).at_noise(sigma)
    x, wanted = points(rng), rest(0, 2).at_noise(sigma)
    left = 0.7 * (PRIOR.at_noise(sigma)(x) - wanted(x)).exp()
    assert (left > 1e-6).double().mean() > 0.8 and energy.log_z == 0.0 and str(energy) == "~b"
    x = x[left > 1e-6]  # where next to nothing is left beside b, it cannot be told from rounding
    assert not energy.floored(x).any()
    value, gradient = energy.value_and_gradient(x)
    # 1 - q is known to eps / (1 - q), 1e-10, and pulls of up to 50 are weighed by its inverse
    torch.testing.assert_close(value, wanted(x), rtol=0, atol=1e-8)
    torch.testing.assert_close(gradient, wanted.gradient(x), rtol=0, atol=1e-7)


def test_what_is_neither_of_two_is_the_third_and_a_double_negation_is_the_thing_itself(rng):
    x = member(2).draw(200, rng)  # where neither of the others can be most of it
    either = disjunction(member(0), member(1), log_weights=[math.log(0.5), math.log(0.3)])
    left = (member(2)(x) * -1 + math.log(0.2) + PRIOR(x)).exp()
    x = x[left > 1e-3]
    assert either.log_z == pytest.approx(math.log(0.8)) and len(x) > 190
    torch.testing.assert_close(complement(either, PRIOR, 0.8, TINY)(x), member(2)(x), rtol=0, atol=1e-10)
    assert str(complement(either, PRIOR, 0.8)) == "~(0.5:a | 0.3:b)"
    assert complement(complement(member(0), PRIOR, 0.5), PRIOR, 0.5).name == "a"


def test_beyond_the_floor_a_complement_stays_finite_falls_with_the_posterior_and_adds_little_mass():
    side = torch.linspace(-9, 9, 361, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    for floor in (1e-3, 0.05):
        energy = Complement(member(0), PRIOR, 0.5, floor)
        density = (-energy(grid)).exp()
        mass = density.sum().item() * (side[1] - side[0]).item() ** 2
        assert 1 <= mass + 1e-6 and mass - 1 <= 0.5 * floor / 0.5 + 1e-6
        assert energy.floored(grid).any()
    # a member whose energy errs by 2 nats: log q = 1.3 + log posterior
    wrong = as_energy(lambda x: member(0)(x) - 2).named("a")
    wrong.log_z = 0.0
    energy, centre = Complement(wrong, PRIOR, 0.5), MEANS[:1]
    value, gradient = energy.value_and_gradient(centre.clone() + 0.1)
    assert torch.isfinite(value).all() and energy.floored(centre).all() and value > PRIOR(centre) + 5
    left = -torch.log1p(torch.tensor(0.5 * math.exp(2 + (PRIOR(centre) - member(0)(centre)).item()) / 1e-3))
    wanted = PRIOR(centre) - left + math.log(0.5)
    torch.testing.assert_close(energy(centre), wanted.double(), rtol=0, atol=1e-6)
    pull = PRIOR.gradient(centre + 0.1) - member(0).gradient(centre + 0.1)
    assert (gradient - PRIOR.gradient(centre + 0.1)).norm() == pytest.approx(pull.norm().item(), rel=1e-2)


def test_the_energy_is_continuous_where_the_floor_begins():
    """Along log q, from below the floor's point to above it, in two forms that are each exact where they are used."""
    from ergosum.density.algebra import _log_left

    for floor in (1e-6, 1e-3, 0.3):
        edge = math.log1p(-floor)
        below, above = (_log_left(torch.tensor([edge + d], dtype=torch.float64), floor).item() for d in (-1e-12, 1e-12))
        assert below == pytest.approx(above, abs=2e-12 / floor) and below == pytest.approx(math.log(floor), abs=1e-5)
    u = torch.tensor([-50.0, -0.71, -0.69, -1e-3], dtype=torch.float64)
    wanted = [math.log1p(-math.exp(v)) for v in u.tolist()]
    assert _log_left(u, TINY).tolist() == pytest.approx(wanted, rel=1e-12)


def test_a_lift_counts_the_prior_once(rng):
    x = points(rng)
    a, b = member(0), member(1)
    both = lifted(a, b, prior=PRIOR)
    torch.testing.assert_close(both(x), a(x) + b(x) - PRIOR(x))
    torch.testing.assert_close(both.gradient(x), a.gradient(x) + b.gradient(x) - PRIOR.gradient(x))
    strict = lifted(a, b, prior=PRIOR, weights=[3, 0.5])
    torch.testing.assert_close(strict(x), PRIOR(x) + 3 * (a(x) - PRIOR(x)) + 0.5 * (b(x) - PRIOR(x)))
    assert str(both) == "a & b" and str(strict) == "3.0*a & 0.5*b" and lifted(a, prior=PRIOR) is a
    assert both.log_z is None and both.grounded


def test_conditions_that_are_independent_given_x_are_joined_exactly():
    """Prior N(0, 4), each condition a look at x with noise 1: means 1 and -0.4 give the Gaussian of both looks."""
    prior = Gaussian(torch.zeros(1, dtype=torch.float64), 4.0)
    looks = (1.0, -0.4)
    seen = [Gaussian(torch.tensor([0.8 * m], dtype=torch.float64), 0.8) for m in looks]
    both = Gaussian(torch.tensor([(looks[0] + looks[1]) / 2.25], dtype=torch.float64), 1 / 2.25)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(lifted(*seen, prior=prior).gradient(x), both.gradient(x))


def test_a_lift_and_a_complement_evaluate_each_member_of_a_family_in_one_call(rng):
    family = Counting()
    a, b, prior = family(torch.tensor(0)), family(torch.tensor(1)), family(torch.tensor(-1))
    energy = lifted(a, complement(b, prior, 0.3), prior=prior)
    assert len(leaves(energy)) == 3
    x = points(rng)
    energy(x)
    assert family.calls == [3 * len(x)]
    torch.testing.assert_close(energy(x), member(0)(x) + Complement(member(1), PRIOR, 0.3)(x) - PRIOR(x))


def test_what_has_no_lift_or_no_complement_is_refused_in_one_line(rng):
    score = as_score(lambda x: -x).named("score")
    hot = Gaussian(torch.zeros(2))
    hot.temperature = 2.0
    for make, said in [
        (lambda: Complement(member(0), PRIOR, 1.0), "share in the prior between 0 and 1, got 1"),
        (lambda: Complement(member(0), PRIOR, 0.5, 0.0), "0 < floor <= 0.5, got 0"),
        (lambda: Complement(score, PRIOR, 0.5), "score: no energy value"),
        (lambda: Complement(hot, PRIOR, 0.5), "temperatures 1, 2"),
        (lambda: Lifted(prior=PRIOR), "one energy or more"),
        (lambda: Lifted(member(0), member(1), prior=[PRIOR]), "1 priors"),
        (lambda: Lifted(member(0), prior=PRIOR, weights=[-1]), "finite weights > 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=said):
            make()
    assert not lifted(score, member(0), prior=PRIOR).has_value


def test_an_energy_of_unknown_log_z_is_told_once_and_levels_do_not_repeat_it(rng):
    loose = as_energy(lambda x: member(0)(x)).named("loose")
    with pytest.warns(EqualPartitionWarning, match="log Z of loose is not known"):
        energy = Complement(loose, PRIOR, 0.5)
    assert energy.log_z is None
    family = Counting()
    family.log_z = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EqualPartitionWarning):
            Complement(family(torch.tensor(0)), PRIOR, 0.5)
    with pytest.warns(EqualPartitionWarning):
        made = Complement(family(torch.tensor(0)), family(torch.tensor(-1)), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.at_noise(0.5)


def test_energies_of_one_scale_need_no_log_z():
    a, prior = (as_energy(lambda x, e=e: e(x) + 7).named(e.name) for e in (member(0), PRIOR))
    a.one_scale = prior.one_scale = ("family", 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        energy = Complement(a, prior, 0.5)
        disjunction(energy, prior)
    assert energy.log_z is None and energy.one_scale == ("family", 0.1)
    x = torch.zeros(1, 2, dtype=torch.float64)
    torch.testing.assert_close(energy(x), Complement(member(0), PRIOR, 0.5)(x) + 7)


class Counting(Conditional):
    """The members of these tests as one family, which tells how many samples each call has."""

    condition_dims = 0
    log_z = 0.0

    def __init__(self, sigma=0.0):
        super().__init__()
        self.calls, self.sigma = [], sigma

    def bind(self, z, anchor):
        def value(x):
            self.calls.append(len(x))
            all_members = [PRIOR.at_noise(self.sigma), *(member(k).at_noise(self.sigma) for k in range(3))]
            return torch.stack([e(x) for e in all_members]).gather(0, z[None] + 1)[0]

        return as_energy(value)

    def at_noise(self, sigma):
        return Counting(sigma)
