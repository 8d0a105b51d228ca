"""The benchmark of decomposing images: both loops agree, the check has teeth, counts are right, jobs go on."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch


@pytest.fixture
def bench(script):
    return script("decomposition")


@pytest.fixture
def case(bench):
    return bench.Case(2, 3, 2, 12, 8)


def test_json_stands_alone_and_holds_equal_losses_and_counts(bench, capsys, tmp_path):
    flags = ["--quick", "--json", "--rounds", "1", "--no-quality", "--images", "0"]
    bench.main([*flags, "--out", str(tmp_path / "result.json")])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert [(r["components"], r["side"]) for r in result["training"]] == [(2, 12), (4, 12)]
    for r in result["training"]:
        k, n = r["components"], r["steps"]
        assert max(r["differences"]["ours"]) < 1e-4 and r["moved"] > 1e-4 and min(r["ratios"]["ours"]) > 0
        assert r["per_image"]["plain"] == {"energies": k * n + 2 * k, "gradients": k * n}
        assert r["per_image"]["ours"] == r["per_image"]["bf16"] == {"energies": k * n, "gradients": k * n}
    comet, *experts = result["inference"]
    k, n = comet["components"], comet["steps"]
    each = {"energies": 2 * k * n + k, "gradients": 2 * k * n + k}
    assert comet["difference"] < 1e-4 and comet["per_image"] == {"plain": each, "ours": each}
    assert {r["net"] for r in experts} == {"tetrominoes", "scenes-objects"}
    assert all(min(r["per_image"]["ours"].values()) >= 2 * r["components"] for r in experts)
    assert [(r["components"], r["steps"]) for r in result["memory"]] == [(1, 1), (1, 3), (2, 1), (2, 3)]
    assert result["quality"] == [] and result["job"] is None
    assert [v["met"] for v in result["verdicts"]] == [result["verdicts"][0]["ratio"] >= 3]


def test_full_runs_cover_the_promised_cases(bench):
    kinds = {(c.side, c.components, c.steps) for c in bench.cases(quick=False)}
    assert kinds == {(side, k, 10) for side in (36, 64) for k in (2, 4, 8)}


@pytest.mark.parametrize("wrong", ["gradient", "loss"])
def test_nothing_is_timed_where_the_sides_differ(bench, case, monkeypatch, wrong):
    right = bench.ours

    def ours(model, bf16=False):
        if wrong == "gradient":
            model.descent = replace(model.descent, gradient="full")
        else:
            model.descent = replace(model.descent, steps=case.steps - 1)
        return right(model, bf16)

    monkeypatch.setattr(bench, "ours", ours)
    monkeypatch.setattr(bench, "turns", None)
    with pytest.raises(RuntimeError, match="loss and gradient differ by"):
        bench.training(case, rounds=1, seed=0)


def test_memory_grows_with_steps_in_the_plain_loop_alone(bench, case):
    peaks = {}
    for steps in (2, 8):
        torch.manual_seed(0)
        made = bench.sides(bench.network(case._replace(steps=steps)))
        peaks[steps] = {name: bench._peak_bytes(side, *bench.random_batch(case))[1] for name, side in made.items()}
    grown = {name: peaks[8][name] - peaks[2][name] for name in peaks[2]}
    assert grown["plain"] > peaks[2]["plain"] and grown["ours"] < 0.05 * grown["plain"], "frames alone are kept"


@pytest.mark.parametrize(("goal", "name"), [(-2.0, "tetrominoes"), (2.0, "comet-code")])
def test_quality_says_when_or_that_it_was_not_reached(bench, monkeypatch, goal, name):
    monkeypatch.setattr(bench, "GOAL", goal)
    row = bench.quality(name, limit=0.0, every=0.0, seed=0, quick=True)
    (point,) = row["curve"]
    assert point["updates"] == 1 and point["cpu_s"] > 0 and row["best"] == point["fg_ari"]
    assert point["energies"] == 4 * 4 * (1 if name == "tetrominoes" else 10), "batch, components, steps"
    assert row["reached"] == (point if goal < 0 else None)
    said = " ".join(bench._said({"verdicts": [], "quality": [row], "job": None}))
    assert ("not reached" in said) == (goal > 1)


def test_a_training_is_taken_up_after_every_score(bench, monkeypatch):
    monkeypatch.setattr(bench, "GOAL", 2.0)
    row = bench.quality("tetrominoes", limit=0.3, every=0.1, seed=0, quick=True)
    points = row["curve"]
    assert len(points) > 1 and points[-1]["cpu_s"] >= 0.3 > points[-2]["cpu_s"]
    assert all(a["updates"] < b["updates"] and a["cpu_s"] < b["cpu_s"] for a, b in pairwise(points))


@pytest.mark.slow
def test_a_job_that_is_killed_goes_on_and_accounts_for_every_image(bench, monkeypatch):
    monkeypatch.setattr(bench, "BROKEN_EVERY", 50)
    told = bench.batch_job(200, seed=0, quick=True)
    assert told["killed"]["killed"] and told["sample"]["killed"] and told["sample"]["same_files"]
    assert told["broken"] == 4 and told["all_accounted"] and told["resumed"]["counts"]["before"] > 0
    assert told["killed"]["resident_mib"]["most"] > 100
