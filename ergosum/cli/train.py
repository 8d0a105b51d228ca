"""`ergosum train`: every field of a recipe is an option, derived from the dataclasses in `settings`."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ergosum.cli.arguments import parser_for
from ergosum.cli.progress import is_main_process, train_with_progress
from ergosum.recipes import find
from ergosum.settings import Experiment, from_dict, to_dict

__all__ = ["run"]

FLAGS = ("--resume", "--help", "-h")
"""Options that take no value."""


def run(arguments: list[str]) -> None:
    """Train a recipe or a YAML file with what overrides it, or go on with a run."""
    parser = parser_for("train", "Train a recipe, or a YAML file of settings; every field of it can be overridden.")
    parser.add_argument("recipe", type=str, help="name of a recipe (see `ergosum recipes`), or a YAML file of fields")
    parser.add_argument("--config", action="config", help="YAML file of fields that override the recipe")
    parser.add_argument("--out", type=str, default="", help="run folder; default: runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the run folder")
    parser.add_argument("--accelerator", type=str, default="auto", help="auto, cpu or cuda")
    parser.add_class_arguments(Experiment, as_group=True)
    if name := _recipe_name(arguments):
        base, extra = _base_recipe(name)
        parser.set_defaults(dict(_flat(to_dict(base))))
        if extra:
            arguments = [name, "--config", extra] + [a for a in arguments if a != name]
    chosen = parser.parse_args(arguments)
    folder = Path(chosen.out or f"runs/{chosen.name}")
    if chosen.resume and (folder / "recipe.json").is_file():  # go on with the run's own settings, not the recipe's
        parser.set_defaults(dict(_flat(json.loads((folder / "recipe.json").read_text()))))
        chosen = parser.parse_args(arguments)
    fields = {k: v for k, v in chosen.as_dict().items() if k in {f.name for f in dataclasses.fields(Experiment)}}
    train_with_progress(from_dict(Experiment, fields), folder, chosen.resume, chosen.accelerator)
    if is_main_process():
        print(f"{folder}  (ergosum score {folder}; ergosum report {folder})")


def _recipe_name(arguments: list[str]) -> str | None:
    """The first argument that is neither an option nor an option's value."""
    for before, argument in zip(["--help", *arguments], arguments, strict=False):
        if argument[:1] != "-" and (before in FLAGS or before[:1] != "-" or "=" in before):
            return argument
    return None


def _base_recipe(name: str) -> tuple[Experiment, str]:
    """The recipe to start from, and a YAML file that overrides it ('' for none)."""
    if Path(name).suffix not in (".yaml", ".yml", ".json"):
        return find(name), ""
    if not Path(name).is_file():
        raise FileNotFoundError(f"No such recipe file: {name}.")
    return Experiment(name=Path(name).stem), name


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
