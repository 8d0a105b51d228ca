"""The command line as a user meets it: what works."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from ergosum import __version__, zoo
from ergosum.cli import COMMANDS, main
from ergosum.recipes import RECIPES, SYSTEMS
from ergosum.temporal import scores as temporal_scores

TINY = ["--data.source", "digits", "--data.limit", "32", "--model.encoder.width", "4", "--model.energy.width", "4",
        "--optimiser.batch", "4", "--optimiser.iterations", "3", "--optimiser.precision", "32",
        "--accelerator", "cpu"]  # fmt: skip
KEYS = {"card", "factor", "n", "seed", "mse", "mse_copy", "skill", "psnr", "rows", "response", "diagonal_share",
        "timeline_error", "identity"}  # fmt: skip


def test_a_run_is_trained_scored_and_reported(tmp_path, capsys, monkeypatch):
    for shelf in ("CARDS", "BASELINES"):  # the run alone: companions and baselines take longer
        monkeypatch.setattr(zoo, shelf, tmp_path / "none")
    run = str(tmp_path / "colour")
    assert main(["train", "colour", "--out", run, *TINY]) == 0
    assert run in capsys.readouterr().out
    assert main(["score", run, "--n", "2", "--source", "digits"]) == 0
    assert "true operator" in capsys.readouterr().out
    scores = json.loads((tmp_path / "colour" / "scores.json").read_text())
    assert set(scores) >= KEYS and scores["factor"] == "colour" and scores["n"] == 2
    assert set(scores["timeline_error"]) == {"hue_deg", "angle_deg", "log_scale"}
    assert main(["report", run, "--source", "digits"]) == 0
    page = (tmp_path / "colour" / "report.html").read_text()
    assert capsys.readouterr().out.strip().endswith("report.html") and "colour:12" in page


def test_the_score_is_printed_with_timelines_and_compositions(trained, tmp_path, capsys, monkeypatch):
    errors = {"hue_deg": 1.25, "angle_deg": 0.5, "log_scale": 0.0125}
    measured = {
        "card": "run", "source": "digits", "n": 2, "seed": 0, "timeline_error": errors, "timeline_psnr": 31.0,
        "timelines": [{"timeline": "scale:6 colour:6", **errors, "psnr": 30.0, "identity": 0.9}],
        "composition": [{"factors": "colour+scale", "row": w, **errors, "psnr": 20.0} for w in ("split", "sum")],
    }  # fmt: skip
    monkeypatch.setattr(temporal_scores, "summarise", lambda *_, **__: measured)
    shutil.copytree(trained, tmp_path / "run")
    assert main(["score", str(tmp_path / "run"), "--source", "digits"]) == 0
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()] == [
        "run digits, n = 2, seed = 0",
        "timeline hue_deg angle_deg log_scale psnr identity",
        "scale:6 colour:6 1.25 0.50 0.0125 30.00 0.900",
        "all timelines 1.25 0.50 0.0125 31.00 –",
        "at once way hue_deg angle_deg log_scale psnr",
        *(f"colour+scale {way} 1.25 0.50 0.0125 20.00" for way in ("split", "sum")),
    ]
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == measured


@pytest.mark.parametrize(("n", "met", "told"), [(16, False, True), (16, True, False), (400, False, False)])
def test_a_miss_of_few_samples_may_be_chance(n, met, told, trained, tmp_path, capsys, monkeypatch):
    target = {"name": "hue", "value": 1.0, "target": 2.0, "at_least": True, "met": met}
    measured = {"card": "run", "source": "digits", "n": n, "seed": 0, "targets": [target]}
    monkeypatch.setattr(temporal_scores, "summarise", lambda *_, **__: measured)
    monkeypatch.setattr("ergosum.temporal.task.Prediction.tables", lambda *_: [])
    shutil.copytree(trained, tmp_path / "run")
    assert main(["score", str(tmp_path / "run"), "--source", "digits"]) == 0
    assert ("A share of n = 16 has a standard error of up to 0.12" in capsys.readouterr().out) is told


def test_parts_are_listed_without_the_marks_of_formulas(capsys):
    assert main(["parts"]) == 0
    out = capsys.readouterr().out
    assert "log p_sigma(x | c)" in out and not re.search(r"[$\\]", out)


def test_a_feed_forward_run_is_scored_and_reported_under_its_own_name(learn, tmp_path, capsys, monkeypatch):
    for shelf in ("CARDS", "BASELINES"):
        monkeypatch.setattr(zoo, shelf, tmp_path / "none")
    learn(tmp_path / "net", "feedforward-unet-colour")
    assert main(["score", str(tmp_path / "net"), "--json", "--n", "2", "--source", "digits"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["row"] == "net" and {"net", "ours"} & {r["row"] for r in scores["rows"]} == {"net"}
    assert main(["report", str(tmp_path / "net"), "--source", "digits"]) == 0
    assert re.search(r"<tr class=emphasis><td[^>]*>net<", (tmp_path / "net" / "report.html").read_text())


@pytest.mark.parametrize("how", ["split", "sum"])
def test_energies_of_two_runs_are_steered_into_a_strip_and_a_film(how, trained, learn, tmp_path, capsys):
    learn(tmp_path / "scale", "scale")
    steer = ["control", str(trained), str(tmp_path / "scale"), "--timeline", "scale:2 colour+scale:-3", "--how", how]
    for suffix, frames in ((".png", 1), (".gif", 6)):
        out = tmp_path / f"film{suffix}"
        assert main([*steer, "--out", str(out)]) == 0
        assert capsys.readouterr().out.strip() == str(out)
        with Image.open(out) as image:
            assert getattr(image, "n_frames", 1) == frames and image.width > 100


def test_control_starts_from_a_digit_of_choice_or_an_image(trained, tmp_path):
    seven = Image.new("L", (40, 40))
    seven.paste(220, (12, 8, 30, 12))
    seven.paste(220, (25, 12, 29, 34))
    seven.save(tmp_path / "seven.png")
    made = []
    for i, start in enumerate(("digits:7", "digits:7@2", "digits:3", str(tmp_path / "seven.png"))):
        out = tmp_path / f"{i}.png"
        assert main(["control", str(trained), "--timeline", "colour:2", "--start", start, "--out", str(out)]) == 0
        made.append(out.read_bytes())
    assert len(set(made)) == 4


def test_unlabelled_energies_are_scored_by_their_best_assignment(learn, tmp_path, capsys):
    learn(tmp_path / "run", "unsupervised")
    assert main(["score", str(tmp_path / "run"), "--json", "--n", "12", "--source", "digits"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert 0 <= scores["assigned_share"] <= 1 and set(scores["assignment"]) == {"one", "two", "three"}
    assert main(["report", str(tmp_path / "run"), "--source", "digits"]) == 0


def test_a_finished_run_can_be_resumed_to_more_updates(tmp_path, capsys):
    run = ["train", "--out", str(tmp_path / "run"), "colour", *TINY]
    assert main(run) == 0
    assert main([*run, "--resume", "--optimiser.iterations", "5"]) == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["iteration"] == 5
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["optimiser"]["iterations"] == 5


def test_a_yaml_file_is_a_recipe_or_overrides_one(tmp_path):
    fields = "model: {components: [angle], encoder: {width: 4}}\ndata: {factors: [angle]}\nseed: 7\n"
    (tmp_path / "mine.yaml").write_text("recipe: colour\n" + fields)
    (tmp_path / "over.yaml").write_text(fields)
    assert main(["train", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "a"), *TINY]) == 0
    over = ["train", "scale", "--config", str(tmp_path / "over.yaml"), "--out", str(tmp_path / "b"), *TINY]
    assert main(over) == 0
    for folder, name in (("a", "mine"), ("b", "scale")):
        recipe = json.loads((tmp_path / folder / "recipe.json").read_text())
        told = recipe["name"], recipe["run"]["seed"], recipe["task"]["model"]["components"]
        assert told == (name, 7, ["angle"]) and recipe["task"]["data"]["factors"] == ["angle"]


def test_recipes_are_listed_for_people_and_for_programs(capsys):
    assert main(["recipes", "--all", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in listed] == list(RECIPES) and all(r["shows"] and r["cost"] for r in listed)
    assert main(["recipes"]) == 0
    text = capsys.readouterr().out
    told = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert told == [name for system in SYSTEMS.values() for name in system.HEADLINES] and len(told) >= 8
    assert text.count("\n") <= 30, "the list fits a screen"
    assert [line for line in text.splitlines() if line.endswith(":")] == [f"{system}:" for system in SYSTEMS]
    assert main(["recipes", "--all"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in RECIPES)


def test_a_data_set_is_drawn_as_one_sheet(tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert main(["data", "show", "sequences", "--out", str(out)]) == 0
    with Image.open(out) as image:
        assert image.width > 18 * 28 and image.height > 7 * 28


def status(arguments):
    """Exit status of a command, which argparse may end itself."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_module_of_its_name_that_says_what_it_does(name, capsys):
    assert status([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ergosum {name}")
    told = " ".join(text.split())
    for nothing in ("(default: )", "(default: None)", "(default: [", "(default: False)"):
        assert nothing not in told
    assert "--seed SEED" not in told or "(default: 0)" in told


def test_the_help_of_the_program_has_a_line_for_every_command(capsys):
    assert status(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, what in COMMANDS.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert line.split(maxsplit=1)[1] == what and len(line) < 80


def test_the_package_runs_as_a_module(command):
    process = command("--version")
    assert process.communicate(timeout=60) == (f"ergosum {__version__}\n", "") and process.returncode == 0


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["train", "--help"], ["score", "--help"], []])
def test_help_is_quick_because_it_imports_no_torch(arguments):
    script = ("import sys; from ergosum.cli import main\n"
              f"try: code = main({arguments!r})\nexcept SystemExit as e: code = e.code or 0\n"
              "print('torch' in sys.modules, 'numpy' in sys.modules); sys.exit(code)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("False False") and done.stderr == ""
    expected = __version__ if arguments == ["--version"] else "usage: ergosum"
    assert expected in done.stdout


def test_a_formula_in_the_plane_is_sampled_and_drawn(tmp_path, capsys):
    out = tmp_path / "chain.png"
    assert main(["sample", "left | right", "--steps", "200", "--chains", "40", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["formula"] == "left | right" and told["sampler"] == "mala" and 0.4 < told["acceptance"] < 0.75
    assert all(abs(z) < 4 for z in told["z"]) and told["mean_true"][0] == pytest.approx(0, abs=1e-6)
    assert Image.open(out).size == (1100, 460)
    assert main(["sample", "--list"]) == 0
    assert "ring" in capsys.readouterr().out


def test_a_formula_of_cards_is_followed_and_drawn(tmp_path, capsys):
    out = tmp_path / "strip.png"
    formula = "colour & 0.5*angle_back"
    assert main(["compose", formula, "--start", "digits:3", "--frames", "2", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out) and Image.open(out).size[0] > 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "ring & | box"], r"got '\|' at character 8"),
        (["sample", "~ring"], "a negation alone"),
        (["sample", " ", "--model", "mnist-density"], "formula: expected one such as .* got nothing"),
        (["sample", "ring", "--sampler", "nuts"], "no sampler 'nuts'"),
        (["sample", "ring", "--steps", "3"], "steps >= 10"),
        (["compose", "~colour"], "a negation alone"),
        (["sample", "ring & three"], "no energy is called 'three'; the plane has wide, .*come with --model RUN"),
        (["sample", "three | ring | seven", "--n", "5"], "no energy is called 'three', 'seven'; the plane has"),
        (["sample", "mnist-densty", "--n", "5"], "no card or run folder 'mnist-densty'; the cards are .*mnist-density"),
        (["sample", "runs/none"], "no card or run folder 'runs/none'"),
        (["compose", "hue"], "no energy is called 'hue'; digits-colour, digits-angle, digits-scale have colour, .*RUN"),
        (["compose", "hue", "--model", "digits-colour"], "digits-colour has colour, colour_back; names of other runs"),
        (["compose", "colour", "--frames", "0"], "frames >= 1"),
        (["compose", "colour", "--start", "nowhere.png"], "nowhere.png"),
    ],
)
def test_a_formula_that_cannot_be_is_one_line_on_stderr(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "x.png")]) == 1
    said = capsys.readouterr()
    assert said.out == "" and re.search(message, said.err) and said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
