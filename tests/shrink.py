"""Experiments so small that an update takes a moment."""

from collections.abc import Iterable
from typing import Any

from ergosum.data.glyphs import Glyphs
from ergosum.data.shapes import Shapes
from ergosum.part import Part, parameters
from ergosum.recipes import find
from ergosum.temporal.discovery import Search
from ergosum.training.experiment import Experiment

SMALL = {
    "width": 4,
    "count": 32,
    "limit": 32,
    "source": "digits",
    "clips": 24,
    "pool": 8,
    "restarts": 2,
    "spare": 0.0,
    "draws": 0,
    "counts": 2,
    "readings": 2,
}
"""What every part that takes such an argument gets."""
OPTIMISER = {"batch": 4, "iterations": 3, "precision": "32"}
"""In single precision: many CPUs emulate bfloat16, which takes three times as long."""
RUN = {"log_every": 1, "checkpoint_every": 100}


def shrunk(value: Any) -> Any:
    """An experiment, or a part with the parts it holds, so small that an update is quick; nothing is downloaded."""
    if isinstance(value, Experiment):
        return value.but(task=shrunk(value.task), optimiser=OPTIMISER, run=RUN)
    if isinstance(value, tuple):
        return tuple(map(shrunk, value))
    if not isinstance(value, Part):
        return value
    if value.cls is Glyphs and value.get("source") == "fashion":
        return Part(Shapes, side=value.get("side"), objects=1)
    if value.cls is Search:  # as many as the recipe names
        value = value.but(components=3)
    inner = {k: shrunk(v) for k, v in value.settings().items() if isinstance(v, Part | tuple)}
    held = {k: v for k, v in inner.items() if v != value.get(k)}
    return value.but(**held, **{k: v for k, v in SMALL.items() if k in parameters(value.cls)})


def classes(value: Any) -> frozenset[type]:
    """The classes of a part and of all that it holds."""
    if isinstance(value, tuple):
        return frozenset().union(*map(classes, value))
    if isinstance(value, Part):
        return frozenset({value.cls}).union(*map(classes, value.settings().values()))
    return frozenset()


def one_of_each_kind(names: Iterable[str]) -> list[str]:
    """Of recipes that are made of the same classes, and differ by settings alone, the first."""
    kinds: dict[frozenset[type], str] = {}
    for name in names:
        kinds.setdefault(classes(find(name).task), name)
    return list(kinds.values())


def fill(value: Any) -> Any:
    """Changes to an experiment, in which new parts are small but for what they state themselves."""
    if isinstance(value, dict):
        return {k: fill(v) for k, v in value.items()}
    return shrunk(value).but(**{k: fill(v) for k, v in value.arguments.items()}) if isinstance(value, Part) else value
