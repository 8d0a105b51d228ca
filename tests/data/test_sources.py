"""Digits from the package, from MNIST's files, Fashion-MNIST's and from folders; and every way in which files can be
broken.
"""

import gzip
import hashlib
import http.client
import io
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image
from sprites import archive, sprite

from ergosum.data import sources
from ergosum.data.sources import FASHION_FILES, MNIST_FILES, checksum, cut, default_source, load_digits, load_image

TEST_LABELS = "t10k-labels-idx1-ubyte"


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def idx(array):
    header = b"\x00\x00\x08" + bytes([array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist(monkeypatch):
    """MNIST's four files with eleven digits each, as gzip, and the digests that belong to them."""
    packed = {}
    for name in MNIST_FILES:
        shape = (11, 28, 28) if "images" in name else (11,)
        raw = idx(np.arange(np.prod(shape)).reshape(shape) % 10)
        monkeypatch.setitem(MNIST_FILES, name, hashlib.sha256(raw).hexdigest())
        packed[name] = gzip.compress(raw)
    return packed


def test_the_bundled_digits_are_split_without_overlap():
    train, test = (load_digits("digits", s) for s in ("train", "test"))
    assert len(train.labels) == 1397 and len(test.labels) == 400
    seen = {v.numpy().tobytes() for v in train.images} | {v.numpy().tobytes() for v in test.images}
    assert len(seen) == 1797
    for part in (train, test):
        assert part.images.shape[1:] == (1, 28, 28) and part.images.min() >= 0 and part.images.max() <= 1
        assert sorted(set(part.labels.tolist())) == list(range(10))
        margin = part.images.clone()
        margin[..., 4:24, 4:24] = 0
        assert margin.max() == 0 and part.images.mean() > 0.05


def test_mnist_has_its_known_counts_and_brightness(mnist):
    train, test = (load_digits("mnist", s) for s in ("train", "test"))
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.images.shape == (60000, 1, 28, 28)
    sums = [(part.images * 255).round().to(torch.uint8).sum(dtype=torch.int64).item() for part in (train, test)]
    assert sums == [1567298545, 264923200]


def test_sources_joined_by_a_plus_get_about_equal_shares(no_mnist, small_mnist):
    for name, content in small_mnist.items():
        (no_mnist / f"{name}.gz").write_bytes(content)
    joined = load_digits("digits+mnist", "train")
    assert len(joined.labels) == 1397 + 11 * (1397 // 11)
    limited = load_digits("mnist+digits", "train", limit=3)
    assert len(limited.labels) == 6 and limited.labels[:3].tolist() == [0, 1, 2]


def test_the_canvas_keeps_the_margin_in_proportion():
    small, large = (load_digits("digits", "test", canvas=c, limit=5).images for c in (28, 56))
    assert large.shape[-2:] == (56, 56)
    assert large.mean().item() == pytest.approx(small.mean().item(), rel=0.02)


def test_the_checksum_names_the_images():
    digits = load_digits("digits", "test")
    assert checksum(digits) == checksum(load_digits("digits", "test"))
    changed = digits.images.clone()
    changed[0, 0, 14, 14] += 0.5
    assert checksum(digits) != checksum(digits._replace(images=changed)) and len(checksum(digits)) == 16


@pytest.mark.parametrize("place", ["", "mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_packed_or_not_from_its_folder_or_the_one_above(no_mnist, small_mnist, place, packed):
    (no_mnist / place).mkdir(exist_ok=True)
    for name, content in small_mnist.items():
        path = no_mnist / place / (f"{name}.gz" if packed else name)
        path.write_bytes(content if packed else gzip.decompress(content))
    digits = load_digits("mnist", "test")
    assert digits.labels.tolist() == [*range(10), 0]
    assert digits.images[0, 0, 0, 9].item() == pytest.approx(9 / 255)


@pytest.mark.parametrize(
    "harm, message",
    [
        (lambda b: b[: len(b) // 2], "ended before the end-of-stream marker"),
        (lambda b: b"no gzip at all", "Not a gzipped file"),
        (lambda b: b"", "its checksum differs"),
        (lambda b: gzip.compress(gzip.decompress(b)[:-1]), "its checksum differs"),
        (lambda b: gzip.compress(gzip.decompress(b)[:-1] + b"\x07"), "its checksum differs"),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_written(no_mnist, small_mnist, harm, message):
    for name, content in small_mnist.items():
        (no_mnist / f"{name}.gz").write_bytes(harm(content) if name == TEST_LABELS else content)
    before = listing(no_mnist.parent)
    with pytest.raises(
        OSError, match=rf"{TEST_LABELS}.gz is damaged or not MNIST's .*{message}.*Delete it and try again"
    ):
        load_digits("mnist", "test")
    assert listing(no_mnist.parent) == before


def test_a_missing_file_is_named_and_never_downloaded_where_a_folder_was_given(no_mnist, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("tried to download"))
    with pytest.raises(FileNotFoundError, match=r"t10k-images-idx3-ubyte.gz is neither in ERGOSUM_DATA="):
        load_digits("mnist", "test")
    assert listing(no_mnist.parent) == []


class Reply(io.BytesIO):
    """What a server sends; nothing stands for a connection that breaks."""

    def read(self, *_):
        if not self.getvalue():
            raise http.client.IncompleteRead(b"half")
        return self.getvalue()


BAD_REPLIES = {"no route": urllib.error.URLError("no route"), "cut short": b"", "a page": b"<html>",
               "another file": gzip.compress(b"x")}  # fmt: skip


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_a_download_that_fails_leaves_no_half_file(no_mnist, monkeypatch, reply):
    monkeypatch.delenv("ERGOSUM_DATA")
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        if isinstance(reply, Exception):
            raise reply
        return Reply(reply)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(OSError, match=r"Could not download MNIST's t10k-images.*ERGOSUM_DATA.*'digits'"):
        load_digits("mnist", "test")
    assert listing(no_mnist.parent) == [] and [u.split("/")[2] for u in asked] == [
        u.split("/")[2] for u in sources.MNIST_URLS
    ]


def test_a_download_is_kept_and_not_repeated(no_mnist, small_mnist, monkeypatch):
    monkeypatch.delenv("ERGOSUM_DATA")
    served = []

    def urlopen(url, timeout):
        served.append(url)
        return io.BytesIO(small_mnist[url.rsplit("/", 1)[1].removesuffix(".gz")])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    first, second = load_digits("mnist", "test"), load_digits("mnist", "test")
    assert torch.equal(first.images, second.images) and len(served) == 2
    names = [f"t10k-{n}-ubyte.gz" for n in ("images-idx3", "labels-idx1")]
    assert listing(no_mnist.parent) == [f"cache/ergosum/mnist/{n}" for n in names]


def test_mnist_is_the_default_where_all_of_it_is_at_hand_packed_or_not(no_mnist, small_mnist):
    cache = no_mnist.parent / "cache" / "ergosum" / "mnist"
    (no_mnist / "mnist").mkdir()
    cache.mkdir(parents=True)
    places = [no_mnist / "mnist", no_mnist, cache]
    for i, (name, content) in enumerate(small_mnist.items()):
        assert default_source() == "digits"
        if i < 3:
            (places[i] / f"{name}.gz").write_bytes(content)
        else:
            (no_mnist / name).write_bytes(gzip.decompress(content))
    assert default_source() == "mnist"
    assert len(load_digits(default_source(), "test").labels) == 11


def test_fashion_has_ninety_images_of_every_class_of_which_nine_are_held_out(fashion):
    train, test = (load_digits("fashion", s) for s in ("train", "test"))
    assert train.labels.bincount().tolist() == [81] * 10 and test.labels.bincount().tolist() == [9] * 10
    assert train.images.shape == (810, 1, 28, 28) and train.images.max() == 1 and train.images.min() == 0
    seen = {v.numpy().tobytes() for v in train.images} | {v.numpy().tobytes() for v in test.images}
    assert len(seen) == 900
    if fashion.suffix == ".npz":
        labels = torch.from_numpy(np.load(fashion)["labels"]).long()
        assert torch.equal(test.labels, labels[9::10])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_the_sprite_of_fashion_is_cut_into_the_images_of_the_archive(fashion, no_mnist, mode):
    if fashion.suffix != ".npz":
        pytest.skip(f"only the sprite is at hand, and not {FASHION_FILES[0]}")
    (no_mnist / FASHION_FILES[1]).write_bytes(sprite(np.load(fashion)["images"], mode))
    sprited = load_digits("fashion", "test")
    (no_mnist / FASHION_FILES[0]).write_bytes(fashion.read_bytes())
    assert all(map(torch.equal, sprited, load_digits("fashion", "test")))


def number_of(images):
    """What the uppermost row of a stand-in for Fashion-MNIST says."""
    return (images[:, 0, 0, :10].round().long() << torch.arange(10)).sum(1).tolist()


@pytest.mark.parametrize("place", ["given", "given/fashion", "cache/ergosum/fashion"])
@pytest.mark.parametrize("suffix", ["npz", "png"])
def test_fashion_is_read_from_either_file_in_its_folder_the_one_above_or_the_cache(
    no_mnist, small_fashion, place, suffix
):
    folder = no_mnist.parent / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FASHION_FILES[suffix == "png"]).write_bytes(small_fashion[suffix])
    train, test = (load_digits("fashion", s) for s in ("train", "test"))
    assert number_of(test.images) == list(range(9, 900, 10))
    assert sorted(number_of(train.images) + number_of(test.images)) == list(range(900))
    assert test.labels.tolist() == [i // 90 for i in range(9, 900, 10)]


def test_fashion_joins_other_sources(no_mnist, small_mnist, small_fashion):
    for name, content in small_mnist.items():
        (no_mnist / f"{name}.gz").write_bytes(content)
    (no_mnist / FASHION_FILES[0]).write_bytes(small_fashion["npz"])
    assert len(load_digits("mnist+fashion", "train").labels) == 810 + 11 * (810 // 11)
    assert load_digits("mnist+fashion", "test").images.shape == (11 + 90, 1, 28, 28)


def test_a_sprite_is_cut_row_by_row_into_whole_cells():
    cells = cut(np.arange(6).reshape(2, 3).repeat(4, 0).repeat(4, 1), 4)
    assert cells.shape == (6, 4, 4) and (cells == np.arange(6)[:, None, None]).all()
    for shape in ((9, 8), (8, 9), (2, 8, 8)):
        with pytest.raises(ValueError, match="whole cells of 4x4"):
            cut(np.zeros(shape), 4)


def blank(n=900, dtype=np.uint8):
    return np.zeros((n, 28, 28), dtype)


BROKEN_ARCHIVES = {
    "truncated": (lambda b: b[: len(b) // 2], ""), "empty": (lambda b: b"", ""), "text": (lambda b: b"hello", ""),
    "other pixels": (lambda b: archive(images=blank()), "its checksum differs"),
    "fewer": (lambda b: archive(images=blank(899)), r"expected images \(900, 28, 28\) in uint8"),
    "floats": (lambda b: archive(images=blank(dtype=np.float32)), "got .* in float32"),
    "no images": (lambda b: archive(drawn=blank()), "images is not a file in the archive"),
}  # fmt: skip
BROKEN_SPRITES = {
    "truncated": (lambda b: b[: len(b) // 2], "truncated"), "empty": (lambda b: b"", "cannot identify"),
    "text": (lambda b: b"<html>", "cannot identify"), "other pixels": (lambda b: sprite(blank()), "checksum differs"),
    "fewer": (lambda b: sprite(blank(30)), r"got \(30, 28, 28\)"),
    "no cells": (lambda b: sprite(np.zeros((30, 20, 20))), "whole cells of 28x28"),
}  # fmt: skip
HARMS = [
    *((FASHION_FILES[0], "npz", *harm) for harm in BROKEN_ARCHIVES.values()),
    *((FASHION_FILES[1], "png", *harm) for harm in BROKEN_SPRITES.values()),
]


@pytest.mark.parametrize("name, suffix, harm, message", HARMS, ids=[*BROKEN_ARCHIVES, *BROKEN_SPRITES])
def test_a_broken_file_of_fashion_is_named_and_nothing_is_written(no_mnist, small_fashion, name, suffix, harm, message):
    (no_mnist / name).write_bytes(harm(small_fashion[suffix]))
    with pytest.raises(
        OSError, match=rf"{name} is damaged or not Fashion-MNIST's .*{message}.*Delete it and try again"
    ):
        load_digits("fashion", "test")
    assert listing(no_mnist.parent) == [f"given/{name}"]


def test_a_missing_fashion_is_named_and_never_downloaded_where_a_folder_was_given(no_mnist, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("tried to download"))
    with pytest.raises(FileNotFoundError, match=rf"{FASHION_FILES[1]} \(or {FASHION_FILES[0]}\) is neither in ERGOSUM"):
        load_digits("fashion", "test")
    assert listing(no_mnist.parent) == []


@pytest.mark.parametrize("reply", [*BAD_REPLIES.values(), sprite(blank())], ids=[*BAD_REPLIES, "other pixels"])
def test_a_download_of_fashion_that_fails_leaves_no_half_file(no_mnist, monkeypatch, reply):
    monkeypatch.delenv("ERGOSUM_DATA")

    def urlopen(url, timeout):
        assert url == sources.FASHION_URL
        if isinstance(reply, Exception):
            raise reply
        return Reply(reply)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(OSError, match=r"Could not download Fashion-MNIST's .*ERGOSUM_DATA.*'digits'"):
        load_digits("fashion", "test")
    assert listing(no_mnist.parent) == []


def test_a_download_of_fashion_is_kept_and_not_repeated(no_mnist, small_fashion, monkeypatch):
    monkeypatch.delenv("ERGOSUM_DATA")
    served = []
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda url, timeout: served.append(url) or io.BytesIO(small_fashion["png"])
    )
    train, test = (load_digits("fashion", s) for s in ("train", "test"))
    assert len(train.labels) == 810 and len(test.labels) == 90 and served == [sources.FASHION_URL]
    assert listing(no_mnist.parent) == [f"cache/ergosum/fashion/{FASHION_FILES[1]}"]


def image_file(path, mode="L", size=(28, 28), value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def shades(digits):
    return {round(255 * image.mean().item()): int(label) for image, label in zip(*digits, strict=True)}


def test_a_folder_of_images_takes_labels_from_its_sub_folders_and_holds_some_out(tmp_path):
    for i in range(60):
        image_file(tmp_path / str(i % 2) / f"{i:02d}.png", value=4 * i)
    (tmp_path / "notes.txt").write_text("no image")
    train, test = (shades(load_digits(str(tmp_path), s)) for s in ("train", "test"))
    assert train | test == {4 * i: i % 2 for i in range(60)} and not train.keys() & test.keys()
    assert 1 <= len(test) <= 6 + 4 * 5.4**0.5
    for shade in test:
        image_file(tmp_path / "7" / f"copy{shade}.png", value=shade)
    assert shades(load_digits(str(tmp_path), "train")) == train, "copies of held-out digits stay held out"


def test_what_cannot_be_read_in_a_folder_of_digits_is_left_out_and_said(tmp_path):
    for i in range(30):
        image_file(tmp_path / f"{i:02d}.png", value=i)
    image_file(tmp_path / "__MACOSX" / "._00.png"), (tmp_path / "x.png").mkdir()
    (tmp_path / "z.png").write_text("no image")
    (tmp_path / "y.png").write_text("none either")
    with pytest.warns(UserWarning, match=r"^[12] files in .* are left out; the first: .*[yz]\.png: it is none of PNG"):
        parts = [load_digits(str(tmp_path), s) for s in ("train", "test")]
    assert shades(parts[0]).keys() | shades(parts[1]).keys() == set(range(30))
    for path in tmp_path.glob("??.png"):
        path.unlink()
    with pytest.raises(OSError, match=r"Not one of the train images in .* could be read; the first: "):
        load_digits(str(tmp_path), "train")


def test_a_phone_s_image_of_a_digit_is_upright(tmp_path):
    pixels = np.zeros((40, 40), np.uint8)
    pixels[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is stored above is at the right
    Image.fromarray(pixels).save(tmp_path / "x.jpg", exif=exif)
    frame = load_image(tmp_path / "x.jpg", 40)
    assert frame[0, :, 31:].min() > 0.9 and frame[0, :, :29].max() < 0.1


def test_a_folder_whose_name_holds_a_plus_is_one_source(tmp_path):
    for i in range(20):
        image_file(tmp_path / "a+b" / f"{i}.png", value=9 * i)
    assert (
        len(load_digits(str(tmp_path / "a+b"), "train").labels) + len(load_digits(str(tmp_path / "a+b"), "test").labels)
        == 20
    )


def test_a_folder_without_images_and_an_unknown_source_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="No images in"):
        load_digits(str(tmp_path), "train")
    with pytest.raises(ValueError, match="Unknown source 'digit': expected digits, mnist-1000, mnist, fashion, a"):
        load_digits("digit", "train")


def test_a_grey_image_becomes_a_red_digit(tmp_path):
    for mode, value in (("L", 51), ("RGB", (51, 51, 51))):
        frame = load_image(image_file(tmp_path / f"{mode}.png", mode, value=value))
        assert frame.shape == (3, 28, 28)
        torch.testing.assert_close(frame[0], torch.full((28, 28), 0.2))
        assert frame[1:].abs().max() == 0


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    Image.fromarray(np.full((28, 28), 13107, np.uint16)).save(tmp_path / "deep.png")
    torch.testing.assert_close(load_image(tmp_path / "deep.png")[0], torch.full((28, 28), 0.2), rtol=0, atol=1 / 255)


def test_a_coloured_image_keeps_its_colours_and_any_size_fits_the_canvas(tmp_path):
    frame = load_image(image_file(tmp_path / "c.png", "RGB", (60, 60), (0, 102, 255)), canvas=56)
    expected = torch.tensor([0.0, 0.4, 1.0])[:, None, None].expand(3, 56, 56)
    torch.testing.assert_close(frame, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("mode, value", [("RGBA", (255, 0, 0, 128)), ("LA", (255, 128))])
def test_what_is_transparent_is_laid_on_black(tmp_path, mode, value):
    frame = load_image(image_file(tmp_path / "x.png", mode, (28, 28), value))
    torch.testing.assert_close(frame[0], torch.full((28, 28), 128 / 255))
    assert frame[1:].max() == 0


@pytest.mark.parametrize(
    "size, message",
    [((1, 1), "1x1 pixels; expected at least 4x4"), ((3, 40), "3x40 pixels; expected at least 4x4"),
     ((200, 4), "200x4 pixels; on a canvas of 28 it is thinner than one")],
)  # fmt: skip
def test_an_image_that_makes_no_frame_is_refused_with_the_reason(tmp_path, size, message):
    with pytest.raises(OSError, match=message):
        load_image(image_file(tmp_path / "x.png", "L", size, 3))


def test_a_text_file_a_truncated_image_and_a_missing_one_are_no_images(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    whole = image_file(tmp_path / "whole.png", "RGB", (64, 64), (1, 2, 3)).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    for name in ("text.png", "half.png"):
        with pytest.raises(OSError, match=f"{name} could not be read as an image: "):
            load_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="No such image"):
        load_image(tmp_path / "none.png")
