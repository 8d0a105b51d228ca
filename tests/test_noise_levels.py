"""Noise levels and temperatures pass through every composition to every leaf."""

import math

import pytest
import torch
from torch import nn

from ergosum.compose import And, disjunction, leaves, negation
from ergosum.energies.arguments import level
from ergosum.energies.experts import Experts
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energy import Closed, Conditional, Energy, as_energy
from ergosum.formula import parse_formula

DATA_VARIANCE = 0.01
POINT = torch.tensor([[0.5]], dtype=torch.float64)
GRID = torch.linspace(-12, 12, 4801, dtype=torch.float64)[:, None]
STEP = (GRID[1] - GRID[0]).item()


class Noised(Energy):
    """Data N(m, 0.1^2) noised to level s, unnormalised."""

    def __init__(self, mean, sigma):
        super().__init__()
        self.mean, self.sigma = mean, sigma

    def forward(self, x):
        return (x - self.mean).square().flatten(1).sum(1) / (2 * (DATA_VARIANCE + self.sigma**2))

    def at_noise(self, sigma):
        return Noised(self.mean, sigma)


class NoisedFamily(Conditional):
    """Data N(c w, 0.1^2) noised to level s, which counts its calls."""

    def __init__(self, sigma, w=None):
        super().__init__()
        self.sigma, self.w, self.calls = sigma, nn.Parameter(torch.ones(1).double()) if w is None else w, 0

    def bind(self, z, anchor):
        self.calls += 1
        return as_energy(lambda x: (x - z * self.w).square().sum(1) / (2 * (DATA_VARIANCE + self.sigma**2)))

    def at_noise(self, sigma):
        return NoisedFamily(sigma, self.w)


U, V = Noised(-1.0, 1.0).named("u"), Noised(1.0, 1.0).named("v")
FINE_U, FINE_V = (2.25 / 0.04, 0.25 / 0.04)
"""At level 0.1 the variance is 0.02, and x = 0.5 is 1.5 and 0.5 away."""


def at(energy):
    return energy.at_noise(0.1)(POINT).item()


@pytest.mark.parametrize("make, told", [
    (lambda u, v: u & v, 62.50),
    (lambda u, v: 0.5 * u, 28.125),
    (lambda u, v: u & ~v, FINE_U - FINE_V),
    (lambda u, v: u & negation(v, 0.3), FINE_U - 0.3 * FINE_V),
    (lambda u, v: u & negation(v, 0.3, margin=7.0), FINE_U + 0.3 * math.log1p(math.exp(7 - FINE_V))),
    (lambda u, v: u / 4, FINE_U / 4),
    (lambda u, v: 2 * (0.5 * (u & ~(0.5 * v)) & u), 3 * FINE_U - 0.5 * FINE_V),
    (lambda u, v: disjunction(u, v, log_weights=[0, -1]), -math.log(math.exp(-FINE_U) + math.exp(-1 - FINE_V))),
    (lambda u, v: parse_formula("p & 0.5*~q", {"p": u, "q": v}), FINE_U - 0.5 * FINE_V),
    (lambda u, v: torch.tensor([2.0]) * u & v, 2 * FINE_U + FINE_V),
])  # fmt: skip
def test_a_noise_level_reaches_every_leaf_of_a_composition(make, told):
    energy = make(U, V)
    assert at(energy) == pytest.approx(told, abs=1e-12)
    assert energy.at_noise(0.1).at_noise(1.0)(POINT).item() == pytest.approx(energy(POINT).item(), abs=1e-12)
    assert str(energy.at_noise(0.1)) == str(energy)


def test_a_noise_level_reaches_members_of_families_which_stay_members_of_one_family():
    family = NoisedFamily(1.0)
    energy = family(torch.tensor([-1.0]).double()).named("a") & 0.5 * family(torch.tensor([1.0]).double())
    fine = energy.at_noise(0.1)
    assert fine(POINT).item() == pytest.approx(FINE_U + 0.5 * FINE_V, abs=1e-12)
    (held,) = {leaf.family for leaf in leaves(fine) if isinstance(leaf, Closed)}
    assert held.calls == 1 and str(fine) == str(energy) and held.w is family.w
    lone = family(torch.tensor([-1.0]).double()).at_noise(0.1)
    assert isinstance(lone, Closed) and lone(POINT).item() == pytest.approx(FINE_U, abs=1e-12)


def test_a_family_at_a_temperature_has_members_at_that_temperature():
    family = NoisedFamily(1.0)
    warm = family.at_temperature(4.0)
    energy = warm(torch.tensor([-1.0]).double()) & warm(torch.tensor([1.0]).double())
    assert energy(POINT).item() == pytest.approx((2.25 + 0.25) / 2.02 / 4)
    assert family.calls == 1 and next(warm.parameters()) is family.w
    assert energy.at_noise(0.1)(POINT).item() == pytest.approx((FINE_U + FINE_V) / 4)


def test_a_temperature_passes_through_every_composition():
    for energy in (U & V, 0.5 * U, U & ~V, disjunction(U, V, log_weights=[0, 1]), U & negation(V, margin=1.0)):
        torch.testing.assert_close(energy.at_temperature(4.0)(GRID), energy(GRID) / 4, rtol=1e-12, atol=0)
        torch.testing.assert_close((energy / 4)(GRID), energy(GRID) / 4, rtol=1e-12, atol=0)


