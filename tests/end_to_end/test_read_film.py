"""`ergosum read` and `ergosum transfer` as a user meets them."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.render import render
from ergosum.data.sources import load_digits
from ergosum.temporal.timeline import parse_timeline

ANGLES = [0, 10, 20, 30, 30, 30, 14, -2, -18]
"""Degrees of every frame: half a level three times, still twice, 0.8 levels back three times."""


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A folder with turn.npy: a held-out bundled digit that turns, stands still and turns back."""
    monkeypatch.chdir(tmp_path)
    digit = load_digits("digits", "test").images[3:4].expand(len(ANGLES), -1, -1, -1)
    factors = torch.tensor([[0.0, float(a), 0.9] for a in ANGLES])
    np.save("turn.npy", render(digit, factors).permute(0, 2, 3, 1).numpy())
    return tmp_path


def test_a_shipped_energy_reads_how_a_digit_turns_and_control_accepts_it(film, capsys):
    read = ["read", "turn.npy", "--with", "digits-angle", "--pairs", "16"]
    assert main([*read, "--plot", "turn.png"]) == 0
    out, told = capsys.readouterr()
    timeline = parse_timeline(out.strip())
    assert [(set(dict(s.moves)), s.frames) for s in timeline.segments] == [({"angle"}, 3), (set(), 2), ({"angle"}, 3)]
    speeds = [dict(s.moves).get("angle", 0.0) for s in timeline.segments]
    assert speeds == pytest.approx([0.5, 0.0, -0.8], abs=0.05)
    assert "frames 4-5: nothing moves" in told and "frames 1-3: angle +0." in told
    assert min(Image.open("turn.png").size) > 200
    assert main(["control", "digits-angle", "--timeline", out.strip(), "--out", "again.gif"]) == 0
    assert Image.open("again.gif").n_frames > 2


def test_json_tells_every_frame_and_transfer_moves_another_image(film, capsys):
    read = ["turn.npy", "--with", "digits-angle", "--pairs", "16", "--noise", "0.02"]
    assert main(["read", *read, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["energies"] == ["angle"] and told["noise"] == 0.02 and len(told["frames"]) == len(ANGLES) - 1
    assert {"frame", "moves", "sd", "active", "unexplained", "nats", "z"} == set(told["frames"][0])
    assert parse_timeline(told["timeline"]).frames == len(ANGLES) - 1
    assert main(["transfer", *read, "--start", "digits:4", "--out", "moved.png"]) == 0
    assert main(["transfer", *read, "--start", "digits:4", "--out", "moved.gif"]) == 0
    assert capsys.readouterr().out.split() == ["moved.png", "moved.gif"]
    assert Image.open("moved.png").width > 28 * len(ANGLES)


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ("read none.gif", 1, "No such film: none.gif"),
        ("read one.npy", 1, "one frame only"),
        ("read black.npy", 1, "every frame is black"),
        ("read nan.npy", 1, "NaN"),
        ("read turn.npy --noise 2", 1, "--noise 2: expected 0 .. 0.5"),
        ("read turn.npy --pairs 3", 1, "--pairs 3: expected at least 16"),
        ("read turn.npy --most 0", 1, "--most 0: expected at least 1"),
        ("read turn.npy --mask dark.png", 1, "--mask dark.png: expected white"),
        ("read turn.npy --mask none.png", 1, "none.png"),
        ("read turn.npy --plot a.jpg", 1, "--plot a.jpg: expected a name that ends in .png"),
        ("read turn.npy --with tetrominoes", 1, "tetrominoes decomposes images"),
        ("read turn.npy --with digits-joint", 1, "several factors"),
        ("read turn.npy --with nothing", 1, "There is no card or run folder 'nothing'"),
        ("transfer turn.npy", 2, "required: --start"),
        ("transfer turn.npy --start digits:4 --out a.mp4", 1, "--out a.mp4: expected"),
        ("transfer turn.npy --start digits:4x", 1, "--start 'digits:4x'"),
        ("read turn.npy --with run --pairs 16", 1, "Calibration needs 8 pairs of frames that the energies change"),
    ],
)
def test_what_cannot_be_read_ends_with_one_line(arguments, code, message, film, trained, capsys):
    shutil.copytree(trained, "run")  # of three updates: its energy changes nothing yet
    frames = np.load("turn.npy")
    np.save("one.npy", frames[:1])
    np.save("black.npy", np.zeros_like(frames))
    np.save("nan.npy", np.where(frames > 0.5, np.nan, frames))
    Image.new("L", (28, 28), 0).save("dark.png")
    before = sorted(p.name for p in film.iterdir())
    assert main(arguments.split()) == code
    out, errors = capsys.readouterr()
    assert out == "" and errors.count("\n") == 1 and errors.startswith("ergosum: ") and message in errors
    assert sorted(p.name for p in film.iterdir()) == before
