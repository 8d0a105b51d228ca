"""Where digits come from: scikit-learn's digits or a thousand of MNIST's, which are bundled, MNIST's idx files, or a
folder of images; and Fashion-MNIST in their stead.

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
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ergosum.data.cache import cache_folder, cache_folders
from ergosum.data.image_file import UnreadableImage, read_image
from ergosum.data.listing import image_files, shown
from ergosum.data.record import Digits
from ergosum.data.split import split_files

__all__ = ["FASHION_FILES", "MNIST_FILES", "SOURCES", "THOUSAND", "at_hand", "centre", "checksum", "cut",
           "default_source", "fit_canvas", "load_digits", "load_image", "source_at_hand"]  # fmt: skip

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
"""What may hold the 900 images: an archive with the array `images`, or the sprite as it is published."""
FASHION_PIXELS = "86efcd8ae29baccc34638f6a479365dfbb1b54fe1c3cac41a71a694b9d4cd220"
"""sha256 of the 900 images' bytes one after the other, from whichever file."""
THOUSAND = Path(__file__).parent / "digits" / "mnist-1000.npz"
"""A thousand digits of MNIST's training part, which ship with the package (`thousand.py`)."""
_HELD_OUT = 200
"""Of these, the last that are held out: twenty of each class."""
_BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, SyntaxError, EOFError, zlib.error, struct.error,
           zipfile.BadZipFile, Image.DecompressionBombError)  # fmt: skip
"""What gzip, NumPy and Pillow raise for broken files."""


def load_digits(source: str, split: Split, canvas: int = 28, limit: int = 0) -> Digits:
    """Digits (or Fashion-MNIST) of one or several sources ('digits+mnist'), centred on a square canvas.

    A `limit` keeps the first digits of each source. Sources joined by '+' are repeated so that each makes up about
    the same share.

    Raises:
        ValueError: if a source is unknown. FileNotFoundError, OSError: if its files are missing, corrupt or truncated.
    """
    parts = []
    for name in [source] if Path(source).is_dir() else source.split("+"):
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
    return "mnist" if at_hand("mnist") else "digits"


def at_hand(source: str) -> bool:
    """Whether a named source can be read without a download."""
    files = {"mnist": [_packed(name) for name in MNIST_FILES], "fashion": [FASHION_FILES]}
    return all(_at_hand(source, names) for names in files.get(source, []))


def source_at_hand(source: str) -> str:
    """The source, or the default one where it is empty or its files are neither at hand nor can be downloaded."""
    try:
        load_digits(source or default_source(), "test")
    except OSError:
        return default_source()
    return source or default_source()


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


@cache
def _sklearn_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 64) and classes that scikit-learn ships, read from its file: to import it takes two seconds."""
    (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
    rows = np.loadtxt(Path(package) / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)


def _bundled(split: Split) -> tuple[Tensor, Tensor]:
    """scikit-learn's 1,797 digits of 8x8 pixels, drawn 20 pixels high on 28 like MNIST; the last 400 are held out."""
    pixels, classes = _sklearn_digits()
    images = torch.from_numpy(pixels).float().unflatten(1, (1, 8, 8)) / 16
    images = F.interpolate(images, (20, 20), mode="bicubic", align_corners=False).clamp(0, 1)
    images = F.pad(images, (4, 4, 4, 4))
    labels = torch.from_numpy(classes).long()
    part = slice(-400, None) if split == "test" else slice(None, -400)
    return images[part], labels[part]


