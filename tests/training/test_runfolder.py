"""What lies on disk is old or new, never half, and what is broken is named."""

import errno
import os
import shutil

import pytest
import torch
from safetensors import SafetensorError

from ergosum.files import read_json, write_json
from ergosum.training import runfolder
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor, load_recipe, load_weights, owned, save_weights


@pytest.fixture
def broken(trained, tmp_path):
    """A copy of a trained run, to break."""
    return shutil.copytree(trained, tmp_path / "run")


def test_a_trained_predictor_is_loaded_as_it_was_saved(trained):
    experiment, predictor = load_predictor(trained)
    assert experiment == load_recipe(trained) and not predictor.training
    stored = load_weights(trained / "model.safetensors")
    assert all(torch.equal(v, stored[k]) for k, v in predictor.state_dict().items())


def test_a_full_disk_while_weights_are_written_is_an_os_error(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(runfolder, "save_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_weights(tmp_path / "model.safetensors", {"a": torch.zeros(2)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 5, 100, 0.9])
def test_truncated_weights_are_refused(broken, keep):
    path = broken / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match=r"model.safetensors is truncated or not safetensors"):
        load_predictor(broken)


def test_weights_that_are_not_finite_are_refused_by_name(broken):
    state = load_weights(broken / "model.safetensors")
    state["encoder.head.0.bias"][3] = torch.inf
    save_weights(broken / "model.safetensors", state)
    with pytest.raises(ValueError, match=r"non-finite weights in 'encoder.head.0.bias'"):
        load_predictor(broken)


def test_missing_weights_and_folders_are_told_apart(broken, tmp_path):
    (broken / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="has not reached its first checkpoint"):
        load_predictor(broken)
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has no recipe.json"):
        load_predictor(tmp_path)


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("task.model.energy.width", 8, "do not fit its recipe.json"),
        ("task.models", {}, r"takes no 'models'; did you mean model"),
        ("optimizer", {}, "unknown field"),
        ("task.model.descent.steps", "four", r"task\.model\.descent\.steps: expected an integer, got 'four'"),
        ("task.model.energy", {"class": "DigitSequences"}, "DigitSequences is no Conditional; expected one such as"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(broken, path, value, message):
    recipe = read_json(broken / "recipe.json")
    *sections, last = path.split(".")
    held = recipe
    for name in sections:
        held = held.setdefault(name, {})
    held[last] = value
    write_json(broken / "recipe.json", recipe)
    with pytest.raises(ValueError, match=message):
        load_predictor(broken)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", "7"])
def test_a_recipe_that_is_no_json_object_is_refused(broken, text):
    (broken / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"not valid JSON|expected fields by name"):
        load_predictor(broken)


def test_a_run_is_found_by_its_path_as_text_and_a_card_by_its_name(trained):
    assert load_predictor(str(trained))[0] == load_predictor(trained)[0]
    assert load_predictor("digits-colour")[1].components == ("colour",)


def test_the_recipe_says_which_model_is_built(tiny):
    kinds = {n: type(tiny(n).built().build()).__name__ for n in ("colour", "feedforward-unet-colour", "tetrominoes")}
    assert list(kinds.values()) == ["TemporalDecomposer", "FeedForwardUNet", "ImageDecomposer"]


def test_a_folder_belongs_to_one_run_at_a_time_and_is_free_after_it(tmp_path):
    with owned(tmp_path / "run"):
        with pytest.raises(BlockingIOError, match=rf"is being trained by another process \(process {os.getpid()}\)"):
            with owned(tmp_path / "run"):
                pass
    with owned(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").read_text() == f"process {os.getpid()}"
    with pytest.raises(KeyError), owned(tmp_path / "run"):
        raise KeyError
    assert (tmp_path / "run" / ".lock").read_text() == ""


def test_a_file_system_without_locks_trains_without_one(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with owned(tmp_path):
        assert (tmp_path / ".lock").is_file()


def test_a_second_training_is_refused_at_once_even_before_there_is_a_checkpoint(tiny, tmp_path):
    first = train(tiny(), tmp_path, accelerator="cpu")
    next(first)
    before = (tmp_path / "recipe.json").read_bytes()
    assert not (tmp_path / "checkpoint.pt").exists()
    for resume in (False, True):
        with pytest.raises((BlockingIOError, FileNotFoundError), match=r"being trained by another|Nothing to resume"):
            next(train(tiny("angle"), tmp_path, resume, "cpu"))
    assert (tmp_path / "recipe.json").read_bytes() == before
    first.close()
    assert list(train(tiny(), tmp_path, resume=True, accelerator="cpu"))
