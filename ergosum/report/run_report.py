"""The report of a run: its scores, pictures and recipe on one page, made from what its run folder holds."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from ergosum.report.charts import heat_map, lines, training_curve
from ergosum.report.numerals import duration, is_number, number
from ergosum.report.page import Card, Section, animation, cards, chart, fold, picture, row, table, write_page
from ergosum.runfolder import read_json

__all__ = ["OURS", "read_updates", "write_report"]

Scores = Mapping[str, Any]

OURS = "ours"
"""The row of a score table that stands for the run itself."""
_REFERENCES = ("blank", "copy", "mean image", "true operator")
"""Rows that nothing was trained for: floors and the ceiling, which do not compete for the best value."""
_HEADINGS = {
    "row": "", "mse": "MSE", "psnr": "PSNR [dB]", "skill": "Skill", "sharpness": "Sharpness", "identity": "Identity",
    "ffrl": "E (FFRL)", "ffrl_skill": "Skill in E",
}  # fmt: skip
_BEST: dict[str, Literal["max", "min"]] = {
    "mse": "min", "psnr": "max", "skill": "max", "identity": "max", "ffrl": "min", "ffrl_skill": "max",
}  # fmt: skip
_DECIMALS = {"psnr": 2, "skill": 3, "sharpness": 3, "identity": 3, "ffrl": 1, "ffrl_skill": 3}
_ERRORS = {"hue_deg": "Hue [°]", "angle_deg": "Angle [°]", "log_scale": "Scale [ln]"}


def write_report(
    folder: Path,
    command: str,
    strips: Sequence[tuple[str, Image.Image]] = (),
    animations: Sequence[tuple[str, bytes]] = (),
    scores: Scores | None = None,
    timelines: Sequence[tuple[str, Image.Image]] = (),
) -> Path:
    """Write `report.html` into a run folder, atomically, and return its path.

    Reads `metrics.jsonl`, `recipe.json` and `run.json`; what is absent there, or not handed in, is left
    out of the page.

    Args:
        command: the exact command line, shown on top. strips, timelines: caption and picture. animations: caption and
        the bytes of a GIF or PNG. scores: the content of `scores.json`; every key is optional.
    Raises:
        ValueError: if a file of the folder is broken. OSError: if the page cannot be written.
    """
    folder, scores = Path(folder), scores or {}
    recipe, run = _optional_json(folder / "recipe.json"), _optional_json(folder / "run.json")
    updates = read_updates(folder / "metrics.jsonl")
    sections = [
        Section("", "", cards(_summary(scores, run, updates))),
        Section("Targets", "", _targets(scores)),
        Section("Strips", "The red box is the input; each frame to its right is generated from the one before.",
                "".join(picture(image, caption) for caption, image in strips)),
        Section("In motion", "", row(*(animation(content, caption) for caption, content in animations))),
        Section("Comparison", _protocol(scores), _comparison(scores)),
        Section("Response", _response_text(scores), _response(scores)),
        Section("Timelines", "Which energies act on which frames, and how far the factors end from where they should.",
                "".join(picture(image, caption) for caption, image in timelines) + _factor_errors(scores)),
        Section("Composition", "Energies trained apart, acting together on moves that nobody trained for.",
                _score_table(scores.get("composition") or (), emphasis=OURS)),
        Section("Training", _training_text(run, updates), chart(training_curve(updates))),
        Section("Recipe", "", fold("Every setting of the run", json.dumps(recipe, indent=2)) if recipe else ""),
    ]  # fmt: skip
    name = recipe.get("name") or run.get("name") or scores.get("card") or folder.resolve().name
    write_page(folder / "report.html", name, recipe.get("shows", ""), command, sections)
    return folder / "report.html"


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


def _summary(scores: Scores, run: Scores, updates: Sequence[Mapping[str, float]]) -> list[Card]:
    """What to see first; before a run is scored, its running averages in training stand in."""
    scored = is_number(scores.get("mse"))
    last = updates[-1] if updates else {}
    source = scores if scored else run if is_number(run.get("error")) else last
    error, copied = (source.get(k) for k in (("mse", "mse_copy") if scored else ("error", "copy_error")))
    skill, psnr = scores.get("skill"), scores.get("psnr")
    if is_number(error) and is_number(copied) and copied > 0 and skill is None:
        skill = 1 - error / copied
    if is_number(error) and error > 0 and psnr is None:
        psnr = -10 * math.log10(error)
    when = "held-out" if scored else "while training"
    made = []
    if is_number(skill):
        made.append(Card("Skill", number(skill, 3), f"{when}; 1 is perfect, 0 gives back the input"))
    if is_number(psnr):
        beside = f"; copying {number(-10 * math.log10(copied), 1)} dB" if is_number(copied) and copied > 0 else ""
        made.append(Card("PSNR", f"{number(psnr, 1)} dB", f"{when}{beside}"))
    if is_number(scores.get("identity")):
        made.append(Card("Identity", _percent(scores["identity"]), "of recognised digits stay recognised"))
    if is_number(scores.get("diagonal_share")):
        made.append(Card("Own factor", _percent(scores["diagonal_share"]), "of what an energy moves is its own factor"))
    return made + _cost(run, last)


def _cost(run: Scores, last: Mapping[str, float]) -> list[Card]:
    seconds = run.get("seconds", last.get("seconds"))
    if not is_number(seconds):
        return []
    notes = []
    if is_number(iterations := run.get("iterations", last.get("iteration"))):
        notes.append(f"{number(iterations, 0)} updates")
    if is_number(run.get("threads")):
        notes.append("1 thread" if run["threads"] == 1 else f"{run['threads']} threads")
    if run.get("machine"):
        notes.append(str(run["machine"]))
    if is_number(run.get("weights")):
        notes.append(f"{number(run['weights'] / 1e6, 2)} M weights")
    return [Card("Training time", duration(seconds), " · ".join(notes))]


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)}%"


def _protocol(scores: Scores) -> str:
    parts = []
    if is_number(scores.get("n")):
        parts.append(f"{number(scores['n'], 0)} held-out samples")
    if scores.get("source"):
        parts.append(f"of {scores['source']}")
    if scores.get("factor"):
        parts.append(f"moving in {scores['factor']}")
    if is_number(scores.get("seed")):
        parts.append(f"(seed {scores['seed']})")
    sample = " ".join(parts)
    meaning = "Skill is the share of copying’s squared error that is gone. Rows in italics are references, not models."
    return f"{sample[:1].upper()}{sample[1:]}. {meaning}" if sample else meaning


def _comparison(scores: Scores) -> str:
    rows = scores.get("rows") or ()
    series = {r["row"]: r["rollout_psnr"] for r in rows if r.get("rollout_psnr")}
    rolled = lines(series, "generated frame, counted from the input", "PSNR [dB]", emphasis=OURS)
    caption = "Roll-outs: each frame is generated from the one before, so that errors add up."
    return _score_table(rows, OURS, _REFERENCES) + chart(rolled, caption)


def _score_table(rows: Sequence[Mapping[str, Any]], emphasis: str, aside: Collection[str] = ()) -> str:
    """Known columns in their order, then any other plain ones; columns without a value are left out."""
    values = {k: [r.get(k) for r in rows] for k in dict.fromkeys([*_HEADINGS, *(k for r in rows for k in r)])}
    plain = {k: v for k, v in values.items() if not any(isinstance(x, list | dict) for x in v)}
    columns = {k: _HEADINGS.get(k, k) for k, v in plain.items() if k == "row" or any(x is not None for x in v)}
    return table(rows, columns, _BEST, emphasis, aside, _DECIMALS)


def _response_text(scores: Scores) -> str:
    if not is_number(scores.get("diagonal_share")):
        return "One energy acts: how many levels does each true factor move?"
    share = _percent(scores["diagonal_share"])
    return f"One energy acts: how many levels does each true factor move? {share} of it lies on the diagonal."


def _response(scores: Scores) -> str:
    matrix = scores.get("response") or ()
    rows, factors = scores.get("response_rows"), scores.get("response_factors")
    if not matrix or not rows or not factors:
        return ""
    return chart(heat_map(matrix, rows, factors), "Rows: the energy that acts. Columns: the factor that moves.")


def _factor_errors(scores: Scores) -> str:
    named = (("generated frames", "timeline_error"), ("true frames (error of the reader)", "reader_error"))
    rows = [{"row": name, **scores[key]} for name, key in named if scores.get(key)]
    return table(rows, {"row": "Mean absolute error", **_ERRORS}, aside=(named[1][0],))


def _targets(scores: Scores) -> str:
    columns = {"name": "Target", "value": "Reached", "target": "Wanted", "met": "Met"}
    rows = [
        {**t, "value": number(t.get("value")), "target": number(t.get("target"))} for t in scores.get("targets") or ()
    ]
    return table(rows, columns)


def _training_text(run: Scores, updates: Sequence[Mapping[str, float]]) -> str:
    last = updates[-1] if updates else {}
    error, copied = last.get("error"), last.get("copy_error")
    parts = []
    if is_number(error) and is_number(copied) and error > 0:
        parts.append(f"The running error of the prediction ends {number(copied / error)} times below that of copying.")
    if is_number(last.get("images_per_s")):
        where = f" on {run['device']}" if run.get("device") else ""
        parts.append(f"{number(last['images_per_s'], 0)} images per second{where}.")
    return " ".join(parts)
