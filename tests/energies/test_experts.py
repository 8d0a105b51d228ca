"""Gaussian experts agree on the average weighted by precision."""

import pytest
import torch

from ergosum.compose import And
from ergosum.energies.experts import Agreement, Experts, agreement
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked, composite


def images(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def three():
    return [Experts(images(k, 3, 4, 4), 0.1 + 5 * images(10 + k, 3, 4, 4)) for k in range(3)]


def test_the_agreement_is_where_the_sum_has_no_slope_and_its_least_value():
    experts = three()
    mean, _, _ = agreement(*experts)
    total = And(*experts)
    assert total.gradient(mean[None]).abs().max() < 1e-13
    elsewhere = mean + 0.1 * (images(20, 50, 3, 4, 4) - 0.5)
    assert (total(elsewhere) > total(mean[None])).all()


def test_the_sum_is_one_expert_with_the_agreed_mean_and_precision():
    experts = three()
    mean, precision, _ = agreement(*experts)
    x = 2 * images(21, 9, 3, 4, 4)
    apart = And(*experts)(x) - Experts(mean, precision)(x)
    torch.testing.assert_close(apart, apart[:1].expand(9), rtol=1e-12, atol=1e-12)


def test_masks_sum_to_one_and_mix_the_means():
    experts = three()
    mean, _, masks = agreement(*experts)
    torch.testing.assert_close(masks.sum(0), torch.ones_like(mean))
    torch.testing.assert_close((masks * torch.stack([e.mean for e in experts])).sum(0), mean)


def test_the_surest_expert_rules_and_alone_it_gets_its_way():
    sure, unsure = Experts(images(0, 2), 1e6), Experts(images(1, 2), 1.0)
    assert (agreement(sure, unsure).mean - sure.mean).abs().max() < 1e-6
    alone = agreement(sure)
    assert isinstance(alone, Agreement) and alone.mean.equal(sure.mean)


def test_extreme_precisions_composite_segments():
    """Precisions 1 and eps off and on a mask leave eps of the other image: within 1e-9 of a composition of masks."""
    mask, a, b = (images(0, 3, 4, 4) > 0.5).double(), images(1, 3, 4, 4), images(2, 3, 4, 4)
    soft = agreement(Experts(a, mask.clamp_min(1e-9)), Experts(b, (1 - mask).clamp_min(1e-9))).mean
    assert (soft - composite(Masked(mask, a), Masked(1 - mask, b))).abs().max() < 2e-9


def test_experts_are_a_gaussian_told_by_precision():
    mean, precision, x = images(0, 2, 3), 0.5 + images(1, 2, 3), images(2, 5, 2, 3)
    expert, gaussian = Experts(mean, precision), Gaussian(mean, 1 / precision)
    torch.testing.assert_close(expert(x), gaussian(x))
    assert expert.log_z == pytest.approx(gaussian.log_z)


def test_experts_do_what_no_sum_of_parts_does():
    """In a sum g(z_1) + g(z_2), exchanging the second part changes x by the same whatever the first is."""
    weak, strong, low, high = (
        Experts(torch.tensor([m]), a) for m, a in ((0.0, 1.0), (0.0, 3.0), (0.0, 1.0), (1.0, 1.0))
    )
    changes = [agreement(first, high).mean - agreement(first, low).mean for first in (weak, strong)]
    assert [c.item() for c in changes] == [0.5, 0.25]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Experts(torch.zeros(2), 0.0), "a precision > 0"),
        (lambda: Experts(torch.zeros(2), torch.ones(3)), "for correlated pixels use Gaussian"),
        (lambda: agreement(), "got none"),
        (lambda: agreement(Experts(torch.zeros(2)), Experts(torch.zeros(3))), "bring them to one canvas"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
