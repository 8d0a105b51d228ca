import pytest
import torch
from torch import Generator

from ergosum.concepts.conditions import Values
from ergosum.concepts.energy import ByParts, ConceptEnergy
from ergosum.data.attributed import Attribute
from ergosum.density.algebra import lifted
from ergosum.density.forms import InnerProduct
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.offsets import fit_offsets
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part

ATTRIBUTES = (Attribute("colour", ("red", "blue")), Attribute("shape", ("ball", "box", "cone")))
PARTS = (slice(0, 2), slice(2, 5), slice(5, 6))
SMALL = Part(InnerProduct, body=Part(LevelMlp, width=8, blocks=1))
NONE = torch.nan


def family(independent: bool = True, seed: int = 0) -> ConceptEnergy:
    torch.manual_seed(seed)
    made = ConceptEnergy((6,), ATTRIBUTES, PARTS, independent, SMALL, code=4)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    return made.double()


def test_the_lift_of_values_of_different_attributes_is_the_energy_under_all_of_them_at_every_level():
    held, x = family(), torch.randn(7, 6, dtype=torch.float64)
    one, other, both, none = (held(torch.tensor(c)) for c in ([0.0, NONE], [NONE, 2.0], [0.0, 2.0], [NONE, NONE]))
    for sigma in (0.03, 0.5, 5.0):
        sums = lifted(one, other, prior=none).at_noise(sigma)
        torch.testing.assert_close(sums(x), both.at_noise(sigma)(x), rtol=1e-9, atol=1e-9)
    whole = family(independent=False)
    one, other, both, none = (whole(torch.tensor(c)) for c in ([0.0, NONE], [NONE, 2.0], [0.0, 2.0], [NONE, NONE]))
    assert (lifted(one, other, prior=none)(x) - both(x)).abs().max() > 1e-3


def test_a_value_changes_the_score_of_its_own_part_alone():
    held, x = family(), torch.randn(7, 6, dtype=torch.float64)
    slopes = [held(torch.tensor(c)).value_and_gradient(x)[1] for c in ([0.0, 1.0], [1.0, 1.0])]
    changed = (slopes[0] - slopes[1]).abs().amax(0) > 1e-9
    assert changed.tolist() == [True, True, False, False, False, False]


def test_no_information_passes_between_parts():
    held, x = family(), torch.randn(7, 6, dtype=torch.float64)
    moved = x.clone()
    moved[:, 2:5] += 1
    energy = held(torch.tensor([0.0, 1.0]))
    slopes = [energy.value_and_gradient(at)[1] for at in (x, moved)]
    torch.testing.assert_close(slopes[0][:, :2], slopes[1][:, :2])
    torch.testing.assert_close(slopes[0][:, 5:], slopes[1][:, 5:])
    assert (slopes[0][:, 2:5] - slopes[1][:, 2:5]).abs().max() > 1e-3


def test_parts_must_make_up_the_code():
    with pytest.raises(ValueError, match="expected parts that make up a vector one after the other"):
        ByParts((6,), 12, (slice(0, 2), slice(3, 6)), SMALL)
    with pytest.raises(ValueError, match="codes in parts are needed"):
        ConceptEnergy((6,), ATTRIBUTES)


def draws(n: int, generator: Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours at -1 and 1 on the first number, shapes at 0, 2 and 4 on the third, deviation .1 everywhere."""
    colour, shape = torch.randint(2, (n,), generator=generator), torch.randint(3, (n,), generator=generator)
    x = 0.1 * torch.randn(n, 6, generator=generator)
    x[:, 0] += 2.0 * colour - 1
    x[:, 2] += 2.0 * shape
    return x, torch.stack([colour, shape], 1).float()


def test_it_learns_the_densities_of_all_subsets_of_values():
    generator = Generator().manual_seed(0)
    torch.manual_seed(0)
    held = ConceptEnergy(
        (6,), ATTRIBUTES, PARTS, True, Part(InnerProduct, body=Part(LevelMlp, width=32)), 0.1, 10.0, 16
    )
    held.fit(draws(1000, generator)[0])
    objective, optimiser = DenoisingScore(), torch.optim.Adam(held.parameters(), 4e-3)
    for step in range(300):
        x, values = draws(128, generator)
        c = held.conditions.drop(values, 0.2, generator)
        loss = objective.loss(held, x, c, generator, step / 300).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, values = draws(500, generator)
    for column, count in ((0, 2), (1, 3)):
        told = []
        for value in range(count):
            c = held.conditions.none(1)[0]
            c[column] = value
            told.append(-held(c)(x))
        assert (torch.stack(told, 1).argmax(1) == values[:, column]).float().mean() > 0.9


def test_offsets_of_each_attribute_are_fitted_by_themselves():
    held = family().float()
    generator = Generator().manual_seed(0)
    x, values = draws(600, generator)
    losses = fit_offsets(held, x, values, generator=generator)
    assert held.offsets.fitted and losses.shape == (13,) and losses.isfinite().all()
    # at the lowest level every attribute's values are now right on average: shares of posteriors are those of the data
    sigma, z = held.lowest, x + held.lowest * torch.randn(x.shape, generator=generator)
    for rows, own in held.conditions.groups(values):
        listed = held.conditions.listed()[list(rows)]
        told = torch.stack([-held(c).at_noise(sigma)(z) for c in listed], 1)
        share = torch.bincount(own, minlength=len(rows)) / len(own)
        shares = (told + share.log()).softmax(1).mean(0)
        torch.testing.assert_close(shares, share, atol=0.03, rtol=0)


def test_conditions_are_values():
    assert isinstance(family().conditions, Values)
