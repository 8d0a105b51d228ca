"""Published models in the training loop, on disk and on the command line."""

import json

import pytest
import torch

from ergosum.baselines.rival import Rival
from ergosum.cli import main
from ergosum.recipes import find
from ergosum.runfolder import build, load_predictor, load_weights, read_json
from ergosum.settings import RIVALS, Experiment, PictureSettings, RivalSettings, from_dict, to_dict
from ergosum.training import loop
from ergosum.training.loop import train
from ergosum.training.processes import _refuse_uneven_shares

SMALL = {"pictures": {"side": 16}, "rival": {"width": 8, "latent": 4}}
FACTOR_KEYS = {"beta_vae", "factor_vae", "mig", "mcc", "sap", "dci", "factors", "codes"}


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["shapes-vae-b4-d64", "shapes-factor-vae", "shapes-info-gan"])
def test_an_interrupted_run_resumes_to_the_same_bits(name, learn, tmp_path):
    rhythm = {**SMALL, "optimiser": {"iterations": 6}, "checkpoint_every": 2}
    learn(tmp_path / "whole", name, **rhythm)
    learn(tmp_path / "parts", name, stop=3, **rhythm)
    assert len(learn(tmp_path / "parts", name, resume=True, **rhythm)) == 3
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    learn(tmp_path / "other", name, seed=1, **rhythm)
    assert weights(tmp_path / "whole") != weights(tmp_path / "other")


def test_a_model_that_codes_perfectly_or_not_at_all_is_not_dead(learn, tmp_path, monkeypatch):
    """The death watch is for descents that give back where they began; a coder begins nowhere."""
    monkeypatch.setattr(loop, "DEAD_AFTER", 2)
    monkeypatch.setattr(loop, "DEAD_SHARE", 1e9)
    assert len(learn(tmp_path, "shapes-additive", optimiser={"iterations": 6}, **SMALL)) == 6


def test_clipping_changes_nothing_where_adversaries_are_trained_but_what_it_says(learn, tmp_path):
    """A clip that is never reached is none; one that binds scales both sides alike, which AdamW hardly feels."""
    for clip in (0.0, 1e9, 1e-3):
        learn(tmp_path / str(clip), "shapes-factor-vae", **SMALL, optimiser={"iterations": 6, "clip": clip, "ema": 0.0})
    assert weights(tmp_path / "0.0") == weights(tmp_path / "1000000000.0")
    one, other = (load_weights(tmp_path / c / "model.safetensors") for c in ("0.0", "0.001"))
    for key in one:
        assert (one[key] - other[key]).abs().max() < 6 * 1e-3, f"{key} moved further apart than six steps can"


def test_weights_that_turn_nan_are_blamed_on_their_part(learn, tmp_path, monkeypatch):
    from ergosum.samplers.guards import NonFiniteError
    from ergosum.training import state

    def poisoned(experiment):
        model = build(experiment)
        next(model.decoder.parameters()).data.fill_(torch.nan)
        return model

    monkeypatch.setattr(state, "build", poisoned)
    with pytest.raises(NonFiniteError, match=r"iteration 1, first seen in the recomposed pictures"):
        learn(tmp_path, "shapes-vae-b4-d64", **SMALL)


@pytest.mark.parametrize("kind", RIVALS)
def test_every_kind_is_built_from_its_settings(kind):
    k = 3 if kind in ("monet", "slot_attention", "additive") else 1
    experiment = Experiment(
        task="recomposition", predictor=kind, pictures=PictureSettings(name="shapes", side=32, fewest=1, most=1),
        rival=RivalSettings(latent=6, components=k, width=8),
    )  # fmt: skip
    model = build(experiment)
    assert isinstance(model, Rival) and model.encode(torch.rand(2, 3, 32, 32)).shape == (2, k, 6)
    assert from_dict(Experiment, to_dict(experiment)) == experiment


