"""`ergosum train`, `recipes` and `parts`: fields, their help, YAML files, and what is printed can be fed back."""

import json
import re

import pytest
import yaml

from ergosum.cli import main
from ergosum.cli.fields import SUPPLIED, change, first_line, listed, meanings
from ergosum.cli.parts import by_kind
from ergosum.part import Part, exported, parameters, within
from ergosum.recipes import RECIPES, SYSTEMS, find
from ergosum.training.experiment import from_dict, to_dict


def said(arguments, capsys):
    """What a command prints."""
    assert main(arguments) == 0
    return capsys.readouterr().out


def fields_of(text):
    """Field -> the lines that tell of it, from a help page."""
    blocks = re.split(r"\n  --", text.partition("fields of ")[2])[1:]
    return {block.split()[0]: " ".join(block.split()) for block in blocks}


def test_help_lists_the_fields_of_the_recipe_alone(capsys):
    colour, image = (fields_of(said(["train", name, "--help"], capsys)) for name in ("colour", "tetrominoes"))
    for path in ("data.lag", "model.energy.width", "model.descent.steps", "objective.on", "persistent", "seed",
                 "optimiser.rate", "checkpoint_every"):  # fmt: skip
        assert path in colour, path
    assert {"count", "model.stochastic", "objective.kl_weight", "model.encoder.iterations"} <= set(image) - set(colour)
    assert not {"data.lag", "persistent", "objective.decorrelation"} & (set(image) - {"objective.decorrelation"})
    assert "N, steps per image, >= 1" in colour["model.descent.steps"] and "data.lag 1" in colour["data.lag"]
    assert "Seed of weights, data and noise" in colour["seed"]


def test_help_lists_the_arguments_of_the_part_that_was_chosen(capsys):
    told = fields_of(said(["train", "colour", "--model.energy", "CometEnergy", "--help"], capsys))
    assert "CometEnergy" in told["model.energy"] and "model.energy.position" in told


def test_options_may_stand_before_the_recipe(capsys):
    first = ["train", "--optimiser.iterations", "5", "--trust", "my_parts", "colour"]
    assert "optimiser.iterations" in fields_of(said([*first, "--help"], capsys))
    assert yaml.safe_load(said([*first, "--print_config"], capsys))["optimiser"]["iterations"] == 5


