"""The report of a run folder, whole and in parts."""

import json
import re

import pytest
import torch

from ergosum.report.animation import encode_animation
from ergosum.report.run_report import read_updates, write_report
from ergosum.report.strips import compare
from ergosum.settings import Experiment, to_dict

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
    "composition": [{"row": "in turn", "mse": 0.001}, {"row": "summed", "mse": 0.002}],
    "targets": [{"name": "skill", "value": 0.97, "target": 0.9, "met": True}],
}  # fmt: skip
TITLES = ["Targets", "Strips", "In motion", "Comparison", "Response", "Timelines", "Composition", "Training", "Recipe"]


@pytest.fixture
def frames():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def fill(folder):
    lines = [{"iteration": n, "error": 0.03 / n, "copy_error": 0.02, "images_per_s": 200.0, "seconds": 0.3 * n}
             for n in range(1, 50)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "recipe.json").write_text(json.dumps(to_dict(Experiment(name="colour-run", shows="One energy."))))
    run = {"iterations": 49, "seconds": 220.0, "threads": 1, "machine": "x86_64, 2 cores", "weights": 412_000}
    (folder / "run.json").write_text(json.dumps(run))


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_a_whole_run_fills_every_section(frames, tmp_path):
    fill(tmp_path)
    strips, moves = [("colour", compare(frames, frames))], [("colour", encode_animation(frames))]
    path = write_report(tmp_path, "ergosum train colour", strips, moves, SCORES, strips)
    text = path.read_text()
    assert path == tmp_path / "report.html" and headings(text) == TITLES
    assert "<h1>colour-run</h1>" in text and "One energy." in text and "ergosum train colour" in text
    for shown in ("0.970", "32.2 dB", "copying 17.0 dB", "99.1%", "94.0%", "3 min 40 s", "0.41 M weights", "400 held"):
        assert shown in text, shown
    assert "http://" not in text and "https://" not in text and "nan" not in text.lower().split("base64")[0]


def test_an_empty_folder_gives_a_page_without_sections(tmp_path):
    text = write_report(tmp_path / "lonely", "ergosum report").read_text()
    assert headings(text) == [] and "<section" not in text and "<h1>lonely</h1>" in text


def test_without_metrics_the_training_is_left_out(tmp_path):
    fill(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    assert headings(write_report(tmp_path, "", scores=SCORES).read_text()) == [
        t for t in TITLES if t not in {"Training", "Strips", "In motion"}
    ]


def test_before_scoring_the_running_averages_stand_in_and_say_so(tmp_path):
    fill(tmp_path)
    text = write_report(tmp_path, "").read_text()
    assert headings(text) == ["Training", "Recipe"]
    assert "while training" in text and "held-out" not in text
    assert f"{1 - 0.03 / 49 / 0.02:.3f}" in text


def test_scores_decide_which_row_is_best(tmp_path):
    text = write_report(tmp_path, "", scores=SCORES).read_text()
    comparison = text[text.index("Comparison") : text.index("Response")]
    assert re.findall(r"<td class=best>(.*?)</td>", comparison) == ["0.00060", "32.20", "0.970"]
    assert "rollout_psnr" not in text and "Skill in E" not in text, "a column without a value is left out"


def test_rows_of_several_factors_and_sets_are_told_apart(tmp_path):
    groups = [{"factor": f, "set": s, "mse_copy": 0.02} for f in ("colour", "angle") for s in ("mixed", "alone")]
    rows = [r | group for group in groups for r in ROWS]
    text = write_report(tmp_path, "", scores={"rows": rows}).read_text()
    found = re.findall("<h3>(.*?)</h3>", text)
    assert [h.split(":")[0] for h in found] == ["colour", "colour", "angle", "angle"]
    assert "at rest" in found[1] and text.count("<table>") == 4 and "mse_copy" not in text


def test_each_group_of_composed_factors_has_its_own_best(tmp_path):
    ways = {"copy": 40.0, "split": 21.0, "sum": 20.0}
    rows = [{"factors": f, "row": w, "psnr": p} for f in ("colour+angle", "colour+scale") for w, p in ways.items()]
    text = write_report(tmp_path, "", scores={"composition": rows}).read_text()
    assert re.findall("<h3>(.*?)</h3>", text) == ["colour and angle", "colour and scale"]
    assert re.findall(r"<td class=best>(.*?)</td>", text) == ["21.00", "21.00"]
    assert "acting in turn" in text and "gradients added" in text


def test_timelines_are_listed_above_their_mean(tmp_path):
    error = {"hue_deg": 3.2, "angle_deg": 4.1, "log_scale": 0.03}
    lines = [{"timeline": t, "psnr": 24.0, **error} for t in ("scale:3 colour:9", "colour:12")]
    text = write_report(tmp_path, "", scores={"timelines": lines, "timeline_error": error}).read_text()
    names = re.findall(r"<td class=words>(.*?)</td>", text)
    assert names == ["scale:3 colour:9", "colour:12", "all timelines"]
    text = write_report(tmp_path, "", scores={"timelines": lines[:1], "timeline_error": error}).read_text()
    assert "all timelines" not in text, "the mean of one says nothing new"


def test_an_exact_roll_out_is_named_and_does_not_squeeze_the_others(tmp_path):
    rows = [{"row": "true operator", "rollout_psnr": [100.0, 100.0]}, {"row": "ours", "rollout_psnr": [30.0, 25.0]}]
    text = write_report(tmp_path, "", scores={"rows": rows}).read_text()
    assert text.count('<polyline class="line') == 1 and "without error: true operator." in text
    assert "<svg" not in write_report(tmp_path, "", scores={"rows": rows[:1]}).read_text()


def test_the_direction_of_a_target_is_shown(tmp_path):
    made = [{"name": "skill", "value": 0.97, "target": 0.9, "at_least": True, "met": True},
            {"name": "error", "value": 12.0, "target": 10.0, "at_least": False, "met": False}]  # fmt: skip
    text = write_report(tmp_path, "", scores={"targets": made}).read_text()
    assert "≥ 0.900" in text and "≤ 10.0" in text and "✓ yes" in text and "✗ no" in text


def test_the_page_may_lie_elsewhere(tmp_path):
    run, out = tmp_path / "run", tmp_path / "pages" / "one"
    run.mkdir()
    fill(run)
    assert write_report(run, "", out=out) == out / "report.html"
    assert "<h1>colour-run</h1>" in (out / "report.html").read_text() and not (run / "report.html").exists()


def test_any_one_score_may_be_missing(tmp_path):
    for key in SCORES:
        write_report(tmp_path, "", scores={k: v for k, v in SCORES.items() if k != key})
        write_report(tmp_path, "", scores={key: SCORES[key]})


def test_a_last_line_cut_off_in_writing_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 1}\n\n{"iteration": 2}\n{"itera')
    assert read_updates(path) == [{"iteration": 1}, {"iteration": 2}]
    path.write_text('{"itera\n{"iteration": 2}\n')
    with pytest.raises(ValueError, match="line 1"):
        read_updates(path)
    assert read_updates(tmp_path / "absent.jsonl") == []


def test_the_same_input_writes_the_same_bytes_and_leaves_nothing_else(frames, tmp_path):
    strips = [("colour", compare(frames, frames))]
    first = write_report(tmp_path, "c", strips, scores=SCORES).read_bytes()
    assert write_report(tmp_path, "c", strips, scores=SCORES).read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
