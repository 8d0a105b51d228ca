"""Nine formulas of the plane against their known answers."""

import math

import pytest
import torch


@pytest.fixture
def planar(script):
    return script("planar_tasks")


def grid(side=6.0, n=601):
    line = torch.linspace(-side / 2, side / 2, n, dtype=torch.float64)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2), (side / (n - 1)) ** 2


@pytest.mark.parametrize("sigma", [0.03, 0.3])
def test_boxes_and_circles_are_normalised_at_every_level_and_noise_adds_up(planar, sigma):
    x, cell = grid()
    for energy in (planar.BAR, planar.CIRCLES[0]):
        noised = energy.at_noise(sigma)
        assert ((-noised(x)).exp().sum() * cell).item() == pytest.approx(1, abs=2e-3)
        assert noised.at_noise(0.1).noise == pytest.approx(math.hypot(energy.noise, sigma, 0.1))
        drawn = noised.draw(20_000, torch.Generator().manual_seed(0)).double()
        # mean energy of draws is the entropy, which the grid knows: five deviations of the mean
        density = (-noised(x)).exp()
        entropy = (density * noised(x).nan_to_num(posinf=0)).sum().item() * cell
        told = noised(drawn)
        assert abs(told.mean().item() - entropy) < 5 * told.std().item() / len(drawn) ** 0.5 + 5e-3


def test_energies_far_from_a_box_are_finite_and_lead_back(planar):
    x = torch.tensor([[3.0, 3.0], [-3.0, 0.0]], requires_grad=True)
    value = planar.BAR(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert value.isfinite().all() and slope.isfinite().all() and slope[0, 0] > 0 > slope[1, 0]


EVERY = tuple(f"{kind} {letter}" for kind in ("and", "or", "not") for letter in "abc")
QUICK = ("and a", "not b", "not c")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in EVERY])
def test_exact_energies_solve_every_task(planar, name, monkeypatch):
    """AND with corrections and weights, OR by steps, NOT by the complement; tolerances by what the truth itself has."""
    monkeypatch.setattr(planar, "ALPHAS", (0.5,))
    for task in (t for t in planar.TASKS if t.name == name):
        told = {row["row"]: row for row in planar.rows(task, {"exact": task.sets}, 300, 0)}
        ours = told["exact"]
        assert ours["answered"] == (not task.name.endswith("c") or task.kind == "or")
        if task.truth is None:
            assert ours["hit"] == 0 and ours["together"] < planar.LEAST / 10
            continue
        true = told["truth"]
        assert ours["hit"] > 0.94 and ours["chamfer"] < 1.5 * true["chamfer"] + 0.005, task.name
        assert ours["tv"] < true["tv"] + 0.12, task.name
        if task.kind == "not":
            soft = max(row["hit"] for name, row in told.items() if name.startswith("soft"))
            assert soft < 0.5 < ours["hit"], "negative weights draw elsewhere"
        if task.kind == "and":
            assert told["steps alone"]["hit"] < ours["hit"] - 0.1, "a product is not drawn by steps alone"


def test_tasks_are_learned_told_and_kept(planar, tmp_path, capsys):
    out = tmp_path / "told.json"
    planar.main(["--n", "40", "--seconds", "0.03", "--draws", "32", "--tasks", "not c", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "learned" in shown and "none" in shown and "Training and log Z of 2 sets" in shown
    from ergosum.files import read_json

    held = read_json(out)
    assert held["n"] == 40 and {row["row"] for row in held["rows"]} >= {"exact", "learned", "soft, 0.5"}
    with pytest.raises(SystemExit):
        planar.main(["--n", "30"])
