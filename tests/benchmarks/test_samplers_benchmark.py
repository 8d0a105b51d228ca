"""The benchmark of samplers: what it prints, what it counts, and that it runs alone."""

import importlib
import json

import pytest
import torch

SIDES = {"ours", "plain", "lean", "torchebm", "ebmkit"}


@pytest.fixture
def bench(script):
    return script("samplers")


@pytest.fixture
def alone(bench, monkeypatch):
    """The benchmark where no peer can be imported."""
    real = importlib.import_module

    def without_peers(name, *rest):
        if name.split(".")[0] in bench.MODULES.values():
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without_peers)
    return bench


def ran(bench, capsys, *flags):
    bench.main(["--quick", "--json", *flags])
    told = capsys.readouterr()
    return json.loads(told.out), told.err


def test_json_holds_a_row_for_each_case(bench, capsys, tmp_path):
    result, _ = ran(bench, capsys, "--out", str(tmp_path / "result.json"))
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert [row["case"] for row in result["cases"]] == [case.name for case in bench.cases(quick=True)]
    for row in result["cases"]:
        able = {side for side in SIDES if row[side] is not None}
        assert "ours" in able and able == set(row["ops"]) == set(row["peak_kib"]) == set(row["law"])
        assert set(row["notes"]) == SIDES - able
        assert all(row[side] > 0 and row["ops"][side] > 0 and row["peak_kib"][side] > 0 for side in able)
        for side in SIDES - {"ours"}:
            assert (row["ratios"][side] is None) == (side not in able)
        assert row["difference"] < 1e-4
        assert row["gradients"]["ours"] == pytest.approx(8 if row["kernel"] == "tempering" else 1)
    assert {(row["target"], row["kernel"]) for row in result["ess"]} >= {("ring-8", "tempering"), ("correlated", "hmc")}
    assert all(row["ess_per_s"]["ours"] > 0 for row in result["ess"])
    assert all(verdict.keys() == {"target", "case", "ratio", "limit", "met"} for verdict in result["verdicts"])


def test_it_runs_without_peers_and_says_so(alone, capsys):
    result, error = ran(alone, capsys)
    assert result["peers"] == {"torchebm": None, "ebmkit": None}
    for name in result["peers"]:
        assert error.count(f"note: {name} is not installed") == 1
        assert all(row[name] is None and row["notes"][name] == "not installed" for row in result["cases"])
        assert all(row["ess_per_s"][name] is None for row in result["ess"])
    assert {verdict["target"] for verdict in result["verdicts"]} == {"Langevin against lean"}


def test_conditions_of_one_network_take_one_call_of_ours(bench):
    case = bench.Case("langevin", "shared", 4, 2, 1e-3, 8)
    on = bench.subject(case, 1)
    made = bench.walks(case.kernel, on, case.step_size)
    counts = {side: bench._counts(made[side], on, case, 1) for side in ("ours", "plain", "lean")}
    assert {side: (found["calls"], found["gradients"]) for side, found in counts.items()} == {
        "ours": (1, 1), "plain": (4, 1), "lean": (4, 1)
    }  # fmt: skip


@pytest.mark.parametrize("workload", ["ring-8", "separate", "shared", "shared-early"])
def test_every_side_has_the_same_energy(bench, workload):
    case = bench.Case("langevin", workload, 1 if workload == "ring-8" else 3, 2, 1e-3, 8)
    on = bench.subject(case, 1)
    torch.testing.assert_close(on.ours(on.x), on.loop(on.x), rtol=1e-4, atol=1e-5)


def test_the_law_notices_a_kernel_that_is_too_hot(bench, monkeypatch):
    monkeypatch.setitem(bench.BY_HAND["lean"], "mala", lambda energy, h: bench.plain_langevin(energy, h))
    bench._law.cache_clear()
    found = bench._law("mala", 1, False, 20_000, 1, frozenset({"ours", "plain", "lean"}))
    assert abs(found["ours"]) < 4 and abs(found["plain"]) < 4
    assert found["lean"] > 4


def test_a_target_is_missed_where_the_law_is_broken(bench):
    row = {"case": "c", "kernel": "langevin", "workload": "ring-8", "parts": 1, "batch": 4, "law": {"ours": 9.0},
           "ratios": {"plain": 0.5, "lean": 0.5, "torchebm": 0.5, "ebmkit": None}}  # fmt: skip
    assert [verdict["met"] for verdict in bench.verdicts([row])] == [False, False]
    assert all(verdict["met"] for verdict in bench.verdicts([row | {"law": {"ours": 1.0}}]))
