"""The field's files in real trainings: a decomposition with masks, one with factors, a density, concepts, discovery."""

import json
from pathlib import Path

import field_files as files
import pytest
from shrink import shrunk

from ergosum.cli import main
from ergosum.data import AttributedImages, DSprites, HuggingFaceImages, MnistFiles, MovingMnist, MultiObject
from ergosum.data.files.formats import FORMATS
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.training.loop import train


def learned(name, folder, **task):
    """A few updates of a recipe whose task has other data."""
    experiment = shrunk(find(name)).but(task=task)
    updates = list(train(experiment, folder))
    assert len(updates) == experiment.optimiser.iterations
    return folder


def test_masks_of_a_file_score_a_decomposition(tmp_path, capsys):
    data = Part(MultiObject, path=str(files.multi_object(tmp_path / "t.tfrecords")), side=36)
    run = learned("tetrominoes", tmp_path / "run", data=data)
    assert main(["score", str(run), "--n", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["source"] == "multiobject" and 0 <= scores["fg_ari"] <= 1


@pytest.mark.slow
def test_factors_of_a_file_score_a_decomposition(tmp_path, capsys):
    data = Part(DSprites, path=str(files.dsprites(tmp_path / "d.npz", side=64)), side=64)
    run = learned("shapes", tmp_path / "run", data=data)
    assert main(["score", str(run), "--n", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["factors"] == ["shape", "scale", "orientation", "x", "y"] and 0 <= scores["mig"] <= 1


def test_classes_of_a_file_are_those_of_a_density(tmp_path):
    data = Part(MnistFiles, path=str(files.mnist_files(tmp_path / "m")))
    experiment = find("density").but(task={"data": data})
    run = learned("density", tmp_path / "run", data=data)
    assert (run / "model.safetensors").is_file() and experiment.built().build().names[3] == "three"
    saved = Part(HuggingFaceImages, path=str(files.saved(tmp_path / "hf", one=files.table(60))), side=28)
    assert find("density").but(task={"data": saved}).built().build().names == ("cat", "dog_fish", "label_2_birds")


def test_factors_of_a_file_are_attributes_of_concepts(tmp_path):
    path = str(files.dsprites(tmp_path / "d.npz", side=64))
    sprites = Part(DSprites, path=path, side=32)
    data = Part(AttributedImages, images=sprites, factors=("shape", "scale"), channels=1)
    run = learned("concepts-digits", tmp_path / "run", data=data)
    assert (run / "model.safetensors").is_file()


@pytest.mark.slow
def test_factors_of_change_are_sought_in_sequences(tmp_path, capsys):
    path = files.moving_mnist(tmp_path / "m.npy")
    learned("discovered", tmp_path / "run", data=Part(MovingMnist, path=str(path), canvas=16))


def test_the_data_command_lists_what_is_read_and_shows_it(tmp_path, capsys):
    assert main(["data"]) == 0
    listed = capsys.readouterr().out
    for form in FORMATS:
        assert f"  {form.cls.__name__:20s}{form.expects}" in listed and form.published in listed
    assert "Tetrominoes" in listed and "mnist-1000" in listed and "pip install 'ergosum[data]'" in listed
    path = files.dsprites(tmp_path / "d.npz")
    assert main(["data", "show", "dsprites", "--path", str(path), "--out", str(tmp_path / "sheet.png")]) == 0
    clips = files.moving_mnist(tmp_path / "m.npy")
    assert main(["data", "show", "MovingMnist", "--path", str(clips), "--out", str(tmp_path / "clips.png")]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    for words, told in [
        (["show", "DSprites", "--out", "x.png"], "DSprites reads a file or folder: add --path PATH"),
        (["show", "DSprites", "--path", "none.npz", "--out", "x.png"], "There is no file none.npz"),
        (["show", "digits"], "required: --out"), (["list", "digits"], "data list takes no name"),
    ]:  # fmt: skip
        assert main(["data", *words]) in (1, 2) and told in capsys.readouterr().err


def test_every_format_stands_in_the_table_of_the_page():
    page = (Path(__file__).parents[2] / "docs/data.md").read_text()
    for form in FORMATS:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{form.cls.__name__}` |"))
        assert f"`{form.extra}`" in row or not form.extra
