"""Strips, sheets and comparisons, pixel by pixel."""

import numpy as np
import pytest
import torch

from ergosum.report.strips import BACKGROUND, BOX, NOT_FINITE, captioned, compare, pixels, sheet, strip


def red(image):
    return (np.asarray(image) == BOX).all(-1)


def grey_frames(count, side=8):
    return torch.linspace(0, 1, count).view(-1, 1, 1, 1).expand(-1, 3, side, side)


def test_only_boxed_frames_have_a_red_border():
    image = strip(grey_frames(4), zoom=2, boxed=(0, 2), gap=1)
    assert image.size == (4 * 18 + 2, 20)
    columns = red(image)[0].nonzero()[0]
    assert set(columns) == {*range(20), *range(36, 56)}
    border = red(image)[:, :20]
    assert border[:2].all() and border[-2:].all() and border[:, :2].all() and border[:, -2:].all()
    assert not border[2:-2, 2:-2].any()


def test_frames_keep_their_values_and_order():
    image = np.asarray(strip(grey_frames(3), zoom=3, boxed=()))
    centres = [image[image.shape[0] // 2, 3 + 12 + i * 27, 0] for i in range(3)]
    assert centres == [0, 128, 255]
    assert tuple(image[0, 0]) == BACKGROUND


def test_indices_of_boxes_count_from_the_end_and_may_lie_outside():
    assert red(strip(grey_frames(3), boxed=(-1,)))[:, -1].all()
    assert not red(strip(grey_frames(3), boxed=(7,))).any()


def test_broken_and_out_of_range_pixels_are_seen_for_what_they_are():
    frames = torch.full((1, 3, 2, 2), 0.5)
    frames[0, 1, 0, 0], frames[0, :, 0, 1], frames[0, :, 1, 1] = float("nan"), 7.0, -7.0
    result = pixels(frames)
    assert tuple(result[0, 0, 0]) == NOT_FINITE
    assert result[0, 0, 1].tolist() == [255] * 3 and result[0, 1, 1].tolist() == [0] * 3
    assert torch.isnan(frames).any(), "the caller's frames are left alone"


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8), (0, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="time >= 1, 3, height, width"):
        strip(torch.zeros(shape))


@pytest.mark.parametrize(("side", "zoom"), [(8, 3), (32, 3), (64, 2), (128, 1), (300, 1)])
def test_large_frames_are_enlarged_less(side, zoom):
    assert strip(grey_frames(2, side)).size == (zoom * (2 * side + 3), zoom * (side + 2))
    two, one = (sheet([("", grey_frames(n, side))], boxed=()).width for n in (2, 1))
    assert two - one == zoom * (side + 1)


def test_a_long_caption_has_as_many_lines_as_it_needs_up_to_three():
    frames = grey_frames(1, 32)
    none, one, two = (captioned(frames, [c], [None]) for c in ("", "smiling", "smiling glasses long_hair"))
    many = captioned(frames, ["smiling " * 20], [None])
    line = two.height - one.height
    assert none.height == one.height and line > 10 and many.height == one.height + 2 * line
    ink = (np.asarray(two)[one.height - 4 :] > 200).all(-1)
    assert ink.any(), "the second line is written"


def test_zoom_and_gap_start_at_one():
    with pytest.raises(ValueError, match="zoom"):
        strip(grey_frames(2), zoom=0)
    with pytest.raises(ValueError, match="gap"):
        strip(grey_frames(2), gap=0)


def test_a_sheet_aligns_rows_of_different_lengths():
    frames = torch.ones(5, 3, 8, 8)
    image = red(sheet([("long", frames), ("", frames[:2])], boxed=(1,)))
    first, second = image[: len(image) // 2], image[len(image) // 2 :]
    assert (first.any(0) == second.any(0)).all() and first.any()


def test_labels_and_captions_take_room_and_leave_ink():
    frames = torch.zeros(3, 3, 28, 28)
    plain = sheet([("", frames)], boxed=())
    labelled = sheet([("scale:3 colour:9 and more words than fit", frames)], ["input", "+1"], boxed=())
    assert labelled.width > plain.width and labelled.height > plain.height
    dark = (np.asarray(plain) <= max(BACKGROUND)).all()
    assert dark and (np.asarray(labelled)[..., 0] > 200).any()


def test_a_caption_too_long_for_its_column_stays_inside_it():
    frames = torch.zeros(2, 3, 28, 28)
    image = np.asarray(sheet([("", frames)], ["W" * 60], boxed=()))
    ink = (image[..., 0] > 120).any(0).nonzero()[0]
    assert len(ink) and ink.max() - ink.min() <= 28 * 3


def test_a_sheet_refuses_what_cannot_be_aligned():
    frames = torch.zeros(2, 3, 8, 8)
    with pytest.raises(ValueError, match="at least one row"):
        sheet([])
    with pytest.raises(ValueError, match="one size"):
        sheet([("a", frames), ("b", torch.zeros(2, 3, 4, 4))])
    with pytest.raises(ValueError, match="3 captions"):
        sheet([("a", frames)], ["1", "2", "3"])


def test_compare_puts_the_true_row_above_the_generated_one():
    true, generated = torch.ones(3, 3, 8, 8), torch.full((3, 3, 8, 8), 0.25)
    image = np.asarray(compare(true, generated, labels=("", "")))[:, -40]
    assert np.flatnonzero((image == 255).all(1)).max() < np.flatnonzero((image == 64).all(1)).min()
