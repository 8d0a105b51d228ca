"""What log Z and shares are, by quadrature: whatever the nesting, the weights, the units."""

import math

import pytest
import torch

from ergosum.compose import And, Or, Scaled, disjunction, leaves, negation
from ergosum.energies.box import Box
from ergosum.energies.experts import Experts
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energy import as_energy

GRID = torch.linspace(-60, 60, 48_001, dtype=torch.float64)[:, None]
STEP = (GRID[1] - GRID[0]).item()
FAR = (-24.0, 0.0, 24.0)
"""Centres so far apart that a point belongs to one alternative alone."""


def log_integral(energy):
    return (-energy(GRID)).logsumexp(0).item() + math.log(STEP)


def density(energy):
    return (-energy(GRID) - log_integral(energy)).exp()


def shares(energy):
    """The probability around each of the three centres."""
    held = density(energy) * STEP
    return [held[(GRID[:, 0] - centre).abs() < 12].sum().item() for centre in FAR]


def at(centre, variance=1.0, temperature=1.0, name="g"):
    made = Gaussian(torch.tensor([centre], dtype=torch.float64), variance).named(name)
    made.temperature = temperature
    return made


def known(centre, variance, temperature):
    """A plain callable that is told its log Z: it cannot know that of another weight."""
    made = as_energy(lambda x: (x[:, 0] - centre).square() / (2 * variance)).named("k")
    made.log_z, made.temperature = 0.5 * math.log(2 * math.pi * variance), temperature
    return made


def near(told, expected):
    assert told == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("t", [1.0, 2.0, 0.5])
def test_log_z_is_never_that_of_another_weight(t):
    for make in (at, known):
        a = make(0.0, 1.0 / t, t)  # E / t is standard normal
        changed = {
            "negated twice": negation(~a.in_units(), 3.0),
            "in units": a.in_units(),
            "scaled": 3 * a,
            "scaled twice": 2 * (0.5 * (3 * a)),
            "unit scaled": 3 * a.in_units(),
            "tempered": a.at_temperature(5.0),
            "by class": Scaled(0.7, a),
            "back": 0.5 * (2 * a),
        }
        for energy in changed.values():
            if energy.log_z is not None:
                near(energy.log_z, log_integral(energy))
        if make is at:
            near(changed["negated twice"].log_z, 0.5 * math.log(2 * math.pi / 3))
            assert all(e.log_z is not None for e in changed.values())
    assert f"{changed['negated twice'].log_z or 0.370:.3f}" == "0.370"


@pytest.mark.parametrize("t", [1.0, 2.0, 0.25])
def test_three_alternatives_have_a_third_each_however_they_are_nested_and_in_whatever_units(t):
    a, b, c = (at(m, v, t) for m, v in zip(FAR, (0.25, 0.5, 1.0), strict=True))
    for make in (
        lambda a, b, c: a | b | c,
        lambda a, b, c: a | (b | c),
        lambda a, b, c: disjunction(a, b, c),
        lambda a, b, c: Or(Or(a), Or(b, c)),
    ):
        inside = make(a.in_units(), b.in_units(), c.in_units())
        for energy in (make(a, b, c), make(a, b, c).in_units(), inside):
            near(shares(energy), [1 / 3] * 3)
            near(energy.log_z, log_integral(energy))
        near((make(a, b, c).in_units()(GRID) - inside(GRID)).abs().max().item(), 0)
    near(shares((a | b).in_units() | c.in_units()), [1 / 3] * 3)
    assert (a | b | c).in_units().given == (None, None, None)


def test_units_and_nesting_change_no_density_where_the_alternatives_overlap():
    for t in (1.0, 3.0):
        a, b, c = (at(m, v, t) for m, v in ((-1.0, 0.5), (0.3, 1.0), (2.0, 3.0)))
        true = sum(density(e / t) for e in (a, b, c)) / 3
        for energy in (((a | b) | c).in_units(), (a | b).in_units() | c.in_units(), a.in_units() | (b | c).in_units()):
            torch.testing.assert_close(density(energy), true, rtol=0, atol=1e-12)


@pytest.mark.parametrize("t", [1.0, 2.0])
def test_a_disjunction_draws_the_mixture_of_the_densities_of_its_terms_at_any_temperature(t):
    a, b = at(-1.0, 0.5, t), at(2.0, 3.0, t)
    torch.testing.assert_close(density(a | b), (density(a) + density(b)) / 2, rtol=0, atol=1e-12)
    mixed = disjunction(a, b, log_weights=[0.5 - a.log_z, 1 - b.log_z])
    near(mixed.log_z, math.log(math.exp(0.5) + math.e))
    near(mixed.log_z, log_integral(mixed))


