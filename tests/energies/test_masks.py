"""What remark 1 of the source claims of masks, and what it does not hold for."""

from itertools import product

import pytest
import torch

from ergosum.compose import And
from ergosum.energies.experts import Experts
from ergosum.energies.masks import Masked, composite


def images(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def line(value, mask=1.0):
    """$m (x - value)^2$ in one dimension."""
    return Masked(torch.tensor([mask]).double(), torch.tensor([value]).double())


def partition(count=3):
    owner = (count * images(0, 1, 4, 4)).long().expand(3, 4, 4)
    return [Masked((owner == k).double(), images(k + 1, 3, 4, 4)) for k in range(count)]


def test_masks_that_partition_the_image_put_the_segments_together():
    parts = partition()
    whole = composite(*parts)
    torch.testing.assert_close(whole, sum(p.mask * p.image for p in parts), rtol=0, atol=0)
    total = And(*parts)
    assert total(whole[None]).item() == 0 and total.gradient(whole[None]).abs().max() == 0
    assert (total(whole + 0.1 * (images(9, 20, 3, 4, 4) - 0.5)) > 0).all()


def test_descent_with_half_a_step_finds_the_composite_at_once():
    parts, start = partition(), images(8, 2, 3, 4, 4)
    torch.testing.assert_close(start - 0.5 * And(*parts).gradient(start), composite(*parts).expand_as(start))


def test_where_masks_overlap_energies_average_and_masks_would_add():
    assert composite(line(2), line(3)).item() == 2.5
    assert (line(2) & line(3)).gradient(torch.tensor([[2.5]]).double()).item() == 0


def test_scaled_images_make_the_sum_of_any_masks_a_minimum():
    """$E(x, z) = (x - K m f)^2$ with overlaps and holes: what the inclusion of remark 1 needs beyond partitions."""
    masks = (images(1, 3, 5) > 0.5).double()
    contents = masks * images(2, 3, 5)
    parts = [Masked(torch.ones(5).double(), 3 * c) for c in contents]
    assert (masks.sum(0) != 1).any()
    torch.testing.assert_close(composite(*parts), contents.sum(0))


def test_the_counter_example_has_unequal_minima():
    pairs = [composite(line(a), line(b)).item() for a, b in ((2, 3), (2, 4), (3, 4))]
    assert pairs == [2.5, 3.0, 3.5]


def test_two_pairs_of_the_counter_example_do_not_exclude_masks_and_three_exclude_those_that_partition():
    """Over all masks of the three components with exactly one of each pair on."""
    two = [m for m in product((0, 1), repeat=3) if m[0] + m[1] == 1 and m[0] + m[2] == 1]
    assert (0, 1, 1) in two  # with images 2.5 and 3 for the second and third
    assert not [m for m in two if m[1] + m[2] == 1]


def test_sums_of_halves_explain_all_three_pairs_but_no_single():
    imaged = {2: 1.0, 3: 1.5, 4: 2.0}
    for a, b in ((2, 3), (2, 4), (3, 4)):
        assert imaged[a] + imaged[b] == composite(line(a), line(b)).item()
    assert composite(line(2)).item() == 2 != imaged[2]


def test_a_mask_is_an_expert_of_twice_its_precision_and_has_a_density_where_it_covers():
    mask, image, x = 0.1 + 0.9 * images(1, 5), images(2, 5), images(3, 7, 5)
    masked, expert = Masked(mask, image), Experts(image, 2 * mask)
    torch.testing.assert_close(masked(x), expert(x))
    assert masked.log_z == pytest.approx(expert.log_z)
    assert Masked(torch.tensor([1.0, 0.0]), torch.zeros(2)).log_z is None


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: line(2, mask=1.5), r"a mask in \[0, 1\], got 1.5"),
        (lambda: Masked(torch.ones(4, 4), torch.zeros(3, 4, 4)), "expand it over the channels"),
        (lambda: composite(), "got none"),
        (lambda: composite(Masked(torch.tensor([1.0, 0.0]), torch.zeros(2))), "got 1 elements under none"),
        (lambda: composite(line(2), Masked(torch.ones(2), torch.zeros(2))), "on one event shape"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
