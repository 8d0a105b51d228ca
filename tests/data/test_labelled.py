"""Labelled images: of the sources, and of folders whose sub-folders are classes."""

import pytest
import torch
from PIL import Image

from ergosum.data import LabelledImages


def picture(path, colour, size=(20, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    for n in range(30):
        picture(tmp_path / "red ones" / f"{n}.png", (200 + n, 0, 0))
        picture(tmp_path / "2 blue" / "deep" / f"{n}.png", (0, 0, 200 + n))
    return tmp_path


def test_the_bundled_digits_have_their_names():
    data, held = LabelledImages(), LabelledImages(split="test")
    assert data.names[3] == "three" and (len(data), len(held)) == (1397, 400)
    drawn = data.labelled(8, torch.Generator().manual_seed(0))
    assert drawn.images.shape == (8, 1, 28, 28) and drawn.labels.dtype == torch.int64
    assert 0 <= drawn.images.min() and drawn.images.max() <= 1
    assert LabelledImages(channels=3, side=16).images.shape[1:] == (3, 16, 16)


def test_sub_folders_are_classes_with_names_that_formulas_can_hold(folder):
    parts = [LabelledImages(str(folder), side=16, channels=3, split=s) for s in ("train", "test")]
    assert parts[0].names == parts[1].names == ("class_2_blue", "red_ones")
    assert sum(map(len, parts)) == 60
    for part in parts:
        reddish = part.images[:, 0].mean((1, 2)) > part.images[:, 2].mean((1, 2))
        assert torch.equal(reddish.long(), part.labels) and part.images.shape[1:] == (3, 16, 16)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_a_folder_keep_their_brightness_and_their_pixels(tmp_path, channels):
    for n in range(2):
        fine = Image.new("L", (80, 64), n)  # what lies beside the square differs
        fine.paste(200, (8, 0, 72, 64))  # the middle square is 200 but for every other column
        for x in range(9, 72, 2):
            fine.paste(0, (x, 0, x + 1, 64))
        fine.save(tmp_path / f"{n}.png")
    images = LabelledImages(str(tmp_path), side=64, channels=channels).images
    expected = torch.zeros(64)
    expected[::2] = 200 / 255
    torch.testing.assert_close(images, expected.expand_as(images))


def test_a_folder_of_images_alone_has_no_classes(tmp_path):
    for n in range(12):
        picture(tmp_path / f"{n}.png", (n, 20 * n, 7))
    assert LabelledImages(str(tmp_path)).names == ()


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"side": 13}, "side: expected a multiple of 4"), ({"channels": 2}, "channels: expected 1"),
     ({"split": "both"}, "split: expected"), ({"source": "nowhere"}, "Unknown source 'nowhere'")],
)  # fmt: skip
def test_wrong_settings_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        LabelledImages(**settings)


def test_folders_that_cannot_be_learned_from_are_refused(tmp_path, folder):
    lone = tmp_path / "lone"
    picture(lone / "a.png", (1, 2, 3))
    with pytest.raises(ValueError, match="expected at least two images to learn from, found 1"):
        LabelledImages(str(lone))
    picture(folder / "stray.png", (1, 2, 3))
    with pytest.raises(ValueError, match="1 images lie beside the sub-folders"):
        LabelledImages(str(folder))


def test_two_folders_of_one_name_in_formulas_are_refused(tmp_path):
    for n, name in enumerate(["a b", "a_b"]):
        picture(tmp_path / name / "x.png", (n, 2, 3))
    with pytest.raises(ValueError, match="would both be called 'a_b'"):
        LabelledImages(str(tmp_path))
