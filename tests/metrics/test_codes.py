"""What the metrics of disentanglement make of latents and factors before they judge them."""

import pytest
import torch

from ergosum.metrics.codes import binned, levels, paired, parted, seed, split, standardised


def test_constant_factors_are_left_out_and_dead_codes_stay(rng):
    factors = torch.tensor([[0.0, 3.0], [1.0, 3.0], [2.0, 3.0]])
    latents, known = paired(torch.zeros(3, 2), factors, "name")
    assert latents.shape == (3, 2) and known.tolist() == [[0], [1], [2]] and known.dtype == torch.float64
    with pytest.raises(ValueError, match=r"name: needs at least 2 factors that vary, got 1"):
        paired(torch.zeros(3, 2), factors, "name", least=2)


@pytest.mark.parametrize(
    "shapes", [((4,), (4, 2)), ((4, 2, 2), (4, 2)), ((4, 2), (5, 2)), ((1, 2), (1, 2)), ((4, 0), (4, 1))]
)
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="name: expected latents"):
        paired(
            torch.ones(shapes[0]), torch.arange(2.0).repeat(20)[: torch.Size(shapes[1]).numel()].view(shapes[1]), "name"
        )


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        paired(torch.tensor([[1.0], [torch.nan]]), torch.tensor([[0], [1]]), "name")


def test_parted_rows_are_latents_levels_and_a_split_of_both(rng):
    factors = torch.tensor([[0.0, 3.0], [5.0, 3.0], [0.0, 4.0]])
    z, level, fit, judge = parted(factors.numpy(), factors, "name", rng)
    assert torch.equal(z, factors.double()) and level.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert sorted([*fit.tolist(), *judge.tolist()]) == [0, 1, 2] and len(fit) == 2


def test_levels_number_distinct_values_in_their_order():
    assert levels(torch.tensor([[0.5, 7], [-1, 7], [0.5, 2]])).T.tolist() == [[1, 0, 1], [1, 1, 0]]
    with pytest.raises(ValueError, match="65 distinct values"):
        levels(torch.arange(65.0)[:, None])


def test_bins_are_of_equal_width_and_the_largest_value_is_in_the_last():
    values = torch.tensor([[0.0, 5.0], [0.24, 5.0], [0.26, 5.0], [0.5, 5.0], [1.0, 5.0]])
    assert binned(values, 4).T.tolist() == [[0, 0, 1, 2, 3], [0, 0, 0, 0, 0]]
    with pytest.raises(ValueError, match="at least one bin"):
        binned(values, 0)


def test_standardised_columns_have_unit_spread_and_constants_vanish(rng):
    out = standardised(torch.cat([5 + 3 * torch.randn(50, 2, generator=rng), torch.full((50, 1), 0.1)], 1))
    torch.testing.assert_close(out.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std(0), torch.tensor([1.0, 1.0, 0.0]))


def test_a_split_is_a_partition_and_a_seed_repeats():
    fit, judge = split(30, torch.Generator().manual_seed(3))
    assert len(fit) == 20 and sorted([*fit.tolist(), *judge.tolist()]) == list(range(30))
    assert seed(torch.Generator().manual_seed(3)) == seed(torch.Generator().manual_seed(3))