def _thousand(split: Split) -> tuple[Tensor, Tensor]:
    with np.load(THOUSAND) as held:
        images, labels = torch.from_numpy(held["images"]), torch.from_numpy(held["labels"])
    part = slice(-_HELD_OUT, None) if split == "test" else slice(None, -_HELD_OUT)
    return images[part, None].float() / 255, labels[part].long()


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
    """900 images of Fashion-MNIST, 90 per class in the order of the labels; every tenth is held out."""
    what = f"Fashion-MNIST's {FASHION_FILES[1]} (or {FASHION_FILES[0]})"
    pixels = _read(what, "fashion", FASHION_FILES, [FASHION_URL], _fashion_images)
    images, number = torch.from_numpy(pixels).float()[:, None] / 255, torch.arange(len(pixels))
    part = (number % 10 == 9) == (split == "test")
    return images[part], (number // 90)[part]


def _fashion_images(content: bytes, suffix: str) -> np.ndarray:
    """The images in the archive or in the sprite: uint8 (900, 28, 28)."""
    if suffix == ".npz":
        images = np.ascontiguousarray(np.load(io.BytesIO(content))["images"])
    else:
        with Image.open(io.BytesIO(content)) as sprite:
            images = cut(np.asarray(sprite.convert("L")))
    if images.shape != (900, 28, 28) or images.dtype != np.uint8:
        raise ValueError(f"expected images (900, 28, 28) in uint8, got {images.shape} in {images.dtype}")
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


def _at_hand(folder: str, names: Sequence[str]) -> Path | None:
    """Where one of some files lies: in ERGOSUM_DATA's folder of that name, ERGOSUM_DATA itself, or the cache."""
    root = os.environ.get("ERGOSUM_DATA")
    places = [Path(root) / folder, Path(root)] if root else []
    candidates = (place / name for place in [*places, *cache_folders(folder)] for name in names)
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
    cache, errors = cache_folder(folder), []
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
        "the bundled source 'digits' (--data.source digits, --source digits), which needs no network."
    )


def _folder(name: str, split: Split) -> tuple[Tensor, Tensor]:
    """Images of a folder (labels from sub-folder names 0..9, else 0), about a tenth held out as `split_files` says."""
    folder = Path(name)
    if not folder.is_dir():
        raise ValueError(
            f"Unknown source {name!r}: expected {', '.join(SOURCES)}, a folder of images, or several joined by '+'."
        )
    skipped: dict[Path, str] = {}
    files = list(image_files(folder, skipped.__setitem__))
    if not files:
        raise FileNotFoundError(f"No images in {shown(folder)}: expected png, jpg, bmp, webp, gif or tif files.")
    train, test = split_files(files)
    images, labels = [], []
    for path in train if split == "train" else test:
        try:
            images.append(load_image(path).amax(0, keepdim=True))
            labels.append(int(path.parent.name) if path.parent.name in set("0123456789") else 0)
        except UnreadableImage as error:
            skipped[path] = error.reason
    if skipped:
        path, reason = next(iter(skipped.items()))
        first = f"the first: {shown(path)}: {reason}"
        if not images:
            raise OSError(f"Not one of the {split} images in {shown(folder)} could be read; {first}.")
        warnings.warn(f"{len(skipped)} files in {shown(folder)} are left out; {first}.", stacklevel=2)
    return torch.stack(images), torch.tensor(labels)


def load_image(path: Path | str, canvas: int = 28) -> Tensor:
    """An image file as an RGB frame; grey images become red digits on black, as in the sequences.

    Expects a bright digit on black; what is transparent is laid on black, and an image that is not square is padded
    with black. `own_digit.as_digit` makes such an image of dark ink on paper.

    Shape:
        Returns (3, canvas, canvas) in [0, 1].
    Raises:
        FileNotFoundError, IsADirectoryError: if there is no such file. UnreadableImage, an OSError: if it is no image
        that can be read, or so thin that less than a pixel of it would be left.
    """
    image = read_image(path)
    height, width = image.shape[-2:]
    if max(height, width) > canvas * min(height, width):
        raise UnreadableImage(path, f"{width}x{height} pixels; on a canvas of {canvas} it is thinner than one")
    if len(image) == 3 and torch.equal(image[0], image[1]) and torch.equal(image[1], image[2]):
        image = image[:1]
    frame = fit_canvas(image, canvas)
    return frame if len(frame) == 3 else torch.cat([frame, torch.zeros(2, canvas, canvas)])


def fit_canvas(image: Tensor, canvas: int) -> Tensor:
    """An image padded with black to a square, centred, and resized (bicubic) to the canvas.

    Shape:
        image: (C, height, width) in [0, 1]. Returns (C, canvas, canvas) in [0, 1].
    """
    height, width = image.shape[-2:]
    longer = max(height, width)
    left, top = (longer - width) // 2, (longer - height) // 2
    image = F.pad(image, (left, longer - width - left, top, longer - height - top))
    if longer == canvas:
        return image
    return F.interpolate(image[None], (canvas, canvas), mode="bicubic", antialias=True)[0].clamp(0, 1)


_LOADERS = {"digits": _bundled, "mnist-1000": _thousand, "mnist": _mnist, "fashion": _fashion}
SOURCES = tuple(_LOADERS)
"""Sources that have a name; a folder of images is one too."""
