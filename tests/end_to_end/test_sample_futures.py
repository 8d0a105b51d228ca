"""`ergosum sample --model`: draws of a formula of trained energies, as a user meets them."""

import json
import re

import pytest
from PIL import Image

from ergosum.cli import main

CARDS = ["--model", "digits-colour", "digits-angle"]


def test_futures_are_drawn_in_the_proportions_asked_for(tmp_path, capsys):
    out = tmp_path / "futures.png"
    asked = ["sample", "colour | angle_back", *CARDS, "--start", "digits:7", "--n", "1000", "--shares", "0.7,0.3"]
    assert main([*asked, "--seed", "3", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [f["future"] for f in told["futures"]] == ["colour", "angle_back"] and told["n"] == 1000
    assert [f["asked"] for f in told["futures"]] == pytest.approx([0.7, 0.3])
    assert sum(f["count"] for f in told["futures"]) == 1000 and told["p"] > 0.01 and told["separation"] > 100
    assert told["futures"][0]["count"] == pytest.approx(700, abs=60)
    with Image.open(out) as image:
        assert image.width > 10 * 84 and image.height > 3 * 84
    first = out.read_bytes()
    assert main([*asked, "--seed", "3", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("colour | angle_back, n = 1000, seed = 3; chi-square p =") and lines[-1] == str(out)
    assert [line.split()[0] for line in lines[2:4]] == ["colour", "angle_back"] and out.read_bytes() == first


def test_paths_of_several_frames_choose_once_or_anew(tmp_path, capsys):
    counts = {}
    for choose in ("once", "each"):
        assert main(["sample", "0.2:colour | 0.8:angle", *CARDS, "--n", "30", "--steps", "3", "--choose", choose,
                     "--temperature", "1e-3", "--json", "--out", str(tmp_path / f"{choose}.png")]) == 0  # fmt: skip
        told = json.loads(capsys.readouterr().out)
        counts[choose] = sum(f["count"] for f in told["futures"])
        assert told["temperature"] == 1e-3 and told["steps"] == 3
        assert [f["asked"] for f in told["futures"]] == pytest.approx([0.2, 0.8])
    assert counts == {"once": 30, "each": 90}


def test_futures_that_look_alike_are_told_on_stderr(tmp_path, capsys):
    out = tmp_path / "x.png"
    for formula, temperature, apart in (("angle | angle", "1e-4", "0.0"), ("colour | angle", "4", r"[1-4]\.\d")):
        assert main(["sample", formula, *CARDS, "--n", "10", "--temperature", temperature, "--out", str(out)]) == 0
        said = capsys.readouterr()
        assert re.search(f"warning: Two of the futures of .* are {apart} standard deviations", said.err), said.err
        assert said.err.count("\n") == 1 and out.is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["colour | ~angle", *CARDS], 1, "a negation says what does not happen"),
        (["colour | scale", *CARDS], 1, "no energy is called 'scale'"),
        (
            ["colour | angle", *CARDS, "--shares", "1,2,3"],
            1,
            "2 numbers > 0, one for each of colour, angle; got 1, 2, 3",
        ),
        (["colour | angle", *CARDS, "--shares", "most"], 2, "--shares: .*'most'"),
        (["colour | angle", *CARDS, "--n", "0"], 1, "n >= 1"),
        (["colour | angle", *CARDS, "--temperature", "-1"], 1, "temperature: expected a finite number > 0"),
        (["colour | angle", *CARDS, "--sampler", "hmc"], 2, "--sampler: digits-colour takes .*--shares"),
        (["colour | angle", "--model", "no-such-card"], 1, "no card or run folder 'no-such-card'"),
        (["colour | angle", "--model", "digits-colour", "tetrominoes"], 1, "digits-colour and tetrominoes are of two"),
        (["one", "--model", "tetrominoes"], 1, "tetrominoes: .* no energies that a formula can be drawn from"),
        (["ring", "--n", "10"], 2, "--n: a formula in the plane takes .*--chains"),
        (["ring", "--start=digits:3", "--shares", "1"], 2, "--shares, --start: a formula in the plane"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_on_stderr(arguments, status, message, tmp_path, capsys):
    assert main(["sample", *arguments, "--out", str(tmp_path / "x.png")]) == status
    said = capsys.readouterr()
    assert said.out == "" and re.search(message, said.err) and said.err.count("\n") == 1, said.err
    assert not list(tmp_path.iterdir())
