"""The commands on a tiny run of concepts, trained once."""

import json

import pytest
import torch

from ergosum import zoo
from ergosum.cli import main
from ergosum.concepts.energy import WholeEnergy
from ergosum.concepts.model import Concepts
from ergosum.concepts.recipes import latents, scenes, whole
from ergosum.concepts.space import AttributeCodes
from ergosum.concepts.task import ConceptDensities
from ergosum.data.attributed import Attribute, Attributed
from ergosum.density.forms import InnerProduct
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.space import Pixels
from ergosum.nets.levels import LevelUNet
from ergosum.part import Part
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor, load_weights
from ergosum.zoo.pack import pack
from tests.shrink import shrunk


@pytest.fixture(scope="module")
def run(tmp_path_factory, quick_scores):
    out = tmp_path_factory.mktemp("concepts") / "run"
    from ergosum.concepts import task as concepts_task

    patch = pytest.MonkeyPatch()
    patch.setattr(concepts_task, "CALIBRATED", 40)  # images that levels are chosen on
    recipe = shrunk(latents()).but(optimiser={"iterations": 12, "batch": 8}, task={"draws": 16})
    for _ in train(recipe, out, accelerator="cpu"):
        pass
    patch.undo()
    return out


def test_a_run_keeps_what_it_needs_without_its_data(run):
    model = load_predictor(run)[1]
    assert model.names[:4] == ("sphere", "cube", "cylinder", "grey") and model.columns[-1] == slice(3, 5)
    assert isinstance(model.space, AttributeCodes) and bool(model.space.settled)
    assert float(model.shares[:3].sum()) == pytest.approx(1) and not torch.equal(
        model.shares[:3], torch.full((3,), 1 / 3)
    )
    assert (model.best >= model.family.lowest).all()
    assert json.loads((run / "recipe.json").read_text())["task"]["model"]["attributes"][3] == ["place", [], 2]


def test_a_run_that_starts_from_another_takes_its_codes_anew(run, tmp_path, quick_scores, monkeypatch):
    monkeypatch.setattr("ergosum.concepts.task.CALIBRATED", 40)
    recipe = shrunk(latents()).but(
        optimiser={"iterations": 12, "batch": 8}, task={"draws": 16}, run={"warm_start": str(run)}
    )
    for _ in train(recipe, tmp_path / "on", accelerator="cpu"):
        pass
    first, second = (load_predictor(folder)[1] for folder in (run, tmp_path / "on"))
    assert not torch.equal(first.space.spread, second.space.spread)


def test_a_run_that_starts_from_a_card_has_a_judge_and_a_guesser_of_its_own(run, tmp_path, quick_scores, monkeypatch):
    monkeypatch.setattr("ergosum.concepts.task.CALIBRATED", 40)
    monkeypatch.setattr(zoo, "CARDS", tmp_path / "cards")
    needless = ("judge", "guesser")
    held = [name for name in load_weights(run / "model.safetensors") if any(part in name for part in needless)]
    assert all(any(part in name for name in held) for part in needless)
    card = pack(run, "solids", sources=())
    assert not set(held) & set(load_weights(card / "model.safetensors"))
    recipe = shrunk(latents()).but(
        optimiser={"iterations": 2, "batch": 8}, task={"draws": 16}, run={"warm_start": str(card)}
    )
    for _ in train(recipe, tmp_path / "on", accelerator="cpu"):
        pass
    assert set(held) <= set(load_weights(tmp_path / "on" / "model.safetensors"))


