"""Runs: the run folders below the root, their training curves as they grow, their scores, and two of them compared."""

import json
import os
import re
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ergosum.studio.change import arrays
from ergosum.studio.place import Place
from ergosum.studio.table import Event, Fields, Refused, command_line, written

__all__ = ["Runs", "RunsState"]

COMPARED = 4
"""Runs that are compared, at most."""
DIFFERENT = 60
"""Settings in which recipes differ that are told, at most."""
TAIL = 4096
"""Bytes at the end of a log that its last line is looked for in."""
LOG = 64 * 2**20
"""Bytes of a log that is read, at most."""


STYLED = re.compile(r' style="[^"]*"')
"""What the page's policy lets no chart say within itself."""


@dataclass(frozen=True)
class RunsState:
    """Runs that are looked at, by name; the first is compared with the others."""

    runs: tuple[str, ...]


class Runs:
    """The table of that name."""

    name = "runs"
    formats = ("png", "svg", "npz")
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Where runs are looked for."""
        return {"root": str(place.models.root), "most": COMPARED}

    def state(self, told: Mapping[str, Any]) -> RunsState:
        """The checked state; no runs for the list alone."""
        fields = Fields(told)
        chosen = fields.names("runs", (), COMPARED) if told.get("runs") else ()
        fields.read.add("runs")
        fields.done()
        return RunsState(chosen)

    def run(self, state: RunsState, place: Place) -> "Generator[Event, None, dict[str, list[dict[str, float]]]]":
        """The list of runs; of those that are looked at curves, scores, and how their recipes differ."""
        from ergosum.report.charts import compare_training, training_curve

        models = place.models
        yield Event("runs", {"runs": [_about(name, models.folder(name)) for name in models.runs()],
                             "cards": [_about(name, models.folder(name)) for name in models.cards()]})  # fmt: skip
        if not state.runs:
            return {}
        held = {}
        for name in state.runs:
            try:
                held[name] = models.folder(name)
            except ValueError as error:
                raise Refused(str(error), "runs") from error
        logs = {name: _updates(folder, name) for name, folder in held.items()}
        told = {models.told(name): log for name, log in logs.items()}
        if len(logs) == 1:
            (log,) = told.values()
            svg = training_curve(
                log, beside=_json(next(iter(held.values())) / "run.json").get("compared_with", "copying")
            )
        else:
            svg = compare_training(logs)
        yield Event("curves", {"svg": STYLED.sub("", svg), "updates": {name: len(log) for name, log in logs.items()}})
        yield Event("scores", {"rows": _scores(held)})
        yield Event("recipes", {"rows": _differences(held)})
        return told

    def encode(self, result: "dict[str, list[dict[str, float]]]", suffix: str) -> bytes:
        """The curves as a picture, or their numbers."""
        from ergosum.report.animation import save_strip
        from ergosum.report.charts import STYLE, compare_training
        from ergosum.report.curves import draw_training

        if not any(result.values()):
            raise Refused("These runs have no log of their training: cards ship without one.", "runs")
        if suffix == "npz":
            keys = ("iteration", "error", "copy_error")
            return arrays(**{f"{Path(name).name}.{key}": [u.get(key, float("nan")) for u in log]
                             for name, log in result.items() for key in keys})  # fmt: skip
        if suffix == "svg":
            svg = compare_training(result).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
            return svg.replace(">", f"><style>{STYLE}</style>", 1).encode()
        return written(lambda path: save_strip(draw_training(result), path), ".png")

    def python(self, state: RunsState, place: Place) -> str:
        """A script that writes curves.png."""
        names = [place.models.told(name) for name in _chosen(state)]
        return "\n".join(
            [
                "from ergosum.report.animation import save_strip",
                "from ergosum.report.curves import draw_training",
                "from ergosum.report.run_report import read_updates",
                "from ergosum.training.runfolder import locate",
                "",
                f"runs = {names!r}",
                'logs = {run: read_updates(locate(run) / "metrics.jsonl") for run in runs}',
                'save_strip(draw_training(logs), "curves.png")',
                "",
            ]
        )

    def command(self, state: RunsState, place: Place) -> str:
        """`ergosum report` with the curves of these runs."""
        first, *others = (place.models.told(name) for name in _chosen(state))
        beside = ["--beside", *others] if others else []
        return command_line("ergosum", "report", first, *beside, "--curves", "curves.png")


def _chosen(state: RunsState) -> tuple[str, ...]:
    if not state.runs:
        raise Refused("Choose a run first.", "runs")
    return state.runs


def _about(name: str, folder: Path) -> dict[str, Any]:
    """What a run is, and how far it is."""
    recipe, run, last = _json(folder / "recipe.json"), _json(folder / "run.json"), _last(folder / "metrics.jsonl")
    updates = _whole(last.get("iteration", run.get("iterations")))
    optimiser = recipe.get("optimiser")
    try:
        changed = max(p.stat().st_mtime for p in (folder / "metrics.jsonl", folder / "recipe.json") if p.is_file())
    except (OSError, ValueError):
        changed = 0.0
    return {
        "name": name, "recipe": str(recipe.get("name", ""))[:80], "shows": str(recipe.get("shows", ""))[:200],
        "updates": updates, "of": _whole(optimiser.get("iterations")) if isinstance(optimiser, dict) else None,
        "error": _number(last.get("error")), "training": _training(folder / ".lock"),
        "seconds_ago": max(0, round(time.time() - changed)), "scored": (folder / "scores.json").is_file(),
        "report": (folder / "report.html").is_file(),
    }  # fmt: skip


def _training(lock: Path) -> bool:
    """Whether the process that a run folder belongs to is alive."""
    try:
        words = lock.read_text(encoding="utf-8").split()
        if len(words) != 2 or not words[1].isdecimal():
            return False
        os.kill(int(words[1]), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _json(path: Path) -> dict[str, Any]:
    """A JSON file's object; empty if there is none, or none that can be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _last(path: Path) -> dict[str, Any]:
    """The last whole line of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            return told
    return {}


def _updates(folder: Path, name: str) -> list[dict[str, float]]:
    from ergosum.report.run_report import read_updates

    path = folder / "metrics.jsonl"
    if path.is_file() and path.stat().st_size > LOG:
        raise Refused(f"{name}: its log has more than {LOG // 2**20} MB, the most that is read.", "runs")
    try:
        return [u for u in read_updates(path) if isinstance(u, dict) and _number(u.get("iteration")) is not None]
    except (ValueError, OSError) as error:
        raise Refused(f"{name}: a line of its metrics.jsonl is not valid JSON.", "runs") from error


def _scores(held: Mapping[str, Path]) -> list[list[Any]]:
    """Numbers of scores.json by their key, a column for each run."""
    told = {}
    for name, folder in held.items():
        stored = _json(folder / "scores.json")
        if stored and "card" not in stored:  # a card holds several by source
            stored = next((s for s in stored.values() if isinstance(s, dict)), {})
        told[name] = {k: _number(v) for k, v in stored.items() if _number(v) is not None}
    keys = dict.fromkeys(key for scores in told.values() for key in scores)
    return [[key, *(scores.get(key) for scores in told.values())] for key in keys]


def _differences(held: Mapping[str, Path]) -> list[list[str]]:
    """Settings in which recipes differ, a column for each run."""
    flat = [_flat(_json(folder / "recipe.json")) for folder in held.values()]
    if len(flat) < 2:
        return []
    keys = dict.fromkeys(key for each in flat for key in each if key not in ("name", "shows", "cost"))
    rows = [[key, *(each.get(key, "–") for each in flat)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1][:DIFFERENT]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{path}.{name}".strip(".")).items()}
    return {path: json.dumps(value)[:120]}


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        return None
    return value


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
