"""Folders of images as users have them: any size, any mode, some broken."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.data import folder as module
from ergosum.data.folder import Folder, load_picture
from ergosum.data.pictures import store


def picture(path, size=(40, 40), colour=(255, 0, 0), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def mixed(tmp_path):
    """Seven readable images of different kinds, three broken ones, and files that are none."""
    for i in range(5):
        picture(tmp_path / "faces" / f"{i}.png", (40 + i, 60), (40 * i, 0, 0))
    picture(tmp_path / "street.JPG", (300, 100), (10, 200, 10))
    picture(tmp_path / "z.png", (20, 20), 128, "L")
    (tmp_path / "broken.png").write_text("no image")
    whole = picture(tmp_path / "half.png", (64, 64)).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    picture(tmp_path / "tiny.png", (2, 2))
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


def test_every_readable_image_comes_once_in_order_and_broken_ones_are_named(mixed):
    data = Folder(mixed, 16)
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
    a, b, c = (torch.cat([p.images for p in Folder(mixed, 8).stream(4, Generator().manual_seed(s))]) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(a.mean((2, 3)).sort(0).values, c.mean((2, 3)).sort(0).values)


def test_no_more_than_a_batch_is_read_ahead(mixed, monkeypatch):
    read = []
    monkeypatch.setattr(Folder, "_read", lambda self, path: read.append(path) or np.zeros((8, 8, 3), np.uint8))
    stream = Folder(mixed, 8).stream(2)
    next(stream)
    assert len(read) == 2
    next(stream)
    assert len(read) == 4


def test_the_middle_square_is_kept(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "high.png")
    assert Folder(tmp_path, 10).at([0, 1]).images.min() == 1


def test_transparency_is_laid_on_black_sixteen_bits_keep_their_shade_and_cameras_orientation_counts(tmp_path):
    picture(tmp_path / "a.png", colour=(255, 0, 0, 128), mode="RGBA")
    Image.fromarray(np.full((28, 28), 13107, np.uint16)).save(tmp_path / "b.png")
    tall = np.zeros((40, 40, 3), np.uint8)
    tall[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(tall).save(tmp_path / "c.png", exif=exif)
    a, b, c = Folder(tmp_path, 8).at([0, 1, 2]).images
    torch.testing.assert_close(a[:, 4, 4], torch.tensor([128 / 255, 0, 0]))
    torch.testing.assert_close(b, torch.full((3, 8, 8), 0.2), rtol=0, atol=1 / 255)
    assert c[:, 0].max() < 0.1 and c[:, -1].min() > 0.9


def test_drawing_takes_every_image_before_any_comes_again_and_passes_over_broken_ones(mixed):
    data = Folder(mixed, 8)
    drawn = data.draw(10, Generator().manual_seed(0)).images
    assert len(drawn) == 10 and len(data.skipped) == 3
    every = torch.cat([p.images for p in data.stream(10)])
    assert all((image == drawn).flatten(1).all(1).any() for image in every)
    assert torch.equal(drawn, Folder(mixed, 8).draw(10, Generator().manual_seed(0)).images)


def test_a_missing_an_empty_and_an_unreadable_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder of images"):
        Folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"No images in .*expected .*\.jpg"):
        Folder(tmp_path)
    (tmp_path / "x.png").write_text("no image")
    data = Folder(tmp_path)
    for use in (lambda: list(data.stream(2)), lambda: data.at([0]), lambda: data.draw(1, Generator())):
        with pytest.raises(OSError, match=r"Not one of the 1 images in .* could be read; .*x.png: cannot identify"):
            use()


def test_settings_out_of_range_are_refused(mixed):
    with pytest.raises(ValueError, match="side: expected at least 4"):
        Folder(mixed, 2)
    with pytest.raises(ValueError, match="batch"):
        next(Folder(mixed).stream(0))
    with pytest.raises(ValueError, match="n >= 1"):
        Folder(mixed).draw(0, Generator())


@pytest.mark.parametrize("error", module._BROKEN)
def test_whatever_the_decoder_raises_for_a_broken_file_it_is_passed_over(mixed, monkeypatch, error):
    def fails(*_):
        raise error("bad data")

    monkeypatch.setattr(module, "_square", fails)
    data = Folder(mixed)
    with pytest.raises(OSError, match="Not one of the 10 images"):
        list(data.stream(1))
    assert set(data.skipped.values()) >= {"bad data"}


def test_one_image_is_read_as_a_folder_s_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    picture = load_picture(tmp_path / "grey.png", 16)
    assert picture.shape == (1, 3, 16, 16) and torch.equal(picture, Folder(tmp_path, 16).at([0]).images)
    assert torch.equal(picture[:, 0], picture[:, 2]) and picture.mean() > 0.3, "grey stays grey"
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(OSError, match=r"broken\.png could not be read"):
        load_picture(tmp_path / "broken.png", 16)
    with pytest.raises(FileNotFoundError, match="No such image"):
        load_picture(tmp_path / "nowhere.png", 16)


def test_a_folder_whose_pictures_changed_is_stored_anew(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for shade in (10, 200):
        for name in ("a.png", "b.png", "c.png"):
            Image.new("RGB", (20, 20), (shade,) * 3).save(folder / name)
        kept = store(Folder(folder, 16), 6, folder=tmp_path / "kept")
        assert (kept.images(torch.arange(6)) - shade / 255).abs().max() < 1e-6
