"""The cards that ship with the package, and how a run becomes one."""

import json
import shutil
from itertools import pairwise

import pytest
import torch

from ergosum import zoo
from ergosum.cli import main
from ergosum.concepts import ConceptDensities
from ergosum.data.labelled import LabelledImages
from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.decomposition.recombination import decompose
from ergosum.density import Densities
from ergosum.files import read_json, write_json
from ergosum.metrics.identity import accuracy
from ergosum.part import Part, parameters
from ergosum.recipes import SYSTEMS
from ergosum.temporal import Prediction
from ergosum.temporal.discovery import Discovery
from ergosum.temporal.scores import companions
from ergosum.training.experiment import Experiment, Run
from ergosum.training.runfolder import load_predictor, load_recipe, save_recipe
from ergosum.zoo import pack
from ergosum.zoo.card import card_text, lineage, write_card

CARDS = zoo.names() if zoo.CARDS.is_dir() else []


@pytest.mark.parametrize("name", CARDS)
def test_every_card_loads_and_predicts(name):
    experiment, predictor = load_predictor(name)
    task = experiment.built()
    if isinstance(task, Densities):
        if isinstance(task, ConceptDensities):
            pytest.importorskip("resvg_py", reason="faces are drawn with the extra: pip install 'ergosum[faces]'")
            data = task.data.but(count=64) if "count" in parameters(task.data.cls) else task.data
            held = data.build(split="test").attributed(8, torch.Generator().manual_seed(0)).images
        else:
            held = LabelledImages(split="test").images[:8]
        made = predictor.decode(predictor.encode(held))
        assert (made - held).square().mean() < 0.3 * (held - held.mean(0)).square().mean()
        return
    assert predictor.components == task.model.get("components")
    if isinstance(task, Discovery):
        clips = task.data.but(source="digits").build(split="test").clips(8, 1, torch.Generator().manual_seed(0))
        start, target = clips.frames.unbind(1)
        made = predictor.act(start, predictor.read(start, target))
        assert (made - target).square().mean() < 0.2 * (start - target).square().mean()
        return
    if not isinstance(task, Prediction):
        data = task.held_out(4, torch.Generator().manual_seed(0))
        made = decompose(predictor, data.images, torch.Generator().manual_seed(0)).whole
        mean = data.images.mean(0, keepdim=True)
        assert (made - data.images).square().mean() < 0.5 * (mean - data.images).square().mean()
        return
    side = task.canvas
    frames = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    predicted = predictor.predict(frames, moves=torch.ones(2, 3))
    assert predicted.shape == frames.shape and 0 <= predicted.min() and predicted.max() <= 1


@pytest.mark.parametrize("name", [c for c in CARDS if c.removeprefix("digits-") in FACTORS])
def test_a_card_predicts_its_own_factor_far_better_than_copying(name, rng):
    factor = name.removeprefix("digits-")
    data = DigitSequences(source="digits", factors=(factor,), nuisance=FACTORS, continuous=False, split="test")
    pairs = data.pairs(64, rng)
    error = (zoo.Zoo().card(name).predict(pairs.start, moves=pairs.moves) - pairs.target).square().mean()
    assert error < 0.2 * (pairs.start - pairs.target).square().mean()


def test_companions_are_the_factors_that_are_not_held():
    held = companions(("colour",), zoo.Zoo())
    assert set(held) == {f"digits-{f}" for f in FACTORS if f != "colour" and f"digits-{f}" in CARDS}
    assert companions((), None) == {}


@pytest.mark.skipif(not {f"digits-{f}" for f in FACTORS} <= set(CARDS), reason="needs the three shipped cards")
def test_control_uses_the_shipped_cards_where_no_run_is_named(tmp_path):
    out = tmp_path / "strip.png"
    assert main(["control", "--timeline", "scale:1 colour+angle:-1", "--out", str(out)]) == 0
    assert out.stat().st_size > 500


def test_a_card_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no card or run folder 'nothing'; the cards are"):
        zoo.find("nothing")
    with pytest.raises(FileNotFoundError, match=r"has no recipe\.json"):
        zoo.find(str(tmp_path))
    assert zoo.Zoo().card("nothing") is None
    with pytest.raises(ValueError, match="expected one of identity, upright, features, got 'colour'"):
        zoo.Zoo().classifier("colour")


def test_the_shelf_holds_cards_and_shipped_baselines():
    held = {name: type(zoo.Zoo().card(name)).__name__ for name in ("digits-colour", "feedforward-unet-colour")}
    assert list(held.values()) == ["TemporalDecomposer", "FeedForwardUNet"]


