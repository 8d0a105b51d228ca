"""The comparison of densities: budgets, what is measured, rows that fail, and what an update costs."""

import json
import sys

import pytest
import torch

from ergosum.density import Density, Pixels
from ergosum.part import Part

QUICK = ["--source", "digits", "--minutes", "0.01", "--n", "20"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Weights of all tests, so that the autoencoder is trained once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def bench(script, monkeypatch, runs):
    made = script("densities")
    for name, value in {"TIMED": 1, "MARKS": 2, "READ": 20, "LONGER": (3,)}.items():
        monkeypatch.setattr(made, name, value)
    monkeypatch.setattr(made, "timed", lambda run: 0.3)
    made.kept = runs
    small = Part(made.Landscape, body=Part(made.LevelMlp, width=16, blocks=1))
    cd = made.drawn(Part(made.FromData), 2)
    monkeypatch.setitem(made.ROWS, "cd", made.ROWS["cd"]._replace(family=small, objective=cd, optimiser={"batch": 8}))
    return made


def run(bench, folder, *more):
    bench.main([*QUICK, "--out", str(folder / "out"), "--runs", str(bench.kept), *more])
    return json.loads((folder / "out" / f"{more[-1]}.json").read_text())


def test_a_row_tells_its_cost_and_what_true_images_come_to_and_is_kept(bench, tmp_path, capsys, monkeypatch):
    told = run(bench, tmp_path, "--pictures", str(tmp_path / "pictures"), "--row", "cd")
    assert told["reader"] > 0.95 > told["sample_accuracy"] and told["kid_true"] < told["kid"]
    assert told["cpu_minutes"] == pytest.approx((told["codec_seconds"] + told["cpu_seconds"]) / 60)
    assert set(told["steps_tried"]) == {"40", "3"} and str(told["steps"]) in told["steps_tried"]
    assert told["codec_updates"] == 8 and told["updates"] == 2 and told["diverged"] == 0
    minutes = [point["minutes"] for point in told["curve"]]
    assert len(minutes) >= 2 and minutes == sorted(minutes) and minutes[0] > told["codec_seconds"] / 60
    assert told["minutes_to_goal"] is None and (tmp_path / "pictures" / "cd.png").exists()
    printed = capsys.readouterr().out
    assert "cd" in printed and "true images" in printed
    monkeypatch.setattr(bench, "ROWS", {name: bench.ROWS[name] for name in ("cd",)})
    monkeypatch.setattr(bench, "row_of", lambda *_: pytest.fail("trained again"))
    bench.main([*QUICK, "--out", str(tmp_path / "out"), "--json"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [told]


@pytest.mark.slow
def test_a_row_that_diverges_is_counted(bench, tmp_path, monkeypatch):
    wild = Part(bench.ContrastiveDivergence, start=Part(bench.FromData), sampler=bench.langevin(1, 0.02), bound=1e-9)
    monkeypatch.setitem(bench.ROWS, "cd", bench.ROWS["cd"]._replace(objective=wild))
    told = run(bench, tmp_path, "--row", "cd")
    assert told["went_back"] == 3 and told["diverged"] == 1 and "bound" in told["why"]


@pytest.mark.parametrize("objective, brought", [(0.0, True), (1.0, False), (None, False)])
def test_classes_that_denoising_left_on_scales_of_their_own_are_brought_to_one(bench, monkeypatch, objective, brought):
    """Energies that are alike but for 30 nats of one class: fitted, that class is as likely as its share again."""
    training = bench.Judge("digits", 60, 0).training
    family = Part(bench.LevelEnergy, form=Part(bench.InnerProduct, body=Part(bench.LevelMlp, width=8, blocks=1)))
    space = Part(bench.Codes, codec=Part(bench.Autoencoder, latent=4, width=4), share=0.0)
    model = Density(names=training.names, side=28, space=space, family=family)
    plain = model.family.log_density
    monkeypatch.setattr(model.family, "log_density", lambda x, s, c: plain(x, s, c) + 30.0 * (c == 3))
    learns = None if objective is None else Part(bench.DenoisingScore, time=objective)
    bench.on_one_scale(bench.ROWS["levels-pixels"]._replace(objective=learns), model, training, 500, 0)
    points = model.encode(training.images[:5]).detach()
    read = bench.posterior(bench.log_densities(model, points, (0.5,), torch.Generator().manual_seed(0)))
    assert torch.allclose(read.sum(1), torch.ones(5))
    assert (read[:, 3] < 0.2).all() if brought else (read[:, 3] > 0.99).all()


def test_nine_of_ten_draws_read_right_reach_the_goal(bench, tmp_path, monkeypatch):
    share = (torch.arange(100) < 90).float().mean().item()
    assert share < bench.GOAL  # in 32 bits, which is what draws are counted in
    monkeypatch.setattr(bench.Judge, "read", lambda *_: share)
    told = run(bench, tmp_path, "--row", "cd")
    assert told["minutes_to_goal"] == told["curve"][0]["minutes"]


def test_updates_follow_from_the_budget(bench, tmp_path):
    row = bench.ROWS["cd"]
    codec = bench.codec_of(bench.kept, "digits", 0, bench.CODEC * 0.6)["folder"]
    for seconds, updates in ((0.6, 2), (1.5, 5)):
        trained = bench.own(row, "digits", codec, 0, seconds, tmp_path / "row", lambda *_: None)
        assert trained.told["updates"] == updates


def test_copies_and_blank_images_are_told_from_draws(bench):
    judge = bench.Judge("digits", 60, 0)
    known = judge.training
    model = Density(names=known.names, side=28, space=Part(Pixels), family=Part(bench.Landscape))
    by_class = [known.images[known.labels == c] for c in range(10)]
    drawn = {
        "copies": lambda c, g: model.encode(torch.stack([by_class[int(k)][i] for i, k in enumerate(c)])),
        "blank": lambda c, g: -torch.ones(len(c), 1, 28, 28),
    }
    told = {name: bench.measure(model, draw, judge, 20, 20, 1, 0) for name, draw in drawn.items()}
    assert told["copies"]["copies"] == 1 and told["copies"]["nearest"] < 1e-3
    assert told["copies"]["sample_accuracy"] > 0.9 and told["blank"]["sample_accuracy"] == pytest.approx(0.1)
    assert told["blank"]["kid"] > told["copies"]["kid"]


def test_a_library_that_is_not_there_leaves_its_row_out(bench, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ebm", None)
    bench.main([*QUICK, "--out", str(tmp_path / "out"), "--runs", str(bench.kept), "--row", "ebmkit"])
    assert "ebmkit: left out" in capsys.readouterr().err and not (tmp_path / "out" / "ebmkit.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("row", "module"), [("torchebm", "torchebm"), ("ebmkit", "ebm")])
def test_other_libraries_train_the_same_network(bench, tmp_path, monkeypatch, row, module):
    pytest.importorskip(module)
    monkeypatch.setitem(bench.ROWS, row, bench.ROWS[row]._replace(family=bench.ROWS["cd"].family))
    told = run(bench, tmp_path, "--row", row)
    assert told["updates"] >= 2 and told["weights"] == sum(
        p.numel() for p in bench.ROWS["cd"].family.build(event=(24,), classes=10).parameters()
    )
    assert "sample_accuracy" in told


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--n", "5"]])
def test_budgets_out_of_range_are_refused(bench, tmp_path, wrong):
    with pytest.raises(SystemExit):
        bench.main(["--out", str(tmp_path), *wrong])


def test_costs_are_in_updates_of_a_denoiser(script, tmp_path, capsys):
    bench = script("densities_cost")
    bench.main(["--quick", "--rounds", "2", "--json", "--out", str(tmp_path / "cost.json")])
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "cost.json").read_text())
    for space in ("codes", "pixels"):
        told = {row["objective"]: row for row in result["spaces"][space]}
        assert told["denoiser"]["ratio"] == 1 and {"denoising", "chains from data", "JEM over levels"} <= set(told)
        assert all(row["ms"] > 0 and row["ratio_range"][0] <= row["ratio_range"][1] for row in told.values())


def test_an_update_by_chains_takes_a_gradient_for_every_step(script, monkeypatch):
    bench = script("densities_cost")
    counted = []
    forward = bench.LevelMlp.forward
    monkeypatch.setattr(bench.LevelMlp, "forward", lambda self, *a: counted.append(1) or forward(self, *a))
    sides = bench.contenders((24,), Part(bench.LevelMlp, width=8, blocks=1), 4, 5, 0)
    for name, times in {"denoiser": 1, "denoising": 1, "chains from data": 6, "classifier": 1}.items():
        counted.clear()
        sides[name]()
        assert len(counted) == times, name
