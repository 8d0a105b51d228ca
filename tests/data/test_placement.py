"""The way from a square canvas back to the image that it was made from."""

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.data.folder import ImageFolder, load_square
from ergosum.data.own_digit import as_digit
from ergosum.data.placement import Placement


def test_a_mask_of_the_canvas_covers_the_same_pixels_of_the_image():
    place = Placement((60, 40), (10, 0, 50, 40))
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[0, 2:4, 6:] = True  # 5 pixels of the image to each of the canvas
    whole = place.to_original(mask)
    assert whole.shape == (2, 40, 60) and whole.dtype == torch.bool and not whole[1].any()
    expected = torch.zeros(40, 60, dtype=torch.bool)
    expected[10:20, 40:50] = True
    assert torch.equal(whole[0], expected)
    assert torch.equal(place.to_original(mask.int(), outside=7)[0, :, :10], torch.full((40, 10), 7, dtype=torch.int32))


def test_floats_are_interpolated_and_a_smaller_image_gets_their_mean():
    ramp = torch.arange(8.0).expand(8, 8)
    large = Placement((40, 40), (0, 0, 40, 40)).to_original(ramp)
    torch.testing.assert_close(large[0, 4:36], (torch.arange(4, 36) + 0.5) / 5 - 0.5)
    small = Placement((4, 4), (0, 0, 4, 4)).to_original(ramp.expand(2, 3, 8, 8))
    assert small.shape == (2, 3, 4, 4)
    torch.testing.assert_close(small[0, 0, 0, 1:3], torch.tensor([2.5, 4.5]))


def test_what_was_padded_is_cut_off_again():
    image = torch.zeros(1, 20, 60)
    image[0, 5:15, 24:36] = 1
    found = as_digit(image, 30)
    back = found.placement.to_original(found.frame)
    assert back.shape == (3, 20, 60) and found.placement.box == (0, -20, 60, 40)
    assert back[0, 7:13, 27:33].min() > 0.9 and back[0, :, :18].max() < 0.05


def test_only_square_maps_have_a_way_back():
    with pytest.raises(ValueError, match=r"square maps \(\.\.\., side, side\), got \(3, 4, 5\)"):
        Placement((9, 9), (0, 0, 9, 9)).to_original(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_return_to_the_order_in_which_the_file_holds_its_pixels(tmp_path, orientation):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[4:12, 16:20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    image, place = load_square(tmp_path / "x.png", 32)
    bright = place.as_stored(place.to_original(image[0, 0] > 0.5))
    assert torch.equal(bright, torch.from_numpy(stored[..., 0] > 0))


def test_a_jpeg_decoded_at_an_eighth_is_placed_to_within_a_pixel_of_the_canvas(tmp_path):
    pixels = np.zeros((1203, 1601, 3), np.uint8)
    pixels[400:700, 600:800] = 255
    Image.fromarray(pixels).save(tmp_path / "x.jpg")
    data = ImageFolder(tmp_path, 64)
    image, place = data.read(data.files[0])
    found = (place.to_original(image[0, 0]) > 0.5).nonzero()
    assert place.size == (1601, 1203) and place.box == (199, 0, 1402, 1203)
    edges = torch.cat([found.min(0).values, found.max(0).values + 1])
    assert (edges - torch.tensor([400, 600, 700, 800])).abs().max() < 1203 / 64
