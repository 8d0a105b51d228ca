"""Contact sheets: what a dataset looks like."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor

from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.named import NAMES, dataset
from ergosum.data.record import ImageRecord
from ergosum.data.render import FACTORS
from ergosum.data.scenes import Scenes
from ergosum.data.sequences import LEVELS, DigitSequences
from ergosum.data.shapes import LEVELS as SHAPE_LEVELS
from ergosum.data.shapes import Shapes
from ergosum.data.sources import SOURCES
from ergosum.data.tetrominoes import SIDE, Tetrominoes
from ergosum.report.strips import sheet

__all__ = ["SHEETS", "glyphs", "mixed", "overlay", "scenes", "sequences", "shapes", "sheet_of", "tetrominoes"]

COLUMNS = 8
"""Images per row of a sheet."""
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


def mixed(names: str, seed: int = 0, canvas: int = 28) -> Image.Image:
    """Images as they come from datasets joined by '+', with their masks; then each dataset by itself.

    `canvas` counts from 64 unless all sets are of digits or Fashion-MNIST.
    """
    parts = names.split("+")
    small = set(parts) <= set(SOURCES)
    data = dataset(names, canvas if small else max(64, canvas)).build(split="train")
    if not isinstance(data, Mixed):
        raise ValueError(f"{names} is a folder, and not datasets joined by '+'.")
    generator = torch.Generator().manual_seed(seed)
    rows = [row for _ in range(3) for row in _with_masks(data.draw(COLUMNS, generator), "mixed")]
    for name, part in zip(parts, data.sets, strict=True):
        drawn = part.draw(2 * COLUMNS, generator)
        rows += [(name, images) for images in drawn.images.split(COLUMNS)]
    return sheet(rows, zoom=max(2, 112 // data.side), boxed=())


def _with_masks(drawn: ImageRecord, name: str) -> list[tuple[str, Tensor]]:
    return [(name, drawn.images), ("masks", overlay(drawn))]


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
"""Datasets that `ergosum data show` knows; datasets may be joined by '+'."""


def sheet_of(name: str) -> Callable[[str, int, int], Image.Image]:
    """What draws the sheet of a dataset, or of datasets joined by '+'.

    Raises:
        ValueError: if there is no such dataset.
    """
    if name in SHEETS:
        return SHEETS[name]
    if "+" in name and set(name.split("+")) <= set(NAMES):
        return lambda source, seed, canvas: mixed(name, seed, canvas)
    raise ValueError(
        f"There is no dataset {name!r} to show; expected one of {', '.join(SHEETS)}, or several joined by '+'."
    )
