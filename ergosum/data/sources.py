"""Where digits come from: scikit-learn's bundled digits, MNIST's idx files, or a folder of images; and Fashion-MNIST's
clothes in their stead.

Each source has fixed training and held-out parts. Nothing is downloaded unless MNIST or Fashion-MNIST is asked for and
neither `ERGOSUM_DATA` nor the user's cache has it; a download is checked by its digest before it gets its final name.
"""

import gzip
import hashlib
import http.client
import io
import os
import struct
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ergosum.data.record import Digits

__all__ = ["FASHION_FILES", "MNIST_FILES", "SOURCES", "centre", "checksum", "cut", "default_source", "load_digits",
           "load_image"]  # fmt: skip

Split = Literal["train", "test"]

MNIST_URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_FILES = {
    # sha256 of the decompressed idx file: independent of how it was compressed
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FASHION_URL = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/"
    "doc/img/fashion-mnist-sprite.png"
)
FASHION_FILES = ("fashion_mnist_sprite_900.npz", "fashion-mnist-sprite.png")
"""What may hold the 900 pictures: an archive with the array `images`, or the sprite as it is published."""
FASHION_PIXELS = "86efcd8ae29baccc34638f6a479365dfbb1b54fe1c3cac41a71a694b9d4cd220"
"""sha256 of the 900 pictures' bytes one after the other, from whichever file."""
_BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, SyntaxError, EOFError, zlib.error, struct.error,
           zipfile.BadZipFile, Image.DecompressionBombError)  # fmt: skip
"""What gzip, NumPy and Pillow raise for broken files."""
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"}


