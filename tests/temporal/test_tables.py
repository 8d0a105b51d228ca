"""What a score of sequences holds, as tables and charts of a page and as tables of a terminal."""

import re

from ergosum.temporal.figures import sections
from ergosum.temporal.tables import comparison, compositions, response, tables, timeline_errors
from ergosum.training.runfolder import load_predictor

ROWS = [
    {"row": "copy", "mse": 0.02, "psnr": 17.0, "skill": 0.0, "ffrl": 402.0, "ffrl_skill": None, "rollout_psnr": [17.0]},
    {"row": "true operator", "mse": 0.0003, "psnr": 35.2, "skill": 0.985, "ffrl": None, "rollout_psnr": None},
    {"row": "feed-forward U-Net", "mse": 0.0008, "psnr": 31.0, "skill": 0.96, "ffrl": 112.0, "rollout_psnr": [31.0]},
    {"row": "ours", "mse": 0.0006, "psnr": 32.2, "skill": 0.97, "ffrl": float("nan"), "rollout_psnr": [32.2, 29.0]},
]
SCORES = {
    "card": "colour", "factor": "colour", "source": "digits", "n": 400, "seed": 0, "mse": 0.0006, "mse_copy": 0.02,
    "skill": 0.97, "psnr": 32.2, "identity": 0.991, "rows": ROWS, "response": [[0.98, 0.02], [0.1, 0.9]],
    "response_rows": ["colour", "angle"], "response_factors": ["colour", "angle"], "diagonal_share": 0.94,
    "timeline_error": {"hue_deg": 3.2, "angle_deg": 4.1, "log_scale": 0.03},
    "reader_error": {"hue_deg": 0.4, "angle_deg": 1.2, "log_scale": 0.01},
    "composition": [{"factors": "colour+angle", "row": w, "mse": e} for w, e in (("split", 0.001), ("sum", 0.002))],
    "targets": [{"name": "skill", "value": 0.97, "target": 0.9, "met": True}],
}  # fmt: skip
TITLES = ["Targets", "Strips", "In motion", "Comparison", "Response", "Timelines", "Composition"]


def page(scores):
    """All that tells of a score, one after the other."""
    return "".join(f(scores) for f in (comparison, response, timeline_errors, compositions))


def test_scores_decide_which_row_is_best():
    text = comparison(SCORES)
    assert re.findall(r"<td class=best>(.*?)</td>", text) == ["0.00060", "32.20", "0.970"]
    assert "rollout_psnr" not in text and "Skill in E" not in text, "a column without a value is left out"


def test_rows_of_several_factors_and_sets_are_told_apart():
    groups = [{"factor": f, "set": s, "mse_copy": 0.02} for f in ("colour", "angle") for s in ("mixed", "alone")]
    rows = [r | group for group in groups for r in ROWS]
    text = page({"rows": rows})
    found = re.findall("<h3>(.*?)</h3>", text)
    assert [h.split(":")[0] for h in found] == ["colour", "colour", "angle", "angle"]
    assert "at rest" in found[1] and text.count("<table>") == 4 and "mse_copy" not in text


def test_each_group_of_composed_factors_has_its_own_best():
    ways = {"copy": 40.0, "split": 21.0, "sum": 20.0}
    rows = [{"factors": f, "row": w, "psnr": p} for f in ("colour+angle", "colour+scale") for w, p in ways.items()]
    text = page({"composition": rows})
    assert re.findall("<h3>(.*?)</h3>", text) == ["colour and angle", "colour and scale"]
    assert re.findall(r"<td class=best>(.*?)</td>", text) == ["21.00", "21.00"]
    assert "acting in turn" in text and "gradients added" in text


def test_timelines_are_listed_above_their_mean():
    error = {"hue_deg": 3.2, "angle_deg": 4.1, "log_scale": 0.03}
    lines = [{"timeline": t, "psnr": 24.0, **error} for t in ("scale:3 colour:9", "colour:12")]
    text = page({"timelines": lines, "timeline_error": error})
    names = re.findall(r"<td class=words>(.*?)</td>", text)
    assert names == ["scale:3 colour:9", "colour:12", "all timelines"]
    text = page({"timelines": lines[:1], "timeline_error": error})
    assert "all timelines" not in text, "the mean of one says nothing new"


def test_an_exact_roll_out_is_named_and_does_not_squeeze_the_others():
    rows = [{"row": "true operator", "rollout_psnr": [100.0, 100.0]}, {"row": "ours", "rollout_psnr": [30.0, 25.0]}]
    text = page({"rows": rows})
    assert text.count('<polyline class="line') == 1 and "without error: true operator." in text
    assert "<svg" not in page({"rows": rows[:1]})


def test_any_one_score_may_be_missing():
    for key in SCORES:
        assert "nan" not in page({k: v for k, v in SCORES.items() if k != key})
        page({key: SCORES[key]})
        tables({k: v for k, v in SCORES.items() if k != key and k in ("rows", "composition")})


def test_a_report_has_every_section_of_a_model_of_sequences(trained, tiny):
    experiment, model = load_predictor(trained)
    made = sections(experiment.built(), model, SCORES, 0, None)
    assert [s.heading for s in made] == TITLES and all(s.html for s in made)
    assert "400 held-out sequences of digits moving in colour (seed 0)." in made[3].text
    assert made[1].html.count("<img") == 2 and "colour:12" in made[5].html
    empty = sections(experiment.built(), model, {"source": "digits"}, 0, None)
    assert [s.heading for s in empty if s.html] == ["Strips", "In motion", "Timelines"]


def test_tables_for_a_terminal_name_what_was_measured():
    told = tables({**SCORES, "timelines": [{"timeline": "colour:12", "psnr": 24.0}], "timeline_psnr": 24.0})
    assert [table.names for table in told] == [
        ("factor", "test set", "row"), ("levels per frame",), ("timeline",), ("at once", "way")
    ]  # fmt: skip
    assert {"equivariance error", "equivariance skill"} <= set(told[0].decimals)
    assert told[0].rows[0]["equivariance error"] == 402.0
    assert [row["timeline"] for row in told[2].rows] == ["colour:12", "all timelines", "reader on true frames"]
    assert told[1].rows[0] == {"levels per frame": "colour", "colour": 0.98, "angle": 0.02}
    (share,) = tables({"assigned_share": 0.4})
    assert "chance" in share.rows[0]["share"] and share.rows[0]["value"] == 0.4 and tables({}) == []
