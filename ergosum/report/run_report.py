"""The report of a run: its scores, images and recipe on one page, made from what its run folder holds."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ergosum.files import read_json
from ergosum.report.charts import training_curve
from ergosum.report.numerals import duration, is_number, number, percent
from ergosum.report.page import Card, cards, chart, fold, write_page
from ergosum.training.task import Section

__all__ = ["read_updates", "write_report"]

Scores = Mapping[str, Any]
IN_PIXELS = ("copying", "the mean image")
"""What errors of pixels are compared with; others, such as those of denoising, have no PSNR, and nothing reaches 0."""
FIRST = {
    "sample_accuracy": ("Draws", "of a class are read as it"),
    "accuracy": ("Bayes' rule", "of held-out images are read rightly"),
    "and_seen": ("All that was asked", "of draws are right in every attribute"),
    "random": ("Random formulas", "of draws satisfy theirs"),
    "count": ("Exact counts", "of draws have as many objects as asked"),
    "infer": ("Reading", "of held-out images, the least of all attributes"),
}
"""Shares among the scores that are to be seen first: label, and of what they are."""


def write_report(
    folder: Path, command: str, sections: Sequence[Section] = (), scores: Scores | None = None, out: Path | None = None
) -> Path:
    """Write a run's `report.html`, atomically, and return its path.

    Reads `metrics.jsonl`, `recipe.json` and `run.json` from the run folder; what is absent there is left out of the
    page.

    Args:
        command: the exact command line, shown on top. sections: what the run's task tells of it, in order. scores: the
        content of `scores.json`, for the numbers to see first; every key is optional. out: folder of the page, created
        if absent; None writes it into the run folder.
    Raises:
        ValueError: if a file of the folder is broken. OSError: if the page cannot be written.
    """
    folder, scores = Path(folder), scores or {}
    recipe, run = _optional_json(folder / "recipe.json"), _optional_json(folder / "run.json")
    updates = read_updates(folder / "metrics.jsonl")
    page = [
        Section("", "", cards(_summary(scores, run, updates))),
        *sections,
        Section(
            "Training",
            _training_text(run, updates),
            chart(training_curve(updates, beside=run.get("compared_with", "copying"))),
        ),
        Section("Recipe", "", fold("Every setting of the run", json.dumps(recipe, indent=2)) if recipe else ""),
    ]
    name = recipe.get("name") or run.get("name") or scores.get("card") or folder.resolve().name
    path = (Path(out) if out else folder) / "report.html"
    write_page(path, name, recipe.get("shows", ""), command, page)
    return path


def read_updates(path: Path) -> list[dict[str, float]]:
    """Lines of a `metrics.jsonl`; none if there is no such file. A last line cut off in writing is passed over.

    Raises:
        ValueError: naming an earlier line that is no JSON.
    """
    if not path.is_file():
        return []
    texts = [text for text in path.read_text().splitlines() if text.strip()]
    updates = []
    for place, text in enumerate(texts, 1):
        try:
            updates.append(json.loads(text))
        except json.JSONDecodeError as error:
            if place < len(texts):
                raise ValueError(f"{path}, line {place}, is not valid JSON ({error}).") from error
    return updates


def _optional_json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _beside(run: Scores) -> str:
    """What the run's `copy_error` is the error of."""
    return run.get("compared_with", "copying")


def _summary(scores: Scores, run: Scores, updates: Sequence[Mapping[str, float]]) -> list[Card]:
    """What to see first; before a run is scored, its running averages in training stand in."""
    scored = is_number(scores.get("mse"))
    last = updates[-1] if updates else {}
    source = scores if scored else run if is_number(run.get("error")) else last
    error, copied = (source.get(k) for k in (("mse", "mse_copy") if scored else ("error", "copy_error")))
    skill, psnr = scores.get("skill"), scores.get("psnr")
    beside = _beside(run)
    if not scored and beside not in IN_PIXELS:
        error = copied = None
    nothing = "gives back the input" if beside == "copying" else f"is as good as {beside}"
    if is_number(error) and is_number(copied) and copied > 0 and skill is None:
        skill = 1 - error / copied
    if is_number(error) and error > 0 and psnr is None:
        psnr = -10 * math.log10(error)
    when = "held-out" if scored else "while training"
    made = []
    if is_number(skill):
        made.append(Card("Skill", number(skill, 3), f"{when}; 1 is perfect, 0 {nothing}"))
    if is_number(psnr):
        theirs = f"; {beside} {number(-10 * math.log10(copied), 1)} dB" if is_number(copied) and copied > 0 else ""
        made.append(Card("PSNR", f"{number(psnr, 1)} dB", f"{when}{theirs}"))
    if is_number(scores.get("identity")):
        made.append(Card("Identity", percent(scores["identity"]), "digits recognised, relative to the true frames"))
    if is_number(scores.get("fg_ari")):
        made.append(
            Card("Foreground ARI", number(scores["fg_ari"], 3), "agreement with the true objects; 1 is perfect")
        )
    if is_number(scores.get("diagonal_share")):
        made.append(Card("Own factor", percent(scores["diagonal_share"]), "of what an energy moves is its own factor"))
    for key, (label, of) in FIRST.items():
        if is_number(scores.get(key)) and 0 <= scores[key] <= 1:
            made.append(Card(label, percent(scores[key]), of))
    return made + _cost(run, last)


def _cost(run: Scores, last: Mapping[str, float]) -> list[Card]:
    """Time and updates of a run and of those that it went on from; CPU time where it is known, as cards tell it."""
    runs = [run, *run.get("before", [])]
    kind = "cpu_seconds" if all(is_number(r.get("cpu_seconds")) for r in runs) else "seconds"
    each = [r.get(kind, last.get("seconds")) for r in runs]
    if not all(is_number(seconds) for seconds in each):
        return []
    notes = ["CPU time"] if kind == "cpu_seconds" else []
    updates = [r.get("iterations", last.get("iteration")) for r in runs]
    if all(is_number(count) for count in updates):
        notes.append(f"{number(sum(updates), 0)} updates")
    if len(runs) > 1:
        notes.append(f"{len(runs)} runs")
    if is_number(run.get("threads")):
        notes.append("1 thread" if run["threads"] == 1 else f"{run['threads']} threads")
    if run.get("machine"):
        notes.append(str(run["machine"]))
    if is_number(run.get("weights")):
        notes.append(f"{number(run['weights'] / 1e6, 2)} M weights")
    return [Card("Training time", duration(sum(each)), " · ".join(notes))]


def _training_text(run: Scores, updates: Sequence[Mapping[str, float]]) -> str:
    last = updates[-1] if updates else {}
    error, copied = last.get("error"), last.get("copy_error")
    parts = []
    if is_number(error) and is_number(copied) and error > 0:
        beside = _beside(run)
        parts.append(f"The running error ends {number(copied / error)} times below that of {beside}.")
    if is_number(last.get("images_per_s")):
        where = f" on {run['device']}" if run.get("device") else ""
        parts.append(f"{number(last['images_per_s'], 0)} images per second{where}.")
    return " ".join(parts)
