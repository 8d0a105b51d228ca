"""Images from several sets: equal shares, room for the most objects, and names joined by a plus."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.cli import main
from ergosum.cli.images import images_of
from ergosum.data.folder import ImageFolder
from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.named import NAMES, dataset, name_of
from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.sources import FASHION_FILES
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposition.segmentation import decomposition_scores
from ergosum.part import Part

PAIR = Mixed([Glyphs("digits", 36), Tetrominoes((1, 3), 36)])


def test_a_record_has_its_shapes_and_one_owner_per_pixel():
    p = PAIR.draw(30, Generator().manual_seed(0))
    assert p.images.shape == (30, 3, 36, 36) and p.factors.shape == (30, 1) and p.attributes.shape == (30, 3, 0)
    assert p.masks.shape == (30, 4, 36, 36) and p.masks.dtype == torch.bool and (p.masks.sum(1) == 1).all()
    assert (PAIR.side, PAIR.objects, PAIR.factors, PAIR.attributes) == (36, 3, ("set",), ())
    assert p.images.isfinite().all() and PAIR.levels[0].tolist() == [0, 1]


def test_masks_are_padded_with_objects_that_are_absent():
    p = PAIR.draw(40, Generator().manual_seed(0))
    digit = p.factors[:, 0] == 0
    assert p.masks[digit, 1].flatten(1).any(1).all() and not p.masks[digit, 2:].any()
    assert p.masks[~digit, 3].any()


def test_every_set_has_an_equal_share():
    n, three = 3000, Mixed([Glyphs(side=36), Tetrominoes(1, 36), Shapes(side=36)])
    which = three.draw(n, Generator().manual_seed(0)).factors[:, 0].long()
    share, error = which.bincount(minlength=3) / n, (1 / 3 * 2 / 3 / n) ** 0.5
    assert len(share) == 3 and ((share - 1 / 3).abs() < 4 * error).all()
    runs = (which.diff() != 0).float().mean().item()  # in random order, two neighbours differ in two thirds
    assert abs(runs - 2 / 3) < 4 * error


def test_images_are_those_of_the_set_that_the_factor_names():
    p = PAIR.draw(60, Generator().manual_seed(1))
    grey = (p.images == p.images[:, :1]).flatten(1).all(1)
    assert torch.equal(grey, p.factors[:, 0] == 0)
    digits = {v.numpy().tobytes() for v in Glyphs("digits", 36).at(range(1397)).images}
    assert {v.numpy().tobytes() for v in p.images[grey]} <= digits


def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = (PAIR.draw(6, Generator().manual_seed(s)) for s in (3, 3, 4))
    assert all(map(torch.equal, a, b)) and not torch.equal(a.images, c.images)
    assert torch.equal(before, torch.random.get_rng_state())
    assert len(PAIR.draw(1, Generator().manual_seed(0)).images) == 1


def test_what_makes_no_mixture_is_refused():
    with pytest.raises(ValueError, match="two or more datasets, got 1"):
        Mixed([Tetrominoes()])
    with pytest.raises(ValueError, match="images of one side, got 36, 28"):
        Mixed([Tetrominoes(side=36), Glyphs()])
    with pytest.raises(ValueError, match="n >= 1"):
        PAIR.draw(0, Generator())


@pytest.mark.parametrize(
    "name, kind",
    [("tetrominoes", Tetrominoes), ("shapes", Shapes), ("scenes", Scenes), ("toy", Scenes), ("lighting", Scenes),
     ("still", Scenes), ("digits", Glyphs)],
)  # fmt: skip
def test_a_name_means_the_same_on_both_parts(name, kind):
    train, test = (dataset(name, 36).build(split=split) for split in ("train", "test"))
    assert type(train) is type(test) is kind and name in NAMES
    assert (train.settings == test.settings) == (kind is not Glyphs)
    assert name_of(dataset(name, 36)) == name


def test_names_joined_by_a_plus_are_mixed(tmp_path):
    mixed = dataset("scenes+toy+digits", 36, (2, 5)).build(split="test")
    assert isinstance(mixed, Mixed) and [type(part) for part in mixed.sets] == [Scenes, Scenes, Glyphs]
    assert [part.settings.get("variant") for part in mixed.sets] == ["clevr", "toy", None] and mixed.objects == 5
    assert mixed.sets[2].settings["split"] == "test"
    for blue in (90, 150, 199):  # of fewer, none could be held out
        Image.new("RGB", (40, 40), (9, 99, blue)).save(tmp_path / f"{blue}.png")
    p = dataset(f"digits+{tmp_path}", 12).build().draw(20, Generator().manual_seed(0))
    assert p.masks[p.factors[:, 0] == 1, 0].all() and p.masks.shape[1] == 2


def test_a_folder_whose_name_has_a_plus_is_a_folder(tmp_path):
    folder = tmp_path / "digits+shapes"
    folder.mkdir()
    for grey in (0, 50):
        Image.new("RGB", (40, 40), (grey,) * 3).save(folder / f"{grey}.png")
    assert isinstance(dataset(str(folder), 36).build(), ImageFolder)


@pytest.mark.parametrize("name, unknown", [("letters", "letters"), ("digits+letters", "letters"), ("digits+", "")])
def test_an_unknown_name_is_answered_with_those_that_there_are(name, unknown):
    expected = "tetrominoes, shapes, scenes, toy, lighting, still, digits, mnist-1000, mnist, fashion"
    with pytest.raises(
        FileNotFoundError, match=f"No such folder of images: '{unknown}'. Expected a folder, {expected}"
    ):
        dataset(name, 36)


def test_mnist_and_fashion_are_mixed_as_images(mnist, fashion):
    mixed = dataset("mnist+fashion", 28).build()
    p = mixed.draw(40, Generator().manual_seed(0))
    assert [len(part) for part in mixed.sets] == [60_000, 810] and p.masks.shape == (40, 2, 28, 28)
    clothes = p.factors[:, 0] == 1
    assert p.masks[clothes, 1].float().mean() > 1.3 * p.masks[~clothes, 1].float().mean()


def test_what_is_shown_and_scored_is_held_out(tiny, no_mnist, small_fashion):
    (no_mnist / FASHION_FILES[0]).write_bytes(small_fashion["npz"])
    task = tiny(
        "tetrominoes", task={"data": Part(Mixed, sets=(Part(Glyphs, source="digits"), Part(Glyphs, source="fashion")))}
    ).built()
    held = [Glyphs(source, split="test") for source in ("digits", "fashion")]
    known = {v.numpy().tobytes() for data in held for v in data.at(range(len(data))).images}
    for seed in (0, 1):
        assert {v.numpy().tobytes() for v in images_of("", task, seed)} <= known
    scores = decomposition_scores(task, task.build().eval(), 3, 0)
    assert scores["fg_ari"] is None and scores["mse"] > 0  # no image shows two objects


@pytest.mark.parametrize("name", ["digits+tetrominoes", "still+toy"])
def test_a_sheet_of_sets_joined_by_a_plus_is_drawn(tmp_path, name):
    out = tmp_path / "sheet.png"
    assert main(["data", "show", name, "--out", str(out)]) == 0
    image = np.asarray(Image.open(out))
    assert image.shape[0] > 700 and image.shape[1] > 700 and image.std() > 10


@pytest.mark.parametrize("name", ["digits+films", "digits+", "sequences+digits"])
def test_a_sheet_of_what_there_is_not_is_refused(tmp_path, capsys, name):
    assert main(["data", "show", name, "--out", str(tmp_path / "sheet.png")]) == 1
    said = capsys.readouterr().err
    assert f"no dataset '{name}' to show; expected one of sequences" in said and "fashion, or several joined" in said