def test_the_classifier_recognises_true_frames_of_any_colour_angle_and_scale(rng):
    pairs = DigitSequences(source="digits", split="test").pairs(200, rng)
    # six and nine are one digit to a classifier of all angles, so nine tenths is what can be asked
    assert accuracy(zoo.Zoo().classifier("identity"), pairs.start, pairs.labels) > 0.8


@pytest.mark.parametrize("name", CARDS)
def test_the_text_of_a_card_is_what_lies_beside_it(name, tmp_path):
    folder = shutil.copytree(zoo.find(name), tmp_path / name)
    write_card(folder)
    assert (folder / "card.md").read_text() == (zoo.find(name) / "card.md").read_text()


def a_run(folder, warm_start="", seed=0, iterations=10, cpu_seconds=60.4):
    shows, task = f"the last step, {folder.name}", Part(Prediction)
    experiment = Experiment(name=folder.name, shows=shows, task=task, run=Run(warm_start=str(warm_start)))
    save_recipe(folder, experiment)
    machine = {"threads": 1, "device": "cpu", "machine": "any", "torch": "2", "weights": 1234, "source": "digits",
               "data_sha256": "abc"}  # fmt: skip
    run = {"name": folder.name, "seed": seed, "iterations": iterations, "cpu_seconds": cpu_seconds, **machine}
    write_json(folder / "run.json", run)
    return folder


def test_a_card_of_several_runs_lists_each_with_its_cost_and_their_sum(tmp_path):
    first = a_run(tmp_path / "base", iterations=100, cpu_seconds=50.4)
    a_run(tmp_path / "tuned", warm_start=first)
    third = a_run(tmp_path / "again-seed1", warm_start="somewhere/else/tuned", seed=1)  # now lies beside it
    runs = lineage(third)
    assert [r["name"] for r in runs] == ["base", "tuned", "again-seed1"] and lineage(first) == runs[:1]
    text = card_text("mine", "what it shows", runs, {})
    assert "Made by 3 runs, each starting from the weights of the one before:" in text and "# mine\n\nWhat it" in text
    for row in ("| `ergosum train base` | 0 | 100 | 50 |", "| `ergosum train tuned` | 0 | 10 | 60 |",
                "| `ergosum train again --seed 1` | 1 | 10 | 60 |", "| together | | 120 | 171 |"):  # fmt: skip
        assert row in text.splitlines()
    assert "- Cost: 171 CPU seconds on 1 thread(s) of cpu (any), torch 2." in text
    assert "- Trained on `digits` (sha256 of the images begins abc)." in text
    last = runs[-1] | {"data_sha256": ""}
    assert "- Trained on `digits`.\n" in card_text("mine", "what it shows", [last], {})


def test_a_card_keeps_the_runs_before_it_so_that_others_can_start_from_it(tmp_path):
    card = a_run(tmp_path / "card")
    own = read_json(card / "run.json")
    write_json(card / "run.json", own | {"before": [own | {"name": "first"}]})
    assert [r["name"] for r in lineage(a_run(tmp_path / "next", warm_start=card))] == ["first", "card", "next"]


def test_a_start_that_is_gone_or_leads_in_a_circle_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run started from .*gone, which is not there"):
        lineage(a_run(tmp_path / "run", warm_start=tmp_path / "gone"))
    a_run(tmp_path / "a", warm_start=tmp_path / "b")
    with pytest.raises(ValueError, match="is its own warm start"):
        lineage(a_run(tmp_path / "b", warm_start=tmp_path / "a"))


