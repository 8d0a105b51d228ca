"""The benchmarks of discovery: rows are scored, kept, gone on from, and printed."""

import json


def test_a_row_of_discovery_is_scored_kept_and_not_run_twice(script, capsys, tmp_path):
    bench, out = script("discovery"), tmp_path / "rows.json"
    asked = ["--quick", "--seeds", "1", "--rows", "groups", "--out", str(out)]
    bench.main([*asked, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    (row,) = result["rows"]
    assert row["kept"] == 3 and row["mcc"] > 0.8 and row["cpu_s"] > 0
    bench.discovered = None  # would fail if it ran again
    bench.main(asked)
    assert "groups" in capsys.readouterr().out


def test_shapes_in_their_own_frame_are_scored(script, capsys):
    script("discovery_beyond").main(["--quick", "--seeds", "1", "--rows", "shape, own frame", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert set(row["by_factor"]) == {"size", "turn", "x", "y"} and 0 < row["mcc"] <= 1
