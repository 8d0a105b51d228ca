"""Ranges, round trips, and recipes written by hand."""

from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from ergosum.recipes import RECIPES, find
from ergosum.settings import (
    DataSettings,
    DescentSettings,
    Experiment,
    ModelSettings,
    ObjectiveSettings,
    OptimiserSettings,
    from_dict,
    to_dict,
)

OUT_OF_RANGE = [
    (DataSettings, "factors", ()), (DataSettings, "factors", ("hue",)), (DataSettings, "nuisance", ("size",)),
    (DataSettings, "lag", 0), (DataSettings, "scale_min", 0.05), (DataSettings, "scale_max", 2.0),
    (DataSettings, "scale_min", 1.8), (DataSettings, "canvas", 30), (DataSettings, "canvas", 8),
    (DataSettings, "limit", -1), (ModelSettings, "components", ()), (ModelSettings, "components", ("a", "a")),
    (ModelSettings, "latent", 0), (ModelSettings, "width", 3), (ModelSettings, "anchor", "none"),
    (ModelSettings, "grey", 1.5),
    (DescentSettings, "steps", 0), (DescentSettings, "step_size", 0.0), (DescentSettings, "noise", -0.1),
    (DescentSettings, "window", 0), (ObjectiveSettings, "decorrelation", -1.0), (ObjectiveSettings, "persistent", 1.0),
    (ObjectiveSettings, "persistent", -0.1), (OptimiserSettings, "iterations", 0), (OptimiserSettings, "batch", 0),
    (OptimiserSettings, "rate", 0.0), (OptimiserSettings, "clip", -1.0), (OptimiserSettings, "ema", 1.0),
    (Experiment, "threads", 0), (Experiment, "checkpoint_every", 0), (Experiment, "log_every", 0),
    (Experiment, "active", ("angle",)),
]  # fmt: skip


@pytest.mark.parametrize("kind, field, value", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(kind, field, value):
    with pytest.raises(ValueError, match=rf"{field.split('_')[0]}.*expected .*, got"):
        kind(**{field: value})


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"model\.moves: expected False with a pair encoder"):
        Experiment(model=ModelSettings(encoder="pair"))
    with pytest.raises(ValueError, match=r"data\.signs: expected 'forward'"):
        Experiment(model=ModelSettings(moves=False))
    Experiment(model=ModelSettings(encoder="pair", moves=False))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_the_round_trip_through_plain_values(name):
    experiment = find(name)
    assert from_dict(Experiment, to_dict(experiment)) == experiment
    assert experiment.name == name and experiment.shows and experiment.cost


def test_every_field_of_every_section_has_a_docstring():
    import ast
    import inspect

    import ergosum.settings

    for node in ast.parse(inspect.getsource(ergosum.settings)).body:
        if isinstance(node, ast.ClassDef):
            for place, line in enumerate(node.body):
                if isinstance(line, ast.AnnAssign):
                    assert isinstance(node.body[place + 1], ast.Expr), f"{node.name}.{line.target.id}"


def test_unknown_fields_are_named():
    with pytest.raises(ValueError, match=r"DescentSettings: unknown field\(s\) stepsize, tempo\."):
        from_dict(Experiment, {"descent": {"tempo": 1, "stepsize": 2, "steps": 3}})


@pytest.mark.parametrize("values", [{"model": {"energy": "conv"}}, {"descent": {"steps": "many"}}, {"data": 3}, [1]])
def test_values_of_the_wrong_kind_are_refused(values):
    with pytest.raises(ValueError, match=r"expected|wrong type"):
        from_dict(Experiment, values)


def test_but_changes_only_the_fields_it_names_and_checks_them():
    base = find("colour")
    changed = base.but(optimiser={"batch": 7}, seed=3)
    assert changed.optimiser.batch == 7 and changed.seed == 3
    assert changed.but(optimiser={"batch": base.optimiser.batch}, seed=0) == base
    with pytest.raises(ValueError, match="batch"):
        base.but(optimiser={"batch": 0})


def test_every_section_of_an_experiment_is_a_frozen_dataclass():
    for name, kind in get_type_hints(Experiment).items():
        if is_dataclass(kind):
            section = getattr(Experiment(), name)
            with pytest.raises(AttributeError):
                setattr(section, fields(kind)[0].name, None)


def test_an_unknown_recipe_is_answered_with_near_names():
    with pytest.raises(ValueError, match="did you mean colour"):
        find("color")
    with pytest.raises(ValueError, match="ergosum recipes"):
        find("zzz")
