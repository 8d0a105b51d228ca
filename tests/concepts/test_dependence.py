"""How far the rest of codes tells values."""

import pytest
import torch
from torch import Generator

from ergosum.concepts.dependence import alike, closeness, hsic, told_by
from ergosum.data.attributed import Attribute

SHAPE, PLACE = Attribute("shape", ("a", "b", "c")), Attribute("place", (), 2)


def kernels(n, seed=0):
    z = torch.randn(n, 2, generator=Generator().manual_seed(seed), dtype=torch.float64)
    v = (torch.arange(n) % 3)[:, None].double()
    return closeness(z), alike(SHAPE, v)


def test_hsic_is_its_definition_over_images_that_differ():
    """The mean over four different images i, j, q, r of k_ij l_ij + k_ij l_qr - 2 k_ij l_iq."""
    n = 6
    k, l = kernels(n)  # noqa: E741
    rows = [
        k[i, j] * l[i, j] + k[i, j] * l[q, r] - 2 * k[i, j] * l[i, q]
        for i in range(n) for j in range(n) for q in range(n) for r in range(n) if len({i, j, q, r}) == 4
    ]  # fmt: skip
    assert hsic(k, l).item() == pytest.approx(torch.stack(rows).mean().item(), abs=1e-12)
    assert hsic(k + 7 * torch.eye(n), l).item() == pytest.approx(hsic(k, l).item(), abs=1e-12)


def test_it_is_zero_on_average_where_codes_tell_nothing():
    """Of 400 batches of 32, whose mean has a standard error that their spread tells."""
    generator = Generator().manual_seed(0)
    found = torch.stack([
        told_by(torch.randn(32, 3, generator=generator), [SHAPE, PLACE], torch.cat(
            [torch.randint(3, (32, 1), generator=generator).float(), torch.rand(32, 2, generator=generator)], 1))
        for _ in range(400)
    ])  # fmt: skip
    assert abs(found.mean()) < 4 * found.std() / 20
    assert found.std() < 0.1


def test_codes_far_apart_for_each_value_tell_all_there_is():
    """With k = 1 within a value and 0 across, HSIC over n values is (1 - 1 / n) / n, and the mean of l is 1 / n."""
    values = (torch.arange(600) % 3)[:, None].double()
    same = alike(SHAPE, values)
    assert 3 * hsic(same.clone(), same).item() == pytest.approx(2 / 3, abs=0.01)
    codes = torch.nn.functional.one_hot(values[:, 0].long(), 3).double()  # at squared distances of 9, of 3 numbers
    across = sum(1 / (1 + 9 / (2 * 3 * s)) for s in (0.1, 0.5, 2.0, 10.0)) / 4
    assert told_by(codes, [SHAPE], values).item() == pytest.approx((1 - across) * 2 / 3, abs=0.01)


def test_codes_cannot_hide_what_they_tell_by_being_small():
    codes = torch.randn(300, 2, generator=Generator().manual_seed(0))
    values = (torch.arange(300) % 3)[:, None].float()
    codes[:, 0] = 1e-3 * (codes[:, 0] + 3 * values[:, 0])
    large = codes * torch.tensor([1e3, 100.0])
    assert told_by(codes, [SHAPE], values) > 0.1
    torch.testing.assert_close(told_by(large, [SHAPE], values), told_by(codes, [SHAPE], values), rtol=1e-3, atol=1e-5)


def test_a_number_is_told_by_what_follows_it_alone():
    place = torch.rand(200, 2, generator=Generator().manual_seed(0))
    unseen = torch.rand(200, 2, generator=Generator().manual_seed(1))
    assert told_by(4 * place, [PLACE], place) > 0.02 > 10 * told_by(4 * unseen, [PLACE], place).abs()


def test_descending_it_makes_codes_independent():
    """Codes that differ in mean and spread by value, moved along its gradient, no longer do."""
    generator = Generator().manual_seed(0)
    values = (torch.arange(300) % 3)[:, None].float()
    codes = torch.randn(300, 2, generator=generator) * (1 + values) + 2 * values
    codes.requires_grad_()
    optimiser = torch.optim.Adam([codes], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        told_by(codes, [SHAPE], values).backward()
        optimiser.step()
    groups = [codes[values[:, 0] == v].detach() for v in range(3)]
    means = torch.stack([g.mean(0) for g in groups])
    assert (means - means.mean(0)).abs().max() < 0.3 * codes.std()
    spreads = torch.stack([g.std() for g in groups])
    assert spreads.max() < 1.4 * spreads.min()


def test_what_nobody_tells_is_left_out():
    codes = torch.randn(40, 2, generator=Generator().manual_seed(0))
    values = (torch.arange(40) % 3)[:, None].float()
    some = values.clone()
    some[::2] = torch.nan
    assert told_by(codes, [SHAPE], some) == told_by(codes[1::2], [SHAPE], values[1::2])
    some[:35] = torch.nan
    assert told_by(codes, [SHAPE], some[:38]) == 0  # of three, nothing can be said


@pytest.mark.parametrize(("k", "l"), [((3, 3), (3, 3)), ((5, 5), (4, 4)), ((5, 4), (5, 4))])
def test_other_shapes_and_too_few_images_are_refused(k, l):  # noqa: E741
    with pytest.raises(ValueError, match=r"hsic: expected two \(n, n\), n >= 4, got"):
        hsic(torch.zeros(k), torch.zeros(l))
