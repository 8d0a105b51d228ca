"""The common face of sets of single images, and a store that renders a set once and is then read fast.

A set draws images from a generator on the generator's device. Rendering again for every update of a training costs
more than reading 8-bit pixels from a file that the system keeps in memory, so `store` renders once:

    images = store(Tetrominoes(), 60_000)
    batch = images.batch(torch.randint(len(images), (64,)))
"""

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.data.cache import cache_folder
from ergosum.data.record import ImageRecord

__all__ = [
    "ImageDataset",
    "Stored",
    "block_seed",
    "check_kind",
    "check_objects",
    "draw_present",
    "grid",
    "measure_speed",
    "one_hot",
    "store",
]  # fmt: skip

BLOCK = 64
"""Images rendered at a time by `store`, each block with a generator of its own."""


class ImageDataset(Protocol):
    """A source of images with their true factors and masks."""

    @property
    def side(self) -> int:
        """Side of an image in pixels."""
        ...

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the scene's factors, in the order of `ImageRecord.factors`."""
        ...

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of an object's attributes, in the order of `ImageRecord.attributes`."""
        ...

    @property
    def objects(self) -> int:
        """The most objects in an image."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what is drawn, as plain values."""
        ...

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images, on the generator's device."""
        ...


@runtime_checkable
class _Listed(Protocol):
    """A set with an end, whose images have numbers."""

    def __len__(self) -> int: ...

    def at(self, indices: Sequence[int]) -> ImageRecord: ...


def check_objects(objects: int | tuple[int, int], most: int) -> tuple[int, int]:
    """The fewest and the most objects of an image; a single number stands for both.

    Raises:
        ValueError: unless 1 <= fewest <= most possible.
    """
    pair = (objects, objects) if isinstance(objects, int) else tuple(objects)
    if len(pair) != 2 or not 1 <= pair[0] <= pair[1] <= most:
        raise ValueError(f"objects: expected a number 1 .. {most}, or (fewest, most) within it, got {objects!r}.")
    return pair


def check_kind(values: Tensor, count: int, name: str) -> None:
    """Refuse all but the whole numbers 0 .. count - 1, and NaN, which stands for an absent object.

    Raises:
        ValueError: if there is another number.
    """
    wrong = ~values.isnan() & ((values < 0) | (values >= count) | (values != values.floor()))
    if wrong.any():
        raise ValueError(f"render: expected {name} 0 .. {count - 1}, got {values[wrong][0].item():g}.")


def draw_present(n: int, objects: tuple[int, int], generator: Generator) -> Tensor:
    """Which of an image's objects are there: every number from fewest to most is equally likely.

    Shape:
        Returns (n, most), bool; the objects that are there come first.
    Raises:
        ValueError: if `n` < 1.
    """
    if n < 1:
        raise ValueError(f"draw: expected n >= 1 images, got {n!r}.")
    low, high = objects
    count = torch.randint(low, high + 1, (n, 1), generator=generator, device=generator.device)
    return torch.arange(high, device=generator.device) < count


def one_hot(owners: Tensor, objects: int) -> Tensor:
    """Masks from the number of the owner of each pixel.

    Shape:
        owners: (n, side, side), integers, 0 for the background. Returns (n, 1 + objects, side, side), bool.
    """
    return owners[:, None] == torch.arange(1 + objects, device=owners.device, dtype=owners.dtype)[:, None, None]


def grid(levels: Sequence[Tensor], index: Tensor) -> Tensor:
    """Factors of numbered images of a full grid, the last factor turning fastest.

    Args:
        levels: the values that each factor takes. index: numbers of images, from 0 to the product of the numbers of
        levels, less one.
    Shape:
        index: (n,), integers. Returns (n, factors), float32, on the device of `index`.
    Raises:
        ValueError: if a number is outside the grid.
    """
    sizes = [len(values) for values in levels]
    total = int(np.prod(sizes))
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < total:
        raise ValueError(f"grid: expected numbers 0 .. {total - 1}, got {int(index.min())} .. {int(index.max())}.")
    places = torch.unravel_index(index, sizes)
    return torch.stack([v.to(index.device)[p] for v, p in zip(levels, places, strict=True)], 1)


