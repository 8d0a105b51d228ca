"""Contact sheets: what a dataset looks like."""

from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ergosum.data.attributed import columns
from ergosum.data.contract import check_images, columns_of
from ergosum.data.dataset import ImageDataset
from ergosum.data.folder import ImageFolder
from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.named import class_called, dataset
from ergosum.data.record import ImageRecord
from ergosum.data.render import FACTORS
from ergosum.data.scenes import Scenes
from ergosum.data.sequences import LEVELS, DigitSequences
from ergosum.data.shapes import LEVELS as SHAPE_LEVELS
from ergosum.data.shapes import Shapes
from ergosum.data.sources import SOURCES
from ergosum.data.tetrominoes import SIDE, Tetrominoes
from ergosum.part import Part, parameters
from ergosum.report.strips import sheet

__all__ = ["SHEETS", "attributes", "classes", "clips", "glyphs", "images", "mixed", "overlay", "pairs", "scenes",
           "sequences", "shapes", "sheet_of", "tetrominoes"]  # fmt: skip

COLUMNS = 8
"""Images per row of a sheet."""
LEAST = 96
"""Pixels of an image on the sheet, at least."""
MASK_COLOURS = torch.tensor(
    [[0.08, 0.08, 0.10], [0.90, 0.36, 0.32], [0.35, 0.65, 0.95], [0.98, 0.79, 0.33], [0.45, 0.78, 0.49],
     [0.72, 0.53, 0.90], [0.96, 0.60, 0.36], [0.38, 0.80, 0.80], [0.93, 0.60, 0.78],
     [0.66, 0.76, 0.25], [0.85, 0.85, 0.85]]
)  # fmt: skip
"""Of the background and of up to ten objects."""
CLASSES = {"fashion": ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")}
"""Names of the ten classes where these are no digits."""


def sequences(source: str = "digits", seed: int = 0, canvas: int = 28) -> Image.Image:
    """Eighteen levels of angle, colour, scale and all together (the founding report's figure 2), then the other
    modes.
    """
    rows = []
    for name, factors in [("angle", ("angle",)), ("colour", ("colour",)), ("scale", ("scale",)), ("combined", FACTORS)]:
        data = DigitSequences(
            source=source, factors=factors, mode="lockstep", start="fixed", signs="forward", continuous=False,
            scale_min=0.1, canvas=canvas, split="test",
        )  # fmt: skip
        rows.append((name, _one(data, seed)))
    for mode in ("single", "sparse", "laplace"):
        data = DigitSequences(source=source, mode=mode, start="random", continuous=False, canvas=canvas, split="test")
        rows.append((mode, _one(data, seed + 1)))
    return sheet(rows, [str(t) for t in range(LEVELS)], boxed=())


def _one(data: DigitSequences, seed: int) -> torch.Tensor:
    return data.sequences(1, LEVELS - 1, torch.Generator().manual_seed(seed)).frames[0]


def overlay(drawn: ImageRecord) -> Tensor:
    """Masks as flat colours, one per object, with a little of the image showing through.

    Shape:
        Returns (n, 3, side, side) in [0, 1].
    """
    number = torch.arange(drawn.masks.shape[1])
    again = 1 + (number - 1) % (len(MASK_COLOURS) - 1)  # of more objects than colours; the ground's is nobody else's
    colours = MASK_COLOURS[torch.where(number > 0, again, 0)]
    flat = torch.einsum("nohw,oc->nchw", drawn.masks.float(), colours)
    grey = drawn.images.mean(1, keepdim=True)
    return 0.85 * flat + 0.15 * grey


def tetrominoes(source: str = "", seed: int = 0, canvas: int = SIDE) -> Image.Image:
    """Images of pieces and their masks; then one piece under each of its attributes.

    `source` has no effect; a `canvas` larger than 35 adds a frame.
    """
    data = Tetrominoes(side=max(SIDE, canvas))
    generator = torch.Generator().manual_seed(seed)
    rows = _with_masks(data.draw(COLUMNS, generator), "pieces") + _with_masks(data.draw(COLUMNS, generator), "pieces")
    alone = Tetrominoes(1, data.side)
    rest = torch.tensor([3.0, 0.0, 10.0, 10.0])
    steps = torch.arange(COLUMNS)
    turning = {"shape": steps * 2 + 1, "colour": steps % 6, "x": 2.0 * steps + 1, "y": 2.0 * steps + 1}
    for i, (name, values) in enumerate(turning.items()):
        attributes = rest.repeat(COLUMNS, 1, 1)
        attributes[:, 0, i] = values.float()
        rows.append((name, alone.render(attributes).images))
    return sheet(rows, zoom=3, boxed=())


def shapes(source: str = "", seed: int = 0, canvas: int = 64) -> Image.Image:
    """White shapes, one factor changing per row; then coloured shapes behind each other and their masks.

    `source` has no effect; `canvas` counts from 64.
    """
    side = max(64, canvas)
    single = Shapes(side=side)
    rows = []
    for i, name in enumerate(single.factors):
        factors = torch.tensor([[2.0, 0.9, 0.0, 16 / 31, 16 / 31]]).repeat(COLUMNS, 1)
        if name == "shape":
            factors[:, 0] = torch.arange(COLUMNS) % 3
            factors[:, 1:3] = torch.arange(COLUMNS)[:, None] // 3 * torch.tensor([-0.2, 0.6]) + factors[:, 1:3]
        else:
            first, last = SHAPE_LEVELS[i][0].item(), SHAPE_LEVELS[i][-1].item()
            factors[:, i] = torch.linspace(first, last, COLUMNS)
        rows.append((name, single.from_factors(factors).images))
    generator = torch.Generator().manual_seed(seed)
    for _ in range(2):
        rows += _with_masks(Shapes((2, 5), colour=True, side=side).draw(COLUMNS, generator), "several")
    return sheet(rows, zoom=2, boxed=())


def scenes(variant: str, seed: int = 0, side: int = 64) -> Image.Image:
    """Scenes of a variant, their masks, and always the same objects with one factor changing per row."""
    data = Scenes(variant=variant, side=side, smooth=2)
    generator = torch.Generator().manual_seed(seed)
    rows = _with_masks(data.draw(COLUMNS, generator), variant) + _with_masks(data.draw(COLUMNS, generator), variant)
    wide = Scenes(3, variant=variant, side=side, smooth=2)
    levels = Scenes(variant="still").levels
    middle = torch.stack([(values[0] + values[-1]) / 2 for values in levels])
    middle[0], middle[1], middle[2], middle[3] = 1.0, -3.5, -4.0, 6.5
    for i, name in enumerate(wide.factors):
        factors = middle.repeat(COLUMNS, 1)
        factors[:, i] = torch.linspace(levels[i][0].item(), levels[i][-1].item(), COLUMNS)
        rows.append((name, wide.from_factors(factors).images))
    return sheet(rows, zoom=2, boxed=())


def glyphs(source: str, seed: int = 0, canvas: int = 28) -> Image.Image:
    """Images of the training part and held-out ones with their masks; then every class in a row of its own."""
    generator = torch.Generator().manual_seed(seed)
    training, held_out = Glyphs(source, canvas), Glyphs(source, canvas, "test")
    rows = []
    for name, data in {"training": training, "held out": held_out}.items():
        rows += _with_masks(data.at(torch.randperm(len(data), generator=generator)[:COLUMNS]), name)
    for number, name in enumerate(CLASSES.get(source, tuple("0123456789"))):
        members = (training.digits.labels == number).nonzero()[:, 0]
        chosen = members[torch.randperm(len(members), generator=generator)[:COLUMNS]]
        rows.append((name, training.at(chosen).images))
    return sheet(rows, zoom=max(2, 112 // canvas), boxed=())


def mixed(names: str, seed: int = 0, canvas: int = 28, trust: tuple[str, ...] = ()) -> Image.Image:
    """Images as they come from datasets joined by '+', with their masks; then each dataset by itself.

    `canvas` counts from 64 unless all sets are of digits or Fashion-MNIST.
    """
    parts = names.split("+")
    small = set(parts) <= set(SOURCES)
    data = dataset(names, canvas if small else max(64, canvas), trust=trust).build(split="train")
    assert isinstance(data, Mixed), names
    generator = torch.Generator().manual_seed(seed)
    rows = [row for _ in range(3) for row in _with_masks(data.draw(COLUMNS, generator), "mixed")]
    for name, part in zip(parts, data.sets, strict=True):
        drawn = part.draw(2 * COLUMNS, generator)
        rows += [(name, images) for images in drawn.images.split(COLUMNS)]
    return sheet(rows, zoom=max(2, 112 // data.side), boxed=())


def images(data: Part[ImageDataset], seed: int = 0) -> Image.Image:
    """Any dataset of images: of the training part and held-out ones, or of all where there are no parts, with masks."""
    divided = "split" in parameters(data.cls) and data.cls is not ImageFolder
    parts = {"training": {"split": "train"}, "held out": {"split": "test"}} if divided else {"images": {}}
    generator, rows, side = torch.Generator().manual_seed(seed), [], LEAST
    for name, part in parts.items():
        built = data.build(**part)
        check_images(built)
        side = built.side
        for _ in range(4 // len(parts)):
            rows += _with_masks(built.draw(COLUMNS, generator), name)
    return sheet(rows, zoom=-(-LEAST // side), boxed=())


def pairs(data: Part[Any], seed: int = 0) -> Image.Image:
    """Any dataset of pairs: first frames over the frames to predict, of the training part and of held-out pairs."""
    generator, rows, side = torch.Generator().manual_seed(seed), [], LEAST
    for name, split in {"training": "train", "held out": "test"}.items():
        built = data.build(split=split)
        for _ in range(2):
            drawn = built.pairs(COLUMNS, generator)
            rows += [(name, drawn.start), ("next", drawn.target)]
            side = drawn.start.shape[-1]
    return sheet(rows, zoom=-(-LEAST // side), boxed=())


def clips(data: Part[Any], seed: int = 0) -> Image.Image:
    """Any dataset of clips: one in each row, of the training part and of held-out clips, with what moves most in it."""
    generator, rows, side = torch.Generator().manual_seed(seed), [], LEAST
    for name, split in {"training": "train", "held out": "test"}.items():
        built = data.build(split=split)
        drawn = built.clips(COLUMNS // 2, COLUMNS - 1, generator)
        side, names = drawn.frames.shape[-1], columns_of(built)
        for frames, speeds in zip(drawn.frames, drawn.speeds, strict=True):
            most = names[int(speeds.abs().mean(0).argmax())] if names else name
            rows.append((most, frames))
    return sheet(rows, zoom=-(-LEAST // side), boxed=())


def classes(data: Part[Any], seed: int = 0) -> Image.Image:
    """Any dataset of images with a class each, which densities learn from: every class in a row of its own, of the
    training part, then held-out images. Pixels that the dataset hides are red; of clips every frame is shown.
    """
    generator, rows = torch.Generator().manual_seed(seed), []
    training, held_out = data.build(split="train"), data.build(split="test")
    names = training.names or ("training",)
    drawn = training.labelled(8 * COLUMNS * len(names), generator)
    seen = _in_colour(drawn)
    for number, name in enumerate(names):
        rows += _in_rows(name, seen[drawn.labels == number])
    rows += _in_rows("held out", _in_colour(held_out.labelled(COLUMNS, generator)))
    return sheet(rows, zoom=-(-LEAST // training.side), boxed=())


def attributes(data: Part[Any], seed: int = 0) -> Image.Image:
    """Any dataset of images with attributes, which concepts learn from: a row of the training part for every value that
    has a name, then held-out images.
    """
    generator, rows = torch.Generator().manual_seed(seed), []
    # a set that is rendered once needs no more for a sheet
    training, held_out = (data.build(split=split, count=32 * COLUMNS) for split in ("train", "test"))
    drawn = training.attributed(32 * COLUMNS, generator)
    for attribute, place in zip(training.attributes, columns(training.attributes), strict=True):
        for number, name in enumerate(attribute.values):
            found = drawn.images[drawn.values[:, place.start] == number][:COLUMNS]
            rows += [(name, found.expand(-1, 3, -1, -1))] if len(found) else []
    rows.append(("held out", held_out.attributed(COLUMNS, generator).images.expand(-1, 3, -1, -1)))
    return sheet(rows, zoom=-(-LEAST // training.side), boxed=())


def _in_colour(drawn: Any) -> Tensor:
    """Images (n, frames, 3, side, side): of one frame where there are one or three channels, else of grey frames, or
    of coloured ones where channels come in threes.
    """
    images, known = drawn.images, getattr(drawn, "known", None)
    each = 3 if images.shape[1] % 3 == 0 else 1
    images = images.unflatten(1, (-1, each)).expand(-1, -1, 3, -1, -1)
    if known is None:
        return images
    hidden = ~known.unflatten(1, (-1, each)).all(2, keepdim=True)
    return torch.where(hidden, MASK_COLOURS[1].view(3, 1, 1), images)


def _in_rows(name: str, images: Tensor) -> list[tuple[str, Tensor]]:
    """Images of one frame in one row, of several frames each in a row of its own; none of a class that is rare."""
    if images.shape[1] == 1:
        return [(name, images[:COLUMNS, 0])] if len(images) else []
    return [(name, frames) for frames in images[: COLUMNS // 2]]


def _with_masks(drawn: ImageRecord, name: str) -> list[tuple[str, Tensor]]:
    return [(name, drawn.images), ("masks", overlay(drawn))]


def _given(found: Any, source: str = "", canvas: int = 0, path: str = "") -> Part[Any]:
    """A class with the source, the size and the file that are given, where it takes them."""
    given = {"source": source, "side": canvas, "canvas": canvas, "path": path, "folder": path}
    known = parameters(found)
    needs = next((name for name in ("path", "folder") if name in known), "")
    if needs and not path and known[needs].default is Parameter.empty:
        raise ValueError(f"{found.__name__} reads a file or folder: add --path PATH.")
    return Part(found, **{name: value for name, value in given.items() if value and name in known})


def _scenes(variant: str) -> Callable[[str, int, int], Image.Image]:
    return lambda source, seed, canvas: scenes(variant, seed, max(64, canvas))


def _glyphs(name: str) -> Callable[[str, int, int], Image.Image]:
    return lambda source, seed, canvas: glyphs(name, seed, canvas)


SHEETS: dict[str, Callable[[str, int, int], Image.Image]] = {
    "sequences": sequences,
    "tetrominoes": tetrominoes,
    "shapes": shapes,
    "scenes": _scenes("clevr"),
    "toy": _scenes("toy"),
    "lighting": _scenes("lighting"),
    "still": _scenes("still"),
    **{source: _glyphs(source) for source in SOURCES},
}
"""Datasets with a sheet of their own; `images`, `classes`, `attributes`, `pairs` and `clips` draw all others."""


def sheet_of(name: str, trust: tuple[str, ...] = (), path: str = "") -> Callable[[str, int, int], Image.Image]:
    """What draws the sheet of a dataset: source, seed and canvas -> image; a canvas of 0 is the dataset's own.

    Args:
        name: one of `SHEETS`, a folder of images, a class of `ergosum.data` or of your own by its name, or several
            joined by '+'. trust: modules of your own that may be imported. path: of what a class reads.
    Raises:
        ValueError: if there is no such dataset, or a class reads a file and none is given.
    """
    folder = bool(name) and Path(name).is_dir()
    known = name if name in SHEETS or "." in name or class_called(name) is None else name.lower()
    if known in SHEETS and (known == name or not folder):
        return lambda source, seed, canvas: SHEETS[known](source, seed, canvas or 28)
    found = None if folder or "+" in name else class_called(name, trust)
    if found is not None and hasattr(found, "pairs"):
        return lambda source, seed, canvas: pairs(_given(found, "", canvas, path), seed)
    if found is not None and hasattr(found, "clips"):
        return lambda source, seed, canvas: clips(_given(found, "", canvas, path), seed)
    if found is not None and "path" in parameters(found) and hasattr(found, "draw"):
        return lambda source, seed, canvas: images(_given(found, "", canvas, path), seed)
    if found is not None and hasattr(found, "labelled"):
        return lambda source, seed, canvas: classes(_given(found, source, canvas, path), seed)
    if found is not None and hasattr(found, "attributed"):
        return lambda source, seed, canvas: attributes(_given(found, source, canvas, path), seed)
    try:
        data = dataset(name, None, trust=trust)
    except FileNotFoundError as error:
        raise ValueError(
            f"There is no dataset {name!r} to show; expected one of {', '.join(SHEETS)}, or several joined by '+', a "
            "folder of images, or a class of your own, MODULE.CLASS, with --trust MODULE."
        ) from error
    if data.cls is Mixed and "sets" in data.arguments:
        return lambda source, seed, canvas: mixed(name, seed, canvas or 28, trust)
    return lambda source, seed, canvas: images(dataset(name, canvas or None, trust=trust), seed)
