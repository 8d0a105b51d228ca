"""Tables of numbers as text for a terminal and as HTML for a page, and what a score was to reach."""

from collections.abc import Mapping, Sequence
from typing import Any

from ergosum.report import page
from ergosum.report.numerals import number
from ergosum.training.task import Table

__all__ = ["as_html", "as_text", "target", "targets_html"]

MISSING = "–"
WORDS = {
    "row": "", "mse": "MSE", "mse_mean": "MSE of the mean image", "psnr": "PSNR [dB]", "ssim": "SSIM", "ari": "ARI",
    "fg_ari": "foreground ARI", "kid": "kernel distance", "kid_error": "±", "kid_damage": "kernel distance, damage",
    "nll": "NLL [nats]", "ece": "calibration error", "ece_of_widths": "calibration error, bins of equal width",
    "+-": "±", "ess": "effective share of draws", "tv": "total variation", "tv_exact": "of exact draws",
    "sigma": "noise level", "mig": "MIG", "mcc": "MCC", "sap": "SAP", "nearest": "distance to nearest",
    "mse_copy": "MSE of copying", "log_odds": "log-odds",
}  # fmt: skip
"""What columns are called on a page whose keys are short for it."""


def as_text(table: Table) -> str:
    """The table as lines of aligned columns: names to the left, numbers to the right, a dash where one is missing."""
    lines = [[*table.names, *table.decimals]]
    for row in table.rows:
        numbers = (_plain(row.get(key), digits) for key, digits in table.decimals.items())
        lines.append([*(str(row[name]) for name in table.names), *numbers])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = len(table.names)
    cells = (
        "  ".join(c.ljust(w) if k < left else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )
    return "\n".join([*([table.title] if table.title else []), *(line.rstrip() for line in cells)])


def as_html(table: Table) -> str:
    """The table for a page; columns that are missing in every row are left out, and so is a table without numbers."""
    used = {k: d for k, d in table.decimals.items() if any(row.get(k) is not None for row in table.rows)}
    if not used:
        return ""
    headings = {k: WORDS.get(k, k.replace("_", " ")) for k in (*table.names, *used)}
    return page.titled(table.title, page.table(table.rows, headings, decimals=used))


def target(name: str, value: float, wanted: float, at_least: bool) -> dict[str, Any]:
    """One target: `value` is to be at least, or at most, `wanted`."""
    met = value >= wanted if at_least else value <= wanted
    return {"name": name, "value": value, "target": wanted, "at_least": at_least, "met": bool(met)}


def targets_html(targets: Sequence[Mapping[str, Any]]) -> str:
    """What was reached, what was wanted, and whether it is met; nothing without targets."""
    signs = {True: "≥ ", False: "≤ "}
    rows = [
        {
            "name": t.get("name", ""),
            "value": number(t.get("value")),
            "target": signs.get(bool(t.get("at_least")), "") + number(t.get("target")),
            "met": t.get("met"),
        }
        for t in targets
    ]
    return page.table(rows, {"name": "Target", "value": "Reached", "target": "Wanted", "met": "Met"})


def _plain(value: Any, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"
