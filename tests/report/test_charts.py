"""Charts: what is drawn where, and what is left out."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from ergosum.report.charts import MOST_POINTS, heat_map, lines, training_curve


def update(iteration, error, copied=0.02):
    return {"iteration": iteration, "loss": 1.0, "error": error, "copy_error": copied}


def polylines(svg, kind):
    """Points of the polylines whose class contains `kind`."""
    found = [e.get("points") for e in ElementTree.fromstring(svg).iter("polyline") if kind in e.get("class").split()]
    return [[tuple(map(float, p.split(","))) for p in points.split()] for points in found]


def texts(svg):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("text")]


def test_the_prediction_falls_below_the_line_of_copying():
    svg = training_curve([update(n, 0.04 / n) for n in range(1, 101)])
    (prediction,), (copying,) = polylines(svg, "bold"), polylines(svg, "dashed")
    assert prediction[0][1] < copying[0][1] and prediction[-1][1] > copying[-1][1]  # y grows downwards
    assert {"updates", "copying", "prediction", "0.01", "0.001"} <= set(texts(svg))


def test_equal_factors_of_error_are_equal_heights():
    svg = training_curve([update(1, 0.1), update(2, 0.01), update(3, 0.001)])
    (points,) = polylines(svg, "bold")
    assert points[1][1] - points[0][1] == pytest.approx(points[2][1] - points[1][1], abs=0.11)


def test_labels_of_very_small_errors_fit_beside_the_axis():
    found = texts(training_curve([update(1, 0.0004, 0.0004), update(2, 0.00002, 0.0004)]))
    assert {"0.0002", "0.0001", "5·10⁻⁵", "2·10⁻⁵"} <= set(found)
    assert all(len(text) <= 6 for text in found if text.startswith("0."))


def test_a_long_training_is_thinned_and_keeps_its_end():
    updates = [update(n, 0.1 / n) for n in range(1, 20_001)]
    (points,) = polylines(training_curve(updates), "bold")
    (copying,) = polylines(training_curve(updates), "dashed")
    assert len(points) <= MOST_POINTS + 1
    assert points[-1][0] == copying[-1][0] == 980 - 110


def test_values_that_cannot_be_drawn_are_left_out():
    assert training_curve([]) == ""
    assert training_curve([update(1, float("nan")), update(2, 0.0)]) == ""
    svg = training_curve([update(1, 0.1, None), {"iteration": 2}, update(3, 0.05, float("inf"))])
    assert not polylines(svg, "dashed") and len(polylines(svg, "bold")[0]) == 2
    assert "nan" not in svg and "inf" not in svg


def test_lines_are_labelled_apart_and_the_emphasised_one_is_bold():
    svg = lines({"ours": [30.0, 29.0], "copy": [20.0, 29.01], "a < b": [10.0, 28.99]}, "frame", "PSNR [dB]")
    assert len(polylines(svg, "line")) == 3 and len(polylines(svg, "bold")) == 1
    assert {"ours", "copy", "a < b", "frame", "PSNR [dB]"} <= set(texts(svg))
    labels = [e for e in ElementTree.fromstring(svg).iter("text") if "label" in (e.get("class") or "")]
    heights = sorted(float(e.get("y")) for e in labels)
    assert all(b - a >= 16.9 for a, b in pairwise(heights))


def test_a_hole_splits_a_line_and_empty_series_vanish():
    svg = lines({"ours": [1.0, 2.0, None, 4.0, float("nan")], "none": [None]}, "x", "y")
    assert [len(p) for p in polylines(svg, "line")] == [2, 1]
    assert "none" not in texts(svg)
    assert lines({"none": [None], "empty": []}, "x", "y") == ""


def test_constant_and_single_values_can_be_drawn():
    assert "nan" not in lines({"ours": [5.0]}, "x", "y")
    assert "nan" not in training_curve([update(1, 0.02, 0.02)])


def test_cells_show_their_values_and_the_largest_is_fullest():
    svg = heat_map([[0.5, -1.0], [None, 0.0]], ["colour", "angle"], ["hue", "turn"], "Response <of> energies")
    assert texts(svg) == ["Response <of> energies", "hue", "turn", "colour", "0.50", "−1.00", "angle", "–", "0.00"]
    cells = re.findall(r'<rect class="(\w+)" fill-opacity="([\d.]+)"', svg)
    assert cells == [("positive", "0.530"), ("negative", "1.000"), ("positive", "0.060"), ("positive", "0.060")]


def test_a_matrix_must_fit_its_labels():
    with pytest.raises(ValueError, match="expected 1 rows of 2 values"):
        heat_map([[1.0]], ["a"], ["b", "c"])
    assert heat_map([[None]], ["a"], ["b"]) == ""