def test_packing_again_refreshes_a_card_and_keeps_the_line_that_tells_what_several_runs_show(
    learn, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(zoo, "CARDS", tmp_path / "cards")
    asked = []

    def scored(task, name, model, n, seed, *, source, shelf):
        asked.append((source, n))
        return {"n": n, "seed": seed, "source": source, "targets": []}

    monkeypatch.setattr(Prediction, "score", scored)
    learn(tmp_path / "base", "unsupervised")
    learn(tmp_path / "tuned", "shared-colour", run={"warm_start": str(tmp_path / "base")})
    for n in ("4", "6"):
        pack.main([str(tmp_path / "tuned"), "mine", n])
        card = tmp_path / "cards" / "mine"
        assert capsys.readouterr().out.strip() == str(card)
        recipe = load_recipe(card)
        save_recipe(card, recipe.but(shows="what both runs show"))
    assert asked == [("mnist", 4), ("digits", 4), ("mnist", 6), ("digits", 6)]
    assert recipe.name == "mine" and recipe.shows == "what both runs show" and recipe.run.warm_start == ""
    text = (card / "card.md").read_text()
    assert "What both runs show." in text and "`ergosum train unsupervised`" in text and "--n 6 --seed 0`" in text
    again = pack.pack(card, "mine", sources=())  # from the card itself: the runs behind it need not be there
    assert (again / "card.md").read_text().startswith(text.partition("## Scores")[0].rstrip("\n"))
    assert load_predictor(again)[1].components == FACTORS and not load_recipe(again).task.get("active")


@pytest.mark.slow
@pytest.mark.parametrize("name", [c for c in CARDS if c.removeprefix("digits-") in FACTORS])
def test_a_card_meets_its_targets_of_skill(name, capsys):
    assert main(["score", name, "--json", "--n", "40", "--source", "digits"]) == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert all(t["met"] for t in targets if t["name"].endswith(" skill"))


def test_a_run_that_decomposes_images_becomes_a_card_with_its_segments_and_targets(
    learn, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(zoo, "CARDS", tmp_path / "cards")
    learn(tmp_path / "run", "tetrominoes")
    pack.main([str(tmp_path / "run"), "pieces", "6"])
    capsys.readouterr()
    card = tmp_path / "cards" / "pieces"
    told = read_json(card / "scores.json")["tetrominoes"]
    assert told["n"] == 6 and told["targets"][0]["name"] == "foreground ARI"
    text = (card / "card.md").read_text()
    assert "`ergosum score pieces --n 6 --seed 0`" in text and "connected patches of one colour" in text
    assert f"| ours | {told['fg_ari']:.3f} |" in text and "Mean squared error" in text
    assert main(["score", "pieces", "--n", "6", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["fg_ari"] == told["fg_ari"] and again["mse"] == told["mse"]


def listed(arguments, capsys):
    assert main(["cards", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_cards_are_listed_with_what_their_files_say(capsys):
    rows = {row["name"]: row for row in listed([], capsys)}
    assert list(rows) == CARDS
    for name, row in rows.items():
        made = read_json(zoo.CARDS / name / "run.json")
        assert row["weights"] == made["weights"] and row["shows"] == load_recipe(zoo.CARDS / name).shows
        assert row["bytes"] == (zoo.CARDS / name / "model.safetensors").stat().st_size
        assert row["scored"] == (zoo.CARDS / name / "scores.json").is_file()
        assert len(row["runs"]) == 1 + len(made.get("before", [])) and row["start"] == ""
        assert row["runs"][-1]["updates"] == made["iterations"] and row["runs"][-1]["data"] == made["source"]
    systems = {name: rows[name]["system"] for name in rows}
    told = {"digits-colour": "temporal", "digits-discovered": "discovery", "tetrominoes": "decomposition",
            "mnist-density": "density", "concepts-faces": "concepts"}  # fmt: skip
    assert systems | told == systems
    assert main(["cards"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == sorted(
        rows, key=lambda name: list(dict.fromkeys(SYSTEMS)).index(systems[name])
    )
    (shared,) = (after for line, after in pairwise(lines) if line.startswith("  digits-shared "))
    before = read_json(zoo.CARDS / "digits-shared/run.json")
    updates = sum(run["iterations"] for run in [before, *before["before"]])
    assert f"{before['weights']:,} weights, " in shared and f": {updates:,} updates, " in shared


def test_run_folders_are_listed_finished_or_not(trained, tmp_path, capsys):
    (row,) = listed([str(trained)], capsys)
    assert row["name"] == str(trained) and row["system"] == "temporal" and row["runs"][0]["recipe"] == "colour"
    begun = tmp_path / "begun"
    save_recipe(begun, load_recipe(trained).but(shows=""))
    own = tmp_path / "own"
    shutil.copytree(trained, own)
    recipe = read_json(own / "recipe.json")
    write_json(own / "recipe.json", recipe | {"task": {"class": "my_package.Task"}})
    (tmp_path / "empty").mkdir()
    assert main(["cards", *(str(tmp_path / name) for name in ("begun", "empty", "own"))]) == 0
    out, errors = capsys.readouterr()
    assert f"{begun}" in out and "no weights yet; not finished" in out and "\nother:\n" in out
    assert errors == f"{tmp_path / 'empty'} is not a run folder: it has no recipe.json.\n"
    lost = recipe | {"run": recipe["run"] | {"warm_start": "runs/gone"}}
    write_json(own / "recipe.json", lost)
    (row,) = listed([str(own)], capsys)
    assert row["start"] == "runs/gone" and len(row["runs"]) == 1


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("recipe.json", [], "no recipe of this version"),
        ("recipe.json", {"data": {}, "model": {}}, "no recipe of this version"),
        ("run.json", {"name": "colour", "seed": 0}, "lacks 'iterations'"),
    ],
)
def test_a_run_folder_that_cannot_be_listed_says_why(file, content, message, trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    write_json(tmp_path / "run" / file, content)
    assert main(["cards", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert main(["cards", str(tmp_path / "run"), str(tmp_path)]) == 1
    assert "None of the 2" in capsys.readouterr().err
