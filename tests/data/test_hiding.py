"""Masks say what is known: True where a pixel is, one channel for all."""

import pytest
import torch
from PIL import Image

from ergosum.data.masks import (
    BlockMask,
    BoxMask,
    FrameMask,
    ImageMask,
    Mask,
    SaltAndPepper,
    check_known,
    parse_mask,
    without_objects,
)
from ergosum.data.moving_shapes import MovingShapes

IMAGES, CLIPS = (6, 3, 12, 16), (4, 5, 3, 12, 12)


@pytest.fixture
def drawn(tmp_path):
    """A mask as an image file: its left half is black."""

    def make(width=16, height=12, black=0.5):
        image = Image.new("L", (width, height), 255)
        image.paste(0, (0, 0, round(width * black), height))
        image.save(tmp_path / "mask.png")
        return str(tmp_path / "mask.png")

    return make


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_salt_and_pepper_hides_its_share(share, rng):
    known = SaltAndPepper(share).known((50, 3, 28, 28), rng)
    assert known.shape == (50, 1, 28, 28) and known.dtype == torch.bool
    error = (share * (1 - share) / known.numel()) ** 0.5
    assert (~known).float().mean().item() == pytest.approx(share, abs=4 * error)
    rows = known.flatten(1).float()
    assert not (rows[0] == rows[1]).all()


def test_a_box_hides_what_it_says_and_a_block_as_much_somewhere(rng):
    known = BoxMask(2, 3, 5, 4).known(IMAGES)
    assert (~known).sum() == 6 * 20 and not known[:, :, 3:7, 2:7].any()
    blocks = BlockMask(4, 5).known(CLIPS, rng)
    assert blocks.shape == (4, 5, 1, 12, 12)
    assert ((~blocks).sum((-1, -2)) == 20).all()
    assert (blocks == blocks[:, :1]).all(), "a block stays at its place within a clip"
    assert len({tuple(b.flatten().tolist()) for b in blocks[:, 0]}) > 1


def test_blocks_reach_every_place(rng):
    hidden = ~BlockMask(11).known((300, 1, 12, 12), rng)
    assert hidden.flatten(1).any(0).all()
    assert {tuple(h.nonzero()[0, 1:].tolist()) for h in hidden} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_frames_are_hidden_whole(rng):
    known = FrameMask((1, 3)).known(CLIPS)
    assert known.flatten(2).all(2).tolist() == [[True, False, True, False, True]] * 4
    share = FrameMask(share=0.4).known((20, 5, 3, 12, 12), rng).flatten(2)
    assert (share.all(2) | ~share.any(2)).all()
    assert (share.any(2).sum(1) == 3).all()
    assert len({tuple(row.tolist()) for row in share.any(2)}) > 1


def test_black_is_hidden_in_an_image_of_any_square_size(drawn):
    known = ImageMask(drawn()).known(IMAGES)
    assert known.shape == (6, 1, 12, 16) and not known[..., :8].any() and known[..., 8:].all()
    square = ImageMask(drawn(48, 48)).known((2, 1, 12, 12))
    assert not square[..., :6].any() and square[..., 6:].all()


def test_an_object_is_hidden_with_its_edge():
    clips = MovingShapes(canvas=12, objects=1).object_clips(2, 2, torch.Generator().manual_seed(0))
    known = without_objects(clips.masks)
    assert known.shape == (2, 3, 1, 12, 12)
    assert clips.frames[~known.expand(clips.frames.shape)].max() > 0.5
    assert clips.frames[known.expand(clips.frames.shape)].max() == 0, "all that is left is the black background"
    tight = without_objects(clips.masks, grow=0)
    assert (tight == ~clips.masks[:, :, 1:2]).all() and (~known).sum() > (~tight).sum()


@pytest.mark.parametrize(
    "text, mask",
    [
        ("random:0.5", SaltAndPepper(0.5)),
        ("box:1,2,3,4", BoxMask(1, 2, 3, 4)),
        ("block:14", BlockMask(14)),
        ("frames:1,3", FrameMask((1, 3))),
    ],
)
def test_masks_are_read_from_the_command_line(text, mask):
    assert parse_mask(text) == mask


def test_an_image_file_is_a_mask(drawn):
    path = drawn()
    assert parse_mask(path) == ImageMask(path)


@pytest.mark.parametrize(
    "text",
    ["random:1.5", "random:0", "random:x", "box:1,2,3", "box:1,2,3,0.5", "block:", "block:0", "frames:", "no.png"],
)
def test_what_is_no_mask_is_refused_in_one_line(text):
    with pytest.raises((ValueError, FileNotFoundError), match=r"expected|Expected"):
        parse_mask(text)


@pytest.mark.parametrize(
    "mask, shape",
    [
        (BoxMask(10, 0, 8, 4), IMAGES),
        (BlockMask(12, 16), IMAGES),
        (BlockMask(13), IMAGES),
        (FrameMask((5,)), CLIPS),
        (FrameMask((0, 1, 2, 3, 4)), CLIPS),
        (FrameMask((1,)), IMAGES),
        (SaltAndPepper(0.5), (12, 12)),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask: Mask, shape):
    with pytest.raises(ValueError, match="expected"):
        mask.known(shape)


@pytest.mark.parametrize("size", [(20, 12), (16, 10)])
def test_an_image_of_another_shape_is_no_mask(drawn, size):
    with pytest.raises(ValueError, match="expected a mask of the images' size, 16x12"):
        ImageMask(drawn(*size)).known(IMAGES)


@pytest.mark.parametrize("black, said", [(0, "nothing is hidden"), (1, "all is hidden")])
def test_an_image_of_one_colour_is_no_mask(drawn, black, said):
    with pytest.raises(ValueError, match=said):
        ImageMask(drawn(black=black)).known(IMAGES)


def test_known_is_checked_against_its_images():
    images, known = torch.zeros(IMAGES), torch.ones(6, 1, 12, 16, dtype=torch.bool)
    with pytest.raises(ValueError, match="hides nothing"):
        check_known("here", known, images)
    known[2] = False
    with pytest.raises(ValueError, match="all of example 2 is hidden"):
        check_known("here", known, images)
    known[2, :, 0] = True
    assert check_known("here", known, images).shape == IMAGES
    with pytest.raises(ValueError, match="expected a mask of the images' shape"):
        check_known("here", known[..., :-1], images)
    with pytest.raises(TypeError, match="Booleans"):
        check_known("here", known.float(), images)


def test_same_seed_same_mask():
    for mask, shape in ((SaltAndPepper(0.5), IMAGES), (BlockMask(4), IMAGES), (FrameMask(share=0.5), CLIPS)):
        one, same, other = (mask.known(shape, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        assert (one == same).all() and not (one == other).all()
