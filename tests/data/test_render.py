"""The true operators against Kornia's own and against exact turns."""

import math

import pytest
import torch
from kornia.enhance import adjust_hue
from kornia.geometry.transform import get_rotation_matrix2d, warp_affine

from ergosum.data.render import render, turn_hue, warp

REST = torch.tensor([0.0, 0.0, 1.0])


def red(grey):
    return torch.cat([grey, torch.zeros_like(grey), torch.zeros_like(grey)], 1)


def factors(n, hue=0.0, angle=0.0, scale=1.0):
    return torch.tensor([[hue, angle, scale]]).expand(n, -1)


@pytest.mark.parametrize("hue", [-3.0, -0.5, 0.0, 0.2, 1.0, 2.5, 3.1])
def test_colour_is_kornias_hue_shift_of_the_red_digit(digits, hue):
    drawn = render(digits.images, factors(12, hue=hue))
    torch.testing.assert_close(drawn, adjust_hue(red(digits.images), hue), rtol=0, atol=1e-5)
    assert torch.equal(drawn, render(digits.images, factors(12, hue=hue))) and drawn.max() <= 1


@pytest.mark.parametrize("hue", [-2.0, 0.3, 1.7])
def test_turning_the_hue_of_any_image_is_kornias(hue, rng):
    images = torch.rand(4, 3, 8, 8, generator=rng)
    torch.testing.assert_close(turn_hue(images, torch.full((4,), hue)), adjust_hue(images, hue), rtol=0, atol=1e-5)


def test_turns_of_the_hue_add_up(digits):
    drawn = render(digits.images, factors(12, hue=0.7))
    turned = turn_hue(drawn, torch.full((12,), 1.1))
    torch.testing.assert_close(turned, render(digits.images, factors(12, hue=1.8)), rtol=0, atol=1e-5)
    whole = render(digits.images, factors(12, hue=0.7 + 2 * math.pi))
    torch.testing.assert_close(whole, drawn, rtol=0, atol=1e-5)


@pytest.mark.parametrize("angle, scale", [(0, 1), (20, 1), (-160, 1), (0, 0.4), (0, 1.8), (75, 0.7), (-30, 1.4)])
def test_angle_and_scale_are_one_affine_warp_about_the_centre(digits, angle, scale):
    centre = torch.full((12, 2), 13.5)
    matrix = get_rotation_matrix2d(centre, torch.full((12,), float(angle)), torch.full((12, 2), float(scale)))
    expected = red(warp_affine(digits.images, matrix, (28, 28)))
    torch.testing.assert_close(render(digits.images, factors(12, 0.0, angle, scale)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact_and_counter_clockwise(digits, quarters):
    turned = warp(digits.images, torch.full((12,), 90.0 * quarters), torch.ones(12))
    torch.testing.assert_close(turned, torch.rot90(digits.images, quarters, (2, 3)), rtol=0, atol=1e-4)


def test_at_rest_the_digit_is_drawn_in_red_as_it_came(digits):
    torch.testing.assert_close(render(digits.images, REST.expand(12, 3)), red(digits.images), rtol=0, atol=1e-5)


def test_the_drawing_is_linear_in_the_digit_and_each_row_stands_alone(digits):
    some = torch.stack([torch.linspace(0, 6, 12), torch.linspace(-180, 160, 12), torch.linspace(0.4, 1.8, 12)], 1)
    drawn = render(digits.images, some)
    torch.testing.assert_close(render(0.5 * digits.images, some), 0.5 * drawn)
    torch.testing.assert_close(render(digits.images[3:4], some[3:4])[0], drawn[3], rtol=0, atol=1e-6)


def test_a_larger_scale_covers_more(digits):
    mass = [render(digits.images, factors(12, scale=s)).sum().item() for s in (0.2, 0.5, 0.8, 1.0)]
    expected = [mass[-1] * s**2 for s in (0.2, 0.5, 0.8, 1.0)]
    assert mass == pytest.approx(expected, rel=0.1)


def test_shapes_that_do_not_match_are_refused(digits):
    for wrong in (torch.zeros(11, 3), torch.zeros(12, 2)):
        with pytest.raises(ValueError, match=r"expected digits \(batch, 1, side, side\)"):
            render(digits.images, wrong)
    with pytest.raises(ValueError, match="render"):
        render(red(digits.images), factors(12))
