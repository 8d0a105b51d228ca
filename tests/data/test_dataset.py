"""The store of rendered images: exact, whole or not there, going on where it stopped; and the sheets."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.data import dataset
from ergosum.data.dataset import BLOCK, Stored, measure_speed, one_hot, store
from ergosum.data.folder import ImageFolder
from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.report.sheets import SHEETS, overlay

SETS = [Tetrominoes((1, 3)), Shapes((2, 4), colour=True), Shapes(), Scenes((1, 3), side=16),
        Mixed([Glyphs(side=36), Tetrominoes((1, 3), 36)])]  # fmt: skip


class Counted:
    """A set that counts what it draws, and breaks at will."""

    def __init__(self, stop=None):
        self.inner = Tetrominoes((1, 3))
        self.side, self.factors, self.attributes = self.inner.side, self.inner.factors, self.inner.attributes
        self.objects, self.settings = self.inner.objects, self.inner.settings
        self.drawn, self.stop = [], stop

    def draw(self, n, generator):
        if len(self.drawn) == self.stop:
            raise KeyboardInterrupt
        self.drawn.append(n)
        return self.inner.draw(n, generator)


def same(a, b):
    return all(torch.equal(x.nan_to_num(9), y.nan_to_num(9)) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("data", [*SETS, Scenes(3, variant="toy"), Glyphs(side=32)], ids=lambda d: str(d.settings))
def test_images_are_the_same_where_the_caller_computes_in_fewer_digits(data):
    plain = data.draw(4, Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert same(plain, data.draw(4, Generator().manual_seed(0)))


@pytest.mark.parametrize("data", SETS, ids=lambda d: type(d).__name__)
def test_what_is_stored_comes_back(data, tmp_path):
    kept = store(data, 70, seed=3, folder=tmp_path)
    assert len(kept) == 70 and (kept.side, kept.objects) == (data.side, data.objects)
    assert kept.factors == data.factors and kept.attributes == data.attributes
    for block in (0, 1):
        true = data.draw(BLOCK, Generator().manual_seed(dataset.block_seed(3, block)))
        rows = torch.arange(block * BLOCK, min(70, (block + 1) * BLOCK))
        back = kept.batch(rows)
        true = type(true)(*(v[: len(rows)] for v in true))
        assert same(back[1:], true[1:]) and back.images.dtype == torch.float32
        assert (back.images - true.images).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(kept.images([69, 0]), kept.batch(torch.tensor([69, 0])).images)
    a, b = (kept.draw(9, Generator().manual_seed(1)) for _ in range(2))
    assert same(a, b) and a.masks.shape == (9, 1 + data.objects, data.side, data.side)


def test_black_and_white_images_are_stored_without_loss(tmp_path):
    data = Shapes()
    kept = store(data, 5, folder=tmp_path).batch(range(5))
    assert torch.equal(data.from_factors(kept.factors).images, kept.images)


def test_stored_images_are_opened_and_not_rendered_again(tmp_path):
    first, again = Counted(), Counted()
    a, b = (store(data, 100, folder=tmp_path) for data in (first, again))
    assert first.drawn == [2, BLOCK, BLOCK] and again.drawn == [2] and same(a.batch(range(100)), b.batch(range(100)))
    name = rf"counted-{'[0-9a-f]' * 12}-seed0-n100"
    assert [re.fullmatch(name, p.name) is not None for p in tmp_path.iterdir()] == [True]


def test_images_depend_on_the_seed_and_not_on_their_number(tmp_path):
    data = Tetrominoes()
    few, many, other = (store(data, n, s, tmp_path) for n, s in ((70, 0), (130, 0), (70, 1)))
    assert same(few.batch(range(70)), many.batch(range(70)))
    assert not torch.equal(few.images(range(9)), other.images(range(9))) and few.folder != other.folder
    assert not torch.equal(many.images(range(2)), many.images([64, 65]))


def test_a_changed_set_or_renderer_gets_a_name_of_its_own(tmp_path, monkeypatch):
    names = {store(d, 1, folder=tmp_path).folder.name for d in (Tetrominoes(), Tetrominoes(2), Tetrominoes(side=36))}
    monkeypatch.setattr("ergosum.data.tetrominoes.COLOURS", torch.ones(6, 3))
    assert len(names | {store(Tetrominoes(), 1, folder=tmp_path).folder.name}) == 4


def test_an_interrupted_store_leaves_nothing_under_its_name_and_goes_on_to_the_same_bits(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        store(Counted(stop=3), 200, folder=tmp_path / "a")
    (left,) = (tmp_path / "a").iterdir()
    assert left.name.startswith(".") and left.name.endswith(".part")
    with (left / "images.npy").open("ab") as file:  # and a block that was half written
        file.write(b"x" * 1000)
    rest, told = Counted(), []
    kept = store(rest, 200, folder=tmp_path / "a", progress=lambda done, n: told.append((done, n)))
    assert rest.drawn == [2, BLOCK, BLOCK] and told == [(192, 200), (200, 200)]
    whole = store(Counted(), 200, folder=tmp_path / "b")
    for name in ("images.npy", "owners.npy", "factors.npy", "attributes.npy", "about.json"):
        assert (kept.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert [p.name for p in (tmp_path / "a").iterdir()] == [kept.folder.name]


def test_two_that_store_at_once_end_with_the_same_images(tmp_path):
    second = []

    def meanwhile(done, n):
        if not second:
            second.append(None)
            second.append(store(Counted(), 100, folder=tmp_path))

    first = store(Counted(), 100, folder=tmp_path, progress=meanwhile)
    assert same(first.batch(range(100)), second[1].batch(range(100)))
    assert [p.name for p in tmp_path.iterdir()] == [first.folder.name]


def test_the_users_cache_is_the_default_place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store(Tetrominoes(), 1).folder.parent == tmp_path / "ergosum" / "images"


@pytest.mark.parametrize("harm", [
    lambda f: (f / "owners.npy").unlink(), lambda f: (f / "about.json").write_text("{"),
    lambda f: (f / "images.npy").write_bytes((f / "images.npy").read_bytes()[:-9]),
    lambda f: np.save(f / "factors.npy", np.zeros((3, 0), np.float32)), lambda f: (f / "about.json").write_text("{}"),
])  # fmt: skip
def test_damage_is_named(harm, tmp_path):
    folder = store(Tetrominoes(), 4, folder=tmp_path).folder
    harm(folder)
    with pytest.raises(OSError, match=r"seed0-n4 is damaged .*Delete it"):
        Stored(folder)


def test_what_cannot_be_stored_or_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n >= 1"):
        store(Tetrominoes(), 0, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="`store` makes them"):
        Stored(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Could not store images in"):
        store(Tetrominoes(), 1, folder=tmp_path / "file")
    kept = store(Tetrominoes(), 3, folder=tmp_path)
    for wrong in ([3], [-1], torch.tensor([0, 7])):
        with pytest.raises(IndexError, match=r"0 .. 2"):
            kept.batch(wrong)


def test_a_folder_of_images_is_stored_in_a_shuffled_order_all_before_any_comes_again(tmp_path):
    for i in range(5):
        Image.new("RGB", (20, 20), (50 * i, 0, 0)).save(tmp_path / f"{i}.png")
    kept = store(ImageFolder(tmp_path, 8), 12, folder=tmp_path / "store")
    reds = (kept.images(range(12))[:, 0, 0, 0] * 255 / 50).round().long().tolist()
    assert sorted(reds[:5]) == sorted(reds[5:10]) == list(range(5)) and reds[:5] != list(range(5))
    assert kept.batch([0]).masks.all() and kept.objects == 0
    assert json.loads((kept.folder / "about.json").read_text())["set"] == "ImageFolder"


def test_masks_from_owners():
    masks = one_hot(torch.tensor([[[0, 2], [1, 2]]]), 3)[0].flatten(1)
    assert masks.long().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]


def test_the_speed_is_printed(capsys):
    assert measure_speed(Tetrominoes(), 4) > 0
    assert re.fullmatch(r"Tetrominoes 35 px: [\d,]+ frames/s \(cpu, \d+ thread\(s\)\)\n", capsys.readouterr().out)


LONGER = {"toy", "lighting"}
"""Variants of scenes, which are drawn as `scenes` and `still` are."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in LONGER else ())
                                  for name in sorted(set(SHEETS) - {"sequences"})])  # fmt: skip
def test_a_sheet_shows_images_in_every_row(name, request):
    if name in ("mnist", "fashion"):
        request.getfixturevalue(name)
    image = np.asarray(SHEETS[name]("digits", 0, 28))
    assert image.shape[2] == 3 and image.shape[0] > 700 and image.shape[1] > 700 and image.std() > 10
    assert not np.array_equal(image, np.asarray(SHEETS[name]("digits", 1, 28)))


def test_an_overlay_gives_every_object_its_own_colour():
    p = Tetrominoes().draw(1, Generator().manual_seed(0))
    flat = overlay(p._replace(images=torch.zeros_like(p.images)))[0]
    assert len(torch.unique(flat.flatten(1), dim=1).T) == 4
