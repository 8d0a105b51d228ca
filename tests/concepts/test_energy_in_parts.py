"""The sum over parts, against normal distributions and integrals on a grid; and one energy of a whole code."""

import math

import pytest
import torch
from torch import Generator

from ergosum.concepts.conditions import Values
from ergosum.concepts.energy import ConceptEnergy, ToldPart, WholeEnergy
from ergosum.data.attributed import Attribute
from ergosum.density.algebra import lifted
from ergosum.density.forms import InnerProduct
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.offsets import fit_offsets
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part

ATTRIBUTES = (Attribute("colour", ("red", "blue")), Attribute("place", numbers=2), Attribute("shape", ("ball", "box")))
PARTS = (slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8))
SMALL = Part(InnerProduct, body=Part(LevelMlp, width=8, blocks=1))
NONE = torch.nan
SHARES = (0.75, 0.25)


class Space:
    """Codes whose parts lie at plus and minus one in all numbers, deviation .2, places between -1 and 1, .1."""

    def normals(self, values):
        centre, spread = torch.zeros(len(values), 8), torch.full((len(values), 8), 0.2)
        for column, part in ((0, slice(0, 2)), (3, slice(4, 6))):
            centre[:, part] = 2 * values[:, column, None] - 1
        centre[:, 2:4], spread[:, 2:4] = 2 * values[:, 1:3] - 1, 0.1
        return centre.nan_to_num(), spread


def values(n: int, generator: Generator) -> torch.Tensor:
    """Three of four red, a ball or a box as often, places in the upper half alone."""
    told = torch.rand(n, 4, generator=generator)
    told[:, 0] = (torch.arange(n) % 4 == 0).float()
    told[:, 2] /= 2
    told[:, 3] = (torch.arange(n) % 2).float()
    return told


def family(seed: int = 0) -> ConceptEnergy:
    torch.manual_seed(seed)
    made = ConceptEnergy((8,), ATTRIBUTES, PARTS, SMALL, code=4)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    made.tell(Space(), values(20_000, Generator().manual_seed(0)))
    return made.double()


def whole(seed: int = 0) -> WholeEnergy:
    torch.manual_seed(seed)
    made = WholeEnergy((8,), ATTRIBUTES, PARTS, SMALL, code=4)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    return made.double()


def row(colour=NONE, x=NONE, y=NONE, shape=NONE) -> torch.Tensor:
    return torch.tensor([colour, x, y, shape], dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.03, 0.5, 5.0])
def test_the_lift_of_values_of_different_attributes_is_the_energy_under_all_of_them_at_every_level(sigma):
    x = torch.randn(7, 8, dtype=torch.float64)
    for held, exact in ((family(), True), (whole(), False)):
        one, other, both, none = (held(c) for c in (row(0.0), row(x=0.3, y=0.4), row(0.0, 0.3, 0.4), row()))
        sums = lifted(one, other, prior=none).at_noise(sigma)
        apart = (sums(x) - both.at_noise(sigma)(x)).abs().max()
        assert (apart < 1e-9) == exact


@pytest.mark.parametrize("sigma", [0.03, 0.4])
def test_told_parts_are_normal_around_their_values_and_mixtures_by_their_shares(sigma):
    held, x = family(), torch.randn(50, 8, dtype=torch.float64)
    rest = held(row()).at_noise(sigma)
    v = 0.2**2 + sigma**2
    each = [torch.distributions.Normal(m, math.sqrt(v)).log_prob(x[:, :2]).sum(1) for m in (-1.0, 1.0)]
    mixture = torch.stack([e + math.log(s) for e, s in zip(each, SHARES, strict=True)]).logsumexp(0)
    for value in (0, 1):
        told = held(row(float(value))).at_noise(sigma)
        torch.testing.assert_close(rest(x) - told(x), each[value] - mixture)
    at, wide = held(row(x=0.3, y=0.4)).at_noise(sigma), 0.1**2 + sigma**2
    moved = x.clone()
    moved[:, 2:4] += 0.1
    place = torch.distributions.Normal(torch.tensor([-0.4, -0.2]).double(), math.sqrt(wide))
    torch.testing.assert_close(at(x) - at(moved), (place.log_prob(moved[:, 2:4]) - place.log_prob(x[:, 2:4])).sum(1))


def test_numbers_that_are_not_told_have_the_density_of_the_data():
    part = ToldPart(Attribute("place", numbers=2)).double()
    assert part.bins == 16
    part.tell(
        torch.tensor([[-1.0, -1.0], [1.0, 1.0]]),
        torch.full((2,), 0.1),
        values(20_000, Generator().manual_seed(0))[:, 1:3],
    )
    line = torch.linspace(-2, 2, 401, dtype=torch.float64)
    z = torch.cartesian_prod(line, line)
    for sigma in (0.05, 0.3):
        p = part(z, torch.full((1, 1), sigma).double(), torch.full((len(z), 2), NONE)).exp()
        assert p.sum() * 0.01**2 == pytest.approx(1, abs=1e-3)
        mean = (p[:, None] * z).sum(0) * 0.01**2
        # uniform on -1 .. 1 and on -1 .. 0; a mean of 20,000 is off by at most 4 x .58 / 141
        torch.testing.assert_close(mean, torch.tensor([0.0, -0.5], dtype=torch.float64), atol=0.017, rtol=0)
    inside = (z.abs() < 0.6).all(1) & (z[:, 1] < -0.3) & (z[:, 1] > -0.7)
    p = part(z[inside], torch.full((1, 1), 0.05).double(), torch.full((int(inside.sum()), 2), NONE)).exp()
    assert ((p - 0.5).abs() < 4 * 0.5 * (128 / 20_000) ** 0.5).all()  # 156 images a cell


