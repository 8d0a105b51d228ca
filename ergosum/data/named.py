"""Datasets of images by a short name: what `ergosum data show`, recipes and tables call them."""

from pathlib import Path
from typing import Any

from ergosum.data.dataset import ImageDataset
from ergosum.data.folder import ImageFolder
from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.sources import SOURCES
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.part import Part

__all__ = ["NAMES", "dataset", "name_of"]

VARIANTS = {"scenes": "clevr", "toy": "toy", "lighting": "lighting", "still": "still"}
"""Ray-cast scenes by their short name."""
NAMES = ("tetrominoes", "shapes", *VARIANTS, *SOURCES)
"""Datasets that have a name; a folder of images is one too."""


def dataset(name: str, side: int, objects: int | tuple[int, int] = 3) -> Part[ImageDataset]:
    """The dataset called `name`: one of `NAMES`, a folder of images, or several joined by '+', mixed.

    Args:
        objects: in an image, a number or (fewest, most); datasets of one object heed none.
    Raises:
        FileNotFoundError: if there is no such dataset or folder.
    """
    if "+" in name and not Path(name).is_dir():
        return Part(Mixed, sets=tuple(dataset(part, side, objects) for part in name.split("+")))
    if name == "tetrominoes":
        return Part(Tetrominoes, objects=objects, side=side)
    if name == "shapes":
        most: Any = objects if isinstance(objects, int) else objects[1]
        return Part(Shapes, objects=objects, colour=most > 1, side=side)
    if name in VARIANTS:
        return Part(Scenes, objects=objects, side=side, variant=VARIANTS[name])
    if name in SOURCES:
        return Part(Glyphs, source=name, side=side)
    if not name or not Path(name).is_dir():
        raise FileNotFoundError(
            f"No such folder of images: {name!r}. Expected a folder, {', '.join(NAMES)}, or several joined by '+'."
        )
    return Part(ImageFolder, path=name, side=side)


def name_of(data: Part[ImageDataset]) -> str:
    """What `dataset` calls a dataset; the class's name in lower case for one of the user's own."""
    if data.cls is Mixed:
        return "+".join(name_of(part) for part in data.get("sets"))
    if data.cls is Scenes:
        return next(name for name, variant in VARIANTS.items() if variant == data.get("variant"))
    if data.cls is Glyphs:
        return str(data.get("source"))
    return str(data.get("path")) if data.cls is ImageFolder else data.cls.__name__.lower()
