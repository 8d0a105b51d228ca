"""What a score of discovered components holds, as tables; what is absent in it is left out."""

from collections.abc import Mapping
from typing import Any

from ergosum.data.render import FACTORS
from ergosum.report.tables import target
from ergosum.training.task import Table

__all__ = ["tables", "targets"]

MCC = {"single": 0.96, "sparse": 0.95, "laplace": 0.90}
"""Rank correlation that is to be reached, by how the factors move."""
SHARE = 0.95
TRANSFER = {"colour": 0.12, "angle": 0.04, "scale": 0.08}
SKILL = {"colour": 0.98, "angle": 0.97, "scale": 0.93}


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """Separation, the response of each component, and what is measured by factor."""
    separation = {k: 3 for k in ("mcc", "mcc_pearson", "diagonal_share", "assigned_share") if k in scores}
    made = [Table(("card", "kept"), separation | {"skill": 3}, [{**scores, "skill": scores["skill"]["mean"]}])]
    names = [str(f) for f in scores.get("factors", ())]
    if "response" in scores:
        rows = [
            {"component": name, "factor": _factor(scores, k), **dict(zip(FACTORS, values, strict=True))}
            for k, (name, values) in enumerate(zip(scores["components"], scores["response"], strict=True))
        ]
        title = "Response to a typical move: levels of hue and angle, tenths of the logarithm of scale"
        made.append(Table(("component", "factor"), dict.fromkeys(FACTORS, 2), rows, title))
    elif "correlations" in scores:
        matrix = scores["correlations"]["spearman"]
        rows = [
            {"component": name, **dict(zip(names, values, strict=True))}
            for name, values in zip(scores["components"], matrix, strict=True)
        ]
        made.append(Table(("component",), dict.fromkeys(names, 2), rows, "Rank correlation of moves with true speeds"))
    if not names:
        return made
    columns: dict[str, Mapping[str, Any]] = {"skill": scores["skill"]}
    if "transfer_error" in scores:
        columns |= {
            "transfer error": scores["transfer_error"],
            "of the truth": scores["references"]["truth"]["transfer_error"],
        }
    rows = [{"factor": f, **{name: values.get(f) for name, values in columns.items()}} for f in names]
    return [*made, Table(("factor",), dict.fromkeys(columns, 3), rows, "By factor")]


def targets(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a score of digits was to reach, and whether it is met."""
    made = [target("MCC", scores["mcc"], MCC.get(scores["mode"], 0.90), True)]
    made.append(target("diagonal share", scores["diagonal_share"], SHARE, True))
    for key, what, wanted, at_least in (
        ("transfer_error", "transfer error", TRANSFER, False), ("skill", "skill", SKILL, True),
    ):  # fmt: skip
        values = scores[key]
        made += [target(f"{f}: {what}", values[f], wanted[f], at_least) for f in wanted if values.get(f) is not None]
    return made


def _factor(scores: Mapping[str, Any], k: int) -> str:
    """The factor that component k follows, with its sign; empty if none is left for it."""
    number = scores["match"][k]
    if number is None:
        return ""
    return f"{'-' if scores['signs'][k] < 0 else '+'}{FACTORS[number]}"
