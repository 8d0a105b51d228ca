"""What cards and run folders are, without loading their weights: what each shows, its size, and how it was trained."""

from pathlib import Path
from typing import Any, NamedTuple

from ergosum.files import read_json
from ergosum.recipes import SYSTEMS
from ergosum.zoo.card import lineage

__all__ = ["OTHER", "Entry", "entry"]

OTHER = "other"
"""System of a run whose task is a class of the user's own."""


class Entry(NamedTuple):
    """A card or run folder.

    Attributes:
        name: as it was given. system: one of `recipes.SYSTEMS`, or "other". shows: one line. weights: numbers that were
            learned; None before a run is finished. bytes: of model.safetensors; None before the first checkpoint.
        runs: those that made it, the first one first: recipe, seed, updates, CPU seconds and the name of the data; none
            before a run is finished. start: run folder or card that training started from, where it cannot be found,
            so that `runs` lacks it; else "". scored: whether it has a scores.json.
    """

    name: str
    system: str
    shows: str
    weights: int | None
    bytes: int | None
    runs: list[dict[str, Any]]
    start: str
    scored: bool


def entry(name: str, folder: Path) -> Entry:
    """What the files of a run folder say of it; its recipe need not be one that can be built here.

    Raises:
        ValueError: if its recipe.json or run.json cannot be read.
    """
    recipe = read_json(folder / "recipe.json")
    if not isinstance(recipe, dict) or not isinstance(recipe.get("task"), dict):
        raise ValueError(f"{folder}/recipe.json is no recipe of this version: it names no task.")
    weights = folder / "model.safetensors"
    try:
        runs, start = _runs(folder, recipe)
        made = [{"recipe": run["name"].removesuffix(f"-seed{run['seed']}"), "seed": run["seed"],
                 "updates": run["iterations"], "cpu_seconds": run["cpu_seconds"], "data": run["source"]}
                for run in runs]  # fmt: skip
        count = runs[-1]["weights"] if runs else None
    except KeyError as error:
        raise ValueError(f"{folder}/run.json lacks {error}; training the run again writes it.") from error
    return Entry(
        name,
        _system(str(recipe["task"].get("class", ""))),
        str(recipe.get("shows", "")),
        count,
        weights.stat().st_size if weights.is_file() else None,
        made,
        start,
        (folder / "scores.json").is_file(),
    )


def _runs(folder: Path, recipe: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The run.json of all runs that made this one, and the start that cannot be followed."""
    if not (folder / "run.json").is_file():
        return [], ""
    try:
        return lineage(folder), ""
    except (OSError, ValueError):
        return [read_json(folder / "run.json")], str(recipe.get("run", {}).get("warm_start", ""))


def _system(task: str) -> str:
    """The system in whose package a task's class is; the innermost one, as discovery is within the temporal one."""
    packages = {module.__name__.removesuffix("recipes"): system for system, module in SYSTEMS.items()}
    return next((packages[p] for p in sorted(packages, key=len, reverse=True) if task.startswith(p)), OTHER)
