"""The one reader of image files: every mode of Pillow, every orientation, and files that mean harm."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from ergosum.data import image_file
from ergosum.data.image_file import MOST_PIXELS, UnreadableImage, plain, read_image, read_square
from ergosum.data.sources import load_image

ORIENTATION = 0x0112


def noise(height, width, channels=None, top=256, dtype=np.uint8):
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(height * width).integers(0, top, shape).astype(dtype)


def saved(path, pixels, mode=None, orientation=1, **options):
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    (image.convert(mode) if mode else image).save(path, exif=exif, **options)
    return path


def square_in_pillow(path, side):
    """The middle square by Pillow alone, step by step on the whole image."""
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            seen = image.convert("RGBA")
            image = Image.new("RGB", seen.size)
            image.paste(seen, mask=seen.getchannel("A"))
        image = image.convert("RGB")
    shorter = min(image.size)
    left, top = (image.width - shorter) // 2, (image.height - shorter) // 2
    return np.asarray(image.crop((left, top, left + shorter, top + shorter)).resize((side, side), Image.LANCZOS))


ORDINARY = [(28, 28), (61, 40), (300, 201), (777, 1000)]


@pytest.mark.parametrize("height, width", ORDINARY)
@pytest.mark.parametrize(
    "channels, suffix", [(None, "jpg"), (3, "jpg"), *((c, s) for c in (None, 2, 3, 4) for s in ("png", "tif"))]
)
def test_the_middle_square_of_an_ordinary_image_is_pillow_s_to_the_bit(tmp_path, height, width, channels, suffix):
    for orientation in (1, 3, 6, 7):
        path = saved(tmp_path / f"{orientation}.{suffix}", noise(height, width, channels), None, orientation)
        np.testing.assert_array_equal(read_square(path, 24).pixels, square_in_pillow(path, 24))


@pytest.mark.parametrize("height, width", ORDINARY)
@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_digit_is_padded_at_its_own_size_and_resized_by_torch_to_the_bit(tmp_path, height, width, channels, suffix):
    path = saved(tmp_path / f"x.{suffix}", noise(height, width, channels))
    with Image.open(path) as image:
        side = max(image.size)
        square = Image.new(image.mode, (side, side))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    array = torch.from_numpy(np.array(square)).float() / 255
    frame = array[None] if channels is None else array.permute(2, 0, 1)
    if side != 28:
        frame = F.interpolate(frame[None], (28, 28), mode="bicubic", antialias=True)[0].clamp(0, 1)
    assert torch.equal(load_image(path), F.pad(frame, (0, 0, 0, 0, 0, 3 - len(frame))))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_both_readers_turn_an_image_upright(tmp_path, orientation, suffix):
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:8, :24] = 255  # the upper left
    stored = Image.fromarray(upright)
    if orientation > 1:  # the inverse of what a viewer does
        back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
        stored = stored.transpose(back.get(orientation, image_file._UPRIGHT[orientation]))
    path = saved(tmp_path / f"x.{suffix}", stored, orientation=orientation)
    whole = read_image(path)
    assert whole.shape == (3, 40, 64)
    torch.testing.assert_close(whole, torch.from_numpy(upright).permute(2, 0, 1) / 255, rtol=0, atol=0.25)
    pixels, placement = read_square(path, 40)
    assert np.abs(pixels.astype(int) - upright[:, 12:52]).max() < 60
    assert placement == ((64, 40), (12, 0, 52, 40), orientation)


COLOURS = {"1": (255, 255, 255), "L": (124, 124, 124), "LA": (124, 124, 124), "La": (124, 124, 124)}


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_read_or_refused(mode):
    image = Image.new("RGB", (6, 5), (200, 100, 50))
    if mode.startswith("I;16"):
        values = np.full((5, 6), 0x3412 if mode == "I;16B" else 0x1234, ">u2" if mode == "I;16B" else "<u2")
        image = Image.frombytes(mode, (6, 5), values.tobytes())
        assert np.unique(np.asarray(plain(image))).tolist() == [0x34 if mode == "I;16B" else 0x12]
    elif mode == "I":
        with pytest.raises(ValueError, match="32-bit integers, whose white is not known"):
            plain(image.convert("I"))
    elif mode == "F":
        assert np.unique(np.asarray(plain(Image.fromarray(np.full((5, 6), 0.2, np.float32))))).tolist() == [51]
        for wrong in (-0.5, 1.5, 255, np.nan, np.inf):
            with pytest.raises(ValueError, match=r"floats from .* expected 0 \.\. 1"):
                plain(Image.fromarray(np.full((5, 6), wrong, np.float32)))
    else:
        made = image
        for step in {"PA": ["P", "PA"], "La": ["LA", "La"], "RGBa": ["RGBA", "RGBa"]}.get(mode, [mode]):
            made = Image.new("LAB", (6, 5), (139, 163, 176)) if step == "LAB" else made.convert(step)
        seen = plain(made)
        assert seen.mode in ("L", "LA", "RGB", "RGBA")
        assert ("A" in seen.mode) == (mode in ("LA", "La", "PA", "RGBA", "RGBa"))
        pixel = np.asarray(seen.convert("RGB"))[2, 3].astype(int)
        assert np.abs(pixel - COLOURS.get(mode, (200, 100, 50))).max() <= 8, "HSV and LAB round coarsely"


def tiff(values, bits, photometric=1, order="<", tile=0):
    """An uncompressed TIFF of one grey channel, tag by tag; it may claim a tile."""
    height, width = values.shape
    data = values.astype(f"{order}u2").tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2)
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags |= {322: tile, 323: tile} if tile else {}
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8 + len(data))
    rows = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    return head + data + struct.pack(f"{order}H", len(tags)) + rows + bytes(4)


@pytest.mark.parametrize(
    "order, bits, photometric, value",
    [("<", 16, 1, 13107), (">", 16, 1, 13107), ("<", 16, 0, 65535 - 13107), ("<", 12, 1, 819)],
)
def test_deep_tiff_keeps_its_shade_in_either_byte_order(tmp_path, order, bits, photometric, value):
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(np.full((6, 8), value, np.uint16), bits, photometric, order))
    torch.testing.assert_close(read_image(path), torch.full((1, 6, 8), 0.2), rtol=0, atol=1 / 255)
    assert np.unique(read_square(path, 4).pixels).tolist() == [51]
    torch.testing.assert_close(load_image(path)[0, 14, 14].item(), 0.2, rtol=0, atol=1 / 255)


def test_the_other_deep_files_keep_their_shade_or_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 13107, np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "b.pgm").write_bytes(b"P5 8 8 1023\n" + np.full(64, 205, ">u2").tobytes())
    Image.fromarray(np.full((8, 8), 0.2, np.float32)).save(tmp_path / "c.tif")
    for name in ("a.png", "b.pgm", "c.tif"):
        torch.testing.assert_close(read_image(tmp_path / name), torch.full((1, 8, 8), 0.2), rtol=0, atol=1 / 255)
    Image.fromarray(np.full((8, 8), 200, np.int32)).save(tmp_path / "d.tif")
    with pytest.raises(UnreadableImage, match=r"d\.tif could not be read .*32-bit integers.* 8 or 16 bits\.$"):
        read_image(tmp_path / "d.tif")


def test_one_shade_of_sixteen_bits_may_be_transparent(tmp_path):
    values = np.full((8, 8), 50000, np.uint16)
    values[:, :4] = 77
    Image.fromarray(values).save(tmp_path / "x.png", transparency=77)
    assert read_image(tmp_path / "x.png", background=None)[1, 0].tolist() == [0] * 4 + [1] * 4
    assert read_image(tmp_path / "x.png", background=1.0)[0, 0, :4].tolist() == [1] * 4


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L"])
def test_what_is_transparent_is_laid_on_the_ground_that_is_named_or_kept(tmp_path, mode):
    image = Image.new("L", (8, 8), 200)
    image.paste(10, (0, 0, 8, 4))
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.repeat(np.uint8([[0], [255]]), 4, 0).repeat(8, 1)))
        image.convert(mode).save(tmp_path / "x.png")
    else:
        image.convert(mode).save(
            tmp_path / "x.png", transparency=10 if mode == "L" else image.convert("P").getpixel((0, 0))
        )
    for ground in (0.0, 1.0):
        laid = read_image(tmp_path / "x.png", ground)
        assert len(laid) == (1 if "L" in mode else 3)
        assert laid[:, :4].unique().tolist() == [ground] and laid[0, 6, 6].item() == pytest.approx(200 / 255)
    kept = read_image(tmp_path / "x.png", None)
    assert len(kept) == len(laid) + 1 and kept[-1, :4].max() == 0 and kept[-1, 4:].min() == 1
    assert read_square(tmp_path / "x.png", 8).pixels[0].max() == 0


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("L", (8, 8), shade) for shade in (50, 250)]
    for suffix in ("gif", "webp", "png", "tif"):
        path = tmp_path / f"x.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        assert read_image(path).mean().item() == pytest.approx(50 / 255, abs=0.01)


def png(width, height, content=None):
    """A grey PNG of one shade; with `content`, its pixels are those bytes, however few."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) if content is None else content
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = data + packer.flush() if content is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def progressive(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG", progressive=True)
    content = bytearray(buffer.getvalue())
    place = content.index(b"\xff\xc2") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


HOSTILE = {
    "empty": (b"", "none of PNG, JPEG"), "text": (b"hello", "none of PNG, JPEG"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of PNG, JPEG"),
    "bomb": (png(30_000, 30_000, b""), "claims too many pixels"),
    "large": (png(11_000, 11_000, b""), f"11000x11000 pixels; at most {MOST_PIXELS:,} are decoded"),
    "strip of nothing": (png(3, 1_000_000, b""), "3x1000000 pixels; expected at least 4x4"),
    "no pixels": (png(50, 50, b""), ""), "half": (png(50, 50)[:70], ""),
    "large progressive": (progressive(20_000, 5_000), "20000x5000 pixels; at most"),
    "huge tile": (tiff(np.zeros((8, 8), np.uint16), 16, tile=60_000), "60000x60000 pixels; at most"),
}  # fmt: skip


@pytest.mark.parametrize("content, message", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_means_harm_ends_with_one_line(tmp_path, content, message):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (lambda: read_image(path), lambda: read_square(path, 16), lambda: load_image(path)):
            with pytest.raises(UnreadableImage) as caught:
                read()
            assert str(caught.value).startswith(f"{path} could not be read as an image: ") and message in str(
                caught.value
            )
            assert "\n" not in str(caught.value)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("width, height", [(1_000_000, 4), (4, 1_000_000)])
def test_a_strip_costs_what_it_holds_and_makes_no_digit(tmp_path, width, height):
    path = tmp_path / "x.png"
    path.write_bytes(png(width, height))
    assert max(read_image(path).shape) <= 2048 and read_square(path, 16).pixels.shape == (16, 16, 3)
    with pytest.raises(UnreadableImage, match="on a canvas of 28 it is thinner than one"):
        load_image(path)


def test_large_images_are_averaged_strip_by_strip(tmp_path, monkeypatch):
    y, x = np.mgrid[:157, :301]
    smooth = np.stack([x * 0.8, y * 1.5, 55 + x * 0.5], -1).astype(np.uint8)
    path = saved(tmp_path / "x.png", smooth, orientation=8)
    exact, square = read_image(path, None), read_square(path, 20)
    monkeypatch.setattr(image_file, "LONGEST", 100)
    monkeypatch.setattr(image_file, "_LARGE", 50**2)
    small, shrunk = read_image(path, None), read_square(path, 20)
    assert exact.shape == (3, 301, 157) and small.shape == (3, 76, 40)
    torch.testing.assert_close(small[:, 1:, :39], F.avg_pool2d(exact[:, 1:, :156], 4), rtol=0, atol=2 / 255)
    assert np.abs(square.pixels.astype(int) - shrunk.pixels).max() <= 4 and square.placement == shrunk.placement


def test_a_name_of_any_bytes_is_read_and_printed(tmp_path):
    name = os.fsdecode(b"\xe9\n.png")
    saved(tmp_path / name, noise(8, 8))
    assert read_image(tmp_path / name).shape == (1, 8, 8)
    (tmp_path / name).write_text("no image")
    with pytest.raises(UnreadableImage, match=r"\\xe9\\n\.png could not be read"):
        read_image(tmp_path / name)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"x\.png is a folder, not an image"):
        read_image(tmp_path / "x.png")
    with pytest.raises(FileNotFoundError, match=r"No such image: .*y\.png"):
        read_square(tmp_path / "y.png", 8)


def test_damaged_exif_does_not_hide_an_image(tmp_path):
    Image.fromarray(noise(8, 8)).save(tmp_path / "x.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x63")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "x.png").shape == (1, 8, 8)


@pytest.mark.slow
def test_the_largest_image_costs_its_pixels_and_little_more(tmp_path):
    (tmp_path / "x.png").write_bytes(png(8192, 8192))
    code = (
        "import resource, sys; from ergosum.data.image_file import *; peak = lambda: resource.getrusage(0).ru_maxrss\n"
        "before = peak(); read_square(sys.argv[1], 64); read_image(sys.argv[1]); print((peak() - before) // 1024)"
    )
    out = subprocess.run([sys.executable, "-c", code, tmp_path / "x.png"], capture_output=True, text=True, check=True)
    assert int(out.stdout) < 300, "megabytes; the pixels of grey are 64"