def test_a_recipe_written_before_there_were_rivals_is_read_as_it_was():
    old = to_dict(find("tetrominoes"))
    del old["rival"]
    assert from_dict(Experiment, old) == find("tetrominoes")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "prediction"}, "predictor: expected 'decomposer' or 'feedforward' for prediction"),
        ({"predictor": "feedforward"}, "anything but 'feedforward' for recomposition"),
        ({"pictures": {"side": 36}}, "pictures.side: expected a multiple of 16 for a published model, got 36"),
        ({"rival": {"components": 2}}, "rival.components: expected 1 for vae"),
        ({"predictor": "monet"}, "rival.components: expected at least 2 for monet and slot_attention, got 1"),
        ({"rival": {"beta": -1.0}}, "rival.beta: expected a number >= 0, got -1.0"),
        ({"rival": {"gamma": -1.0}}, "rival.gamma"),
        ({"rival": {"information": -1.0}}, "rival.information"),
        ({"rival": {"latent": 0}}, "rival.latent: expected an integer >= 1"),
        ({"rival": {"components": 0}}, "rival.components: expected an integer >= 1"),
        ({"rival": {"width": 2}}, "rival.width: expected an integer >= 4"),
        ({"devices": 2}, "devices: expected 1 with .* a published model"),
        ({"freeze_encoder": True}, "'decomposer' with active components or a frozen encoder"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        find("still-vae-b4-d64").but(**changes)


@pytest.mark.parametrize("name", ["still-vae-b4-d64", "tetrominoes"])
def test_processes_that_torchrun_started_are_refused_too(name):
    _refuse_uneven_shares(find(name), 1)
    with pytest.raises(ValueError, match=r"published models depend on .* expected one process, got 2"):
        _refuse_uneven_shares(find(name), 2)


@pytest.fixture(scope="module")
def coded(tmp_path_factory, learn):
    """The folder of a tiny MONet on shapes."""
    folder = tmp_path_factory.mktemp("runs") / "monet"
    learn(folder, "shapes-monet", pictures={"side": 16}, rival={"width": 8, "latent": 3})
    return folder


def test_a_run_is_scored_from_the_command_line(coded, capsys):
    assert main(["score", str(coded), "--json", "--n", "16"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) >= FACTOR_KEYS | {"mse", "psnr", "mse_mean", "psnr_mean", "factor_rows"}
    assert told["factors"] == ["shape", "scale", "orientation", "x", "y"] and told["factor_n"] == 400
    assert "fg_ari" not in told, "one shape is no scene of several"
    assert read_json(coded / "scores.json") == told
    assert main(["score", str(coded), "--n", "8"]) == 0
    said = capsys.readouterr().out
    assert "random encoder" in said and "beta_vae" in said and "mse_mean" in said


@pytest.mark.parametrize("command", ["decompose {run} --out {out}", "recombine {run} --out {out}", "report {run}"])
def test_commands_for_energies_refuse_a_published_model(command, coded, tmp_path, capsys):
    assert main(command.format(run=coded, out=tmp_path / "out").split()) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_can_be_trained_from_the_command_line(tmp_path, capsys):
    run = str(tmp_path / "vae")
    small = ["--pictures.side", "16", "--pictures.count", "16", "--rival.width", "8", "--rival.beta", "2",
             "--optimiser.batch", "4", "--optimiser.iterations", "2", "--accelerator", "cpu"]  # fmt: skip
    assert main(["train", "shapes-vae-b1-d64", "--out", run, *small]) == 0
    experiment, model = load_predictor(tmp_path / "vae")
    assert experiment.rival.beta == 2 and isinstance(model, Rival) and not model.training
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--help"])
    assert stopped.value.code == 0 and "rival.gamma" in capsys.readouterr().out


def test_training_has_the_stored_pictures_of_the_settings(tmp_path, tiny):
    experiment = tiny("shapes-vae-b1-d64", **SMALL)
    for _ in train(experiment, tmp_path, accelerator="cpu"):
        pass
    about = read_json(tmp_path / "run.json")
    assert about["source"] == "shapes" and about["data_sha256"].startswith("shapes-")
    assert about["copy_error"] > 0 and about["error"] > 0