def test_sampling_writes_a_picture_and_says_what_is_read(run, tmp_path, capsys):
    out = tmp_path / "grid.png"
    assert (
        main(["sample", "red & cube & ~small", "--model", str(run), "--n", "4", "--steps", "4", "--out", str(out)]) == 0
    )
    said = capsys.readouterr().out
    assert out.is_file() and "red & cube & ~small" in said and "of 4 draws satisfy it, as its reader sees them" in said
    assert main(["sample", "at(0.3,0.6) & red", "--model", str(run), "--n", "2", "--steps", "4", "--json",
                 "--out", str(out)]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["formula"] == "at(0.3,0.6) & red"


@pytest.mark.parametrize(("formula", "said"), [
    ("red & blue", "nothing satisfies this, for an image has one value of each kind"),
    ("reddish", "no energy is called 'reddish'"),
    ("at(0.3,1.6)", "place: expected 2 numbers in [0, 1]"),
    ("~at(0.3,0.6)", "told in numbers and has no share"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_told_in_one_line(run, tmp_path, capsys, formula, said):
    assert main(["sample", formula, "--model", str(run), "--n", "2", "--out", str(tmp_path / "x.png")]) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_what_nobody_can_draw_here_the_model_itself_judges_and_is_not_scored(run, tmp_path, capsys, monkeypatch):
    def missing(self, *_, **__):
        raise ImportError("solids are drawn with a package that is missing: pip install it")

    monkeypatch.setattr("ergosum.data.concept_scenes.ConceptScenes.__init__", missing)
    out = tmp_path / "grid.png"
    assert main(["sample", "red", "--model", str(run), "--n", "2", "--steps", "4", "--out", str(out)]) == 0
    assert out.is_file() and "as Bayes' rule of the model itself sees them" in capsys.readouterr().out
    assert main(["score", str(run), "--n", "2"]) == 1
    assert "a package that is missing: pip install it" in capsys.readouterr().err


def test_concepts_are_inferred_of_held_out_images_and_of_files(run, tmp_path, capsys):
    assert main(["infer", str(run), "--n", "2"]) == 0
    assert "held-out image 2" in capsys.readouterr().out
    from PIL import Image

    for number in range(2):
        Image.new("RGB", (40, 32), (90, 40 * number, 30)).save(tmp_path / f"{number}.png")
    assert main(["infer", str(run), "--start", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["images"]
    assert [t["image"] for t in told] == ["0.png", "1.png"]
    assert sum(told[0]["colour"].values()) == pytest.approx(1) and len(told[0]["place"]) == 2
    assert main(["infer", "tetrominoes"]) == 1
    assert "knows no concepts" in capsys.readouterr().err


def test_scores_and_report_are_made(run, capsys, monkeypatch):
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 4)
    assert main(["score", str(run), "--n", "12", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    told = told if "and_seen" in told else next(iter(told.values()))
    assert {"and_seen", "or_tv", "not_leak", "nested", "infer", "infer_place", "reader"} <= told.keys()
    assert told["reader"]["colour"] > 0.95
    assert main(["report", str(run)]) == 0


def without_time_score():
    return latents().but(task={"objective": Part(DenoisingScore, time=0.0)})


def in_pixels():
    """One energy of whole images."""
    family = Part(WholeEnergy, form=Part(InnerProduct, body=Part(LevelUNet, width=8), fine=True))
    model = Part(Concepts, space=Part(Pixels), family=family)
    data, objective = latents().task.get("data"), Part(DenoisingScore, time=0.0)
    return latents().but(task=Part(ConceptDensities, data=data, model=model, objective=objective, draws=0))


def windows():
    return scenes().but(task={"readings": 0})


@pytest.mark.parametrize("recipe", [whole, in_pixels, windows, without_time_score])
def test_other_recipes_of_concepts_train(recipe, tmp_path):
    few = {} if recipe is windows else {"draws": 16 * (recipe is without_time_score)}
    small = shrunk(recipe()).but(optimiser={"iterations": 3, "batch": 4}, task=few)
    assert [u.iteration for u in train(small, tmp_path / "run", accelerator="cpu")][-1] == 3


class Broken:
    """Data whose records are not what they say."""

    attributes = (Attribute("colour", ("red", "blue")), Attribute("place", numbers=2))
    side, channels = 16, 3

    def __init__(self, images: tuple = (2, 3, 16, 16), values: tuple = (2, 3), split: str = "train") -> None:
        self.shapes = images, values

    def attributed(self, n, generator):
        return Attributed(torch.rand(self.shapes[0]), torch.zeros(self.shapes[1]))


@pytest.mark.parametrize(("given", "said"), [
    ({"images": (2, 3, 12, 16)}, r"Broken.attributed: expected images \(n, 3, 16, 16\) in \[0, 1\], got \(2, 3, 12"),
    ({"values": (2, 2)}, r"expected values \(n, 3\), a column for each named attribute and number, got \(2, 2\)"),
])  # fmt: skip
def test_data_are_tested_before_training(given, said):
    with pytest.raises(ValueError, match=said):
        ConceptDensities(data=Part(Broken, **given)).ready()
    with pytest.raises(ValueError, match="has no reader, so that draws cannot be scored"):
        ConceptDensities(data=Part(Broken)).score("broken", torch.nn.Identity(), 2, 0)
