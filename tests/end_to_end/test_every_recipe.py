"""Every recipe's run is scored and reported, and every card has a report."""

import json

import pytest

from ergosum import zoo
from ergosum.cli import main
from ergosum.recipes import RECIPES
from ergosum.training.runfolder import load_predictor

QUICK = {"joint", "report-colour", "modalities", "comet-code", "still-vae-b4-d64"}
"""One of each kind; the others run with --slow."""
QUICK_CARDS = {"shapes", "digits-joint"}
CARDS = sorted(p.name for p in zoo.CARDS.iterdir() if (p / "recipe.json").is_file())


def marked(names, quick):
    return [pytest.param(n, marks=() if n in quick else pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", marked(RECIPES, QUICK))
def test_the_run_of_every_recipe_is_scored_and_reported(name, learn, grown_from, tmp_path, capsys, monkeypatch):
    for shelf in ("CARDS", "BASELINES"):  # the run alone: companions and baselines take longer
        monkeypatch.setattr(zoo, shelf, tmp_path / "none")
    run = tmp_path / name
    few = {"comet-code": {"descent": {"steps": 2, "training_steps": 2}}, "still-vae-b4-d64": {"latent": 6}}
    changes = {"task": {"model": few[name]}} if name in few else {}
    if name.startswith("shared"):
        learn(tmp_path / "unsupervised", "unsupervised")
        changes = {"run": {"warm_start": str(tmp_path / "unsupervised")}}
    learn(run, name, **changes, **grown_from(name))
    if name != "joint":  # the reference of composition, which is not scored itself
        assert main(["score", str(run), "--n", "2", "--source", "digits"]) == 0
        assert len(capsys.readouterr().out.splitlines()) >= 3
        scores = json.loads((run / "scores.json").read_text())
        assert scores["n"] == 2 and scores["card"] == str(run)
    assert main(["report", str(run), "--n", "2", "--source", "digits"]) == 0
    assert capsys.readouterr().out == f"{run}/report.html\n"
    page = (run / "report.html").read_text()
    assert f"<h1>{name}</h1>" in page and page.count("<img") >= 1 and "<h2>Training</h2>" in page
    assert "nan" not in page.split("<pre")[0].lower().split("base64")[0]


@pytest.mark.parametrize("name", marked(CARDS, QUICK_CARDS))
def test_every_card_has_a_report(name, tmp_path, capsys):
    assert main(["report", name, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/report.html\n"
    page = (tmp_path / "report.html").read_text()
    assert load_predictor(name)[0].name in page and page.count("<img") >= 1 and "<h2>Recipe</h2>" in page
