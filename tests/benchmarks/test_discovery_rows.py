"""The benchmark of discovery's rows: rows are kept, gone on from, and printed."""

import json

import pytest


@pytest.fixture
def bench(script):
    return script("discovery_rows")


def test_a_row_is_scored_kept_and_not_run_twice(bench, capsys, tmp_path):
    out = tmp_path / "rows.json"
    asked = ["--quick", "--seeds", "1", "--rows", "no sparsity", "--out", str(out)]
    bench.main([*asked, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    (row,) = result["rows"]
    assert (row["row"], row["seed"], row["kept"], row["updates"]) == ("no sparsity", 0, 3, 0)
    assert 0 <= row["mcc"] <= 1 and row["references"]["truth"]["mcc"] == 1
    bench.ROWS["no sparsity"] = None  # would fail if it ran again
    bench.main(asked)
    said = capsys.readouterr()
    assert "no sparsity" in said.out and "true operator" in said.out and said.err == ""


@pytest.mark.slow
def test_every_row_runs(bench, capsys):
    bench.main(["--quick", "--seeds", "1", "--json"])
    assert [r["row"] for r in json.loads(capsys.readouterr().out)["rows"]] == list(bench.ROWS)
