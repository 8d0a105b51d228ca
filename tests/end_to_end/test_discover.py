"""`ergosum discover`: from a folder of clips, good and bad, to a run that is steered, scored, named and reported."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.sequences import DigitSequences
from ergosum.files import read_json

SMALL = ["--clips", "60", "--components", "4", "--iterations", "2", "--pool", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty clips of digits as arrays and as a folder of frames, and six that cannot be used."""
    root = tmp_path_factory.mktemp("films")
    clips = DigitSequences(source="digits").clips(30, 5, torch.Generator().manual_seed(0)).frames
    for i, clip in enumerate(clips[1:]):
        np.save(root / f"clip{i}.npy", clip.numpy())
    (root / "frames").mkdir()
    for t, frame in enumerate(clips[0]):
        Image.fromarray((frame.permute(1, 2, 0) * 255).byte().numpy()).save(root / "frames" / f"{t}.png")
    still = clips[1, :1].expand(6, -1, -1, -1).numpy()
    broken = clips[2].clone()
    broken[3, 0, 4, 4] = torch.nan
    for name, frames in (("one", still[:1]), ("still", still), ("black", 0 * still), ("nan", broken.numpy())):
        np.save(root / f"{name}.npy", frames)
    (root / "text.gif").write_text("no film")
    (root / "sizes").mkdir()
    for side in (16, 20):
        Image.new("RGB", (side, side), (side, 0, 0)).save(root / "sizes" / f"{side}.png")
    return root


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "found"
    with redirect_stdout(io.StringIO()) as told:
        assert main(["discover", str(folder), "--out", str(run), *SMALL]) == 0
    (run / "told.txt").write_text(told.getvalue())
    return run


def test_components_are_printed_drawn_and_bad_clips_counted(found):
    told = (found / "told.txt").read_text()
    assert "worth" in told and "one" in told and "kept" in told
    assert "6 clips left out" in told
    for why in ("one frame only", "no frame differs", "black", "NaN", "none of PNG", "frames differ in size"):
        assert why in told
    assert Image.open(found / "components.png").width > 200


def test_a_run_is_steered_scored_composed_and_reported(found, tmp_path, capsys):
    names = read_json(found / "recipe.json")["task"]["model"]["components"]
    film = str(tmp_path / "film.gif")
    assert main(["control", str(found), "--timeline", f"{names[0]}:2 {names[0]}*0.5:-2", "--out", film]) == 0
    assert main(["compose", f"{names[0]} & 0.5*{names[0]}_back", "--model", str(found), "--frames", "2",
                 "--out", str(tmp_path / "sheet.png")]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["score", str(found), "--n", "4", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["kept"] == len(names) and score["skill"]["mean"] > 0.3  # nobody knows the factors of a folder
    assert "mcc" not in score
    assert main(["sample", f"{names[0]} | {names[0]}_back", "--model", str(found), "--start", "digits:7", "--n", "8",
                 "--out", str(tmp_path / "futures.png")]) == 0  # fmt: skip
    assert main(["report", str(found)]) == 0
    assert "Clips read and played again" in (found / "report.html").read_text()


def test_components_get_names(found, capsys):
    names = read_json(found / "recipe.json")["task"]["model"]["components"]
    chosen = ["hue", "turn", "size", "other"][: len(names)]
    assert main(["discover", str(found), "--name", *chosen]) == 0
    assert main(["control", str(found), "--timeline", f"{chosen[0]}:1", "--out", str(found / "strip.png")]) == 0
    assert main(["discover", str(found), "--name", *chosen, "more"]) == 1
    assert f"expected {len(names)} different names" in capsys.readouterr().err
    assert main(["discover", str(found), "--name", *chosen[:-1], "a-b"]) == 1
    assert main(["discover", str(found), "--name", *names]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/at-all"], "No such folder of clips: nowhere/at-all"),
        (["Shapes"], "Shapes is no"),
        (["digits", "--iterations", "0"], "optimiser.iterations: expected an integer >= 1"),
        (["digits", "--components", "0"], "expected"),
        (["digits", "--canvas", "30"], "--canvas 30: expected a multiple of 4"),
        (["digits", "--name", "hue", "hue"], "expected different names"),
        (["digits", "--name", "still"], "--name still: expected a word"),
        (["digits", "--resume", "--out", "nothing-here"], "is not a run folder"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["discover", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1


def test_a_folder_without_a_usable_clip_is_refused(tmp_path, capsys):
    for i in (1, 2):
        np.save(tmp_path / f"still{i}.npy", np.full((5, 28, 28), 0.3 * i, np.float32))
    assert main(["discover", str(tmp_path), "--out", str(tmp_path / "run"), *SMALL]) == 1
    assert "one colour" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
