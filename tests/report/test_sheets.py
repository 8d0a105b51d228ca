"""`ergosum data show` for what has no sheet of its own: classes by their name, one's own among them, and folders."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

import ergosum.data
from ergosum.cli import main
from ergosum.data.named import dataset, name_of
from ergosum.report.sheets import MASK_COLOURS, SHEETS

OWN = '''
import torch
from ergosum.data.record import ImageRecord, Pairs

class Stripes:
    """Grey images with a white stripe."""

    factors, attributes, objects = (), (), 1

    def __init__(self, side=20, split="train"):
        self.side, self.settings = side, {"side": side}

    def draw(self, n, generator):
        images = torch.rand(n, 3, 1, 1, generator=generator).repeat(1, 1, self.side, self.side)
        images[..., 3:6] = 1
        stripe = (images == 1).all(1, keepdim=True)
        return ImageRecord(images, torch.zeros(n, 0), torch.cat([~stripe, stripe], 1), torch.zeros(n, 1, 0))

class Dull(Stripes):
    def draw(self, n, generator):
        return super().draw(n, generator)._replace(images=torch.full((n, 3, self.side, self.side), 7.0))

class Fading:
    def __init__(self, canvas=28, split="train"):
        self.canvas = canvas

    def pairs(self, n, generator):
        start = torch.rand(n, 3, self.canvas, self.canvas, generator=generator)
        none = torch.zeros(n, 3)
        return Pairs(start, start / 2, none, none, none, start[:, :1], torch.zeros(n, dtype=torch.long))

class Nothing:
    pass
'''


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A folder with a package of one's own and an album, and in it."""
    (tmp_path / "my_sheets.py").write_text(OWN)
    (tmp_path / "album").mkdir()
    for k in range(9):
        pixels = np.random.default_rng(k).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "album" / f"{k}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_sheets", None)


def shown(*arguments):
    assert main(["data", "show", *arguments, "--out", "sheet.png"]) == 0
    image = np.asarray(Image.open("sheet.png"))
    assert min(image.shape[:2]) > 400 and image.std() > 10
    return image


NAMED = ["Glyphs", "Scenes", "Shapes", "Tetrominoes", "DigitSequences", "MovingScenes", "MovingShapes", "album",
         "digits+album", "Tetrominoes+album", "LabelledImages", "FramesOfDigits", "WornFrames", "Incomplete",
         "StackedClips", "ColouredDigits", "ConceptScenes", "AttributedImages"]  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(NAMED) - {"Incomplete"}))  # shown below
def test_a_class_by_its_own_name_and_a_folder_are_shown(name, at_home):
    shown(name)


def test_faces_have_a_row_for_every_value(at_home):
    pytest.importorskip("resvg_py", reason="faces are drawn with the extra: pip install 'ergosum[faces]'")
    pytest.importorskip("dicebear_styles", reason="faces are drawn with the extra: pip install 'ergosum[faces]'")
    assert shown("Avatars", "--canvas", "32").shape[0] > 96 * (2 + 2 + 2 + 5 + 2 + 4 + 1)


def test_every_class_that_is_exported_is_shown_here_or_says_what_it_needs(at_home, capsys):
    for name in set(ergosum.data.__all__) - {*NAMED, "Avatars", "AttributedImages", "PartlyTold"}:
        assert main(["data", "show", name, "--out", "sheet.png"]) == 1
        said = capsys.readouterr().err  # masks are no datasets of images
        needs = {"Mixed": "sets", "CelebA": "folder"}.get(name, "path")
        assert re.search(f"{name} (needs {needs}|reads a file or folder|is no dataset of images)", said), name


def test_classes_of_a_folder_have_a_row_each_and_hidden_pixels_are_red(at_home):
    for name, grey in (("dark", 40), ("light", 220)):
        (at_home / "kinds" / name).mkdir(parents=True)
        for k in range(12):
            Image.new("L", (32, 32), grey + k % 3).save(at_home / "kinds" / name / f"{k}.png")
    image = shown("LabelledImages", "--source", "kinds").astype(int)
    dark, light = ((abs(image - grey).max(2) < 3).mean(1) > 0.5 for grey in (41, 221))
    assert dark.any() and light.any() and dark.argmax() < light.argmax(), "a row for each class, in their order"
    red = (MASK_COLOURS[1] * 255).round().int().numpy()
    hidden = (abs(shown("Incomplete").astype(int) - red).max(2) < 3).mean()
    assert 0.25 < hidden < 0.5, "half of the pixels of images, which do not fill the sheet"


@pytest.mark.parametrize("name", ["my_sheets.Stripes", "my_sheets.Fading", "my_sheets.Stripes+digits"])
def test_a_dataset_of_one_s_own_is_shown_if_it_is_trusted(name, at_home, capsys):
    assert main(["data", "show", name, "--out", "sheet.png"]) == 1
    assert "add --trust my_sheets" in capsys.readouterr().err and "my_sheets" not in sys.modules
    small = shown(name, "--trust", "my_sheets")
    large = shown(name, "--trust", "my_sheets", "--canvas", "88")
    assert small.shape != large.shape


def test_what_is_wrong_with_a_dataset_of_one_s_own_is_said_with_its_name(at_home, capsys):
    for name, message in {"Dull": "Dull.draw, images: ", "Nothing": "no dataset of images", "Gone": "no class"}.items():
        assert main(["data", "show", f"my_sheets.{name}", "--out", "sheet.png", "--trust", "my_sheets"]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1


def test_a_short_name_comes_from_the_class_alone(at_home):
    for name in ("Glyphs", "glyphs"):
        assert dataset(name, 36).to_dict() == {"class": "ergosum.data.glyphs.Glyphs", "side": 36}
    own = dataset("my_sheets.Stripes", None, trust=("my_sheets",))
    assert own.build(split="test").side == 20 and name_of(own) == "stripes"
    with pytest.raises(FileNotFoundError, match="No such folder of images: 'films'"):
        dataset("films", 36)
    (at_home / "glyphs").mkdir()
    assert name_of(dataset("glyphs", 36)) == "glyphs" and dataset("glyphs", 36).get("path") == "glyphs"
    assert "glyphs" not in SHEETS