def test_log_z_of_a_disjunction_across_temperatures_is_that_of_its_density():
    with pytest.warns(UserWarning, match="different temperatures"):
        mixed = at(-1.0, 0.5, 2.0) | at(2.0, 3.0, 0.5)
    near(mixed.log_z, log_integral(mixed))
    near(mixed.log_z, math.log(2))


def test_a_given_weight_is_taken_as_it_is_wherever_the_mixture_stands():
    a, b, c = (at(m) for m in FAR)
    mix = disjunction(a, b, log_weights=[math.log(0.5), math.log(0.5)])
    mass = math.sqrt(2 * math.pi)
    for energy in (mix | c, c | mix, Or(mix, Or(c)), disjunction(a, b, c, log_weights=[*mix.log_weights, -c.log_z])):
        near(shares(energy)[2], 1 / (1 + mass))  # 0.285
        near(energy.log_z, math.log(1 + mass))
    weighed = disjunction(mix, c, log_weights=[1.0, None])
    near(shares(weighed)[2], 1 / (1 + math.e * mass))


@pytest.mark.parametrize("t", [2.0, 0.25])
def test_given_shares_stay_in_other_units(t):
    a, b, c = (at(m, v, t) for m, v in zip(FAR, (0.25, 0.5, 1.0), strict=True))
    weights = [math.log(s) - e.log_z for s, e in zip((0.2, 0.3, 0.5), (a, b, c), strict=True)]
    mixed = disjunction(a, b, c, log_weights=weights)
    near(shares(mixed), [0.2, 0.3, 0.5])
    near(shares(mixed.in_units()), [0.2, 0.3, 0.5])
    unknown = disjunction(*(known(m, 1.0, t) for m in FAR), log_weights=[0.5, 0, -1]).in_units()
    assert unknown.log_weights == (0.5, 0, -1)


@pytest.mark.parametrize("t", [0.25, 1.0, 3.0])
def test_closed_forms_know_the_log_z_of_their_powers(t):
    line = torch.tensor([0.7], dtype=torch.float64)
    for energy in (at(0.3, 2.0), Experts(line, line), Masked(line, line), Box(line - 1, line + 2, 0.3)):
        near(energy.log_z_at(t), log_integral(energy / t))
        near((energy / t).log_z, log_integral(energy / t))
    radius = torch.linspace(0, 60, 600_001, dtype=torch.float64)
    ring = Ring(2.0, 0.3)
    along = (-ring(torch.stack([radius, radius * 0], 1)) / t).exp() * radius
    near(ring.log_z_at(t), math.log(2 * math.pi * torch.trapezoid(along, radius).item()))
    for energy in (Funnel(2), Mixture.ring(), known(0.0, 1.0, 1.0)):
        assert energy.log_z_at(t) == (energy.log_z if t == 1 else None)
    full = Gaussian(torch.zeros(2).double(), torch.tensor([[2.0, 0.9], [0.9, 0.5]]).double())
    near(full.log_z_at(t), Gaussian(full.mean, t * full.covariance).log_z)


def test_units_reach_through_every_composition_and_stop_at_what_is_in_units():
    hot, cold = known(1.0, 1.0, 2.0).named("hot"), known(-1.0, 3.0, 0.5).named("cold")
    h, c = hot(GRID) / 2, cold(GRID) / 0.5
    with pytest.warns(UserWarning, match="different temperatures"):
        ways = {
            hot & ~cold: h - c,
            0.5 * (hot & cold): (h + c) / 2,
            And(hot, 2 * cold): h + 2 * c,
            disjunction(hot, cold, log_weights=[0, 0]): -torch.logaddexp(-h, -c),
            hot & negation(cold, 0.3, margin=4.0): h + 0.3 * torch.nn.functional.softplus(8 - c),
            0.5 * disjunction(hot, cold, log_weights=[0, 0]): -torch.logaddexp(-h, -c) / 2,
            hot & ~(hot & cold): h - h - c,
        }
    for energy, told in ways.items():
        unit = energy.in_units()
        torch.testing.assert_close(unit(GRID), told, rtol=1e-9, atol=1e-9)
        assert unit.temperature == 1 and unit.in_units() is unit and leaves(unit) == leaves(energy)
