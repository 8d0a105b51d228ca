"""Datasets of images by a short name: what `ergosum data show`, recipes and tables call them."""

from collections.abc import Callable
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
from ergosum.part import Part, exported, fits, parameters, resolve

__all__ = ["NAMES", "class_called", "dataset", "name_of"]

VARIANTS = {"scenes": "clevr", "toy": "toy", "lighting": "lighting", "still": "still"}
"""Ray-cast scenes by their short name."""
NAMES = ("tetrominoes", "shapes", *VARIANTS, *SOURCES)
"""Short names; a folder of images, or a class by its own name, is a dataset too."""


def dataset(
    name: str, side: int | None, objects: int | tuple[int, int] | None = None, trust: tuple[str, ...] = ()
) -> Part[ImageDataset]:
    """The dataset called `name`: one of `NAMES`, a folder of images, a class by its own name, or several joined by '+'.

    A class is one that `ergosum.data` exports (`Tetrominoes`), or one of your own (`my_package.Stripes`).

    Args:
        side: of an image in pixels; None takes the class's own default. objects: in an image, a number or (fewest,
            most); None takes 3, and of a class by its own name the default; datasets of one object heed none.
        trust: modules of your own that may be imported.
    Raises:
        FileNotFoundError: if there is no such dataset or folder. ValueError: if a class of your own is not there, not
        trusted or no dataset of images.
    """
    if "+" in name and not Path(name).is_dir():
        return Part(Mixed, sets=tuple(dataset(part, side, objects, trust) for part in name.split("+")))
    several = 3 if objects is None else objects
    if name == "tetrominoes":
        return _part(Tetrominoes, objects=several, side=side)
    if name == "shapes":
        most: Any = several if isinstance(several, int) else several[1]
        return _part(Shapes, objects=several, colour=most > 1, side=side)
    if name in VARIANTS:
        return _part(Scenes, objects=several, side=side, variant=VARIANTS[name])
    if name in SOURCES:
        return _part(Glyphs, source=name, side=side)
    if name and Path(name).is_dir():
        return _part(ImageFolder, path=name, side=side)
    found = class_called(name, trust)
    if found is None:
        raise FileNotFoundError(
            f"No such folder of images: {name!r}. Expected a folder, {', '.join(NAMES)}, or several joined by '+'."
        )
    if not fits(found, ImageDataset):
        raise ValueError(f"{name} is no dataset of images: it has no draw(n, generator) -> ImageRecord.")
    return _part(found, side=side, objects=objects)


def class_called(name: str, trust: tuple[str, ...] = ()) -> Callable[..., Any] | None:
    """The class that `ergosum.data` exports under a name, in any case; in full for one of your own; None if there is
    none.

    Raises:
        ValueError: if a class of your own is not there or not trusted.
    """
    if "." in name and all(map(str.isidentifier, name.split("."))):
        return resolve(name, trust, where="dataset")
    own = (c for c in exported() if c.__module__.startswith("ergosum.data"))
    return next((c for c in own if c.__name__.lower() == name.lower()), None)


def _part(cls: Callable[..., Any], **arguments: Any) -> Part[ImageDataset]:
    """A part with the arguments that are given and that the class takes."""
    known = parameters(cls)
    return Part(cls, **{k: v for k, v in arguments.items() if v is not None and k in known})


def name_of(data: Part[ImageDataset]) -> str:
    """What `dataset` calls a dataset; the class's name in lower case for one without a short name."""
    if data.cls is Mixed:
        return "+".join(name_of(part) for part in data.get("sets"))
    if data.cls is Scenes:
        return next(name for name, variant in VARIANTS.items() if variant == data.get("variant"))
    if data.cls is Glyphs:
        return str(data.get("source"))
    return str(data.get("path")) if data.cls is ImageFolder else data.cls.__name__.lower()
