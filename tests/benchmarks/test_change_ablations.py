"""The ablations of energies of change: what each row changes, and what is told of it."""

import json
from types import SimpleNamespace

import pytest
from shrink import shrunk

from ergosum.temporal import FeatureDistance, PredictionLoss


@pytest.fixture
def bench(script, monkeypatch):
    made = script("change_ablations")
    monkeypatch.setattr(made, "TIMED", 1)
    plain = made.experiment
    monkeypatch.setattr(made, "experiment", lambda *a: shrunk(plain(*a)))
    return made


def test_rows_differ_by_what_they_are_named_after(script):
    bench = script("change_ablations")
    runs = {row: bench.experiment(row, "angle", 0.3) for row in bench.ROWS}
    tasks = {row: run.task for row, run in runs.items()}
    assert all(run.optimiser == runs["squared error"].but(optimiser={"iterations": run.optimiser.iterations}).optimiser
               for run in runs.values())  # fmt: skip
    plain = tasks["squared error"]
    assert plain.but(objective=tasks["absolute error"].get("objective")) == tasks["absolute error"]
    assert tasks["absolute error"].get("objective").get("norm") == "l1"
    assert tasks["features"].get("model").get("energy").cls is FeatureDistance
    assert tasks["features"].get("data") == plain.get("data")
    for kind in ("joint", "no labels"):
        penalty = tasks[f"{kind}, right angles"]
        assert penalty.get("objective").build() == PredictionLoss(orthogonality=0.3)
        assert tasks[kind].but(objective=penalty.get("objective")) == penalty
        assert len(penalty.get("model").get("components")) == 3
    with pytest.raises(ValueError, match="row: expected one of squared error"):
        bench.experiment("none", "angle")


def test_rows_are_trained_scored_and_added_to_the_file(bench, tmp_path, capsys):
    out = tmp_path / "told.json"
    common = ["--seconds", "0.001", "--n", "8", "--source", "digits", "--factors", "angle", "--out", str(out)]
    bench.main(["--rows", "squared error", "features", *common])
    bench.main(["--rows", "joint, right angles", "no labels", "--weight", "0.5", *common])
    rows = json.loads(out.read_text())["rows"]
    assert [(r["row"], r["factor"]) for r in rows] == [
        ("squared error", "angle"), ("features", "angle"), *(("joint, right angles", f) for f in bench.FACTORS),
        ("no labels", "all"),
    ]  # fmt: skip
    assert all(set(bench.KEPT) <= set(r) and r["skill"] < 0.9 for r in rows[:-1])  # three updates teach little
    assert all("weight" in r and 0 < r["cosine"] <= 1 for r in rows[2:5]) and "weight" not in rows[0]
    assert 0 <= rows[-1]["share"] <= 1 and all(r["updates"] >= 3 for r in rows)
    capsys.readouterr()
    bench.main(["--table", str(out)])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + len(rows) and "joint, right angles 0.5" in printed[3]


def test_updates_follow_from_the_seconds(bench, tmp_path, monkeypatch):
    clock = iter([0.0, *(t / 4 for t in range(1, 200))])
    monkeypatch.setattr(bench, "time", SimpleNamespace(process_time=lambda: next(clock)))  # an update takes 1/4 s
    assert bench.learned(bench.experiment("squared error", "angle"), 2.0, 0, tmp_path)["updates"] == 8
