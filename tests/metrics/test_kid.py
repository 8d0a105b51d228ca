"""The kernel distance of Gaussians, which is known."""

import pytest
import torch

from ergosum.metrics.kid import Kid, kid, squared_mmd


def cubic(a, b, d):
    """E (x.y / d + 1)^3 of independent x ~ N(a, 1), y ~ N(b, 1)."""
    s, aa, bb = a @ b, a @ a, b @ b
    second = s**2 + aa + bb + d
    third = s**3 + 3 * s * bb + 3 * s * (aa + d + 2)
    return third / d**3 + 3 * second / d**2 + 3 * s / d + 1


def shifted(size, rows, rng, width=8):
    mean = torch.zeros(width, dtype=torch.float64)
    mean[0] = size
    return mean + torch.randn(rows, width, generator=rng, dtype=torch.float64), mean


def test_equal_distributions_are_at_zero_within_error(rng):
    told = kid(shifted(0, 2_000, rng)[0], shifted(0, 2_000, rng)[0], rng, parts=20)
    assert isinstance(told, Kid) and abs(told.mean) < 4 * told.error < 0.05


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_a_shift_is_told_within_error_and_the_error_is_small(size, rng):
    x, a = shifted(0, 2_000, rng)
    y, b = shifted(size, 1_600, rng)
    known = (cubic(a, a, 8) + cubic(b, b, 8) - 2 * cubic(a, b, 8)).item()
    told = kid(x, y, rng, parts=20)
    assert told.mean == pytest.approx(known, abs=4 * told.error) and told.error < known / 3


def test_the_told_error_is_the_spread_of_repetitions(rng):
    """Over 60 repetitions, within 4 / sqrt(2 * 60) = 37 %."""
    told = [kid(shifted(0, 200, rng)[0], shifted(1, 200, rng)[0], rng, parts=10) for _ in range(60)]
    seen = torch.tensor([t.mean for t in told]).std().item()
    assert sum(t.error for t in told) / 60 == pytest.approx(seen, rel=0.37)


def test_the_estimate_leaves_out_pairs_of_a_row_with_itself():
    x, y = torch.tensor([[1.0], [0.0]]), torch.tensor([[2.0], [0.0]])
    assert squared_mmd(x, y).item() == pytest.approx(1 + 1 - 2 * (27 + 1 + 1 + 1) / 4)


def test_a_blank_generator_is_far_away(rng):
    x, _ = shifted(0, 400, rng)
    told = kid(torch.full_like(x, 3.0), x, rng)
    assert told.mean > 100 * told.error > 0


def test_the_same_seed_gives_the_same_number(rng):
    x, y = torch.randn(2, 100, 4, generator=rng)
    assert kid(x, y, torch.Generator().manual_seed(1)) == kid(x, y, torch.Generator().manual_seed(1))


def test_wrong_features_are_refused(rng):
    for x, y, parts in [
        ((30, 2), (30, 3), 10),
        ((19, 2), (30, 2), 10),
        ((30, 2, 1), (30, 2, 1), 10),
        ((9, 2), (9, 2), 1),
    ]:
        with pytest.raises(ValueError, match="kid: expected"):
            kid(torch.zeros(x), torch.zeros(y), rng, parts)
