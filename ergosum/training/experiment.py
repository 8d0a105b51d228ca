"""An experiment: a task, how it is optimised, and how it runs. A recipe is a function that returns one.

`recipe.json` and YAML files hold the same fields as plain data. What belongs to a network, a dataset or an objective
is an argument of that part's own class; here is only what every run has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_type_hints

from ergosum.part import Part, admits, described, part_from
from ergosum.training.task import Task

__all__ = ["Experiment", "Optimiser", "Run", "from_dict", "to_dict"]

FIRST_VERSION = {"data", "model", "descent", "objective", "pictures", "rival"}
"""Sections of a recipe of version 0.1."""


def require(condition: bool, name: str, expected: str, got: object) -> None:
    """Raise unless a setting is in its range."""
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")


def check_types(section: str, settings: Any) -> None:
    """Raise unless every field of a section has a value of its type."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        require(admits(value, hint), f"{section}.{name}", described(hint), value)


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """The outer minimisation: AdamW on the task's loss."""

    iterations: int = 1000
    """Updates of the weights, >= 1."""
    batch: int = 64
    """Samples per update, >= 1."""
    rate: float = 2e-3
    """Peak learning rate, > 0."""
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    """Learning rate over time, after a linear warm-up of 100 updates at most."""
    clip: float = 1.0
    """Largest norm of the gradient of 100 times the loss; 0 switches clipping off."""
    ema: float = 0.998
    """Decay of the running average of the weights, which is what is scored and saved; 0 switches it off."""
    precision: Literal["32", "bf16"] = "32"
    """Arithmetic of the networks: 32-bit, or bfloat16 autocast with 32-bit weights."""

    def __post_init__(self) -> None:
        check_types("optimiser", self)
        require(self.iterations >= 1, "optimiser.iterations", "an integer >= 1", self.iterations)
        require(self.batch >= 1, "optimiser.batch", "an integer >= 1", self.batch)
        require(self.rate > 0, "optimiser.rate", "a number > 0", self.rate)
        require(self.clip >= 0, "optimiser.clip", "a number >= 0", self.clip)
        require(0 <= self.ema < 1, "optimiser.ema", "0 <= decay < 1", self.ema)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a run starts and how it is carried out."""

    seed: int = 0
    """Seed of weights, data and noise."""
    warm_start: str = ""
    """Run folder or card whose weights to start from; empty starts from random weights."""
    threads: int = 1
    """CPU threads, >= 1."""
    devices: int = 1
    """Processes (CPU) or GPUs of this machine; under `torchrun` it is what that started, on any number of machines."""
    checkpoint_every: int = 200
    """Updates between checkpoints, >= 1."""
    log_every: int = 10
    """Updates between lines of metrics.jsonl, >= 1."""
    rollbacks: int = 0
    """How often a run that diverges may go back to its last checkpoint, each time with half the learning rate and other
    random numbers, >= 0; where it needs more it ends with an error. In one process."""

    def __post_init__(self) -> None:
        check_types("run", self)
        for name in ("threads", "devices", "checkpoint_every", "log_every"):
            require(getattr(self, name) >= 1, f"run.{name}", "an integer >= 1", getattr(self, name))
        require(self.rollbacks >= 0, "run.rollbacks", "an integer >= 0", self.rollbacks)
        require(self.rollbacks == 0 or self.devices == 1, "run.rollbacks", "0 with several devices", self.rollbacks)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run: what it learns, how, and what it shows."""

    name: str = "experiment"
    """Name of the run, used for its folder and card."""
    shows: str = ""
    """One line: what the run shows."""
    cost: str = ""
    """One line: what it costs, and on what machine that was measured."""
    task: Part[Task] | Task
    """What is learned. Of a part, its data, model and objective are arguments, and parts themselves; a task object of
    your own trains as well, but cannot be described in a file."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    """Optimiser."""
    run: Run = field(default_factory=Run)
    """Seed, threads, checkpoints."""

    def __post_init__(self) -> None:
        require(self.optimiser.batch % self.run.devices == 0, "optimiser.batch",
                f"a multiple of run.devices = {self.run.devices}", self.optimiser.batch)  # fmt: skip

    def built(self) -> Task:
        """The task itself; its data are read when the first batch is drawn."""
        return self.task.build() if isinstance(self.task, Part) else self.task

    def but(self, **changes: Any) -> "Experiment":
        """A copy with changes; a dict given for `task`, a part or a section changes only the fields it names."""
        merged = {
            k: (getattr(self, k).but(**v) if isinstance(getattr(self, k), Part) else replace(getattr(self, k), **v))
            if isinstance(v, dict)
            else v
            for k, v in changes.items()
        }
        return replace(self, **merged)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain nested dict of an experiment, ready for JSON."""
    task = experiment.task
    told = task.to_dict() if isinstance(task, Part) else {"class": type(task).__qualname__, "given": True}
    return {
        "name": experiment.name, "shows": experiment.shows, "cost": experiment.cost, "task": told,
        "optimiser": asdict(experiment.optimiser), "run": asdict(experiment.run),
    }  # fmt: skip


def from_dict(values: Mapping[str, Any], trust: tuple[str, ...] = (), task: Task | None = None) -> Experiment:
    """The experiment written by `to_dict`.

    Args:
        trust: modules outside of the package that its classes may come from. task: of a run that was trained from a
            task object, the same task again.
    Raises:
        ValueError: if there is a field that an experiment has not, a class that is not trusted or no part, or a value
            out of range.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"Experiment: expected fields by name, got {type(values).__name__}.")
    if isinstance(values.get("task"), str) or FIRST_VERSION & set(values):
        raise ValueError(
            "This recipe has the form of version 0.1 (sections data, model, descent, objective). Since 0.2 its task "
            "names its parts: start from the same recipe's name (`ergosum train NAME --out RUN`), or write the fields "
            "anew as in the table of CHANGELOG.md."
        )
    kinds = {"optimiser": Optimiser, "run": Run}
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name == "task" and task is not None:
            made[name] = task
        elif name == "task":
            if isinstance(value, Mapping) and value.get("given"):
                raise ValueError(f"This run was trained from a {value['class']} object in Python: pass it as task=.")
            made[name] = part_from(value, trust, Task, "task")
        elif name in kinds:
            made[name] = _section(name, kinds[name], value)
        else:
            made[name] = value
    return _made("Experiment", Experiment, made)


def _section(name: str, kind: type, values: Any) -> Any:
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: expected fields by name, got {values!r}.")
    return _made(name, kind, dict(values))


def _made(name: str, kind: type, values: dict[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{name}: unknown field(s) {', '.join(unknown)}; expected some of {', '.join(sorted(known))}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{name}: a value is missing or has the wrong type ({error}).") from error
