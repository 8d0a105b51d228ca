"""Published models in the training loop, on disk and on the command line."""

import json

import pytest
import torch

from ergosum.cli import main
from ergosum.decomposition import BetaVae, Coding, FactorVae, ImageBaseline, InfoGan, Monet, SlotAttention
from ergosum.decomposition.baselines import Additive
from ergosum.decomposition.recipes import recipes
from ergosum.files import read_json
from ergosum.part import Part
from ergosum.training import loop
from ergosum.training.experiment import from_dict, to_dict
from ergosum.training.processes import _refuse_uneven_shares
from ergosum.training.runfolder import load_predictor, load_weights

FACTOR_KEYS = {"beta_vae", "factor_vae", "mig", "mcc", "sap", "dci", "factors", "codes"}


@pytest.fixture(scope="module")
def practise(learn):
    """Train a tiny recipe of a baseline on images of 16 pixels."""
    small = {"data": {"side": 16}, "model": {"latent": 4, "width": 8}}

    def go(folder, recipe, **changes):
        return learn(folder, recipe, task=small, **changes)

    return go


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["shapes-vae-b4-d64", "shapes-factor-vae", "shapes-info-gan"])
def test_an_interrupted_run_resumes_to_the_same_bits(name, practise, tmp_path):
    rhythm = {"optimiser": {"iterations": 6}, "run": {"checkpoint_every": 2}}
    practise(tmp_path / "whole", name, **rhythm)
    practise(tmp_path / "parts", name, stop=3, **rhythm)
    assert len(practise(tmp_path / "parts", name, resume=True, **rhythm)) == 3
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    practise(tmp_path / "other", name, optimiser=rhythm["optimiser"], run={"checkpoint_every": 2, "seed": 1})
    assert weights(tmp_path / "whole") != weights(tmp_path / "other")


def test_a_model_that_codes_perfectly_or_not_at_all_is_not_dead(practise, tmp_path, monkeypatch):
    """The death watch is for descents that give back where they began; a coder begins nowhere."""
    monkeypatch.setattr(loop, "DEAD_AFTER", 2)
    monkeypatch.setattr(loop, "DEAD_SHARE", 1e9)
    assert len(practise(tmp_path, "shapes-additive", optimiser={"iterations": 6})) == 6


def test_clipping_changes_nothing_where_adversaries_are_trained_but_what_it_says(practise, tmp_path):
    """A clip that is never reached is none; one that binds scales both sides alike, which AdamW hardly feels."""
    for clip in (0.0, 1e9, 1e-3):
        practise(tmp_path / str(clip), "shapes-factor-vae", optimiser={"iterations": 6, "clip": clip, "ema": 0.0})
    assert weights(tmp_path / "0.0") == weights(tmp_path / "1000000000.0")
    one, other = (load_weights(tmp_path / c / "model.safetensors") for c in ("0.0", "0.001"))
    for key in one:
        assert (one[key] - other[key]).abs().max() < 6 * 1e-3, f"{key} moved further apart than six steps can"


def test_weights_that_turn_nan_are_located(practise, tmp_path, monkeypatch):
    from ergosum.samplers.guards import NonFiniteError

    right = Coding.build

    def poisoned(task):
        model = right(task)
        next(model.decoder.parameters()).data.fill_(torch.nan)
        return model

    monkeypatch.setattr(Coding, "build", poisoned)
    with pytest.raises(NonFiniteError, match=r"iteration 1, first seen in the recomposed images"):
        practise(tmp_path, "shapes-vae-b4-d64")


