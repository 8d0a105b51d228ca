"""The comparison with known densities."""

import json

import pytest
import torch


@pytest.fixture
def known(script):
    return script("known_truth")


def test_before_it_learns_an_energy_is_a_gaussian_whatever_its_network(known):
    """log Z against the truth is then that of two Gaussians, and the same for vectors and for images."""
    told = {}
    for body in ("mlp", "unet"):
        case = known.cases(1.0, body)["images"]._replace(width=8, blocks=1)
        torch.manual_seed(0)
        family = known.untrained(case, torch.Generator().manual_seed(0))
        assert family.event == ((784,) if body == "mlp" else (1, 28, 28))
        told[body] = known.compared(family, case, 20, 0)
    assert [row["sigma"] for row in told["unet"]] == [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0]
    for one, two in zip(told["mlp"], told["unet"], strict=True):
        for a, b in zip(one["conditions"], two["conditions"], strict=True):
            assert a == pytest.approx(b, rel=1e-4, abs=1e-2)
    assert told["unet"][0]["conditions"][0]["fisher"] > 100 * told["unet"][-1]["conditions"][0]["fisher"]


def test_networks_are_trained_and_told_apart(known, tmp_path, monkeypatch, capsys):
    out = tmp_path / "told.json"
    common = ["known_truth", "--case", "images", "--updates", "1", "--batch", "2", "--width", "8", "--n", "4"]
    for body in ("mlp", "unet"):
        monkeypatch.setattr("sys.argv", [*common, "--body", body, "--blocks", "1", "--out", str(out)])
        known.main()
    held = json.loads(out.read_text())
    assert [r["body"] for r in held] == ["mlp", "unet"] and all(r["updates"] == 1 for r in held)
    lines = known.summary(held).splitlines()
    assert len(lines) == 1 + 2 * 9 and lines[1].split()[:2] == ["images", "mlp"] and "unet" in lines[10]
    monkeypatch.setattr("sys.argv", ["known_truth", "--case", "plane", "--body", "unet"])
    with pytest.raises(SystemExit):
        known.main()
    assert "a U-Net sees images" in capsys.readouterr().err
