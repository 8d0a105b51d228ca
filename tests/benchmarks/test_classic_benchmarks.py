"""The scripts about collapse and about short-run chains as a generator, on less."""

import math

import pytest
import torch

from ergosum.energies import Gaussian
from ergosum.samplers import ShortRun


def test_flat_energies_are_the_control_and_a_regression_learns(script):
    collapse = script("collapse")
    for name, functional in collapse.FUNCTIONALS.items():
        flat = collapse.flat_loss(functional)
        assert (flat < 1e-6) == functional.collapses, name
    told = collapse.trained("one net", collapse.FUNCTIONALS["energy"], 0, 100, 1e-2)
    assert told["error"] < collapse.constant_error() / 2 and not told["collapsed"]
    assert collapse.constant_error() == pytest.approx(0.25, abs=0.01)


def test_energies_that_can_be_flat_become_so_where_the_functional_lets_them(script):
    collapse = script("collapse")
    runs = [collapse.trained("two nets", collapse.FUNCTIONALS[n], 0, 100, 1e-2) for n in ("perceptron", "nll")]
    flat, shaped = runs
    assert flat["collapsed"] and flat["spread"] < flat["before"] / 10 and flat["noisy"] > 0.2
    assert not shaped["collapsed"] and shaped["spread"] > 10 * shaped["before"] and shaped["noisy"] < 0.1


def test_starts_are_found_by_descent_through_the_chain(script, rng):
    """Of a Gaussian energy the noise-free chain is x = a z: a start that draws the target exists and is found."""
    short_run = script("short_run")

    class Same:
        decode = staticmethod(lambda x: x)

    energy, chain = Gaussian(torch.zeros(3), torch.ones(3)), ShortRun(steps=5, step_size=0.1, noise=0.0)
    target = torch.tensor([[0.3, -0.2, 0.1], [1.0, 0.5, 0.0]])
    made = short_run.reconstructed(chain, energy, Same, target, torch.randn(2, 3, generator=rng), 60)
    assert (made - target).square().mean() < 1e-2


def test_principal_components_and_interpolation(script, rng):
    short_run = script("short_run")
    plane = torch.randn(60, 2, generator=rng) @ torch.randn(2, 9, generator=rng) + 1
    images = plane.reshape(60, 1, 3, 3)
    torch.testing.assert_close(short_run.components(images, images[:5], 2), images[:5], atol=1e-4, rtol=1e-4)
    one, two = torch.randn(2, 20_000, generator=rng)
    p = 0.5
    kept, straight = (short_run.interpolated(one, two, p, way).var().item() for way in (False, True))
    assert abs(kept - 1) < 4 * math.sqrt(2 / 20_000) and abs(straight - 0.5) < 4 * 0.5 * math.sqrt(2 / 20_000)
    share = (2 - math.sqrt(2)) ** 2 / 4  # of |u1 + u2| > sqrt(2), u uniform in -1 .. 1
    assert abs(short_run.outside(20_000, rng) - share) < 4 * math.sqrt(share / 20_000)