def measure_speed(dataset: ImageDataset, n: int = 128, device: str = "cpu") -> float:
    """Print and return how many images per second a set draws, after a first draw that does not count."""
    generator = torch.Generator(device).manual_seed(0)
    dataset.draw(n, generator)
    started = time.perf_counter()
    dataset.draw(n, generator).images.sum().item()  # the sum waits for the device
    rate = n / (time.perf_counter() - started)
    where = f"{device}, {torch.get_num_threads()} thread(s)" if device == "cpu" else device
    print(f"{type(dataset).__name__} {dataset.side} px: {rate:,.0f} frames/s ({where})")
    return rate


class Stored:
    """Rendered images on disk, themselves a dataset; made by `store`.

    Pixels are 8-bit and memory-mapped: reading a batch touches that batch alone. Factors and attributes are exact.

    Args:
        folder: what `store` wrote.
    Raises:
        FileNotFoundError: if there is no such folder. OSError: if a file in it is missing or damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"No stored images in {self.folder}: `store` makes them.")
        try:
            about = json.loads((self.folder / "about.json").read_text())
            # an array without elements cannot be memory-mapped, and these two are small
            self._factors, self._attributes = (np.load(self.folder / f"{k}.npy") for k in ("factors", "attributes"))
            self._images, self._owners = (
                np.load(self.folder / f"{k}.npy", mmap_mode="r") for k in ("images", "owners")
            )
            self.side, self.objects, self.settings = about["side"], about["objects"], about["settings"]
            self.factors, self.attributes = tuple(about["factors"]), tuple(about["attributes"])
            lengths = {len(a) for a in (self._images, self._owners, self._factors, self._attributes)}
            if lengths != {about["n"]}:
                raise ValueError(f"its files hold {sorted(lengths)} images instead of {about['n']}")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise OSError(f"{self.folder} is damaged ({error}). Delete it and store the images again.") from error

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: Tensor | Sequence[int]) -> ImageRecord:
        """The images with the given numbers, on the device of `indices`."""
        device = indices.device if isinstance(indices, Tensor) else torch.device("cpu")
        rows = _rows(indices, len(self))
        factors, attributes = (torch.from_numpy(a[rows]).to(device) for a in (self._factors, self._attributes))
        owners = torch.from_numpy(self._owners[rows]).to(device)
        return ImageRecord(self.images(indices), factors, one_hot(owners, self.objects), attributes)

    def images(self, indices: Tensor | Sequence[int]) -> Tensor:
        """The pixels alone of the images with the given numbers, which is all that training needs.

        Shape:
            indices: (n,). Returns (n, 3, side, side), float32 in [0, 1], on the device of `indices`.
        """
        device = indices.device if isinstance(indices, Tensor) else torch.device("cpu")
        return torch.from_numpy(self._images[_rows(indices, len(self))]).to(device).float().div_(255)

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` of the stored images at random, with replacement, on the generator's device."""
        return self.batch(torch.randint(len(self), (n,), generator=generator, device=generator.device))


def _rows(indices: Tensor | Sequence[int], count: int) -> np.ndarray:
    rows = np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices)
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        raise IndexError(f"Expected numbers of images 0 .. {count - 1}, got {rows.min()} .. {rows.max()}.")
    return rows


def store(
    dataset: ImageDataset,
    n: int,
    seed: int = 0,
    folder: Path | str | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], object] | None = None,
) -> Stored:
    """Render `n` images of a set once, or open what was rendered before.

    The name of the stored images holds the set, a digest of its settings and of a few of its images (so that a
    changed renderer does not read old files), seed and n. They appear under that name when they are complete; what was
    rendered before an interruption is kept beside it, and the next call goes on from there to the same bits. Of a set
    with an end (a folder of images) images are taken in a shuffled order, all once before any comes again.

    Args:
        n: number of images, >= 1. seed: of the images. folder: where to keep them; None takes
        `$XDG_CACHE_HOME/ergosum/images` (`~/.cache/ergosum/images`). device: where to render.
        progress: called with the images done and n after each block.
    Raises:
        ValueError: if `n` < 1. OSError: if the folder cannot be written, or what it holds is damaged.
    """
    if n < 1:
        raise ValueError(f"store: expected n >= 1 images, got {n!r}.")
    name = f"{type(dataset).__name__.lower()}-{_digest(dataset)}-seed{seed}-n{n}"
    final = (Path(folder) if folder is not None else cache_folder("images")) / name
    if final.is_dir():
        return Stored(final)
    partial = final.with_name(f".{name}.part")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _render(dataset, n, seed, partial, device, progress)
        partial.replace(final)
    except OSError as error:
        if not final.is_dir():  # else another process has stored the same images meanwhile
            raise OSError(f"Could not store images in {final.parent}: {error}") from error
        shutil.rmtree(partial, ignore_errors=True)
    return Stored(final)


