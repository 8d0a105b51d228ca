"""Energies over noise levels: anchored, of the right slope, member by member."""

import math
import warnings

import pytest
import torch

from density.truth import Gaussians, gaussian_log_density
from ergosum.compose import disjunction
from ergosum.density import (
    Classes,
    DenoiserDistance,
    Homogeneous,
    InnerProduct,
    LevelEnergy,
    Scalar,
)  # fmt: skip
from ergosum.density.family import LowNoiseWarning, widest
from ergosum.nets.levels import LevelEncoder, LevelMlp, LevelUNet
from ergosum.part import Part

SMALL = Part(LevelMlp, width=12, blocks=2)
FORMS = {
    "inner product": Part(InnerProduct, body=SMALL),
    "inner product, fine": Part(InnerProduct, body=SMALL, fine=True),
    "scalar": Part(Scalar, body=SMALL),
    "distance to a denoiser": Part(DenoiserDistance, body=SMALL),
    "homogeneous": Part(Homogeneous, body=SMALL),
    "inner product of images": Part(InnerProduct, body=Part(LevelUNet, width=4), fine=True),
    "scalar of images": Part(Scalar, body=Part(LevelEncoder, width=4)),
}


def rough(form, classes=3):
    event = (1, 12, 12) if "images" in form else (5,)
    torch.manual_seed(0)
    family = LevelEnergy(event, form=FORMS[form], classes=classes, code=8).double()
    generator = torch.Generator().manual_seed(1)
    for weight in family.parameters():
        weight.data += 0.2 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    family.fit(2 + 0.7 * torch.randn(50, *event, generator=generator, dtype=torch.float64))
    return family


def points(family, n=4, seed=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *family.event, generator=generator, dtype=torch.float64)
    return x, torch.linspace(-2, 2, n, dtype=torch.float64), torch.arange(n) % 4 - 1