@pytest.mark.parametrize("kind", [BetaVae, FactorVae, InfoGan, Monet, SlotAttention, Additive])
def test_every_kind_is_built_from_its_recipe(kind):
    k = 3 if kind in (Monet, SlotAttention, Additive) else 1
    arguments = {"latent": 6, "width": 8} | ({"components": k} if k > 1 else {})
    experiment = recipes()["shapes-monet"]().but(task={"model": Part(kind, **arguments), "data": {"side": 32}})
    model = experiment.built().build()
    assert isinstance(model, ImageBaseline) and model.encode(torch.rand(2, 3, 32, 32)).shape == (2, k, 6)
    assert from_dict(json.loads(json.dumps(to_dict(experiment)))) == experiment


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Part(Monet, components=1), "components: expected a number >= 2, got 1"),
        (Part(SlotAttention, components=1), "components: expected a number >= 2, got 1"),
        (Part(BetaVae, beta=-1.0), "beta: expected a number >= 0, got -1.0"),
        (Part(BetaVae, likelihood="poisson"), "likelihood: expected one of gaussian, bernoulli, got 'poisson'"),
        (Part(FactorVae, gamma=-1.0), "gamma: expected"),
        (Part(InfoGan, information=-1.0), "information: expected"),
        (Part(BetaVae, latent=0), "latent: expected a number >= 1, got 0"),
        (Part(Additive, components=0), "components: expected a number >= 1, got 0"),
        (Part(BetaVae, width=2), "width: expected a number >= 4, got 2"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.build(side=16)


def test_a_published_model_has_one_latent_where_it_has_one_and_images_that_halve_four_times():
    with pytest.raises(ValueError, match="BetaVae takes no 'components'"):
        Part(BetaVae, components=2)
    with pytest.raises(ValueError, match=r"data.side: expected a multiple of 16 for a published model, got 36"):
        recipes()["still-vae-b4-d64"]().but(task={"data": {"side": 36}}).built()


@pytest.mark.parametrize("name", ["still-vae-b4-d64", "tetrominoes", "scenes-global"])
def test_several_processes_are_refused(name):
    undivided = recipes()[name]().built().undivided
    _refuse_uneven_shares(32, undivided, 1)
    with pytest.raises(ValueError, match=r"for the batch, so one process .* expected one, got 2"):
        _refuse_uneven_shares(32, undivided, 2)


@pytest.fixture(scope="module")
def coded(tmp_path_factory, practise):
    """The folder of a tiny MONet on shapes."""
    folder = tmp_path_factory.mktemp("runs") / "monet"
    practise(folder, "shapes-monet")
    return folder


def test_a_run_is_scored_from_the_command_line(coded, capsys):
    assert main(["score", str(coded), "--n", "8"]) == 0
    said = capsys.readouterr().out
    assert "random encoder" in said and "beta_vae" in said and "mse_mean" in said
    told = read_json(coded / "scores.json")
    assert set(told) >= FACTOR_KEYS | {"mse", "psnr", "mse_mean", "psnr_mean", "factor_rows"}
    assert told["factors"] == ["shape", "scale", "orientation", "x", "y"] and told["factor_n"] == 200
    assert "fg_ari" not in told, "one shape is no scene of several"


@pytest.mark.parametrize("command", ["decompose {run} --out {out}", "recombine {run} --out {out}"])
def test_commands_for_energies_refuse_a_published_model(command, coded, tmp_path, capsys):
    assert main(command.format(run=coded, out=tmp_path / "out").split()) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is a Monet, a baseline that is only trained and scored" in said


def test_a_run_can_be_trained_from_the_command_line(tmp_path, capsys):
    run = str(tmp_path / "vae")
    small = ["--data.side", "16", "--count", "16", "--model.width", "8", "--model.beta", "2", "--optimiser.batch", "4",
             "--optimiser.iterations", "2", "--accelerator", "cpu"]  # fmt: skip
    assert main(["train", "shapes-vae-b1-d64", "--out", run, *small]) == 0
    experiment, model = load_predictor(tmp_path / "vae")
    assert experiment.task.get("model").get("beta") == 2 and isinstance(model, BetaVae) and not model.training
    capsys.readouterr()
    assert main(["train", "shapes-factor-vae", "--help"]) == 0
    assert "--model.gamma" in capsys.readouterr().out


def test_training_has_the_stored_images_of_the_recipe(tmp_path, practise):
    practise(tmp_path, "shapes-vae-b1-d64")
    about = read_json(tmp_path / "run.json")
    assert about["source"] == "shapes" and about["data_sha256"].startswith("shapes-")
    assert about["copy_error"] > 0 and about["error"] > 0
