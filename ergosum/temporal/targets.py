"""What a score was to reach: one row for each target, with whether it is met."""

from collections.abc import Iterable, Sequence
from typing import Any

from ergosum.report.tables import target

__all__ = ["SKILL_TARGETS", "TIMELINE_TARGETS", "targets"]

SKILL_TARGETS = {"colour": 0.98, "angle": 0.97, "scale": 0.90}
TIMELINE_TARGETS = {"hue_deg": ("hue [°]", 10.0), "angle_deg": ("angle [°]", 10.0), "log_scale": ("log-scale", 0.10)}
SHARE, IDENTITY = 0.95, 0.95
FEEDFORWARD = "feed-forward U-Net"
"""The row of the network of equal size that energies are held against."""

Row = dict[str, Any]


def targets(result: dict[str, Any], rows: Sequence[Row], own: str) -> list[Row]:
    """All targets of a score that speak about something it measured.

    Args:
        result: what control was scored as. rows: the table of moves and roll-outs. own: the scored predictor's row.
    """
    mixed = {(r["factor"], r["row"]): r for r in rows if r["set"] == "mixed"}
    found = [
        target(f"{factor} skill", r["skill"], SKILL_TARGETS[factor], True)
        for (factor, name), r in mixed.items()
        if name == own
    ]
    if "diagonal_share" in result:
        found.append(target("diagonal share", result["diagonal_share"], SHARE, True))
    if "timeline_error" in result:
        found += _within("timelines", result["timeline_error"])
    if "identity" in result:
        found.append(target("identity", result["identity"], IDENTITY, True))
    return found + _against_joint(result.get("composition", ())) + _against_feedforward(mixed, own)


def _within(name: str, errors: Row) -> list[Row]:
    return [target(f"{name}: {what}", errors[key], most, False) for key, (what, most) in TIMELINE_TARGETS.items()]


def _against_joint(rows: Iterable[Row]) -> list[Row]:
    """Composed: at most 3 dB below energies trained on the joint change."""
    rows = list(rows)
    errors = [t for r in rows if r["row"] == "split" for t in _within(f"{r['factors']} at once", r)]
    psnr = {(r["factors"], r["row"]): r["psnr"] for r in rows}
    groups = sorted({group for group, row in psnr if row == "trained jointly"})
    return errors + [
        target(f"{g} at once, PSNR over joint training", psnr[g, "split"] - psnr[g, "trained jointly"], -3.0, True)
        for g in groups
    ]


def _against_feedforward(mixed: dict[tuple[str, str], Row], own: str) -> list[Row]:
    """One frame: at most 0.5 dB below the feed-forward U-Net; twelve frames: not below it."""
    found = []
    for (factor, name), beside in mixed.items():
        if name == FEEDFORWARD:
            ours, what = mixed[factor, own], f"{factor} PSNR over feed-forward"
            found.append(target(f"{what}, 1 frame", ours["psnr"] - beside["psnr"], -0.5, True))
            found.append(target(f"{what}, 12 frames", ours["psnr_12"] - beside["psnr_12"], 0.0, True))
    return found