def load_digits(source: str, split: Split, canvas: int = 28, limit: int = 0) -> Digits:
    """Digits (or clothes) of one or several sources ('digits+mnist'), centred on a square canvas.

    A `limit` keeps the first digits of each source. Sources joined by '+' are repeated so that each makes up about
    the same share.

    Raises:
        ValueError: if a source is unknown. FileNotFoundError, OSError: if its files are missing, corrupt or truncated.
    """
    parts = []
    for name in source.split("+"):
        images, labels = _LOADERS[name](split) if name in _LOADERS else _folder(name, split)
        if limit:
            images, labels = images[:limit], labels[:limit]
        parts.append((centre(images, canvas), labels))
    longest = max(len(labels) for _, labels in parts)
    if len(parts) > 1 and split == "train" and not limit:
        repeat = [max(1, longest // len(labels)) for _, labels in parts]
        parts = [(i.repeat(r, 1, 1, 1), y.repeat(r)) for (i, y), r in zip(parts, repeat, strict=True)]
    return Digits(torch.cat([i for i, _ in parts]), torch.cat([y for _, y in parts]))


def default_source() -> str:
    """`mnist` where all of its files are at hand, so that nothing is downloaded unasked; else the bundled `digits`."""
    return "mnist" if all(_at_hand("mnist", _packed(name)) for name in MNIST_FILES) else "digits"


def checksum(digits: Digits) -> str:
    """First 16 hex digits of the sha256 of the images, as bytes: names the data a model was trained on."""
    return hashlib.sha256((digits.images * 255).round().to(torch.uint8).cpu().numpy().tobytes()).hexdigest()[:16]


def centre(images: Tensor, canvas: int) -> Tensor:
    """Resize 28-pixel digits to the canvas, keeping the margin in proportion.

    Shape:
        images: (n, 1, 28, 28) in [0, 1]. Returns (n, 1, canvas, canvas) in [0, 1].
    """
    if images.shape[-1] == canvas:
        return images
    return F.interpolate(images, (canvas, canvas), mode="bicubic", antialias=True).clamp(0, 1)


def _bundled(split: Split) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 digits of 8x8 pixels, drawn 20 pixels high on 28 like MNIST; the last 400 are held out."""
    from sklearn.datasets import load_digits as sklearn_digits

    pixels, classes = sklearn_digits(return_X_y=True)
    images = torch.from_numpy(pixels).float().unflatten(1, (1, 8, 8)) / 16
    images = F.interpolate(images, (20, 20), mode="bicubic", align_corners=False).clamp(0, 1)
    images = F.pad(images, (4, 4, 4, 4))
    labels = torch.from_numpy(classes).long()
    part = slice(-400, None) if split == "test" else slice(None, -400)
    return images[part], labels[part]


def _mnist(split: Split) -> tuple[Tensor, Tensor]:
    prefix = "train" if split == "train" else "t10k"
    images = _idx(f"{prefix}-images-idx3-ubyte", 3)
    labels = _idx(f"{prefix}-labels-idx1-ubyte", 1)
    return torch.from_numpy(images).float()[:, None] / 255, torch.from_numpy(labels).long()


def _idx(name: str, ndim: int) -> np.ndarray:
    def decode(content: bytes, suffix: str) -> np.ndarray:
        raw = gzip.decompress(content) if suffix == ".gz" else content
        _check(raw, MNIST_FILES[name])
        sizes = np.frombuffer(raw, ">i4", ndim, offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(sizes).copy()

    urls = [f"{base}{name}.gz" for base in MNIST_URLS]
    return _read(f"MNIST's {name}.gz", "mnist", _packed(name), urls, decode)


def _packed(name: str) -> tuple[str, str]:
    return f"{name}.gz", name


def _fashion(split: Split) -> tuple[Tensor, Tensor]:
    """900 pictures of Fashion-MNIST, 90 per class in the order of the labels; every tenth is held out."""
    what = f"Fashion-MNIST's {FASHION_FILES[1]} (or {FASHION_FILES[0]})"
    pixels = _read(what, "fashion", FASHION_FILES, [FASHION_URL], _clothes)
    images, number = torch.from_numpy(pixels).float()[:, None] / 255, torch.arange(len(pixels))
    part = (number % 10 == 9) == (split == "test")
    return images[part], (number // 90)[part]


def _clothes(content: bytes, suffix: str) -> np.ndarray:
    """The pictures in the archive or in the sprite: uint8 (900, 28, 28)."""
    if suffix == ".npz":
        images = np.ascontiguousarray(np.load(io.BytesIO(content))["images"])
    else:
        with Image.open(io.BytesIO(content)) as sprite:
            images = cut(np.asarray(sprite.convert("L")))
    if images.shape != (900, 28, 28) or images.dtype != np.uint8:
        raise ValueError(f"expected pictures (900, 28, 28) in uint8, got {images.shape} in {images.dtype}")
    _check(images.tobytes(), FASHION_PIXELS)
    return images


def cut(sprite: np.ndarray, cell: int = 28) -> np.ndarray:
    """The cells of a sprite row by row, from the upper left.

    Shape:
        sprite: (rows * cell, columns * cell). Returns (rows * columns, cell, cell).
    Raises:
        ValueError: if the sprite is no whole number of cells high and wide.
    """
    if sprite.ndim != 2 or sprite.shape[0] % cell or sprite.shape[1] % cell:
        raise ValueError(f"cut: expected whole cells of {cell}x{cell} pixels, got a sprite of shape {sprite.shape}")
    rows, columns = sprite.shape[0] // cell, sprite.shape[1] // cell
    cells = sprite.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(cells).reshape(-1, cell, cell)


def _check(content: bytes, expected: str) -> None:
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError("its checksum differs")


def _cache(folder: str) -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ergosum" / folder


def _at_hand(folder: str, names: Sequence[str]) -> Path | None:
    """Where one of some files lies: in ERGOSUM_DATA's folder of that name, ERGOSUM_DATA itself, or the cache."""
    root = os.environ.get("ERGOSUM_DATA")
    places = [Path(root) / folder, Path(root)] if root else []
    candidates = (place / name for place in [*places, _cache(folder)] for name in names)
    return next((c for c in candidates if c.is_file()), None)


_Decode = Callable[[bytes, str], np.ndarray]
"""From a file's content and suffix to what it holds, checked."""


def _read(what: str, folder: str, names: Sequence[str], urls: Sequence[str], decode: _Decode) -> np.ndarray:
    """What a file holds that is at hand under one of its names, or else is downloaded."""
    path = _at_hand(folder, names) or _download(what, folder, urls, decode)
    content = path.read_bytes()
    try:
        return decode(content, path.suffix)
    except _BROKEN as error:
        raise OSError(f"{path} is damaged or not {what}: {error}. Delete it and try again.") from error


def _download(what: str, folder: str, urls: Sequence[str], decode: _Decode) -> Path:
    """A file in the cache, from the first address that sends it whole."""
    if root := os.environ.get("ERGOSUM_DATA"):
        raise FileNotFoundError(
            f"{what} is neither in ERGOSUM_DATA={root} nor in its folder {folder}. Put it there, or unset "
            "ERGOSUM_DATA to download it."
        )
    cache, errors = _cache(folder), []
    cache.mkdir(parents=True, exist_ok=True)
    for url in urls:
        final = cache / url.rsplit("/", 1)[1]
        partial = final.with_name(f"{final.name}.part")
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:
                content = reply.read()
            decode(content, final.suffix)
            partial.write_bytes(content)
            partial.replace(final)
            return final
        except (*_BROKEN, http.client.HTTPException) as error:
            errors.append(f"{url}: {error}")
        finally:
            partial.unlink(missing_ok=True)
    raise OSError(
        f"Could not download {what} ({'; '.join(errors)}). Set ERGOSUM_DATA to a folder that has it, or use "
        "the bundled source 'digits', which needs no network."
    )


def _folder(name: str, split: Split) -> tuple[Tensor, Tensor]:
    """Images of a folder (labels from sub-folder names 0..9, else 0); every tenth is held out."""
    folder = Path(name)
    if not folder.is_dir():
        raise ValueError(
            f"Unknown source {name!r}: expected {', '.join(SOURCES)}, a folder of images, or several joined by '+'."
        )
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in _IMAGE_SUFFIXES)
    files = [f for i, f in enumerate(files) if (i % 10 == 9) == (split == "test")]
    if not files:
        raise FileNotFoundError(
            f"No {split} images in {folder}: expected png, jpg, bmp, webp or gif files, ten or more."
        )
    images = [load_image(f).amax(0, keepdim=True) for f in files]
    labels = [int(f.parent.name) if f.parent.name in set("0123456789") else 0 for f in files]
    return torch.stack(images), torch.tensor(labels)


def load_image(path: Path | str, canvas: int = 28) -> Tensor:
    """An image file as an RGB frame; grey images become red digits on black, as in the sequences.

    Expects a bright digit on black; an image that is not square is padded with black.

    Shape:
        Returns (3, canvas, canvas) in [0, 1].
    Raises:
        FileNotFoundError: if there is no such file. ValueError: if it is no image, has fewer than 4x4 pixels or an
        alpha channel or other mode that is neither grey nor RGB.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such image: {path}.")
    try:
        with Image.open(path) as opened:
            opened.load()
            picture = opened.copy()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path} is not an image that can be read (png, jpg, bmp, webp or gif): {error}.") from error
    if picture.mode not in ("1", "L", "I;16", "RGB", "P") or "transparency" in picture.info:
        raise ValueError(
            f"{path} has mode {picture.mode}; expected grey or RGB without transparency. Flatten it onto black first."
        )
    if min(picture.size) < 4:
        raise ValueError(f"{path} has {picture.size[0]}x{picture.size[1]} pixels; expected at least 4x4.")
    if picture.mode == "I;16":  # Pillow would clip at 255
        picture = Image.fromarray((np.array(picture) >> 8).astype(np.uint8))
    picture = picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    if picture.width != picture.height:  # pad with black to a square rather than distort
        side = max(picture.size)
        square = Image.new(picture.mode, (side, side))
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = square
    array = torch.from_numpy(np.array(picture)).float() / 255
    frame = array[None] if array.ndim == 2 else array.permute(2, 0, 1)
    if frame.shape[0] == 3 and torch.equal(frame[0], frame[1]) and torch.equal(frame[1], frame[2]):
        frame = frame[:1]
    if frame.shape[-2:] != (canvas, canvas):
        frame = F.interpolate(frame[None], (canvas, canvas), mode="bicubic", antialias=True)[0].clamp(0, 1)
    return frame if frame.shape[0] == 3 else torch.cat([frame, torch.zeros(2, canvas, canvas)])


_LOADERS = {"digits": _bundled, "mnist": _mnist, "fashion": _fashion}
SOURCES = tuple(_LOADERS)
"""Sources that have a name; a folder of images is one too."""
