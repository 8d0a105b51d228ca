"""How far latents of different components point the same way."""

import math

import pytest
import torch

from ergosum.metrics.orthogonality import squared_cosine


def test_the_squared_cosine_is_that_of_the_angle_between_two_latents():
    for degrees in (0.0, 30.0, 90.0, 150.0):
        angle = math.radians(degrees)
        pair = torch.tensor([[2.0, 0.0], [5 * math.cos(angle), 5 * math.sin(angle)]])
        assert squared_cosine(pair[None]).item() == pytest.approx(math.cos(angle) ** 2, abs=1e-6)


def test_pairs_of_components_count_alike_and_none_counts_with_itself():
    three = torch.tensor([[1.0, 0, 0], [0, 3.0, 0], [0, -4.0, 0]])  # one pair of three is parallel
    both = torch.stack([three, torch.eye(3)])
    assert squared_cosine(both).item() == pytest.approx(1 / 6)
    assert squared_cosine(three[:1][None]).item() == 0 and squared_cosine(both[:0]).item() == 0


def test_independent_latents_have_one_over_their_size(rng):
    n, k, d = 4000, 3, 8
    found = squared_cosine(torch.randn(n, k, d, generator=rng)).item()
    # cos^2 is Beta(1/2, (D - 1)/2), of variance 2 (D - 1) / D^2 (D + 2); pairs of a sample are not correlated
    error = math.sqrt(2 * (d - 1) / (d**2 * (d + 2)) / (n * k * (k - 1) / 2))
    assert found == pytest.approx(1 / d, abs=4 * error)


def test_descent_on_it_turns_latents_to_right_angles():
    latents = torch.tensor([[[1.0, 0.0, 0.1], [1.0, 0.2, 0.0]]], requires_grad=True)
    for _ in range(300):
        (slope,) = torch.autograd.grad(squared_cosine(latents), latents)
        latents = (latents - 0.3 * slope).detach().requires_grad_()
    assert squared_cosine(latents).item() < 1e-4 and latents.norm(dim=2).min() > 0.9
    zero = torch.zeros(1, 2, 3, requires_grad=True)
    assert torch.autograd.grad(squared_cosine(zero), zero)[0].isfinite().all()
