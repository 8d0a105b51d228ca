"""What a score of sequences holds, as tables for a terminal (`tables`), and as tables and charts for a page; what is
absent in it is left out.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from ergosum.report.charts import heat_map, lines
from ergosum.report.numerals import enumeration, is_number
from ergosum.report.page import chart, row, table, titled
from ergosum.training.task import Table

__all__ = ["OURS", "comparison", "compositions", "response", "tables", "timeline_errors"]

Scores = Mapping[str, Any]

OURS = "ours"
"""The row of a score table that stands for the run itself, unless its scores name another (`row`)."""
REFERENCES = ("blank", "copy", "mean image", "true operator")
"""Rows that nothing was trained for: floors and the ceiling, which do not compete for the best value."""

EXACT = 90.0
"""PSNR [dB] above which nothing but rounding is left."""

_HEADINGS = {
    "row": "", "mse": "MSE", "psnr": "PSNR [dB]", "skill": "Skill", "psnr_12": "PSNR, frame\u00a012",
    "sharpness": "Sharpness", "sharpness_12": "Sharpness, frame\u00a012", "identity": "Identity",
    "ffrl": "Equivariance error", "ffrl_skill": "Equivariance skill", "hue_deg": "Hue error\u00a0[°]",
    "angle_deg": "Angle error\u00a0[°]", "log_scale": "Scale error\u00a0[ln]",
}  # fmt: skip
_BEST: dict[str, Literal["max", "min"]] = {
    "mse": "min", "psnr": "max", "skill": "max", "psnr_12": "max", "identity": "max", "ffrl": "min",
    "ffrl_skill": "max", "hue_deg": "min", "angle_deg": "min", "log_scale": "min",
}  # fmt: skip
_DECIMALS = {
    "psnr": 2, "skill": 3, "psnr_12": 2, "sharpness": 3, "sharpness_12": 3, "identity": 3, "ffrl": 1, "ffrl_skill": 3,
    "hue_deg": 1, "angle_deg": 1, "log_scale": 3,
}  # fmt: skip
_ROW = {"mse": 5, "psnr": 3, "skill": 3, "psnr_12": 3, "sharpness": 3, "sharpness_12": 3, "identity": 3, "ffrl": 3,
        "ffrl_skill": 3}  # fmt: skip
"""Columns of single moves and roll-outs on a terminal, and their decimals."""
_SHOWN: dict[str, str] = {"set": "test set", "ffrl": "equivariance error", "ffrl_skill": "equivariance skill"}
"""What the terminal calls keys of a score whose own name says too little."""
_READ = {"hue_deg": 2, "angle_deg": 2, "log_scale": 4, "psnr": 2}
"""Columns of what is read off the frames of timelines and compositions: mean absolute errors, PSNR."""
_GROUPING = ("factor", "set", "factors")
_TOLD_ELSEWHERE = ("mse_copy",)  # the row of copying tells it
_WAYS = {"split": "acting in turn", "sum": "gradients added"}
_SETS = {
    "mixed": "forwards and backwards, from random colours, angles and scales",
    "alone": "forwards, the other factors at rest",
}


def tables(scores: Scores) -> list[Table]:
    """Moves and roll-outs, response, timelines, composition: those that were measured."""
    made: list[Table] = []
    rows: list[dict[str, Any]]
    if "error" in scores:
        columns = {"error": 5, "reference": 5, **dict.fromkeys(scores.get("metrics", ()), 4)}
        made.append(Table(("card",), columns, [scores], "Held-out pairs; the reference is copying"))
    if scores.get("rows"):
        told = {"factor", "set", "row", "rollout_psnr", "mse_copy", *_ROW}
        more = {k: 4 for k in scores["rows"][0] if k not in told}
        rows = [{_SHOWN.get(str(key), str(key)): value for key, value in row.items()} for row in scores["rows"]]
        columns = {_SHOWN.get(key, key): decimals for key, decimals in (_ROW | more).items()}
        made.append(Table(("factor", "test set", "row"), columns, rows))
    if "response" in scores:
        rows = [
            {"levels per frame": name, **dict(zip(scores["response_factors"], values, strict=True))}
            for name, values in zip(scores["response_rows"], scores["response"], strict=True)
        ]
        made.append(Table(("levels per frame",), dict.fromkeys(scores["response_factors"], 3), rows))
    if "assigned_share" in scores:
        share = {"share": "movement under the best assignment (chance 0.333)", "value": scores["assigned_share"]}
        made.append(Table(("share",), {"value": 3}, [share]))
    if "timelines" in scores:
        mean = {"timeline": "all timelines", **scores["timeline_error"], "psnr": scores["timeline_psnr"]}
        mean["identity"] = scores.get("identity")
        rows = [*scores["timelines"], mean]
        if "reader_error" in scores:
            rows.append({"timeline": "reader on true frames", **scores["reader_error"]})
        made.append(Table(("timeline",), _READ | {"identity": 3}, rows))
    if scores.get("composition"):
        rows = [{"at once": r["factors"], "way": r["row"], **r} for r in scores["composition"]]
        made.append(Table(("at once", "way"), _READ, rows))
    return made


def comparison(scores: Scores) -> str:
    """Score tables of the run beside its baselines, one per factor and test set, and their roll-outs."""
    parts, own = [], scores.get("row", OURS)
    for (factor, kind), rows in _grouped(scores.get("rows") or (), ("factor", "set")):
        heading = f"{factor}: {_SETS.get(kind, kind)}" if factor and kind else factor or _SETS.get(kind, kind)
        parts.append(titled(heading, _table(rows, REFERENCES, own) + _roll_outs(rows, own)))
    return "".join(parts)


def response(scores: Scores) -> str:
    """Heat map of the response matrix."""
    matrix, rows, factors = (scores.get(k) or () for k in ("response", "response_rows", "response_factors"))
    if not matrix or not rows or not factors:
        return ""
    return chart(heat_map(matrix, rows, factors), "Rows: the energy that acts. Columns: the factor that moves.")


def timeline_errors(scores: Scores) -> str:
    """Errors of the factors read off generated frames, per timeline, on average, and of the reader itself."""
    rows = [{**r, "row": r.get("timeline", "")} for r in scores.get("timelines") or ()]
    mean = "all timelines" if rows else "generated frames"
    reader = "true frames (error of the reader)"
    if scores.get("timeline_error") and len(rows) != 1:  # of one timeline the mean says nothing new
        over_all = {"psnr": scores.get("timeline_psnr"), "identity": scores.get("identity") if rows else None}
        rows.append({"row": mean, **over_all, **scores["timeline_error"]})
    if scores.get("reader_error"):
        rows.append({"row": reader, **scores["reader_error"]})
    columns = ["row", "hue_deg", "angle_deg", "log_scale", "psnr", "identity"]
    used = {k: _HEADINGS[k] for k in columns if k == "row" or any(r.get(k) is not None for r in rows)}
    return table(rows, used, emphasis=mean if len(rows) > 2 else "", aside=(reader,), decimals=_DECIMALS)


def compositions(scores: Scores) -> str:
    """Energies acting together, a table for each group of factors."""
    rows = [{**r, "row": _WAYS.get(r.get("row", ""), r.get("row", ""))} for r in scores.get("composition") or ()]
    made = [
        titled(enumeration(group.split("+")), _table(part, ("copy",)))
        for (group,), part in _grouped(rows, ("factors",))
    ]
    return row(*made) if len(made) > 1 else "".join(made)


def _grouped(
    rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...]
) -> list[tuple[tuple[str, ...], list[Mapping[str, Any]]]]:
    """Neighbouring rows that agree in `keys`; a key that rows do not have counts as empty."""
    value = lambda r: tuple(str(r.get(k) or "") for k in keys)  # noqa: E731
    return [(group, list(part)) for group, part in groupby(rows, value)]


def _table(rows: Sequence[Mapping[str, Any]], aside: Sequence[str], own: str = "") -> str:
    """Known columns in their order, then any other plain ones; columns without a value are left out."""
    values = {k: [r.get(k) for r in rows] for k in dict.fromkeys([*_HEADINGS, *(k for r in rows for k in r)])}
    plain = {k: v for k, v in values.items() if not any(isinstance(x, list | dict) for x in v)}
    used = [k for k, v in plain.items() if k not in (*_GROUPING, *_TOLD_ELSEWHERE) and any(x is not None for x in v)]
    columns = {"row": ""} | {k: _HEADINGS.get(k, k) for k in used}
    return table(rows, columns, _BEST, own, aside, _DECIMALS)


def _roll_outs(rows: Sequence[Mapping[str, Any]], own: str) -> str:
    """Roll-outs as lines; one that is exact throughout is named below them, as it would squeeze all others."""
    series = {r["row"]: [v for v in r["rollout_psnr"] if is_number(v)] for r in rows if r.get("rollout_psnr")}
    exact = [name for name, values in series.items() if values and min(values) > EXACT]
    if max((len(values) for name, values in series.items() if name not in exact), default=0) < 2:
        return ""
    drawn = {r["row"]: r["rollout_psnr"] for r in rows if r["row"] in series and r["row"] not in exact}
    caption = "Roll-outs: each frame is generated from the one before, so that errors add up."
    if exact:
        caption += f" Not drawn, since without error: {enumeration(exact)}."
    return chart(lines(drawn, "generated frame, counted from the input", "PSNR [dB]", emphasis=own), caption)
