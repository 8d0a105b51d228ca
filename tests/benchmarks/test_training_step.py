"""The training-step benchmark: both loops agree, the check has teeth, and what it prints."""

import json
from dataclasses import replace

import pytest
import torch


@pytest.fixture
def bench(script):
    return script("training_step")


@pytest.fixture
def case(bench):
    return next(c for c in bench.cases(quick=True) if c.net == "comet-64" and c.components == 3)


def contenders(bench, case, variants=()):
    torch.manual_seed(0)
    made = bench.sides(bench.build(case), list(variants))
    return made, torch.rand(2, 3, case.side, case.side), torch.rand(2, 3, case.side, case.side)


def test_json_stands_alone_and_holds_equal_losses_and_gradients(bench, capsys, tmp_path):
    bench.main(["--quick", "--json", "--rounds", "1", "--out", str(tmp_path / "result.json")])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert {(r["net"], r["components"]) for r in result["cases"]} >= {("comet-64", 3), ("ours-28", 3), ("ours-28", 1)}
    for row in result["cases"]:
        assert row["loss_rel_diff"] < 1e-4 and row["grad_rel_diff"] < 1e-4
        assert row["contiguous_loss_rel_diff"] < 1e-4 and row["contiguous_grad_rel_diff"] < 1e-4
        assert row["moved"] > 1e-4 and row["time_ratio"] > 0 and row["memory_ratio"] > 1


def test_full_runs_cover_the_promised_cases(bench):
    kinds = {(c.net, c.components, c.steps) for c in bench.cases(quick=False)}
    assert kinds == {(net, k, n) for net in ("comet-64", "ours-28") for k in (1, 3, 4) for n in (4, 10)}


def test_comets_networks_have_their_known_size(bench):
    case = next(c for c in bench.cases(quick=False) if (c.net, c.components) == ("comet-64", 4))
    model = bench.build(case)
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(model.energies) == pytest.approx(0.421e6, rel=2e-3)
    assert count(model.encoder) == pytest.approx(0.355e6, rel=2e-3)


def test_the_gradient_check_notices_another_gradient(bench, case, monkeypatch):
    true = bench.sides

    def through_all_steps(model, variants):
        made = true(model, variants)
        made["ours"].model.descent = replace(made["ours"].model.descent, gradient="full")
        return made

    assert bench.compare(case, [], rounds=1)["grad_rel_diff"] < 1e-4
    monkeypatch.setattr(bench, "sides", through_all_steps)
    assert bench.compare(case, [], rounds=1)["grad_rel_diff"] > 1e-4


def test_peak_memory_grows_with_steps_in_the_plain_loop_alone(bench, case):
    peaks = {}
    for steps in (2, 8):
        made, noise, image = contenders(bench, case._replace(steps=steps))
        peaks[steps] = {name: bench._peak_bytes(side, noise, image)[1] for name, side in made.items()}
    assert peaks[8]["plain"] > 3 * peaks[2]["plain"]
    assert peaks[8]["ours"] < 1.1 * peaks[2]["ours"]


@pytest.mark.parametrize("goal", [-1e9, 2.0])
def test_time_to_quality_says_when_or_that_it_was_not_reached(bench, monkeypatch, goal):
    monkeypatch.setattr(bench, "GOAL", goal)
    monkeypatch.setattr(bench, "SCORE_EVERY", 2)
    rows = {row["name"]: row for row in bench.quality(limit=0.0, quick=True)}
    assert set(rows) == {"ours", "founding"}
    for row in rows.values():
        assert row["spent_s"] > 0 and row["updates"] == bench.SCORE_EVERY
        assert row["seconds"] == (row["spent_s"] if goal < 0 else None)
        assert ("not reached" in bench._said(row)) == (goal > 1)


@pytest.mark.slow
def test_compiled_steps_give_the_same_gradient(bench, case, monkeypatch):
    compile_ = torch.compile  # without code generation, which takes minutes
    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_(function, backend="aot_eager", **how))
    row = bench.compare(case, ["compile"], rounds=1)
    assert row["compile_loss_rel_diff"] < 1e-4 and row["compile_grad_rel_diff"] < 1e-4
