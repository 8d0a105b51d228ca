import pytest
import torch

from ergosum.concepts.conditions import Values
from ergosum.data.attributed import Attribute

ATTRIBUTES = (
    Attribute("colour", ("red", "blue", "green")),
    Attribute("place", numbers=2),
    Attribute("size", ("s", "l")),
)


def rows(n: int) -> torch.Tensor:
    return torch.tensor([[1.0, 0.3, 0.6, 0.0]]).repeat(n, 1)


def test_nothing_is_told_with_the_probability_and_every_size_of_subset_else_as_often():
    n = 20_000
    kept = ~Values(12, ATTRIBUTES).drop(rows(n), 0.2, torch.Generator().manual_seed(0)).isnan()
    assert (kept[:, 1] == kept[:, 2]).all()  # the numbers of an attribute stay together
    sizes = (kept[:, [0, 1, 3]].sum(1)).bincount(minlength=4) / n
    wanted = torch.tensor([0.2, 0.8 / 3, 0.8 / 3, 0.8 / 3])
    assert ((sizes - wanted).abs() < 4 * (wanted * (1 - wanted) / n).sqrt()).all()
    each = kept[:, [0, 1, 3]].double().mean(0)  # (1/3 + 2/3 + 1) / 3 of the rest
    assert ((each - 0.8 * 2 / 3).abs() < 4 * (0.53 * 0.47 / n) ** 0.5).all()


def test_named_values_alone_are_listed_and_found_again():
    values = Values(12, ATTRIBUTES)
    listed = values.listed()
    assert listed.shape == (1 + 3 + 2, 4)
    assert values.place(listed).tolist() == [0, 1, 2, 3, 4, 5]
    several = torch.tensor([[1.0, torch.nan, torch.nan, 0.0], [torch.nan, 0.5, 0.5, torch.nan]])
    assert values.place(several).tolist() == [-1, -1]
    (first, colours), (second, sizes) = values.groups(rows(2))
    assert (
        (list(first), list(second)) == ([1, 2, 3], [4, 5]) and colours.tolist() == [1, 1] and sizes.tolist() == [0, 0]
    )


def test_codes_are_added_up_and_there_are_none_of_width_0():
    assert Values(16, ATTRIBUTES)(rows(2)).shape == (2, 16)
    none = Values(0, ATTRIBUTES)
    assert none(rows(2)).shape == (2, 0) and not list(none.parameters())


@pytest.mark.parametrize(("c", "said"), [
    ([[3.0, 0.1, 0.1, 0.0]], r"colour: expected whole numbers 0 .. 2"),
    ([[0.5, 0.1, 0.1, 0.0]], r"colour: expected whole numbers"),
    ([[0.0, 0.1]], r"expected conditions \(batch, 4\), got \(1, 2\)"),
])  # fmt: skip
def test_conditions_that_there_are_not_are_refused(c, said):
    for code in (12, 0):
        with pytest.raises(ValueError, match=said):
            Values(code, ATTRIBUTES)(torch.tensor(c))