def test_what_has_no_notion_of_noise_says_so_wherever_it_stands():
    ring = Ring(2.0, 0.3).named("ring")
    plain = as_energy(lambda x: x.square().sum(1)).named("plain")

    class Deaf(Conditional):
        pass

    for energy, who in ((ring, "ring: Ring"), (U & ~ring, "ring: Ring"), (plain & U, "plain: "), (Deaf(), "Deaf")):
        with pytest.raises(ValueError, match=rf"{who}.*no notion of a noise level, asked for sigma = 0.1"):
            energy.at_noise(0.1)


def one_dimensional(*numbers):
    return [torch.tensor([n], dtype=torch.float64) for n in numbers]


CONVOLVED = {
    "Gaussian": lambda: Gaussian(one_dimensional(0.7)[0], 0.3),
    "Mixture": lambda: Mixture(torch.tensor([[-1.0], [2.0]]).double(), torch.tensor([0.1, 0.4]).double(),
                               torch.tensor([3.0, 1.0])),
    "Experts": lambda: Experts(*one_dimensional(0.7, 3.0)),
    "Masked": lambda: Masked(*one_dimensional(0.8, 0.2)),
}  # fmt: skip


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("name", CONVOLVED)
def test_a_closed_form_at_a_noise_level_is_its_density_convolved_with_the_noise(name, sigma):
    energy = CONVOLVED[name]().named("e")
    grid = GRID.view(-1, *[1] * len(getattr(energy, "mean", torch.zeros(1)).shape))
    clean = (-energy(grid) - energy.log_z).exp()
    noised = energy.at_noise(sigma)
    told = (-noised(grid) - noised.log_z).exp()
    if sigma:
        kernel = (-(GRID - GRID.T).square() / (2 * sigma**2)).exp() / math.sqrt(2 * math.pi * sigma**2)
        clean = kernel @ clean * STEP  # smooth and zero at the ends: exact to rounding
    torch.testing.assert_close(told, clean, rtol=0, atol=1e-10)
    assert noised.name == "e" and noised.log_z is not None


def test_a_correlated_gaussian_at_a_noise_level_has_the_noise_on_its_diagonal():
    held = torch.tensor([[2.0, 0.9], [0.9, 0.5]]).double()
    noised = Gaussian(torch.zeros(2).double(), held).at_noise(0.5)
    assert noised.covariance.equal(held + 0.25 * torch.eye(2))
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a noise level sigma >= 0"):
            noised.at_noise(wrong)
    assert level("Gaussian", 0.5) == 0.25


def test_what_a_mask_leaves_free_stays_free_at_a_noise_level():
    noised = Masked(torch.tensor([0.0, 1.0]), torch.zeros(2)).at_noise(2.0)
    assert noised.mask.tolist() == [0.0, pytest.approx(1 / 9)] and noised.log_z is None


def test_a_disjunction_at_a_noise_level_is_the_noised_mixture(recwarn):
    a, b = Gaussian(one_dimensional(-1.0)[0], 0.1), Gaussian(one_dimensional(2.0)[0], 0.4)
    sigma, equal = 0.7, a | b
    shares = disjunction(a, b, log_weights=[math.log(0.75) - a.log_z, math.log(0.25) - b.log_z])
    for energy, held in ((equal, [1.0, 1.0]), (shares, [3.0, 1.0])):
        means = torch.tensor([[-1.0], [2.0]]).double()
        true = Mixture(means, torch.tensor([0.1, 0.4], dtype=torch.float64) + sigma**2, torch.tensor(held))
        noised = energy.at_noise(sigma)
        torch.testing.assert_close(noised(GRID) + noised.log_z, true(GRID), rtol=0, atol=1e-10)
    unknown = disjunction(U, V, log_weights=[0.5, -1.0]).at_noise(0.1)
    assert unknown.log_weights == (0.5, -1.0)
    with pytest.warns(UserWarning, match="log Z of u, v"):
        either = U | V
    recwarn.clear()
    assert either.at_noise(0.1).log_weights == (0, 0) and not recwarn.list  # it was said when it was composed


def test_a_share_that_was_not_known_is_chosen_by_log_z_at_a_level_where_it_is():
    class Later(Energy):
        def forward(self, x):
            return x.square().sum(1)

        def at_noise(self, sigma):
            return Gaussian(torch.zeros(1).double(), sigma**2)

    with pytest.warns(UserWarning, match="log Z of later is not known"):
        either = Later() | Gaussian(torch.ones(1).double(), 0.5)
    noised = either.at_noise(0.5)
    assert noised.log_weights == tuple(-part.log_z for part in noised)


def test_a_leaf_at_a_noise_level_that_is_a_composition_of_its_own_is_taken_as_it_is():
    class Split(Energy):
        def forward(self, x):
            return x.square().sum(1)

        def at_noise(self, sigma):
            return U & V

    assert at(And(Split(), U)) == pytest.approx((2.25 + 0.25) / 2.02 + FINE_U)