@pytest.mark.parametrize("form", FORMS)
def test_slopes_in_x_and_in_the_level_are_those_of_finite_differences(form):
    family = rough(form)
    x, clock, c = points(family)
    x.requires_grad_()
    clock.requires_grad_()
    found = torch.autograd.grad(family.log_density(x, clock, c).sum(), (x, clock))
    step = 1e-5
    along = torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    with torch.no_grad():
        ahead, back = (family.log_density(x + s * along, clock, c) for s in (step, -step))
        torch.testing.assert_close((ahead - back) / (2 * step), (found[0] * along).flatten(1).sum(1), rtol=1e-6,
                                   atol=1e-6)  # fmt: skip
        ahead, back = (family.log_density(x, clock + s, c) for s in (step, -step))
        torch.testing.assert_close((ahead - back) / (2 * step), found[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_every_weight_matters_and_samples_do_not_mix(form):
    family = rough(form)
    x, clock, c = points(family)
    together = family.log_density(x, clock, c)
    for i in range(len(x)):
        alone = family.log_density(x[i : i + 1], clock[i : i + 1], c[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-9, atol=1e-9)
    (together * torch.arange(1.0, 5)).sum().backward()
    # an inner product has no use for the bias of nothing: all weights of the form and the clock are reached
    for name, weight in family.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("form", FORMS)
def test_every_condition_ends_in_the_same_gaussian(form):
    """The correction is bounded by ratio * sqrt(D) |f| + ratio * gate |h|, which falls like 1 / sigma."""
    family = rough(form)
    x, _, c = points(family)
    gaps = []
    for sigma in (1e2, 1e3, 1e4):
        far = family.mean + sigma * x
        clock = torch.full((len(x),), math.log(sigma), dtype=torch.float64)
        # the code of the level is that of the highest, as it would be there
        y, level = family.placed(far, clock)
        added = family.form(y, level, family.coded(torch.full_like(clock, math.log(family.highest)), c))
        gaps.append(added.abs().max().item())
    assert gaps[2] < gaps[1] / 5 < gaps[0] / 25


def test_a_homogeneous_energy_obeys_euler():
    family = rough("homogeneous")
    x, clock, c = points(family)
    y, level = family.placed(x, clock)
    code = family.coded(clock, c)
    nothing = family.form(torch.full_like(y, 1e-9), level, code)
    whole = family.form(y, level, code) - nothing
    torch.testing.assert_close(family.form(3 * y, level, code) - nothing, 9 * whole, rtol=1e-6, atol=1e-7)


def test_members_are_energies_at_their_level():
    family = rough("inner product")
    x, _, _ = points(family)
    for c in (-1, 2):
        member = family(torch.tensor(c))
        for sigma in (family.lowest, 0.5, family.highest):
            clock = torch.full((len(x),), math.log(sigma), dtype=torch.float64)
            direct = -family.log_density(x, clock, torch.full((len(x),), c))
            torch.testing.assert_close(member.at_noise(sigma)(x), direct)
        torch.testing.assert_close(member(x), member.at_noise(family.lowest)(x))
        torch.testing.assert_close(member.at_noise(0)(x), member(x))
    torch.testing.assert_close(family.prior()(x), family(torch.tensor(-1))(x))
    assert str(family.prior()) == "prior"


def test_a_level_passes_through_a_composition_in_one_call():
    family = rough("inner product")
    x, _, _ = points(family)
    a, b = family(torch.tensor(0)), family(torch.tensor(1))
    both = a & 0.5 * b
    calls = []
    family.form.register_forward_hook(lambda *_: calls.append(1))
    noised = both.at_noise(0.7)(x)
    assert len(calls) == 1
    torch.testing.assert_close(noised, a.at_noise(0.7)(x) + 0.5 * b.at_noise(0.7)(x))
    # noise upon noise adds in squares
    twice = a.at_noise(0.3).at_noise(0.4)
    torch.testing.assert_close(twice(x), a.at_noise(0.5)(x))


@pytest.mark.parametrize("sigma", [0.01, 16.0, -1.0, math.nan])
def test_a_level_out_of_range_is_refused(sigma):
    with pytest.raises(ValueError, match=r"sigma: expected a noise level from 0\.03 to 15"):
        rough("scalar").at_noise(sigma)


@pytest.mark.parametrize("sigma", [0.03, 0.04, 15.0, 3.3])
def test_levels_kept_in_half_precision_are_levels(sigma):
    family = rough("scalar")
    kept = family.checked(float(torch.tensor(sigma).half()))
    assert family.lowest <= kept <= family.highest and kept == pytest.approx(sigma, rel=2**-11)


def test_wrong_levels_data_and_classes_are_refused():
    with pytest.raises(ValueError, match="0 < lowest < highest"):
        LevelEnergy((2,), lowest=1.0, highest=0.5)
    family = rough("scalar")
    with pytest.raises(ValueError, match="two or more samples of shape"):
        family.fit(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="all samples are the same"):
        family.fit(torch.ones(3, 5))
    with pytest.raises(ValueError, match=r"whole numbers 0 \.\. 2, or -1"):
        family(torch.tensor(3))(torch.zeros(2, 5, dtype=torch.float64))


def test_the_widest_direction_is_that_of_the_largest_eigenvalue():
    """Of 40 directions with deviations from 1 to 2, so close that iterations are slow."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(40, 40, generator=generator, dtype=torch.float64)).Q
    y = torch.randn(500, 40, generator=generator, dtype=torch.float64) * torch.linspace(1, 2, 40) @ turn.T
    y = y - y.mean(0)
    wanted = torch.linalg.eigvalsh(y.T @ y / len(y))[-1].sqrt().item()
    assert wanted * 0.97 <= widest(y) <= wanted * (1 + 1e-9)
    assert widest(y.reshape(500, 1, 8, 5)) == pytest.approx(widest(y))


@pytest.mark.parametrize(("apart", "warned"), [(4.0, False), (5.9, True)])
def test_noise_that_does_not_hide_the_data_is_warned_of(apart, warned):
    """Two points 2 a apart deviate by a along the line between them; 15 is three times 5."""
    family = LevelEnergy((2,), form=Part(Scalar, body=SMALL))
    points = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]).repeat(4, 1) * apart / 5
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        family.fit(points + 1)
    assert [w.category for w in seen] == [LowNoiseWarning] * warned
    if warned:
        assert "15, is only 2.5 times" in str(seen[0].message) and "Expected highest >= 18" in str(seen[0].message)


def test_levels_are_spread_over_the_whole_range():
    family = LevelEnergy((2,), form=Part(Scalar, body=SMALL))
    drawn = family.levels(200, torch.Generator().manual_seed(0))
    low, high = math.log(family.lowest), math.log(family.highest)
    places = ((drawn - low) / (high - low)).sort().values
    # one in each of 200 equal parts
    assert ((places * 200).floor() == torch.arange(200)).all()


def test_known_gaussians_are_exact_at_every_level_and_share_one_scale():
    """With the truth in place of a network, the family is the noised density: the anchor and the form agree."""
    means, deviations = torch.tensor([[0.5, -1.0], [2.0, 0.0]]), torch.tensor([0.3, 1.2])
    family = Gaussians(means, deviations)
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    for c in (0, 1):
        for sigma in (0.1, 1.0, 5.0):
            expected = gaussian_log_density(x, means[c], deviations[c] ** 2 + torch.tensor(sigma**2))
            torch.testing.assert_close(-family(torch.tensor(c)).at_noise(sigma)(x), expected, rtol=1e-5, atol=1e-5)


def test_a_member_that_is_normalised_says_so_and_its_disjunction_takes_equal_shares(recwarn):
    family = Gaussians(torch.zeros(2, 2), torch.ones(2))
    assert family(torch.tensor(0)).log_z is None and family(torch.tensor(0)).at_noise(1.0).log_z is None
    family.normalised = lambda sigma: sigma >= 0.5
    a, b = (family(torch.tensor(c)).at_noise(1.0) for c in (0, 1))
    assert a.log_z == 0.0 and family(torch.tensor(0)).at_noise(0.1).log_z is None
    assert disjunction(a, b).log_z == pytest.approx(math.log(2)) and not recwarn.list


def test_classes_are_dropped_as_often_as_asked():
    classes = Classes(4, 3)
    c = torch.arange(3).repeat(2000)
    gone = (classes.drop(c, 0.2, torch.Generator().manual_seed(0)) == -1).float().mean().item()
    assert abs(gone - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 6000)
