"""Experiments as data: ranges, round trips, and recipes written by hand."""

import json
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from ergosum.cli.fields import meanings
from ergosum.data.sequences import DigitSequences
from ergosum.decomposer import InnerDescent
from ergosum.nets.encoders import PairEncoder
from ergosum.part import Part
from ergosum.recipes import RECIPES, find
from ergosum.temporal import Prediction, PredictionLoss, TemporalDecomposer
from ergosum.training.experiment import Experiment, Optimiser, Run, from_dict, to_dict
from ergosum.training.task import Task

OUT_OF_RANGE = [
    (DigitSequences, "factors", ()), (DigitSequences, "factors", ("hue",)), (DigitSequences, "nuisance", ("size",)),
    (DigitSequences, "lag", 0), (DigitSequences, "scale_min", 0.05), (DigitSequences, "scale_max", 2.0),
    (DigitSequences, "scale_min", 1.8), (DigitSequences, "canvas", 30), (DigitSequences, "canvas", 8),
    (DigitSequences, "limit", -1), (DigitSequences, "mode", "all"), (DigitSequences, "start", "last"),
    (DigitSequences, "signs", "back"), (TemporalDecomposer, "components", ()),
    (TemporalDecomposer, "components", ("a", "a")), (TemporalDecomposer, "latent", -1),
    (TemporalDecomposer, "anchor", "none"), (TemporalDecomposer, "anchor", "end"), (InnerDescent, "steps", 0),
    (InnerDescent, "training_steps", -1), (InnerDescent, "step_size", 0.0), (InnerDescent, "noise", -0.1),
    (InnerDescent, "window", 0), (InnerDescent, "gradient", "first"), (PredictionLoss, "decorrelation", -1.0),
    (PredictionLoss, "orthogonality", -1.0),
    (PredictionLoss, "on", "first"), (PredictionLoss, "norm", "l3"), (Prediction, "persistent", 1.0),
    (Prediction, "persistent", -0.1), (Prediction, "active", ("angle",)), (Optimiser, "iterations", 0),
    (Optimiser, "batch", 0), (Optimiser, "rate", 0.0), (Optimiser, "clip", -1.0), (Optimiser, "ema", 1.0),
    (Run, "threads", 0), (Run, "devices", 0), (Run, "checkpoint_every", 0), (Run, "log_every", 0),
]  # fmt: skip


@pytest.mark.parametrize("kind, field, value", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(kind, field, value):
    with pytest.raises(ValueError, match=rf"{field.split('_')[0]}.*expected .*, got|{field}: expected"):
        kind(**{field: value})


def test_parts_that_contradict_each_other_are_refused():
    pair = Part(TemporalDecomposer, encoder=Part(PairEncoder))
    with pytest.raises(ValueError, match=r"moves: expected False with an encoder that computes the move"):
        Prediction(model=pair).build()
    with pytest.raises(ValueError, match=r"data\.signs: expected 'forward'"):
        Prediction(model=Part(TemporalDecomposer, moves=False))
    Prediction(model=pair.but(moves=False)).build()
    with pytest.raises(ValueError, match=r"ramp: expected False where energies are not conditioned on the move"):
        Part(TemporalDecomposer, moves=False, ramp=True).build()
    one_step = Part(InnerDescent, training_steps=1)
    for descent, words in ((one_step, "objective.on: expected 'last'"), (Part(InnerDescent), r"descent\.gradient")):
        with pytest.raises(ValueError, match=words):
            Prediction(model=Part(TemporalDecomposer, descent=descent), objective=Part(PredictionLoss, on="all"))


def test_a_batch_that_its_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"optimiser\.batch: expected a multiple of run\.devices = 3, got 64"):
        Experiment(task=Part(Prediction), run=Run(devices=3))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_the_round_trip_through_json(name):
    experiment = find(name)
    assert from_dict(json.loads(json.dumps(to_dict(experiment)))) == experiment
    assert experiment.name == name and experiment.shows and experiment.cost
    assert isinstance(experiment.built(), Task)


@pytest.mark.parametrize("kind", [Optimiser, Run, Experiment, InnerDescent, PredictionLoss])
def test_every_field_of_a_dataclass_has_a_docstring(kind):
    assert all(meanings(kind).get(f.name, "").strip() for f in fields(kind))


