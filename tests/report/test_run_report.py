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
