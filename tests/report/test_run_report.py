"""The report of a run folder, whole and in parts."""

import json
import re

import pytest

from ergosum.part import Part
from ergosum.report.run_report import read_updates, write_report
from ergosum.temporal import Prediction
from ergosum.training.experiment import Experiment, to_dict
from ergosum.training.task import Section

SCORES = {"card": "colour", "source": "digits", "n": 400, "seed": 0, "mse": 0.0006, "mse_copy": 0.02, "skill": 0.97,
          "psnr": 32.2, "identity": 0.991, "diagonal_share": 0.94, "fg_ari": 0.5}  # fmt: skip
SECTIONS = [Section("Strips", "What it shows.", "<p>a strip</p>"), Section("Empty", "left out", "")]
TITLES = ["Strips", "Training", "Recipe"]


def fill(folder):
    lines = [{"iteration": n, "error": 0.03 / n, "copy_error": 0.02, "images_per_s": 200.0, "seconds": 0.3 * n}
             for n in range(1, 50)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    experiment = Experiment(name="colour-run", shows="One energy.", task=Part(Prediction))
    (folder / "recipe.json").write_text(json.dumps(to_dict(experiment)))
    run = {"iterations": 49, "seconds": 220.0, "threads": 1, "machine": "x86_64, 2 cores", "weights": 412_000}
    (folder / "run.json").write_text(json.dumps(run))


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_a_whole_run_fills_every_section(tmp_path):
    fill(tmp_path)
    path = write_report(tmp_path, "ergosum train colour", SECTIONS, SCORES)
    text = path.read_text()
    assert path == tmp_path / "report.html" and headings(text) == TITLES
    assert "<h1>colour-run</h1>" in text and "One energy." in text and "ergosum train colour" in text
    for shown in ("0.970", "32.2 dB", "copying 17.0 dB", "99.1%", "94.0%", "0.500", "3 min 40 s", "0.41 M weights",
                  "<p>a strip</p>", "What it shows."):  # fmt: skip
        assert shown in text, shown
    assert "http://" not in text and "https://" not in text and "nan" not in text.lower().split("base64")[0]


def test_a_run_that_went_on_from_others_tells_the_cpu_time_of_all(tmp_path):
    fill(tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    before = [{"iterations": 51, "seconds": 999.0, "cpu_seconds": 60.0}, {"iterations": 900, "cpu_seconds": 40.0}]
    (tmp_path / "run.json").write_text(json.dumps(run | {"cpu_seconds": 50.0, "before": before}))
    text = write_report(tmp_path, "", SECTIONS, SCORES).read_text()
    assert "2 min 30 s" in text and "CPU time · 1,000 updates · 3 runs" in text


def test_the_sections_of_a_task_come_first_and_in_its_order(tmp_path):
    fill(tmp_path)
    more = [*SECTIONS, Section("Another", "", "<p>b</p>")]
    assert headings(write_report(tmp_path, "", more).read_text()) == ["Strips", "Another", "Training", "Recipe"]


def test_an_empty_folder_gives_a_page_without_sections(tmp_path):
    text = write_report(tmp_path / "lonely", "ergosum report").read_text()
    assert headings(text) == [] and "<section" not in text and "<h1>lonely</h1>" in text


def test_without_metrics_the_training_is_left_out(tmp_path):
    fill(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    assert headings(write_report(tmp_path, "", SECTIONS, SCORES).read_text()) == ["Strips", "Recipe"]


def test_before_scoring_the_running_averages_stand_in_and_say_so(tmp_path):
    fill(tmp_path)
    text = write_report(tmp_path, "").read_text()
    assert headings(text) == ["Training", "Recipe"]
    assert "while training" in text and "held-out" not in text
    assert f"{1 - 0.03 / 49 / 0.02:.3f}" in text


def test_the_page_may_lie_elsewhere(tmp_path):
    run, out = tmp_path / "run", tmp_path / "pages" / "one"
    run.mkdir()
    fill(run)
    assert write_report(run, "", out=out) == out / "report.html"
    assert "<h1>colour-run</h1>" in (out / "report.html").read_text() and not (run / "report.html").exists()


def test_a_last_line_cut_off_in_writing_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 1}\n\n{"iteration": 2}\n{"itera')
    assert read_updates(path) == [{"iteration": 1}, {"iteration": 2}]
    path.write_text('{"itera\n{"iteration": 2}\n')
    with pytest.raises(ValueError, match="line 1"):
        read_updates(path)
    assert read_updates(tmp_path / "absent.jsonl") == []


def test_the_same_input_writes_the_same_bytes_and_leaves_nothing_else(tmp_path):
    first = write_report(tmp_path, "c", SECTIONS, SCORES).read_bytes()
    assert write_report(tmp_path, "c", SECTIONS, SCORES).read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_any_one_number_may_be_missing(tmp_path):
    for key in SCORES:
        write_report(tmp_path, "", scores={k: v for k, v in SCORES.items() if k != key})
        write_report(tmp_path, "", scores={key: SCORES[key]})


def test_errors_that_are_not_of_pixels_have_no_psnr_and_shares_of_draws_come_first(tmp_path):
    fill(tmp_path)
    told = {"error": 0.43, "copy_error": 0.57, "compared_with": "the Gaussian", "seconds": 220.0}
    (tmp_path / "run.json").write_text(json.dumps(told))
    text = write_report(tmp_path, "", SECTIONS, {"sample_accuracy": 0.987, "accuracy": 0.991, "count": 40}).read_text()
    assert "PSNR" not in text and "Skill" not in text and "Exact counts" not in text
    assert "98.7%" in text and "of a class are read as it" in text and "99.1%" in text
