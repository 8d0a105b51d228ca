"""Digits as users write, draw and photograph them, made into frames."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator

from ergosum.data.image_file import read_image
from ergosum.data.own_digit import as_digit
from ergosum.data.sources import fit_canvas, load_digits, load_image

DIGITS = load_digits("digits", "test").images[:40]
INVERTED = "The digit is dark on light; it was inverted to bright on black."
MADE_RED = "The digit is grey; it was made red, as the digits of the sequences are."


def red(digit):
    return F.pad(digit, (0, 0, 0, 0, 0, 2))


def lamp(side, low=0.35):
    """Paper that is bright at one place and falls off to a third."""
    y, x = torch.meshgrid(*[torch.linspace(0, 1, side)] * 2, indexing="ij")
    return low + (0.9 - low) * torch.exp(-((x - 0.3) ** 2 + (y - 0.2) ** 2) / 0.5)


def close(frame, expected, atol):
    torch.testing.assert_close(frame, expected, rtol=0, atol=atol)


CLEAN = {
    "white on black": (lambda d: d, [MADE_RED]),
    "white on black in three channels": (lambda d: d.expand(3, -1, -1), [MADE_RED]),
    "red on black": (red, []),
    "black on white": (lambda d: 1 - d, [INVERTED, MADE_RED]),
    "black ink on nothing": (
        lambda d: torch.cat([0 * d, d]), ["What is transparent was taken for white paper.", INVERTED, MADE_RED]
    ),
    "white ink on nothing": (
        lambda d: torch.cat([0 * d + 1, d]), ["What is transparent was taken for black.", MADE_RED]
    ),
    "opaque": (lambda d: torch.cat([d, 0 * d + 1]), [MADE_RED]),
}  # fmt: skip


@pytest.mark.parametrize("make, notes", CLEAN.values(), ids=CLEAN)
def test_a_clean_digit_becomes_the_frame_of_the_sequences(make, notes):
    for digit in DIGITS:
        found = as_digit(make(digit))
        close(found.frame, red(digit), 1e-6)
        assert list(found.notes) == notes


@pytest.mark.parametrize("hue, channel", [(0, 0), (120, 1), (240, 2)])
def test_coloured_ink_on_white_paper_keeps_its_hue(hue, channel):
    ink = torch.eye(3)[channel][:, None, None]
    for digit in DIGITS:
        found = as_digit(1 - digit + digit * ink)
        close(found.frame, digit * ink, 1e-6)
        assert list(found.notes) == [INVERTED, f"The digit keeps its hue of {hue} degrees, fully saturated."]
        close(as_digit(1 - digit + digit * ink, colour="red").frame, red(digit), 1e-6)


def test_a_coloured_digit_on_black_stays_as_it_is():
    for digit in DIGITS:
        image = digit * torch.tensor([0.0, 0.4, 1.0])[:, None, None]
        frame, notes, _ = as_digit(image)
        assert torch.equal(frame, image) and notes == ()
        frame, notes, _ = as_digit(image, colour="red")
        assert torch.equal(frame, red(digit))
        assert notes == ("The digit is coloured; it was made red, as the digits of the sequences are.",)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.9, 0.7)])
def test_photographed_ink_on_unevenly_lit_paper_is_found(tint):
    generator = Generator().manual_seed(0)
    for digit in DIGITS:
        large = F.interpolate(digit[None], (280, 280), mode="bicubic").clamp(0, 1)[0]
        paper = lamp(280) * torch.tensor(tint)[:, None, None]
        photo = (paper * (1 - 0.8 * large) + 0.03 * torch.randn(3, 280, 280, generator=generator)).clamp(0, 1)
        found = as_digit(photo)
        expected = red(fit_canvas(large, 28))
        error = (found.frame - expected).abs()
        # strokes of 0.87 are stretched to 1; noise of 0.03 on paper of 0.35, the most of three channels, hides a third
        assert error.mean() < 0.02 and error.max() < 0.35 and found.frame[1:].max() == 0
        assert found.notes[0] == INVERTED and "was stretched to 1, and unevenness" in found.notes[1]
        assert found.notes[-1] == "280x280 pixels were resized to 28x28."


def test_a_blue_pen_on_grey_paper_stays_blue_and_chalk_on_a_board_is_bright_on_black():
    pen = torch.tensor([0.1, 0.15, 0.5])[:, None, None]
    for digit in DIGITS:
        written = as_digit(lamp(28) * (1 - digit + digit * pen))
        assert written.frame[2].max() > 0.9 and written.frame[0].max() == 0 and written.frame[1].max() < 0.2
        assert (written.frame.amax(0) - digit[0]).abs().mean() < 0.03
        chalk = as_digit(0.25 + 0.6 * digit)
        assert chalk.notes[0] == "The ground is not black; it was set to black."
        assert (chalk.frame - red(digit)).abs().max() < 0.2


def test_the_user_may_say_otherwise():
    digit = DIGITS[0]
    assert torch.equal(as_digit(1 - digit, invert=False).frame, red(1 - digit))
    close(as_digit(digit, invert=True).frame, red(1 - digit), 1e-6)
    close(as_digit(digit, colour="keep").frame, digit.expand(3, -1, -1), 1e-6)
    close(as_digit(1 - digit, colour="keep").frame, digit.expand(3, -1, -1), 1e-6)


@pytest.mark.parametrize(
    "height, width, said",
    [(28, 28, None), (64, 64, "64x64 pixels were resized to 28x28."),
     (200, 300, "300x200 pixels were padded with black to a square and resized to 28x28."),
     (28, 12, "12x28 pixels were padded with black to a square.")],
)  # fmt: skip
@pytest.mark.parametrize("dark", [False, True])
def test_any_size_fits_the_canvas_and_is_said(height, width, said, dark):
    digit = F.interpolate(DIGITS[3][None], (height, width), mode="bilinear")[0]
    found = as_digit(1 - digit if dark else digit)
    close(found.frame, red(fit_canvas(digit, 28)), 1e-5)
    assert ([n for n in found.notes if "pixels" in n] or [None])[0] == said
    assert found.placement.size == (width, height)
    assert as_digit(digit, 56).frame.shape == (3, 56, 56)


def test_a_bright_digit_in_a_file_is_the_frame_that_sources_make_of_it_to_the_bit(tmp_path):
    for name, digit in (("a.png", DIGITS[1]), ("b.png", red(DIGITS[2]))):
        pixels = (255 * F.interpolate(digit[None], (60, 60))[0]).byte().permute(1, 2, 0).squeeze(-1).numpy()
        Image.fromarray(pixels).save(tmp_path / name)
        assert torch.equal(as_digit(read_image(tmp_path / name, None)).frame, load_image(tmp_path / name))


@pytest.mark.parametrize("dark", [False, True])
def test_a_digit_with_a_pixel_of_margin_is_told_from_its_ground(dark):
    for digit in DIGITS:
        rows, columns = (digit[0].amax(d) > 0.3 for d in (1, 0))
        tight = F.pad(digit[:, rows][:, :, columns], (1, 1, 1, 1))
        clean = as_digit(1 - tight if dark else tight)
        close(clean.frame, red(fit_canvas(tight, 28)), 1e-5)
        paper = lamp(24)[: tight.shape[1], : tight.shape[2]]
        assert INVERTED in as_digit(paper * (1 - 0.8 * tight)).notes


def test_a_mostly_opaque_image_is_filled_with_its_own_ground():
    digit = DIGITS[5]
    alpha = torch.ones_like(digit)
    alpha[:, :3, :3] = 0  # a round corner
    found = as_digit(torch.cat([(1 - digit) * alpha, alpha]))
    close(found.frame, red(digit), 1e-6)
    assert found.notes[0] == "What is transparent was filled with the colour of the ground."


@pytest.mark.parametrize(
    "image, message",
    [(torch.full((1, 28, 28), 0.5), "no digit can be told from its ground"), (torch.zeros(3, 28, 28), "no digit"),
     (torch.zeros(4, 28, 28), "wholly transparent"), (torch.zeros(28, 28), r"expected \(C, height, width\)"),
     (torch.zeros(1, 3, 28, 28), r"got \(1, 3, 28, 28\)"), (torch.zeros(28, 28, 3), "C 1 to 4"),
     (torch.zeros(1, 3, 9), "4x4 or more"), (torch.full((1, 8, 8), 255.0), r"expected values 0 \.\. 1, got 255"),
     (torch.full((1, 8, 8), torch.nan), "got nan")],
)  # fmt: skip
def test_what_is_no_digit_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        as_digit(image)


def test_a_colour_that_is_no_choice_is_refused():
    with pytest.raises(ValueError, match="colour: expected 'keep' or 'red', got 'blue'"):
        as_digit(DIGITS[0], colour="blue")


def test_polarity_of_mnist_is_told_on_any_paper(mnist):
    images = load_digits("mnist", "test", limit=100).images
    for digit in images:
        assert INVERTED in as_digit(1 - digit).notes and INVERTED not in as_digit(digit).notes
        assert INVERTED in as_digit(lamp(28) * (1 - 0.7 * digit)).notes
