"""`ergosum fill` with a tiny run: films in, filled films and timelines out."""

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.sequences import DigitSequences
from ergosum.temporal import parse_timeline


@pytest.fixture(scope="module")
def film():
    """Five frames of a digit whose hue turns by half a level each, (time, 3, 28, 28)."""
    data = DigitSequences(source="digits", factors=("colour",), split="test")
    moves = torch.tensor([[0.5, 0.0, 0.0]])
    return data.sequences(1, 4, torch.Generator().manual_seed(3), moves=moves).frames[0].numpy()


@pytest.fixture
def fill(trained, film, tmp_path, capsys):
    """Run the command on the film (or another array) and return its exit status, lines of stdout, and stderr."""

    def go(*options, frames=film):
        path = tmp_path / "film.npy"
        np.save(path, frames)
        status = main(["fill", str(path), "--with", str(trained), "--out", str(tmp_path / "out.gif"), *options])
        out = capsys.readouterr()
        return status, out.out.splitlines(), out.err

    return go


def frames_of(path):
    with Image.open(path) as image:
        found = []
        for n in range(image.n_frames):
            image.seek(n)
            found.append(np.asarray(image.convert("RGB")))
    return found


def test_a_film_is_filled_and_its_timeline_printed(fill, tmp_path):
    status, lines, said = fill("--missing", "1,3")
    assert status == 0, said
    timeline = parse_timeline(lines[0], ("colour",))
    assert timeline.frames == 4
    assert lines[1] == str(tmp_path / "out.gif")
    assert "5 frames, 40% of their pixels hidden" in said
    assert len(frames_of(tmp_path / "out.gif")) >= 2


def test_a_timeline_that_is_told_is_the_one_that_is_printed(fill):
    assert fill("--missing", "2-3", "--timeline", "colour*0.5:4")[1][0] == "colour*0.5:4"


def test_frames_are_added_between_those_of_the_film(fill):
    status, lines, said = fill("--between", "1", "--timeline", "colour*0.25:8")
    assert status == 0
    assert "9 frames" in said
    assert lines[0] == "colour*0.25:8"


def test_masks_hide_what_they_say(fill, tmp_path):
    mask = np.full((56, 56), 255, np.uint8)
    mask[14:42, 14:28] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    said, films = [], []
    for mask in ("box:7,7,7,14", str(tmp_path / "mask.png"), "random:0.5", "random:0.5"):
        said.append(fill("--mask", mask, "--timeline", "colour*0.5:4")[2])
        films.append((tmp_path / "out.gif").read_bytes())
    assert all("12% of their pixels hidden" in line for line in said[:2])  # 98 of 784
    assert any(f"{share}% of their pixels hidden" in said[2] for share in (48, 49, 50, 51, 52))
    assert films[0] == films[1]
    assert films[2] == films[3] != films[0]


def test_a_sheet_shows_what_was_seen_above_what_was_made(fill, tmp_path):
    status, lines, _ = fill("--missing", "1", "--timeline", "colour*0.5:4", "--out", str(tmp_path / "out.png"))
    assert status == 0
    assert lines[1] == str(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.width > 5 * 84
        assert image.height > 2 * 84


@pytest.mark.parametrize("scale", [1, 2])
def test_what_is_nan_is_hidden(fill, film, tmp_path, scale):
    hollow = film.repeat(scale, 2).repeat(scale, 3).copy()
    hollow[1] = np.nan
    hollow[:, :, 4 * scale : 12 * scale, 4 * scale : 12 * scale] = np.nan
    made = []
    for options, frames in ((["--missing", "1", "--mask", "box:4,4,8,8"], film), ([], hollow)):
        status, _, said = fill("--timeline", "colour*0.5:4", *options, frames=frames)
        assert status == 0, said
        assert "27% of their pixels hidden" in said
        made.append((tmp_path / "out.gif").read_bytes())
    assert scale > 1 or made[0] == made[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--missing", "0-4"], "every frame is missing"),
        (["--missing", "1-4"], "two frames or more"),
        (["--missing", "5"], "--missing 5: expected frames 0 .. 4"),
        (["--missing", "²"], "cannot read"),
        (["--missing", "two"], "cannot read 'two'"),
        (["--mask", "box:20,20,10,10"], "within the energies' canvas of 28x28 pixels"),
        (["--mask", "box:1,2"], "expected box:X,Y,W,H"),
        (["--mask", "random:1.5"], "expected random:SHARE"),
        (["--mask", "nowhere.png"], "nowhere.png"),
        (["--timeline", "colour:3"], "expected 4 moves for a film of 5 frames, got 3"),
        (["--timeline", "angle:4"], "unknown factor 'angle'"),
        (["--out", "film.avi"], "ends in .png or .gif"),
        (["--between", "-1"], "expected 0 or more"),
    ],
)
def test_bad_input_gets_one_line(fill, options, message):
    status, lines, said = fill(*options)
    assert status == 1
    assert not lines
    last = said.splitlines()[-1]
    assert message in last
    assert last.startswith("ergosum: ")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((1, 28, 28), np.nan), "two frames or more"),
        (np.full((3, 28, 28), np.nan), "every frame is missing"),
        (np.concatenate([np.full((2, 28, 28), np.nan), np.full((2, 28, 28), 7.0)]), "floats in 0 .. 1"),
        (np.zeros((4, 28, 28)), "black"),
    ],
)
def test_bad_films_get_one_line(fill, frames, message):
    status, _, said = fill(frames=frames)
    assert status == 1
    assert message in said.splitlines()[-1]
