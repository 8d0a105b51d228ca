"""The comparison of compositions of concepts: every row end to end on a tiny run, and its formulas in closed form."""

import json

import pytest
import torch

from ergosum.concepts import task as concepts_task
from ergosum.concepts.recipes import digits, latents
from ergosum.concepts.scores import Asked
from ergosum.density.formulas import vocabulary
from ergosum.training.loop import train
from tests.concepts.exact import exact
from tests.shrink import shrunk

QUICK = ["--minutes", "0.02", "--n", "20"]
X = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    """A tiny run of solids, and one of digits of which most pairs of digit and colour are missing."""
    patch, made = pytest.MonkeyPatch(), {}
    patch.setattr(concepts_task, "FITTED", 64)
    partial = digits().but(task={"data": {"support": "partial"}})
    for name, recipe in (("solids", latents()), ("digits", partial)):
        made[name] = tmp_path_factory.mktemp("codecs") / name
        for _ in train(shrunk(recipe).but(optimiser={"iterations": 6}), made[name], accelerator="cpu"):
            pass
    patch.undo()
    return made


@pytest.fixture
def rivals(script, monkeypatch):
    made = script("concepts_rivals")
    monkeypatch.setattr(made, "ALPHAS", (0.01, 0.3))
    return made


@pytest.fixture
def bench(rivals, script, monkeypatch):
    learnt, made = script("concepts_learnt"), script("concepts")
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 3)
    monkeypatch.setattr(concepts_task, "FITTED", 64)
    monkeypatch.setattr(learnt, "timed", lambda run: 0.4)
    monkeypatch.setattr(learnt, "BLOCKS", 1)
    monkeypatch.setattr(learnt.REPLAY.arguments["start"], "arguments", {"size": 64, "restart": 0.5})
    return made


def run(bench, codec, folder, *more):
    bench.main([*QUICK, "--codec", str(codec), "--out", str(folder / "out"), "--runs", str(folder / "runs"), *more])
    return {path.stem: json.loads(path.read_text()) for path in (folder / "out").glob("*.json")}


def test_every_row_is_trained_drawn_read_and_told(bench, codecs, tmp_path, capsys):
    told = run(bench, codecs["solids"], tmp_path)
    assert set(told) == set(bench.ROWS)
    ours, whole = told["parts"], told["whole"]
    for name, row in told.items():
        assert row["updates"] == 4 and row["cpu_seconds"] > 0 and row["reader"] > 0.9 and row["codec"] == "solids"
        # as many weights as the sum over parts has, and no layer's width more
        assert ours["weights"] <= row["weights"] < 1.3 * ours["weights"] + 20000, name
        assert 0 <= row["and_seen"] <= 1 and 0 <= row["not_leak"] <= 1 and row["seconds_64"] > 0
        assert ("or_tv" in row) == ("nested" in row) == (name != "guidance")
    # three levels: a step and one correction each, of one member; or four of them of four members and the prior
    assert ours["gradients"] < whole["gradients"] / 4
    assert told["whole-smc"]["gradients"] > 6 * whole["gradients"] and told["sum"]["gradients"] < whole["gradients"]
    assert told["joint"]["gradients"] == ours["gradients"] and whole["cpu_minutes"] == told["sum"]["cpu_minutes"]
    assert told["classifiers"]["cpu_minutes"] > told["classifiers"]["cpu_seconds"] / 60
    assert [one["strength"] for one in told["sum"]["tried"]] == [0.01, 0.3]
    assert told["sum"]["not_leak"] == min(one["not_leak"] for one in told["sum"]["tried"] if one["strength"]
                                          == told["sum"]["strengths"]["not_leak"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "true images" in printed and "which are not counted" in printed and "published" not in printed
