"""Animations: number of frames, their time, and what is written."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.report.animation import HOLD, encode_animation, save_animation, save_strip
from ergosum.report.strips import pixels, strip


@pytest.fixture
def frames():
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def read(content):
    """Images and durations of an animation."""
    with Image.open(io.BytesIO(content)) as image:
        drawn, durations = [], []
        for n in range(image.n_frames):
            image.seek(n)
            drawn.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return drawn, durations, image.info["loop"]


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_every_frame_is_there_and_the_ends_stand_longer(frames, tmp_path, suffix):
    save_animation(frames, tmp_path / f"move{suffix}", zoom=2, milliseconds=100)
    drawn, durations, loop = read((tmp_path / f"move{suffix}").read_bytes())
    assert [p.shape for p in drawn] == [(16, 16, 3)] * 5
    assert durations == [HOLD * 100, 100, 100, 100, HOLD * 100]
    assert loop == 0, "plays for ever"


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_colours_come_back(frames, suffix):
    drawn, _, _ = read(encode_animation(frames, suffix, zoom=3))
    for seen, meant in zip(drawn, pixels(frames, 3), strict=True):
        assert np.array_equal(seen, meant)  # 64 colours per frame fit even a GIF


def test_images_are_taken_as_large_as_they_come(frames):
    images = [strip(f[None], zoom=1) for f in frames]
    drawn, _, _ = read(encode_animation(images, ".png"))
    assert drawn[0].shape == (10, 10, 3) and len(drawn) == 5


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_one_frame_is_enough(frames, suffix):
    with Image.open(io.BytesIO(encode_animation(frames[:1], suffix))) as image:
        assert image.size == (48, 48)


def test_an_unknown_suffix_names_the_known_ones_and_writes_nothing(frames, tmp_path):
    with pytest.raises(ValueError, match=r"\.gif or \.png.*'\.mp4'"):
        save_animation(frames, tmp_path / "move.mp4")
    with pytest.raises(ValueError, match=r"strip\.jpg: expected a name that ends in \.png"):
        save_strip(strip(frames), tmp_path / "strip.jpg")
    assert not list(tmp_path.iterdir())


def test_no_frames_unequal_images_and_impossible_times_are_refused(frames):
    with pytest.raises(ValueError, match="one size"):
        encode_animation([])
    with pytest.raises(ValueError, match="one size"):
        encode_animation([strip(frames), strip(frames[:2])])
    with pytest.raises(ValueError, match="milliseconds"):
        encode_animation(frames, milliseconds=5)


def test_a_saved_strip_is_the_strip(frames, tmp_path):
    frame = strip(frames)
    save_strip(frame, tmp_path / "new" / "strip.png")
    with Image.open(tmp_path / "new" / "strip.png") as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(frame))
