"""Swaps whose consistency is known."""

import pytest
import torch

from ergosum.metrics.swap import Swap, swap_consistency

OWN, DONOR, OTHER = torch.randn(3, 500, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SWAPPED = torch.tensor([False, True, False, True])
TARGET = torch.where(SWAPPED[:, None], DONOR, OWN)


def test_a_perfect_swap_is_one_and_no_change_is_zero():
    assert swap_consistency(OWN, DONOR, TARGET, SWAPPED) == Swap(1, 1, 1)
    assert swap_consistency(OWN, DONOR, OWN, SWAPPED) == Swap(0, 0, 0)


def test_halfway_arrives_by_half():
    told = swap_consistency(OWN, DONOR, torch.lerp(OWN, TARGET, 0.5), SWAPPED)
    assert told.share == 1 and told.arrival == told.consistency == pytest.approx(0.5)


def test_when_everything_becomes_the_donor_the_share_is_that_of_the_swapped():
    """Units are each component's own distance, so two of four components are half of the movement exactly."""
    assert swap_consistency(OWN, DONOR, DONOR, SWAPPED) == pytest.approx((0.5, 1, 0.5))


def test_the_wrong_components_move():
    told = swap_consistency(OWN, DONOR, torch.where(SWAPPED[:, None], OWN, DONOR), SWAPPED)
    assert told == Swap(0, 0, 0)


def test_moving_away_from_the_donor_does_not_arrive():
    told = swap_consistency(OWN, DONOR, torch.lerp(OWN, TARGET, -1.0), SWAPPED)
    assert told.share == 1 and told.arrival == told.consistency == 0


def test_a_constant_answer_scores_what_chance_gives():
    """m = 0 halves the squared distance to the donor, and all components move: (1 - sqrt(1/2)) / 2, within 2 %."""
    told = swap_consistency(OWN, DONOR, torch.zeros_like(OWN), SWAPPED)
    assert told.consistency == pytest.approx((1 - 0.5**0.5) / 2, abs=0.02)
    assert swap_consistency(OWN, DONOR, OTHER, SWAPPED).consistency < 0.05


def test_units_of_components_and_dead_components_do_not_matter():
    noisy = torch.lerp(TARGET, OTHER, 0.2)
    told = swap_consistency(OWN, DONOR, noisy, SWAPPED)
    unit = torch.tensor([1.0, 1e3, 1e-3, 7.0])[:, None]
    assert swap_consistency(unit * OWN, unit * DONOR, unit * noisy, SWAPPED) == pytest.approx(told)
    widened = [torch.cat([z, torch.ones(500, 1, 5)], 1) for z in (OWN, DONOR, noisy)]
    widened[2][:, 4] = OTHER[:, 0]
    assert swap_consistency(*widened, torch.tensor([*SWAPPED, False])) == pytest.approx(told)


def test_each_image_may_swap_its_own_components_and_pairs_that_agree_weigh_nothing():
    where = torch.rand(500, 4, generator=torch.Generator().manual_seed(1)) < 0.4
    assert swap_consistency(OWN, DONOR, torch.where(where[..., None], DONOR, OWN), where) == Swap(1, 1, 1)
    donor = DONOR.clone()
    donor[:100] = OWN[:100]
    assert swap_consistency(OWN, donor, torch.where(where[..., None], donor, OWN), where) == Swap(1, 1, 1)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="nothing is swapped"):
        swap_consistency(torch.ones(3, 2, 4), torch.ones(3, 2, 4), torch.rand(3, 2, 4, generator=torch.Generator()),
                         torch.tensor([True, False]))  # fmt: skip
    with pytest.raises(ValueError, match="one at least must stay"):
        swap_consistency(OWN, DONOR, DONOR, torch.ones(4, dtype=torch.bool))
    for own, swapped in [(OWN[:9], SWAPPED), (OWN, SWAPPED[:3]), (OWN, SWAPPED.int()), (OWN, SWAPPED.expand(9, 4))]:
        with pytest.raises(ValueError, match="expected three equal"):
            swap_consistency(own, DONOR, TARGET, swapped)
