"""Conditions as codes: each kind has a code for none, leaves out as often as asked, and refuses what it has not."""

import math

import pytest
import torch

from ergosum.density import Attributes, Classes, Vectors

KINDS = {
    "classes": (lambda: Classes(6, 3), lambda n: torch.arange(n) % 3),
    "attributes": (lambda: Attributes(6, (2, 4)), lambda n: torch.stack([torch.arange(n) % 2, torch.arange(n) % 4], 1)),
    "vectors": (lambda: Vectors(6, 2), lambda n: torch.linspace(-1, 1, 2 * n).view(n, 2)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_conditions_differ_from_each_other_and_from_none(kind):
    make, given = KINDS[kind]
    torch.manual_seed(0)
    conditions = make()
    for weight in conditions.parameters():
        torch.nn.init.normal_(weight)
    told = conditions(torch.cat([given(2), conditions.none(1)]))
    assert told.shape == (3, 6) and torch.pdist(told).min() > 1e-3 and torch.isfinite(told).all()
    assert conditions.none(1)[0].ndim == conditions.dims


@every_kind
def test_a_share_of_conditions_is_left_out(kind):
    make, given = KINDS[kind]
    conditions, c = make(), given(4000)
    assert torch.equal(conditions.drop(c, 0.0, torch.Generator().manual_seed(0)), c)
    dropped = conditions.drop(c, 0.3, torch.Generator().manual_seed(0))
    gone = dropped.isnan() if dropped.is_floating_point() else dropped == -1
    assert abs(gone.float().mean().item() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 4000)
    kept = dropped[~gone.view(len(c), -1).any(1)]
    assert torch.equal(kept, c[~gone.view(len(c), -1).any(1)])
    everything = conditions.drop(c, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(everything.nan_to_num(-7), conditions.none(len(c)).nan_to_num(-7))


def test_attributes_are_left_out_one_by_one():
    dropped = Attributes(4, (2, 2)).drop(torch.zeros(4000, 2, dtype=torch.long), 0.5, torch.Generator().manual_seed(0))
    both = (dropped == -1).all(1).float().mean().item()
    assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("classes", torch.tensor([3])), ("classes", torch.tensor([-2])), ("classes", torch.tensor([0.5])),
     ("attributes", torch.tensor([[0, 4]])), ("attributes", torch.tensor([1])), ("vectors", torch.zeros(1, 3))],
)  # fmt: skip
def test_conditions_of_another_kind_are_refused(kind, given):
    with pytest.raises(ValueError, match="expected"):
        KINDS[kind][0]()(given)
