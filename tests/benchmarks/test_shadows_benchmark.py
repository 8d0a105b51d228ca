"""Shadows told apart, condition by condition."""

import importlib

import torch


def test_every_condition_has_a_row_and_what_is_missing_is_said(script, capsys, monkeypatch):
    module = script("shadows")
    find = importlib.import_module

    def missing(name, *rest):
        if name == "mujoco":
            raise ModuleNotFoundError("No module named 'mujoco'")
        return find(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    rows = module.main(["scenes-objects", "--n", "6", "--noise", "0.3"])
    said = capsys.readouterr().out
    assert "Without MuJoCo's renderer: MuJoCo is not installed" in said and "n = 6" in said
    drawn, in_bytes, noisy = rows
    assert [row["row"] for row in rows] == ["as drawn", "as bytes", "noise of 0.3"]
    assert drawn["ari_apart"] > 0.95 > drawn["ari"] and drawn["shadow_iou"] > 0.9
    assert abs(in_bytes["ari_apart"] - drawn["ari_apart"]) < 0.01
    assert noisy["ari_apart"] < drawn["ari_apart"] - 0.02, "noise hides the hue"


def test_scenes_without_shadows_have_no_overlap_to_score(script):
    module = script("shadows")
    task, model = module.load_decomposer("scenes-objects")
    data = task.held_out(4, torch.Generator().manual_seed(5))
    told = module.scored(model, data.images, data.masks, torch.zeros_like(data.masks[:, 1:]), torch.Generator())
    assert "shadow_iou" not in told and told["ari_apart"] > 0.9
