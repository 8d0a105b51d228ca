"""The factor reader on true frames, whose factors are known."""

import math

import pytest
import torch

from ergosum.data.render import render
from ergosum.metrics.reader import Reading, circular_difference, factor_errors, read_factors


@pytest.fixture(scope="module")
def known():
    generator = torch.Generator().manual_seed(5)
    u = torch.rand(12, 3, generator=generator)
    return torch.tensor([0.0, -180.0, 0.5]) + u * torch.tensor([2 * math.pi, 360.0, 1.0])


def test_true_frames_are_read_within_a_degree_and_their_hue_exactly(digits, known):
    reading = read_factors(render(digits.images, known), digits.images, render)
    assert isinstance(reading, Reading)
    errors = factor_errors(reading.factors, known)
    assert errors[:, 0].max() < 0.01
    # the last grid is 15 / 27 degrees wide and (2 / 0.3) ** (1 / 243) in scale: half of that, and the blur of drawing
    assert errors[:, 1].median() < 15 / 54 and errors[:, 1].max() < 1 and errors[:, 2].median() < 0.008
    assert reading.match.min() > 0.98


def test_a_reading_does_not_depend_on_how_the_frames_are_chunked_or_how_bright_they_are(digits, known):
    frames = render(digits.images, known)[:5]
    one = read_factors(frames, digits.images[:5], render)
    other = read_factors(0.6 * frames, digits.images[:5], render, chunk=2)
    torch.testing.assert_close(one.factors, other.factors, rtol=1e-4, atol=1e-4)


def test_frames_of_the_same_digits_in_any_order_are_read_as_each_by_itself(digits, known):
    images = digits.images[torch.tensor([3, 0, 3, 1, 0, 3])]
    frames = render(images, known[:6])
    together = read_factors(frames, images, render)
    alone = [read_factors(frames[i : i + 1], images[i : i + 1], render) for i in range(6)]
    torch.testing.assert_close(together.factors, torch.cat([one.factors for one in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.match, torch.cat([one.match for one in alone]))


def test_a_half_turn_is_read_as_a_half_turn(digits, known):
    turned = known + torch.tensor([0.0, 180.0, 0.0])
    read = read_factors(render(digits.images, turned), digits.images, render).factors
    moved = circular_difference(read[:, 1], known[:, 1], 360.0).abs()
    assert moved.median().item() == pytest.approx(180, abs=1.5)


def test_a_blank_frame_matches_nothing(digits):
    reading = read_factors(torch.zeros(1, 3, 28, 28), digits.images[:1], render)
    assert reading.match.item() == 0 and torch.isfinite(reading.factors).all()


@pytest.mark.parametrize("hue", [0.0, 1.0, math.pi / 3, 2.0, math.pi, 4.0, 5.5, 6.2])
def test_every_sector_of_the_colour_circle_is_read(digits, hue):
    frame = render(digits.images[:1], torch.tensor([[hue, 0.0, 1.0]]))
    read = read_factors(frame, digits.images[:1], render).factors[0, 0]
    assert circular_difference(read, torch.tensor(hue), 2 * math.pi).abs().item() < 1e-4


def test_errors_are_taken_on_the_circle_and_scale_in_logarithms():
    read = torch.tensor([[0.1, 179.0, 2.0], [6.2, -170.0, 0.5]])
    true = torch.tensor([[2 * math.pi - 0.1, -179.0, 1.0], [0.1, 170.0, 1.0]])
    errors = factor_errors(read, true)
    assert errors[0].tolist() == pytest.approx([math.degrees(0.2), 2.0, math.log(2)], abs=1e-3)
    assert errors[1].tolist() == pytest.approx([math.degrees(2 * math.pi - 6.1), 20.0, math.log(2)], abs=1e-3)


def test_circular_differences_lie_within_half_a_period():
    a = torch.linspace(-20, 20, 81)
    d = circular_difference(a, torch.zeros(81), 7.0)
    assert d.abs().max() <= 3.5 + 1e-5
    turns = (a - d) / 7.0
    torch.testing.assert_close(turns, turns.round(), rtol=0, atol=1e-5)
