"""Frames of digits at random hue, angle and scale, with the digit for a class."""

import pytest
import torch

from ergosum.data import FramesOfDigits, WornFrames
from ergosum.data.render import render
from ergosum.metrics.reader import read_factors
from ergosum.metrics.sharpness import gradient_energy


def test_a_frame_is_a_digit_in_one_hue_with_its_name():
    data = FramesOfDigits()
    drawn = data.labelled(64, torch.Generator().manual_seed(0))
    assert drawn.images.shape == (64, 3, 28, 28) and 0 <= drawn.images.min() and drawn.images.max() <= 1
    assert data.names[3] == "three" and set(drawn.labels.tolist()) == set(range(10))
    values = torch.linalg.svdvals(drawn.images.flatten(2))
    assert (values[:, 1] < 1e-5 * values[:, 0]).all(), "all pixels of a frame are multiples of one colour"


def test_hue_angle_and_scale_are_anywhere_in_their_ranges():
    data = FramesOfDigits(scale_min=0.8, scale_max=1.2)
    generator = torch.Generator().manual_seed(1)
    drawn = data.labelled(64, generator)
    digits = data.sequences.draw_digits(64, torch.Generator().manual_seed(1))  # the same digits, which come first
    assert torch.equal(digits.labels, drawn.labels)
    read = read_factors(drawn.images, digits.images, render).factors
    assert 0.7 < read[:, 2].min() and read[:, 2].max() < 1.3
    for column, period in ((0, 2 * torch.pi), (1, 360.0)):
        turns = read[:, column] * (2 * torch.pi / period)
        # of 64 uniform angles the mean resultant has a mean square of 1 / 64; 3.5 times its root has p = 5e-6
        assert torch.complex(turns.cos(), turns.sin()).mean().abs() < 3.5 / 8


def test_parts_are_of_other_digits_and_the_same_seed_gives_the_same_frames():
    train, test = FramesOfDigits(side=12), FramesOfDigits(side=12, split="test")
    assert (len(train), len(test)) == (1397, 400) and train.digest() != test.digest()
    one, again = (train.labelled(4, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one.images, again.images) and one.images.shape == (4, 3, 12, 12)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"side": 13}, "canvas: expected a multiple of 4"), ({"scale_min": 0.0}, "scale_min, scale_max: expected"),
     ({"source": "nowhere"}, "nowhere")],
)  # fmt: skip
def test_wrong_settings_are_refused(settings, told):
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        FramesOfDigits(**settings)
    with pytest.raises(ValueError, match="expected n >= 1 images, got 0"):
        FramesOfDigits().labelled(0, torch.Generator())


def test_half_of_the_frames_are_worn_and_blurred_and_stay_where_they_were():
    data = WornFrames(times=3)
    drawn = data.labelled(65, torch.Generator().manual_seed(0))
    assert data.names == ("real", "worn") and drawn.labels.tolist() == [n % 2 for n in range(65)]
    plain = data.frames.labelled(65, torch.Generator().manual_seed(0)).images
    assert torch.equal(drawn.images[::2], plain[::2])
    was = FramesOfDigits(scale_max=0.8).labelled(64, torch.Generator().manual_seed(0)).images  # within the canvas
    now = data.worn(was, torch.Generator().manual_seed(1))
    assert (gradient_energy(now) < gradient_energy(was)).all()
    assert 0.3 < (gradient_energy(now).mean() / gradient_energy(was).mean()).item() < 0.9
    # what is moved and moved back is blurred, and not moved: nearer to where it was than that is to one pixel aside
    aside = torch.roll(was, 1, 3)
    assert (now - was).square().mean() < 0.25 * (aside - was).square().mean()
    with pytest.raises(ValueError, match="times: expected an integer >= 1, got 0"):
        WornFrames(times=0)


def test_more_rounds_wear_more():
    image = FramesOfDigits().labelled(16, torch.Generator().manual_seed(0)).images
    one, many = (WornFrames(times=t) for t in (1, 6))
    left = [gradient_energy(d.worn(image, torch.Generator().manual_seed(1))).mean() for d in (one, many)]
    assert left[1] < left[0] < gradient_energy(image).mean()
