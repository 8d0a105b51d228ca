"""What lies on disk is old or new, never half, and what is broken is named."""

import errno
import json
import shutil

import pytest
import torch
from safetensors import SafetensorError

from ergosum import runfolder
from ergosum.runfolder import (
    build,
    load_predictor,
    load_recipe,
    load_weights,
    read_json,
    save_weights,
    write_atomically,
    write_json,
)


@pytest.fixture
def broken(trained, tmp_path):
    """A copy of a trained run, to break."""
    return shutil.copytree(trained, tmp_path / "run")


def test_a_trained_predictor_is_loaded_as_it_was_saved(trained):
    experiment, predictor = load_predictor(trained)
    assert experiment == load_recipe(trained) and not predictor.training
    stored = load_weights(trained / "model.safetensors")
    assert all(torch.equal(v, stored[k]) for k, v in predictor.state_dict().items())


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("file write failed"),
                SafetensorError("I/O error"), KeyError("bug")],
)  # fmt: skip
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, failure):
    path = tmp_path / "scores.json"
    write_json(path, {"old": 1})

    def half(temporary):
        temporary.write_text("{")
        raise failure

    with pytest.raises(KeyError if isinstance(failure, KeyError) else OSError) as caught:
        write_atomically(path, half)
    assert read_json(path) == {"old": 1} and [p.name for p in tmp_path.iterdir()] == ["scores.json"]
    assert isinstance(failure, KeyError) or f"Could not write {path}" in str(caught.value)


def test_a_full_disk_while_weights_are_written_is_an_os_error(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(runfolder, "save_file", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_weights(tmp_path / "model.safetensors", {"a": torch.zeros(2)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write_json(tmp_path / "file" / "scores.json", {})
    with pytest.raises(OSError):
        write_json(runfolder.Path("/proc/ergosum/scores.json"), {})


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
    "change, message",
    [
        ({"model": {"width": 8}}, "do not fit its recipe.json"),
        ({"models": {}}, "unknown field"),
        ({"descent": {"steps": "four"}}, "wrong type"),
        ({"model": {"energy": "conv"}}, "expected one of"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(broken, change, message):
    recipe = read_json(broken / "recipe.json")
    for key, value in change.items():
        recipe[key] = {**recipe.get(key, {}), **value}
    write_json(broken / "recipe.json", recipe)
    with pytest.raises(ValueError, match=message):
        load_predictor(broken)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", "7"])
def test_a_recipe_that_is_no_json_object_is_refused(broken, text):
    (broken / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"not valid JSON|expected fields by name"):
        load_predictor(broken)


def test_json_is_written_to_be_read_by_people_and_programs(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": [1.5]})
    text = (tmp_path / "deep" / "a.json").read_text()
    assert json.loads(text) == {"b": [1.5]} and text.endswith("\n") and "\n " in text


def test_the_recipe_says_which_predictor_is_built(tiny):
    kinds = {n: type(build(tiny(n))).__name__ for n in ("colour", "feedforward-unet-colour")}
    assert kinds == {"colour": "Decomposer", "feedforward-unet-colour": "FeedForward"}
