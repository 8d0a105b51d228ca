"""Components that are chosen by hand are added as they are told, and moved by their places."""

import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.decomposition.recombination import encode_best, recompose
from ergosum.decomposition.selection import Choice, added, choices_sheet, parse_choices, place_of
from ergosum.decomposition.task import load_decomposer

NAMES = ("ground", "one", "two", "three")


@pytest.fixture(scope="module")
def pieces():
    task, model = load_decomposer("tetrominoes")
    one, two = task.held_out_image(0), task.held_out_image(9)
    latents = [encode_best(model, image, torch.Generator().manual_seed(0)) for image in (one, two)]
    return task, model, (one, two), latents


def test_choices_are_read_and_written(pieces):
    text = "A:ground B:two@0.25,-0.4 A:two B:two"
    choices = parse_choices(text, NAMES)
    assert " ".join(map(str, choices)) == text
    assert choices[1] == Choice("B", "two", (0.25, -0.4)) and choices[3].place is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 1 to 32 components, got 0; choose one, such as A:ground"),
        ("C:one", "cannot read 'C:one'"),
        ("A", "cannot read 'A'"),
        ("A:one@1", "cannot read 'A:one@1'"),
        ("A:four", "no component 'four'; there are ground, one, two, three"),
        ("A:one@2,0", "a place from -1.5 to 1.5"),
        ("A:one@nan,0", "a place from -1.5 to 1.5"),
        ("A:one " * 33, "expected 1 to 32 components, got 33"),
    ],
)
def test_what_is_no_choice_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_choices(text, NAMES)


def test_all_of_an_image_is_the_image_recomposed(pieces):
    _, model, _, (a, b) = pieces
    choices = parse_choices(" ".join(f"A:{name}" for name in NAMES), NAMES)
    made, masks = added(model, a, b, choices, torch.Generator().manual_seed(0))
    whole = recompose(model, a, torch.Generator().manual_seed(0))
    torch.testing.assert_close(made, whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(masks.sum(1), torch.ones_like(masks[:, 0]))


def test_a_choice_is_taken_from_the_image_that_it_names(pieces):
    _, model, _, (a, b) = pieces
    swapped, _ = added(model, b, a, parse_choices("A:ground B:one", NAMES), torch.Generator().manual_seed(0))
    straight, _ = added(model, a, b, parse_choices("B:ground A:one", NAMES), torch.Generator().manual_seed(0))
    assert torch.equal(swapped, straight)
    other, _ = added(model, a, b, parse_choices("B:ground B:one", NAMES), torch.Generator().manual_seed(0))
    assert (other - straight).abs().max() > 0.1


def test_a_component_without_a_place_cannot_be_moved(pieces):
    _, model, _, (a, b) = pieces
    assert place_of(model, a, 0) is None and place_of(model, a, 1) == tuple(a[0, 1, -3:-1].tolist())
    with pytest.raises(ValueError, match="ground has no place"):
        added(model, a, b, parse_choices("A:ground@0,0", NAMES))
    before = a.clone()
    added(model, a, b, parse_choices("A:ground A:one@0.5,0.5", NAMES))
    assert torch.equal(a, before), "the latents that were given stay as they are"


def test_a_held_out_image_is_called_by_its_number(pieces):
    task, *_ = pieces
    assert torch.equal(task.held_out_image(9), task.held_out_image(9))
    assert not torch.equal(task.held_out_image(9), task.held_out_image(1))
    assert task.held_out_image(17).shape == (1, 3, 36, 36)


def test_the_command_writes_the_sheet_of_a_choice(pieces, tmp_path, capsys):
    _, model, (one, two), _ = pieces
    out = tmp_path / "sum.png"
    take = "A:ground A:one B:two@0.2,-0.4"
    asked = ["recombine", "tetrominoes", "--start", "held-out:0", "held-out:9", "--take", take, "--out", str(out)]
    assert main(asked) == 0 and capsys.readouterr().out.strip() == str(out)
    sheet = choices_sheet(model, one, two, parse_choices(take, NAMES))
    assert Image.open(out).tobytes() == sheet.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--take", "A:one"], "--take: expected --start with two images"),
        (["--take", "A:one", "--start", "held-out:0", "held-out:x"], "expected held-out:N"),
        (["--take", "A:none", "--start", "held-out:0", "held-out:1"], "no component 'none'"),
        (["--take", "A:one", "--start", "held-out:0", "held-out:1", "--with", "tetrominoes"], "so not --with"),
    ],
)
def test_a_choice_that_cannot_be_is_one_line(options, message, capsys):
    assert main(["recombine", "tetrominoes", *options]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