def test_every_section_of_an_experiment_is_a_frozen_dataclass():
    for name, kind in get_type_hints(Experiment).items():
        if is_dataclass(kind):
            section = getattr(Experiment(task=Part(Prediction)), name)
            with pytest.raises(AttributeError):
                setattr(section, fields(kind)[0].name, None)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"optimiser": {"tempo": 1, "batch": 2, "speed": 3}}, r"optimiser: unknown field\(s\) speed, tempo; expected"),
        ({"optimizer": {}}, r"Experiment: unknown field\(s\) optimizer; expected some of cost, name, optimiser"),
        ({"optimiser": {"batch": "many"}}, r"optimiser\.batch: expected an integer, got 'many'"),
        ({"optimiser": {"batch": True}}, r"optimiser\.batch: expected an integer, got True"),
        ({"optimiser": {"schedule": "linear"}}, r"optimiser\.schedule: expected one of cosine, onecycle, constant"),
        ({"run": 3}, "run: expected fields by name, got 3"),
        ({"task": {}}, r"task: expected a part, \{'class': NAME"),
        ({"task": {"class": "Transport"}}, "task: Transport is no Task; expected one such as .*Prediction"),
        ([1], "Experiment: expected fields by name, got list"),
        ({"name": "no task"}, r"Experiment: a value is missing .*task"),
    ],
)
def test_values_that_do_not_belong_are_refused(values, message):
    if isinstance(values, dict) and values.keys() <= {"optimiser", "run", "optimizer"}:
        values = {"task": {"class": "Prediction"}, **values}
    with pytest.raises(ValueError, match=message):
        from_dict(values)


OLD = json.loads("""
{"name": "digits-angle", "shows": "(a) one energy learns angle alone and can be steered both ways", "cost": "5 min",
 "task": "prediction", "predictor": "decomposer", "data": {"source": "digits+mnist", "factors": ["angle"], "nuisance":
 ["colour", "angle", "scale"], "mode": "single", "start": "random", "signs": "both", "continuous": true, "lag": 1,
 "scale_min": 0.4, "scale_max": 1.8, "canvas": 28, "limit": 0}, "images": {"name": "tetrominoes", "side": 36,
 "fewest": 3, "most": 3, "count": 20000}, "model": {"energy": "transport", "anchor": "start", "encoder": "strided",
 "components": ["angle"], "tied": false, "latent": 16, "width": 32, "position": false, "globals": 1, "moves": true},
 "descent": {"steps": 4, "training_steps": 1, "step_size": 1.0, "learned": false, "ramp": true, "clamp": true,
 "noise": 0.0, "gradient": "last", "window": 2}, "objective": {"on": "last", "norm": "l2", "decorrelation": 0.0,
 "persistent": 0.0}, "optimiser": {"iterations": 2000, "batch": 64, "rate": 0.002, "schedule": "cosine", "clip": 1.0,
 "ema": 0.998, "precision": "bf16"}, "warm_start": "", "active": [], "freeze_encoder": false, "seed": 0, "threads": 1,
 "devices": 1, "checkpoint_every": 200, "log_every": 10}
""")
"""The recipe of a card as version 0.1 wrote it."""


@pytest.mark.parametrize("without", [(), ("task", "predictor"), ("task", "predictor", "images", "descent")])
def test_a_recipe_of_the_first_version_says_what_to_do(without):
    with pytest.raises(ValueError, match=r"form of version 0\.1 .*ergosum train NAME --out RUN.*CHANGELOG"):
        from_dict({k: v for k, v in OLD.items() if k not in without})


def test_but_changes_only_the_fields_it_names_and_checks_them():
    base = find("colour")
    changed = base.but(optimiser={"batch": 7}, run={"seed": 3}, task={"model": {"energy": {"width": 5}}})
    assert changed.optimiser.batch == 7 and changed.run.seed == 3
    assert changed.task.get("model").get("energy").get("width") == 5
    assert changed.task.get("model").get("encoder") == base.task.get("model").get("encoder")
    back = {"model": {"energy": {"width": base.task.get("model").get("energy").get("width")}}}
    assert changed.but(optimiser={"batch": base.optimiser.batch}, run={"seed": 0}, task=back) == base
    with pytest.raises(ValueError, match="batch"):
        base.but(optimiser={"batch": 0})
    with pytest.raises(ValueError, match="takes no 'widht'; did you mean width"):
        base.but(task={"model": {"energy": {"widht": 5}}})


class Given(Task):
    """A task made in Python."""


def test_a_run_of_a_task_object_asks_for_it_again():
    told = json.loads(json.dumps(to_dict(Experiment(name="mine", task=Given()))))
    with pytest.raises(ValueError, match="trained from a Given object in Python: pass it as task="):
        from_dict(told)
    task = Given()
    assert from_dict(told, task=task).built() is task


def test_an_unknown_recipe_is_answered_with_near_names():
    with pytest.raises(ValueError, match="did you mean colour"):
        find("color")
    with pytest.raises(ValueError, match="ergosum recipes"):
        find("zzz")


@pytest.mark.parametrize("kind, values", [(Optimiser, {"iterations": "3"}), (Optimiser, {"rate": True}),
                                          (Run, {"seed": 1.5}), (Run, {"warm_start": None})])  # fmt: skip
def test_a_value_of_another_type_is_refused_from_python_too(kind, values):
    (name,) = values
    with pytest.raises(ValueError, match=rf"\.{name}: expected (an integer|a number|text), got"):
        kind(**values)
