"""Folders of images as users have them: any size, any mode, some broken."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.data import image_file
from ergosum.data.dataset import store
from ergosum.data.folder import ImageFolder, load_square
from ergosum.data.image_file import Square
from ergosum.data.listing import shown


def saved(path, size=(40, 40), colour=(255, 0, 0), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def mixed(tmp_path):
    """Seven readable images of different kinds, three broken ones, and files that are none."""
    for i in range(5):
        saved(tmp_path / "faces" / f"{i}.png", (40 + i, 60), (40 * i, 0, 0))
    saved(tmp_path / "street.JPG", (300, 100), (10, 200, 10))
    saved(tmp_path / "z.png", (20, 20), 128, "L")
    (tmp_path / "broken.png").write_text("no image")
    whole = saved(tmp_path / "half.png", (64, 64)).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    saved(tmp_path / "tiny.png", (2, 2))
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


def test_every_readable_image_comes_once_in_order_and_broken_ones_are_named(mixed):
    data = ImageFolder(mixed, 16)
    batches = list(data.stream(3))
    assert [len(b.images) for b in batches] == [3, 3, 1] and len(data) == 10
    assert {p.name: r for p, r in data.skipped.items()}.keys() == {"broken.png", "half.png", "tiny.png"}
    assert "2x2 pixels; expected at least 4x4" in data.skipped[mixed / "tiny.png"]
    for b in batches:
        n = len(b.images)
        assert b.images.shape == (n, 3, 16, 16) and 0 <= b.images.min() and b.images.max() <= 1
        assert b.masks.shape == (n, 1, 16, 16) and b.masks.all()
        assert b.factors.shape == (n, 0) and b.attributes.shape == (n, 0, 0)
    reds = torch.cat([b.images for b in batches])[:5, 0, 8, 8]
    torch.testing.assert_close(reds, torch.arange(5) * 40 / 255)


def test_a_shuffled_stream_has_the_same_images_in_the_generators_order(mixed):
    before = torch.random.get_rng_state()
    a, b, c = (
        torch.cat([p.images for p in ImageFolder(mixed, 8).stream(4, Generator().manual_seed(s))]) for s in (1, 1, 2)
    )
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(a.mean((2, 3)).sort(0).values, c.mean((2, 3)).sort(0).values)


def test_no_more_than_a_batch_is_read_ahead(mixed, monkeypatch):
    read = []
    blank = Square(np.zeros((8, 8, 3), np.uint8), None)
    monkeypatch.setattr(ImageFolder, "_read", lambda self, path: read.append(path) or blank)
    stream = ImageFolder(mixed, 8).stream(2)
    next(stream)
    assert len(read) == 2
    next(stream)
    assert len(read) == 4


def test_the_middle_square_is_kept(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert ImageFolder(tmp_path, 10).at([0, 1]).images.min() == 1


def test_transparency_is_laid_on_black_sixteen_bits_keep_their_shade_and_cameras_orientation_counts(tmp_path):
    saved(tmp_path / "a.png", colour=(255, 0, 0, 128), mode="RGBA")
    Image.fromarray(np.full((28, 28), 13107, np.uint16)).save(tmp_path / "b.png")
    tall = np.zeros((40, 40, 3), np.uint8)
    tall[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(tall).save(tmp_path / "c.png", exif=exif)
    a, b, c = ImageFolder(tmp_path, 8).at([0, 1, 2]).images
    torch.testing.assert_close(a[:, 4, 4], torch.tensor([128 / 255, 0, 0]))
    torch.testing.assert_close(b, torch.full((3, 8, 8), 0.2), rtol=0, atol=1 / 255)
    assert c[:, 0].max() < 0.1 and c[:, -1].min() > 0.9


def test_drawing_takes_every_image_before_any_comes_again_and_passes_over_broken_ones(mixed):
    data = ImageFolder(mixed, 8)
    drawn = data.draw(10, Generator().manual_seed(0)).images
    assert len(drawn) == 10 and len(data.skipped) == 3
    every = torch.cat([p.images for p in data.stream(10)])
    assert all((image == drawn).flatten(1).all(1).any() for image in every)
    assert torch.equal(drawn, ImageFolder(mixed, 8).draw(10, Generator().manual_seed(0)).images)


def test_a_missing_an_empty_and_an_unreadable_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder of images"):
        ImageFolder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"No images in .*expected .*\.jpg"):
        ImageFolder(tmp_path)
    (tmp_path / "x.png").write_text("no image")
    data = ImageFolder(tmp_path)
    for use in (lambda: list(data.stream(2)), lambda: data.at([0]), lambda: data.draw(1, Generator())):
        with pytest.raises(
            OSError, match=r"Not one of the 1 images in .* could be read; the first: .*x.png: it is none of PNG"
        ):
            use()


def test_settings_out_of_range_are_refused(mixed):
    with pytest.raises(ValueError, match="side: expected at least 4"):
        ImageFolder(mixed, 2)
    with pytest.raises(ValueError, match="batch"):
        next(ImageFolder(mixed).stream(0))
    with pytest.raises(ValueError, match="n >= 1"):
        ImageFolder(mixed).draw(0, Generator())


@pytest.mark.parametrize("error", [OSError, ValueError, SyntaxError, KeyError, MemoryError, ZeroDivisionError])
def test_whatever_the_decoder_raises_for_a_broken_file_it_is_passed_over(mixed, monkeypatch, error):
    def fails(*_):
        raise error("bad data")

    monkeypatch.setattr(image_file, "_upright", fails)
    data = ImageFolder(mixed)
    with pytest.raises(OSError, match="Not one of the 10 images"):
        list(data.stream(1))
    assert len(data.skipped) == 10 and all("bad data" in r or "none of PNG" in r for r in data.skipped.values())


def test_one_image_is_read_as_a_folder_s_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    image, placement = load_square(tmp_path / "grey.png", 16)
    data = ImageFolder(tmp_path, 16)
    assert image.shape == (1, 3, 16, 16) and torch.equal(image, data.at([0]).images)
    assert torch.equal(image, data.read(data.files[0]).image) and placement == ((50, 30), (10, 0, 40, 30), 1)
    assert torch.equal(image[:, 0], image[:, 2]) and image.mean() > 0.3, "grey stays grey"
    (tmp_path / "broken.png").write_text("no image")
    with pytest.raises(OSError, match=r"broken\.png could not be read"):
        load_square(tmp_path / "broken.png", 16)
    with pytest.raises(FileNotFoundError, match="No such image"):
        load_square(tmp_path / "nowhere.png", 16)
    assert data.read(tmp_path / "broken.png") is None and "none of PNG" in data.skipped[tmp_path / "broken.png"]


def test_names_that_are_no_text_are_read_or_named_and_the_job_goes_on(tmp_path):
    for name in (b"a\xff.png", b"b\n.png", "c\u2211.png".encode()):
        saved(tmp_path / os.fsdecode(name))
    (tmp_path / os.fsdecode(b"d\xfe.png")).write_text("no image")
    data = ImageFolder(tmp_path, 8)
    assert [len(b.images) for b in data.stream(2)] == [2, 1] and len(data.settings["sha256"]) == 16
    assert [shown(p.name) for p in data.skipped] == [r"d\xfe.png"]
    assert len(store(data, 3, folder=tmp_path / "kept")) == 3
    saved(tmp_path / os.fsdecode(b"\xff") / "x.png").write_text("no image")
    with pytest.raises(OSError, match=r"images in .*\\xff could be read; the first: .*\\xff/x\.png: it is none"):
        ImageFolder(tmp_path / os.fsdecode(b"\xff"), 8).at([0])


def test_a_file_that_is_gone_is_passed_over(mixed):
    data = ImageFolder(mixed, 8)
    (mixed / "z.png").unlink()
    assert sum(len(b.images) for b in data.stream(4)) == 6
    assert data.skipped[mixed / "z.png"] == f"No such image: {mixed / 'z.png'}."


def album(folder, count=40):
    for i in range(count):
        saved(folder / f"{i:02d}.png", colour=(6 * i, i, 0))
    return folder


def reds(data):
    return {round(255 * image[0, 0, 0].item()) for batch in data.stream(16) for image in batch.images}


def test_held_out_images_are_never_in_training_not_even_as_copies(tmp_path):
    data = ImageFolder(album(tmp_path / "a"), 8)
    train, test = data.split("train"), data.split("test")
    assert reds(train) | reds(test) == reds(data) == reds(data.split("all")) and not reds(train) & reds(test)
    assert 1 <= len(test) < 12 and len(train) + len(test) == len(data)
    shutil.copy(test.files[0], tmp_path / "a" / "zz.png")
    shutil.copy(train.files[0], tmp_path / "a" / "zzz.png")
    again = ImageFolder(tmp_path / "a", 8)
    assert reds(again.split("train")) == reds(train) and reds(again.split("test")) == reds(test)
    assert train.settings["part"] == "train" and train.settings != test.settings
    assert "part" not in data.settings, "what was stored of whole folders keeps its name"


@pytest.mark.parametrize("inside", [True, False])
def test_another_folder_may_be_held_out(tmp_path, inside):
    own = album(tmp_path / "a", 20)
    other = own / "held" if inside else tmp_path / "held"
    for i in (3, 7):
        shutil.copy(own / f"{i:02d}.png", saved(other / f"copy{i}.png"))
    saved(other / "new.png", colour=(255, 0, 0))
    data = ImageFolder(own, 8, test=other)
    assert reds(data.split("test")) == {18, 42, 255} and data.split("test").folder == other
    assert reds(data.split("train")) == {6 * i for i in range(20)} - {18, 42}
    assert len(data) == (23 if inside else 20)


def test_a_folder_that_cannot_be_split_says_so(tmp_path):
    saved(tmp_path / "a" / "x.png")
    data = ImageFolder(tmp_path / "a")
    with pytest.raises(ValueError, match="at least two different images"):
        data.split("train")
    with pytest.raises(ValueError, match=r"No image of .*a is left to train on: all are in .*a too"):
        ImageFolder(tmp_path / "a", test=tmp_path / "a").split("train")
    with pytest.raises(FileNotFoundError, match=r"No such folder of images: .*none"):
        ImageFolder(tmp_path / "a", test=tmp_path / "none").split("train")
    with pytest.raises(ValueError, match="split: expected 'all', 'train' or 'test', got 'held'"):
        ImageFolder(tmp_path / "a", split="held")


def test_a_folder_whose_images_changed_is_stored_anew(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for shade in (10, 200):
        for name in ("a.png", "b.png", "c.png"):
            Image.new("RGB", (20, 20), (shade,) * 3).save(folder / name)
        kept = store(ImageFolder(folder, 16), 6, folder=tmp_path / "kept")
        assert (kept.images(torch.arange(6)) - shade / 255).abs().max() < 1e-6
