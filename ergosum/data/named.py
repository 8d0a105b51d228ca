"""Sets of single pictures by name."""

from pathlib import Path

from ergosum.data.folder import ImageFolder
from ergosum.data.glyphs import Glyphs
from ergosum.data.mixed import Mixed
from ergosum.data.pictures import PictureSet
from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.sources import SOURCES, Split
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.settings import PictureSettings

__all__ = ["NAMES", "picture_set"]

NAMES = ("tetrominoes", "shapes", "scenes", "toy", "lighting", "still", *SOURCES)
"""Sets that have a name; a folder of pictures is one too."""


def picture_set(settings: PictureSettings, split: Split = "train") -> PictureSet:
    """The set that settings name: one of `NAMES`, a folder of pictures, or several joined by '+', mixed.

    Args:
        split: the part of digits, mnist and fashion, whose pictures are given; sets that draw pictures themselves never
        draw one twice, and a folder has no held-out part.
    Raises:
        ValueError: if a setting is out of the set's range. FileNotFoundError: if there is no such set or folder, or the
        files of mnist or fashion are not at hand.
    """
    name = settings.name
    if "+" in name and not Path(name).is_dir():
        return Mixed([_single(part, settings, split) for part in name.split("+")])
    return _single(name, settings, split)


def _single(name: str, settings: PictureSettings, split: Split) -> PictureSet:
    objects, side = (settings.fewest, settings.most), settings.side
    if name == "tetrominoes":
        return Tetrominoes(objects, side)
    if name == "shapes":
        return Shapes(objects, colour=settings.most > 1, side=side)
    if name in ("scenes", "toy", "lighting", "still"):
        return Scenes(objects, side, "clevr" if name == "scenes" else name)
    if name in SOURCES:
        return Glyphs(name, side, split)
    if not name or not Path(name).is_dir():
        raise FileNotFoundError(
            f"No such folder of images: {name!r}. Expected a folder, {', '.join(NAMES)}, or several joined by '+'."
        )
    return ImageFolder(name, side)  # type: ignore[return-value]
