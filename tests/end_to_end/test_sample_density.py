"""`ergosum sample` of densities, as a user meets it: a card or run alone, a formula, and what goes wrong."""

import json
import re

import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.recipes import find
from ergosum.training.runfolder import save_recipe, save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learned nothing: all classes are one Gaussian of codes."""
    small = {"family": {"form": {"body": {"width": 8, "blocks": 1}}}, "space": {"codec": {"width": 4}}}
    experiment = find("density").but(task={"model": small})
    folder = tmp_path_factory.mktemp("runs") / "tiny-density"
    torch.manual_seed(0)
    save_recipe(folder, experiment)
    save_weights(folder / "model.safetensors", experiment.built().build().state_dict())
    return folder


def test_a_run_alone_is_drawn_and_its_condition_is_told_by_name_or_number(run, tmp_path, capsys):
    out = tmp_path / "grid.png"
    for condition, formula in ([], "prior"), (["--condition", "3"], "three"), (["--condition", "zero"], "zero"):
        asked = ["sample", str(run), *condition, "--n", "6", "--steps", "4", "--json", "--out", str(out)]
        assert main(asked) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["formula"] == formula and told["n"] == 6 and len(told["levels"]) == 4
        assert sum(told["read"].values()) == pytest.approx(1)
    with Image.open(out) as image:
        assert image.width > 2 * 84 and image.height > 2 * 84


def test_a_formula_is_drawn_as_a_film_and_says_what_is_not_normalised(run, tmp_path, capsys):
    out = tmp_path / "film.gif"
    asked = ["sample", "three | seven & ~zero", "--model", str(run), "--n", "4", "--steps", "5", "--shares", "0.9,0.1"]
    assert main([*asked, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(out) and "as a classifier of digits reads the draws" in said.out
    assert re.search("warning: Complement: log Z of zero, prior is not known", said.err)
    with Image.open(out) as film:
        assert film.n_frames > 3


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--condition", "12"], 1, r"--condition 12: expected a number 0 \.\. 9, or one of zero, one"),
        (["--n", "0"], 1, "n: expected at least 1, got 0"),
        (["--sigma", "99"], 1, "expected a noise level from 0.03 to 15, .* got 99"),
        (["--steps", "1"], 1, "steps: expected at least 2"),
        (["--temperature", "2"], 2, "--temperature: .* takes .*--condition"),
        (["--out", "film.jpg"], 1, "expected a name that ends in .png"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_on_stderr(run, arguments, status, message, tmp_path, capsys):
    given = ["sample", str(run), "--n", "2", "--steps", "2", "--out", str(tmp_path / "x.png"), *arguments]
    assert main(given) == status
    said = capsys.readouterr()
    assert said.out == "" and re.search(message, said.err) and said.err.count("\n") == 1, said.err


def test_other_systems_have_no_film_and_need_a_formula(tmp_path, capsys):
    out = str(tmp_path / "x.gif")
    assert main(["sample", "colour", "--model", "digits-colour", "--n", "2", "--out", out]) == 1
    assert "there is no film of these draws" in capsys.readouterr().err
    assert main(["sample", "digits-colour", "--n", "2"]) == 1
    assert "the formula ends" in capsys.readouterr().err
