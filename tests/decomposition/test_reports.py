"""Every card and every recipe's run has a report; a score holds metrics of one's own and images that were held out."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum import zoo
from ergosum.cli import main
from ergosum.data.named import dataset
from ergosum.decomposition.recipes import HEADLINES, recipes
from ergosum.decomposition.scores import tables
from ergosum.metrics.ssim import ssim
from ergosum.part import Part
from ergosum.report.tables import as_html, as_text, targets_html
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Table

CARDS = ("tetrominoes", "shapes", *(pytest.param(name, marks=pytest.mark.slow) for name in
         ("scenes-objects", "scenes-global", "lighting-objects", "toy-objects")))  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_every_image_card_has_a_report(card, tmp_path, capsys):
    assert main(["report", card, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    page = (tmp_path / "report.html").read_text()
    assert said.out.strip() == str(tmp_path / "report.html") and not said.err
    for heading in ("Components", "Masks and gradients", "Recombination", "Scores"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("data:image/png") == 3 and "<table>" in page
    assert ("<h2>Targets</h2>" in page) == (card in ("tetrominoes", "scenes-objects"))


def _recipes():
    """The headlines and one of each other kind at once, all others when there is time."""
    quick = {*HEADLINES, "shapes-monet", "comet-code"} - {"scenes-objects"}  # the parts of tetrominoes on larger images
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in recipes()]


@pytest.mark.parametrize("name", _recipes())
def test_the_run_of_every_recipe_has_a_report(name, tiny):
    """Of random weights, which is what a run begins with."""
    few = {"task": {"model": {"descent": {"steps": 2, "training_steps": 2}}}} if name == "comet-code" else {}
    task = tiny(name, **few).built()
    torch.manual_seed(0)
    model = task.build().eval()
    scores = json.loads(json.dumps(task.score(name, model, 4, 0, shelf=None)))
    sections = {s.heading: s.html for s in task.report(name, model, scores, 0, zoo.Zoo())}
    assert "<table>" in sections["Scores"]
    shown = "Recomposed images" if "gan" in name or "-vae" in name or "monet" in name else None
    figures = [shown] if shown else [h for h in sections if h not in ("Scores", "Targets")]
    assert figures and all("data:image/png" in sections[heading] for heading in figures)


def test_a_run_gets_its_report_from_the_command_line(learn, tmp_path, capsys):
    for name, few in (("tetrominoes", {}), ("shapes-vae-b4-d64", {"task": {"model": {"latent": 6}}})):
        learn(tmp_path / name, name, **few)
        assert main(["report", str(tmp_path / name), "--n", "8"]) == 0
        page = (tmp_path / name / "report.html").read_text()
        assert "below that of the mean image" in page and "copying" not in page
    assert capsys.readouterr().out.count("report.html") == 2


def test_a_metric_of_one_s_own_is_in_the_score_and_its_table(tiny):
    task = tiny("tetrominoes", task={"metrics": (Part(worst_pixel), Part(Brightness, factor=2.0))}).built()
    torch.manual_seed(0)
    scores = task.score("mine", task.build(), 6, 0)
    assert 0 < scores["worst_pixel"] <= 1 and scores["Brightness"] > 0
    assert scores["metrics"] == ["worst_pixel", "Brightness"]
    (table,) = [t for t in tables(scores) if "psnr" in t.decimals]
    assert {"worst_pixel", "Brightness"} <= set(table.decimals) and f"{scores['Brightness']:.4f}" in as_text(table)
    coded = tiny("shapes-monet", task={"metrics": (Part(ssim),)}).built()
    assert coded.score("monet", coded.build(), 4, 0)["ssim"] <= 1


def worst_pixel(made, true):
    """The largest error of an image."""
    return (made - true).abs().flatten(1).amax(1)


class Brightness:
    """Mean of the made image, times a factor."""

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def __call__(self, made, true):
        return self.factor * made.flatten(1).mean(1)


@pytest.fixture
def album(tmp_path):
    """Forty images of noise."""
    folder = tmp_path / "album"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 255, (40, 36, 36, 3), dtype=np.uint8)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{k}.png")
    return folder


def test_no_training_image_of_a_folder_is_called_held_out(album, tiny):
    task = tiny("tetrominoes", task={"data": dataset(str(album), 36)}).built()
    training, held_out = (task.dataset(split) for split in ("train", "test"))
    assert not {p.name for p in training.files} & {p.name for p in held_out.files}
    assert len(training) + len(held_out) == 40 and len(held_out) >= 2
    images = {image.numpy().tobytes() for image in held_out.at(range(len(held_out))).images}
    drawn = task.held_out(30, torch.Generator().manual_seed(0)).images
    assert all(image.numpy().tobytes() in images for image in drawn)
    with pytest.warns(UserWarning, match=rf"Only {len(held_out)} images of .* are held out: some of the 38"):
        task.score("mine", task.build(), 38, 0)


def test_the_held_out_images_may_lie_in_a_folder_of_their_own(album, tiny, tmp_path):
    (tmp_path / "test").mkdir()
    for k in range(4):
        shutil.move(album / f"{k}.png", tmp_path / "test" / f"{k}.png")
    data = dataset(str(album), 36).but(test=str(tmp_path / "test"))
    task = tiny("tetrominoes", task={"data": data}).built()
    assert len(task.dataset("train")) == 36 and len(task.dataset("test")) == 4


def test_tables_are_text_and_html_with_a_dash_where_nothing_was_measured():
    table = Table(("row",), {"a": 2, "b": 1}, [{"row": "one", "a": 1.234, "b": None}, {"row": "another", "a": 10}], "T")
    assert as_text(table) == "T\nrow          a  b\none       1.23  –\nanother  10.00  –"
    page = as_html(table)
    assert "<h3>T</h3>" in page and "1.23" in page and ">b<" not in page
    assert as_html(Table(("row",), {"a": 1}, [{"row": "one"}])) == "" == targets_html([])


def test_a_card_s_score_names_the_experiment_s_dataset():
    experiment, model = load_predictor("tetrominoes")
    told = experiment.built().score("tetrominoes", model, 2, 0)
    assert told["source"] == "tetrominoes" and told["card"] == "tetrominoes" and told["psnr_least"] <= told["psnr"]
