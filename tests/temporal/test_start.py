"""Where sequences start, and what is known of it."""

import pytest
import torch
from PIL import Image

from ergosum.data.render import render
from ergosum.temporal.control import load_bank
from ergosum.temporal.start import start_frame


def test_of_a_held_out_digit_the_digit_and_its_factors_are_known():
    start = start_frame("digits:3@2", 0.9, 28)
    assert start.digits.labels.tolist() == [3] and start.factors.tolist() == [[0.0, 0.0, pytest.approx(0.9)]]
    assert torch.equal(start.frame, render(start.digits.images, start.factors)) and start.side == 28


def test_of_noise_and_of_a_file_nothing_is_known(tmp_path):
    image = Image.new("L", (50, 40), 255)
    image.paste(0, (20, 8, 26, 32))
    image.save(tmp_path / "one.png")
    for start, side in (
        (start_frame("noise", 0.8, 28, seed=3), 28),
        (start_frame(str(tmp_path / "one.png"), 0.8, 28), 50),
    ):
        assert start.digits is None and start.factors is None and start.side == side
    assert any("inverted" in note for note in start.notes) and "50x50" in start.notes[-1]


def test_frames_of_a_bank_are_yielded_as_they_are_made():
    bank, start = load_bank(["digits-colour"]), start_frame("digits:3", 0.8, 28).frame
    running = bank.frames(start, "colour:2")
    made = [next(running) for _ in range(3)]
    assert torch.equal(torch.stack(made, 1), bank.play(start, "colour:2"))
    with pytest.raises(StopIteration):
        next(running)
    with pytest.raises(ValueError, match="No energy for hue"):
        next(bank.frames(start, "hue:2"))


def test_what_steers_nothing_makes_no_bank():
    with pytest.raises(ValueError, match="cannot steer a sequence"):
        load_bank(["tetrominoes"])