def test_help_names_the_choices_of_a_part_and_what_each_takes(capsys):
    told = fields_of(said(["train", "colour", "--help"], capsys))
    energy = told["model.energy"]
    for other in ("UNetInnerProduct", "ResidualEnergy", "CometEnergy"):
        assert f"or {other}: " in energy
    assert "Mala" not in energy and "StridedEncoder" not in energy
    assert "(width: channels of the U-Net at half resolution)" in energy
    assert "or PairEncoder: " in told["model.encoder"] and "or Langevin: " in told["model.descent.sampler"]
    assert "model.descent.sampler Descent" in told["model.descent.sampler"]
    assert "or " not in told["data"] or "Box" not in told["data"]
    assert "or FeedForwardUNet: " in told["model"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_every_recipe_has_a_meaning(name):
    recipe = to_dict(find(name))
    paths = [field.path for field in listed(recipe)]
    assert len(paths) == len(set(paths)) and len(paths) > 15
    assert [f.path for f in listed(recipe) if not f.meaning.strip(" .")] == []


@pytest.mark.parametrize("name", RECIPES)
def test_what_print_config_prints_gives_the_same_experiment(name, capsys, tmp_path):
    (tmp_path / "printed.yaml").write_text(said(["train", name, "--print_config"], capsys))
    again = said(["train", str(tmp_path / "printed.yaml"), "--print_config"], capsys)
    assert from_dict(yaml.safe_load(again)) == find(name)


def test_print_config_trains_nothing_and_shows_what_was_changed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = ["--model.energy", "UNetInnerProduct", "--model.energy.width=8", "--data.factors", "angle,scale",
               "--optimiser.rate", "1e-3", "--seed", "5", "--name", "mine", "--model.ramp", "false"]  # fmt: skip
    told = yaml.safe_load(said(["train", "colour", *changes, "--print_config"], capsys))
    assert told["task"]["model"]["energy"] == {"class": "ergosum.nets.unet.UNetInnerProduct", "width": 8}
    assert told["task"]["data"]["factors"] == ["angle", "scale"] and told["task"]["model"]["ramp"] is False
    assert (told["optimiser"]["rate"], told["run"]["seed"], told["name"]) == (1e-3, 5, "mine")
    assert list(tmp_path.iterdir()) == []


def test_parts_that_do_not_go_together_are_not_printed_as_if_they_did(capsys):
    assert main(["train", "colour", "--model.moves", "false", "--model.ramp", "false", "--print_config"]) == 1
    out, errors = capsys.readouterr()
    assert out == "" and "data.signs: expected 'forward'" in errors


@pytest.mark.parametrize(
    "recipe, path, text, value",
    [
        ("tetrominoes", "data.objects", "3,5", (3, 5)), ("tetrominoes", "data.objects", "[3, 5]", (3, 5)),
        ("tetrominoes", "data.objects", "2", 2), ("colour", "model.components", "1,2", ("1", "2")),
        ("colour", "data.factors", "(colour, angle)", ("colour", "angle")), ("colour", "active", "", ()),
        ("colour", "model.descent.step_size", "1", 1), ("colour", "model.moves", "no", False),
        ("colour", "data.source", "123", "123"), ("colour", "data.source", "no", "no"),
        ("colour", "metrics", "psnr,ssim", (Part(next(c for c in exported() if c.__name__ == "psnr")),
                                            Part(next(c for c in exported() if c.__name__ == "ssim")))),
        ("colour", "metrics", "", ()), ("colour", "model.descent.gradient", "full", "full"),
    ],
)  # fmt: skip
def test_text_becomes_the_value_that_a_field_takes(recipe, path, text, value):
    plain = to_dict(find(recipe))
    change(plain, path, text)
    held = from_dict(plain).task
    for name in path.split("."):
        held = held.get(name)
    assert held == value and type(held) is type(value)


def test_the_same_class_again_keeps_its_arguments_and_another_has_its_own():
    plain = to_dict(find("colour"))
    change(plain, "model.energy", "Transport")
    assert from_dict(plain) == find("colour")
    change(plain, "model.energy", "UNetInnerProduct")
    assert plain["task"]["model"]["energy"] == {"class": "ergosum.nets.unet.UNetInnerProduct"}


WHOLE = """
task:
  class: Prediction
  data: {class: DigitSequences, source: digits, factors: [angle]}
  model: {class: TemporalDecomposer, components: [angle], energy: {class: Transport, width: 4}}
optimiser: {iterations: 7}
seed: 3
"""


def test_a_yaml_file_may_hold_a_whole_task(tmp_path, capsys):
    (tmp_path / "whole.yaml").write_text(WHOLE)
    made = from_dict(yaml.safe_load(said(["train", str(tmp_path / "whole.yaml"), "--print_config"], capsys)))
    assert (made.name, made.run.seed, made.optimiser.iterations) == ("whole", 3, 7)
    assert made.task.get("model").get("energy").get("width") == 4
    told = fields_of(said(["train", str(tmp_path / "whole.yaml"), "--help"], capsys))
    assert "optimiser.iterations 7" in told["optimiser.iterations"] and "optimiser.batch 64" in told["optimiser.batch"]


def test_a_yaml_file_changes_parts_and_replaces_those_of_another_class(tmp_path, capsys):
    (tmp_path / "over.yaml").write_text(
        "recipe: colour\nmodel:\n  energy: {class: UNetInnerProduct, width: 6}\n  descent: {steps: 2}\n"
        "optimiser: {batch: 8}\nlog_every: 3\n"
    )
    made = from_dict(yaml.safe_load(said(["train", str(tmp_path / "over.yaml"), "--print_config"], capsys)))
    model, base = made.task.get("model"), find("colour").task.get("model")
    assert model.get("energy").to_dict() == {"class": "ergosum.nets.unet.UNetInnerProduct", "width": 6}
    assert model.get("descent") == base.get("descent").but(steps=2) and model.get("encoder") == base.get("encoder")
    assert (made.optimiser.batch, made.run.log_every, made.name) == (8, 3, "over")


@pytest.mark.parametrize(
    "text, message",
    [
        ("model: {components: [angle]}\n", "expected `recipe`, the name of one to start from, or a whole `task`"),
        ("recipe: colour\nmodel: {enery: {width: 3}}\n", "TemporalDecomposer takes no 'enery'; did you mean energy"),
        ("recipe: colour\nmodel: {energy: {class: Mala}}\n", "task.model.energy: .*Mala is no Conditional"),
        ("recipe: colour\noptimiser: {speed: 3}\n", r"optimiser: unknown field\(s\) speed"),
        ("recipe: colour\noptimiser: 3\n", "optimiser: expected fields by name, got 3"),
        ("recipe: colour\nmodel: {latent: many}\n", "task.model.latent: expected an integer, got 'many'"),
        ("recipe: color\n", "did you mean colour"),
        ("[1, 2]\n", "expected fields by name, got list"),
        ("a: {b\n", "is not valid YAML"),
        ("recipe: colour\ndescent: {steps: 3}\n", "form of version 0.1|takes no 'descent'"),
    ],
)  # fmt: skip
def test_a_yaml_file_that_cannot_be_is_refused_in_one_line(text, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    assert main(["train", "mine.yaml", "--out", "new"]) == 1
    out, errors = capsys.readouterr()
    assert out == "" and errors.count("\n") == 1 and re.search(message, errors), errors
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_parts_are_listed_by_kind_with_a_line_each(capsys):
    text = said(["parts"], capsys)
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    for name in ("Transport", "StridedEncoder", "DigitSequences", "Tetrominoes", "PredictionLoss", "Mala", "psnr",
                 "Prediction", "Gaussian", "BetaVae"):  # fmt: skip
        assert lines[name].split(maxsplit=1)[1].strip(), name
    kinds = [line.rstrip(":") for line in text.splitlines() if line.endswith(":")]
    assert {"task", "energy family", "encoder", "sampler", "objective", "metric", "dataset of images"} <= set(kinds)
    alone = said(["parts", "sampler"], capsys)
    assert "Mala" in alone and "Transport" not in alone
    assert main(["parts", "colour"]) == 1
    assert "There is no kind 'colour'; the kinds are task" in capsys.readouterr().err


def test_every_part_is_of_one_kind_and_every_part_of_a_recipe_is_listed():
    found = by_kind()
    every = [part for parts in found.values() for part in parts]
    assert len(every) == len(set(every))
    # what a decomposer's descent or a search is made of is no kind of its own
    inner = {"InnerDescent", "Search", "Fitting"}
    used = {part.cls for make in RECIPES.values() for part in within(make().task)}
    assert {cls.__name__ for cls in used - set(every)} == inner
    assert all(first_line(part) for part in every)


NAMED = sorted({p for kind, parts in by_kind().items() if kind != "metric" for p in parts}, key=lambda p: p.__name__)
"""Parts that recipes name; what a metric takes is told by the shapes of its arguments."""


@pytest.mark.parametrize("part", NAMED, ids=lambda p: p.__name__)
def test_the_arguments_of_a_part_are_explained(part):
    told = meanings(part)
    missing = [n for n in parameters(part) if n not in SUPPLIED and not told.get(n, "").strip(" .")]
    assert missing == []


def test_recipes_as_json_say_their_system(capsys):
    rows = json.loads(said(["recipes", "--json"], capsys))
    assert {row["system"] for row in rows} == set(SYSTEMS) and all(row["shows"] and row["cost"] for row in rows)
