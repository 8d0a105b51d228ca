"""Bits per dimension of densities that are known."""

import math

import pytest
import torch

from ergosum.metrics.bits import bits_per_dimension


def test_what_is_even_over_all_levels_has_eight_bits():
    """Over 256 levels of width 2 / 255 the density is (255 / 512)^D."""
    even = torch.full((3,), 784 * math.log(255 / 512), dtype=torch.float64)
    assert bits_per_dimension(even, 784) == pytest.approx(8)


def test_of_a_gaussian_it_is_the_entropy(rng):
    x = 0.5 * torch.randn(4000, 16, generator=rng, dtype=torch.float64)
    log_density = -(x / 0.5).square().sum(1) / 2 - 8 * math.log(2 * math.pi * 0.25)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 0.25)
    # the squares of 64,000 standard numbers have a mean with a standard error of sqrt(2 / 64,000)
    error = 4 * (2 / x.numel()) ** 0.5 / (2 * math.log(2))
    assert bits_per_dimension(log_density, 16, 1) == pytest.approx(entropy, abs=error)
    assert bits_per_dimension(log_density, 16, 0.25) == pytest.approx(entropy + 2, abs=error)


def test_numbers_out_of_range_are_refused():
    for held, dimensions, width in [(torch.ones(2, 1), 4, 1.0), (torch.ones(2), 0, 1.0), (torch.ones(2), 4, 0.0)]:
        with pytest.raises(ValueError, match="bits_per_dimension: expected"):
            bits_per_dimension(held, dimensions, width)
