"""Training curves of several runs, in one chart and in one picture."""

import math

import pytest

from ergosum.cli import main
from ergosum.report.charts import compare_training
from ergosum.report.curves import draw_training


def log(rate, n=50):
    return [{"iteration": i, "error": math.exp(-i / rate), "copy_error": 1.0} for i in range(1, n)]


def test_every_run_has_a_line_and_its_name_in_the_colour_of_the_line():
    svg = compare_training({"fast": log(10), "slow & steady": log(40), "silent": [], "broken": [{"iteration": 1}]})
    assert svg.count('<polyline class="line bold') == 2 and "slow &amp; steady" in svg
    assert 'class="line bold s0"' in svg and 'class="label f0"' in svg and 'class="label f1"' in svg
    assert "silent" not in svg and compare_training({"silent": []}) == ""


def test_the_picture_has_a_line_of_each_colour():
    image = draw_training({"fast": log(10), "slow": log(40)})
    seen = {colour for _, colour in image.getcolors(1 << 16)}

    def near(wanted):
        return any(max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) < 12 for colour in seen)

    assert near((0x24, 0x58, 0xB8)) and near((0xC2, 0x57, 0x1A)) and not near((0x8A, 0x4F, 0xA8))


def test_runs_without_an_error_to_draw_are_refused():
    with pytest.raises(ValueError, match="a, b: no line of metrics"):
        draw_training({"a": [], "b": [{"iteration": 1, "error": 0.0}]})


def test_the_command_draws_curves_without_a_score(trained, tmp_path, capsys):
    out = tmp_path / "curves.png"
    assert main(["report", str(trained), "--beside", str(trained), "--curves", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out) and out.is_file()
    assert main(["report", str(trained), "--beside", str(trained)]) == 1
    assert "--beside: expected --curves" in capsys.readouterr().err
