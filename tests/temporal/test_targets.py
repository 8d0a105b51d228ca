"""Targets: what is asked depends on what was measured."""

import pytest

from ergosum.temporal.targets import targets


def row(name, factor="colour", kind="mixed", skill=0.99, psnr=40.0, psnr_12=30.0):
    return {"row": name, "factor": factor, "set": kind, "skill": skill, "psnr": psnr, "psnr_12": psnr_12}


def test_a_score_of_moves_alone_is_asked_for_its_skill_on_mixed_moves():
    rows = [row("ours"), row("copy", skill=0.0), row("ours", kind="alone", skill=0.5)]
    found = targets({}, rows, "ours")
    assert [(t["name"], t["value"], t["met"]) for t in found] == [("colour skill", 0.99, True)]


@pytest.mark.parametrize("own", ["ours", "mine"])
def test_the_baseline_is_compared_with_the_scored_predictor_whatever_its_name(own):
    rows = [row("feed-forward U-Net", psnr=41.0, psnr_12=27.0), row(own, psnr=40.2)]
    found = {t["name"]: t for t in targets({}, rows, own)}
    one, twelve = (found[f"colour PSNR over feed-forward, {n}"] for n in ("1 frame", "12 frames"))
    assert one["value"] == pytest.approx(-0.8) and not one["met"]
    assert twelve["value"] == pytest.approx(3.0) and twelve["met"]


def test_control_is_asked_for_shares_errors_and_joint_training_where_it_was_scored():
    errors = {"hue_deg": 3.0, "angle_deg": 12.0, "log_scale": 0.05}
    ways = [("split", 30.0), ("sum", 25.0), ("trained jointly", 32.0)]
    result = {
        "diagonal_share": 0.9, "timeline_error": errors, "identity": 0.97,
        "composition": [{"factors": "colour+angle", "row": w, "psnr": p, **errors} for w, p in ways],
    }  # fmt: skip
    met = {t["name"]: t["met"] for t in targets(result, [row("ours")], "ours")}
    assert met == {
        "colour skill": True, "diagonal share": False, "identity": True,
        "timelines: hue [°]": True, "timelines: angle [°]": False, "timelines: log-scale": True,
        "colour+angle at once: hue [°]": True, "colour+angle at once: angle [°]": False,
        "colour+angle at once: log-scale": True, "colour+angle at once, PSNR over joint training": True,
    }  # fmt: skip
