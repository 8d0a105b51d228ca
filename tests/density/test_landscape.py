"""One energy per class from logits: class members, and the prior as their soft minimum."""

import pytest
import torch

from ergosum.density import Landscape
from ergosum.nets.levels import LevelEncoder, LevelMlp
from ergosum.part import Part


def landscape(classes=3, temperature=1.0):
    torch.manual_seed(0)
    return Landscape((4,), classes, Part(LevelMlp, width=8, blocks=1), temperature).apply(_rough)


def _rough(module):
    if hasattr(module, "weight"):
        torch.nn.init.normal_(module.weight)


def test_a_class_is_minus_its_logit_and_the_prior_their_soft_minimum():
    family, x = landscape(), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    told = family.energies(x)
    assert told.shape == (5, 3)
    for c in range(3):
        torch.testing.assert_close(family(torch.tensor(c))(x), told[:, c])
    torch.testing.assert_close(family.prior()(x), -(-told).logsumexp(1))
    mixed = family(torch.tensor([0, 2, -1, 1, 0]))(x)
    torch.testing.assert_close(mixed[:2], torch.stack([told[0, 0], told[1, 2]]))
    posterior = (family.prior()(x)[:, None] - told).exp()
    torch.testing.assert_close(posterior.sum(1), torch.ones(5))


def test_without_classes_there_is_one_energy():
    family, x = landscape(0), torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(family.prior()(x), family.energies(x)[:, 0])


def test_images_pass_too_and_the_gradient_reaches_them():
    torch.manual_seed(0)
    family = Landscape((1, 12, 12), 2, Part(LevelEncoder, width=4))
    assert family(torch.tensor(1)).gradient(torch.randn(3, 1, 12, 12)).abs().max() > 0


def test_the_temperature_of_its_recipe_is_kept_and_divides_in_units():
    family, x = landscape(temperature=0.1), torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    member = family(torch.tensor(0))
    assert member.temperature == 0.1
    torch.testing.assert_close(member.in_units()(x), member(x) / 0.1)
    with pytest.raises(ValueError, match="temperature: expected a number > 0"):
        landscape(temperature=0.0)


def test_it_has_neither_noise_levels_nor_other_classes():
    family = landscape()
    with pytest.raises(ValueError, match="no notion of a noise level"):
        family(torch.tensor(0)).at_noise(0.5)
    with pytest.raises(ValueError, match=r"expected classes 0 \.\. 2, or -1"):
        family(torch.tensor(3))(torch.zeros(2, 4))
