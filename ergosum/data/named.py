"""Sets of single pictures by name."""

from ergosum.data.folder import Folder
from ergosum.data.pictures import PictureSet
from ergosum.data.scenes import Scenes
from ergosum.data.shapes import Shapes
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.settings import PictureSettings

__all__ = ["picture_set"]


def picture_set(settings: PictureSettings) -> PictureSet:
    """The set that settings name: tetrominoes, shapes, scenes, toy, lighting, still, or a folder of pictures.

    Raises:
        ValueError: if a setting is out of the set's range. FileNotFoundError: if there is no such set or folder.
    """
    objects, side = (settings.fewest, settings.most), settings.side
    if settings.name == "tetrominoes":
        return Tetrominoes(objects, side)
    if settings.name == "shapes":
        return Shapes(objects, colour=settings.most > 1, side=side)
    if settings.name in ("scenes", "toy", "lighting", "still"):
        return Scenes(objects, side, "clevr" if settings.name == "scenes" else settings.name)
    return Folder(settings.name, side)  # type: ignore[return-value]