def _digest(dataset: ImageDataset) -> str:
    record = dataset.draw(2, torch.Generator().manual_seed(0))
    digest = hashlib.sha256(json.dumps(dataset.settings, sort_keys=True).encode())
    for array in _arrays(record).values():
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _arrays(record: ImageRecord) -> dict[str, np.ndarray]:
    return {
        "images": (record.images * 255).round().byte().cpu().numpy(),
        "owners": record.masks.byte().argmax(1).byte().cpu().numpy(),
        "factors": record.factors.cpu().numpy(),
        "attributes": record.attributes.cpu().numpy(),
    }


def _render(
    dataset: ImageDataset, n: int, seed: int, folder: Path, device: str, progress: Callable[[int, int], object] | None
) -> None:
    """Render the blocks that `folder` does not hold yet.

    Files only grow, and a block is always the same bits at the same place: two processes may write at once.
    """
    side, kinds = dataset.side, len(dataset.attributes)
    shapes = {"images": (3, side, side), "owners": (side, side), "factors": (len(dataset.factors),),
              "attributes": (dataset.objects, kinds)}  # fmt: skip
    headers = {k: _header(k, (n, *shape)) for k, shape in shapes.items()}
    rows = {k: int(np.prod(shape)) * _TYPES[k].itemsize for k, shape in shapes.items()}
    done = min(_rows_in(folder / f"{k}.npy", len(headers[k]), rows[k], n) for k in shapes)
    for first in range(done - done % BLOCK, n, BLOCK):
        block = _arrays(_block(dataset, first, seed, device))
        for k, array in block.items():
            content = np.ascontiguousarray(array[: n - first], _TYPES[k]).tobytes()
            handle = os.open(folder / f"{k}.npy", os.O_RDWR | os.O_CREAT, 0o644)
            with os.fdopen(handle, "r+b") as file:
                if first == 0:
                    file.write(headers[k])
                file.seek(len(headers[k]) + first * rows[k])
                file.write(content)
        if progress is not None:
            progress(min(first + BLOCK, n), n)
    about = {"set": type(dataset).__name__, "settings": dataset.settings, "seed": seed, "n": n, "side": side,
             "objects": dataset.objects, "factors": dataset.factors, "attributes": dataset.attributes}  # fmt: skip
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def _block(dataset: ImageDataset, first: int, seed: int, device: str) -> ImageRecord:
    """Always a whole block, so that an image does not depend on how many there are."""
    if not isinstance(dataset, _Listed):
        return dataset.draw(BLOCK, torch.Generator(device).manual_seed(block_seed(seed, first // BLOCK)))
    order = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(len(dataset), generator=order) for _ in range((first + BLOCK - 1) // len(dataset) + 1)]
    return dataset.at(torch.cat(rounds)[first : first + BLOCK].tolist())


_TYPES = {"images": np.dtype("u1"), "owners": np.dtype("u1"), "factors": np.dtype("<f4"), "attributes": np.dtype("<f4")}


def _header(name: str, shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": _TYPES[name].str, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _rows_in(path: Path, header: int, row: int, n: int) -> int:
    """Whole images that a file holds."""
    if not path.is_file():
        return 0
    return min(n, max(0, path.stat().st_size - header) // row) if row else n


def block_seed(seed: int, block: int) -> int:
    """A seed for each block of each seed; neighbouring seeds share none."""
    return int.from_bytes(hashlib.sha256(f"{seed} {block}".encode()).digest()[:7], "big")