def test_data_that_tell_nothing_leave_shares_as_they_were():
    held, told = family(), values(100, Generator().manual_seed(1))
    told[:, 0] = NONE
    held.float().tell(Space(), told)
    torch.testing.assert_close(held.told[0].shares, torch.tensor(SHARES))
    assert held.told[2].shares.tolist() == [0.5, 0.5]


def test_a_value_changes_the_score_of_its_own_part_alone():
    held, x = family(), torch.randn(7, 8, dtype=torch.float64)
    slopes = [held(c).value_and_gradient(x)[1] for c in (row(0.0, shape=1.0), row(1.0, shape=1.0))]
    changed = (slopes[0] - slopes[1]).abs().amax(0) > 1e-9
    assert changed.tolist() == [True, True, *[False] * 6]


def test_log_density_is_minus_the_energy_and_members_of_one_family_are_told_at_once():
    held, x = family(), torch.randn(3, 8, dtype=torch.float64)
    c = torch.stack([row(0.0), row(x=0.1, y=0.2), row(1.0, 0.9, 0.1, 1.0)])
    for sigma in (0.1, 3.0):
        told = held.log_density(x, torch.full((3,), math.log(sigma)).double(), c)
        torch.testing.assert_close(held(c).at_noise(sigma)(x), -told)
        each = torch.cat([held(one).at_noise(sigma)(x[n : n + 1]) for n, one in enumerate(c)])
        torch.testing.assert_close(each, -told)


def test_what_is_learned_is_the_rest_alone():
    held, x = family().float(), torch.randn(16, 8)
    family_, own, c = held.learned(x, torch.zeros(16, 4))
    assert family_ is held.rest and own.shape == (16, 2) and (c == -1).all()
    assert len(list(held.parameters())) == len(list(held.rest.parameters()))
    losses = [
        DenoisingScore().loss(*given, Generator().manual_seed(0), 1.0).loss
        for given in (held.learned(x, torch.zeros(16, 4)), (held.rest, x[:, 6:], torch.full((16,), -1)))
    ]
    assert losses[0] == losses[1]


def test_parts_must_make_up_the_code():
    for parts in ((slice(0, 2), slice(3, 4), slice(4, 6), slice(6, 8)), PARTS[:3], ()):
        with pytest.raises(
            ValueError, match="expected parts that make up a point one after the other, one for each of 3"
        ):
            ConceptEnergy((8,), ATTRIBUTES, parts)


def draws(n: int, generator: Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours at -1 and 1 on the first number, shapes on the fifth, deviation .1 everywhere."""
    told = values(n, generator)
    told[:, 1:3] = NONE
    x = 0.1 * torch.randn(n, 8, generator=generator)
    x[:, 0] += 2 * told[:, 0] - 1
    x[:, 4] += 2 * told[:, 3] - 1
    return x, told


def test_one_energy_learns_the_densities_of_all_subsets_of_values():
    generator = Generator().manual_seed(0)
    torch.manual_seed(0)
    held = WholeEnergy((8,), ATTRIBUTES, (), Part(InnerProduct, body=Part(LevelMlp, width=32)), 0.1, 10.0, 16)
    held.fit(draws(1000, generator)[0])
    objective, optimiser = DenoisingScore(), torch.optim.Adam(held.parameters(), 4e-3)
    for step in range(180):
        x, told = draws(128, generator)
        c = held.conditions.drop(told, 0.2, generator)
        loss = objective.loss(*held.learned(x, c), generator, step / 180).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, told = draws(500, generator)
    for column in (0, 3):
        each = []
        for value in range(2):
            c = held.conditions.none(1)[0]
            c[column] = value
            each.append(-held(c)(x))
        assert (torch.stack(each, 1).argmax(1) == told[:, column]).float().mean() > 0.9


def test_offsets_of_each_attribute_are_fitted_by_themselves():
    held = whole().float()
    generator = Generator().manual_seed(0)
    x, told = draws(600, generator)
    losses = fit_offsets(held, x, told, generator=generator)
    assert held.offsets.fitted and losses.shape == (13,) and losses.isfinite().all()
    # at the lowest level every attribute's values are now right on average: shares of posteriors are those of the data
    sigma, z = held.lowest, x + held.lowest * torch.randn(x.shape, generator=generator)
    for rows, own in held.conditions.groups(told):
        listed = held.conditions.listed()[list(rows)]
        each = torch.stack([-held(c).at_noise(sigma)(z) for c in listed], 1)
        share = torch.bincount(own, minlength=len(rows)) / len(own)
        torch.testing.assert_close((each + share.log()).softmax(1).mean(0), share, atol=0.03, rtol=0)


def test_conditions_are_values():
    assert isinstance(family().conditions, Values)
    with pytest.raises(ValueError, match=r"colour: expected whole numbers 0 \.\. 1"):
        family()(row(2.0))(torch.randn(2, 8).double())
