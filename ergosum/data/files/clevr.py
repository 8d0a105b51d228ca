"""CLEVR as it is published: images of solids on a table, and what each scene holds, in a list of scenes.

After Johnson, Hariharan, van der Maaten, Fei-Fei, Zitnick, Girshick 2017. Images are read when they are asked for; the
list of scenes, which is long, is read scene by scene.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ergosum.data.files import archive
from ergosum.data.files.reading import one_line, present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings
from ergosum.data.image_file import read_square
from ergosum.data.listing import shown
from ergosum.data.sources import Split

__all__ = ["Clevr"]

WHAT, ADDRESS = "CLEVR (a folder with images and scenes)", "https://cs.stanford.edu/people/jcjohns/clevr/"
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SHAPES, SIZES, MATERIALS = ("cube", "sphere", "cylinder"), ("small", "large"), ("rubber", "metal")
WORDS = {"shape": SHAPES, "color": COLOURS, "size": SIZES, "material": MATERIALS}
"""Words of an object's attributes, by the keys of the list of scenes; attributes are told by their numbers here."""
PARTS = {"train": "train", "test": "val"}
"""The published test images have no list of scenes."""
PIECE = 2**20
"""Characters of the list of scenes that are read at a time."""


class Clevr(ImageTable):
    """Images of the folder `CLEVR_v1.0`, or of one like it, and their objects.

    The folder has `images/train`, `images/val` and `scenes/CLEVR_train_scenes.json`, `scenes/CLEVR_val_scenes.json`;
    val is what is held out. Attributes of an object, in the order of the list: shape (0 cube, 1 sphere, 2 cylinder),
    color (0 .. 7), size (0 small, 1 large), material (0 rubber, 1 metal), x, y and z in the scene, and rotation
    [degrees]. The middle square of an image is taken.

    The published images have no masks: the background then covers the image. Where `masks/train` and `masks/val` hold
    a PNG of the name of each image, its grey is the number of the object in the list of the scene, from 1, and 0 for
    the background; 8 bits, and the size of the image.

    Args:
        path: the folder. side: pixels of an image, >= 4. split: `train` or `test`. most: objects in an image at most,
            others are left out; 0 takes all.
    Raises:
        FileNotFoundError: if the folder, a list or an image is missing. UnreadableFile, an OSError: if a list or a mask
        has another form or is damaged. ValueError: if a setting is out of range, or no image has so few objects.
    """

    attributes = ("shape", "color", "size", "material", "x", "y", "z", "rotation")

    def __init__(self, path: Path | str, side: int = 64, split: Split = "train", most: int = 0) -> None:
        check_settings(side, split)
        if most < 0:
            raise ValueError(f"most: expected a number of objects >= 0, got {most!r}.")
        self.path = present(path, WHAT, ADDRESS, folder=True)
        part = PARTS[split]
        scenes = present(self.path / "scenes" / f"CLEVR_{part}_scenes.json", WHAT, ADDRESS)
        names, objects = [], []
        with readable(scenes, "a list of scenes of CLEVR"):
            for scene in _scenes(scenes):
                if not most or len(scene.get("objects", ())) <= most:
                    names.append(_name(scene))
                    objects.append(_objects(scene))
        if not names:
            raise ValueError(f"most: {shown(scenes)} has no scene of at most {most} objects.")
        self.files = [self.path / "images" / part / name for name in names]
        self._require_images()
        self.objects = most or max(map(len, objects))
        self._attributes = np.full((len(names), self.objects, len(self.attributes)), np.nan, np.float32)
        for row, told in zip(self._attributes, objects, strict=True):
            row[: len(told)] = told
        masks = self.path / "masks" / part
        self.masks: Path | None = masks if masks.is_dir() else None
        digest = hashlib.sha256(f"{archive.state(scenes)} {most} {self.masks is not None}".encode()).hexdigest()[:16]
        super().__init__(side, split, max(2, len(names)), {"folder": self.path.name, "sha256": digest})
        self.rows = np.arange(len(names))

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the list of scenes."""
        pixels = np.stack([read_square(self.files[i], self.side).pixels for i in rows])
        owners = None if self.masks is None else np.stack([self._owners(i) for i in rows])
        return Rows(pixels, np.zeros((len(rows), 0), np.float32), owners, self._attributes[rows])

    def _owners(self, row: int) -> np.ndarray:
        assert self.masks is not None
        file = self.masks / f"{self.files[row].stem}.png"
        if not file.is_file():
            raise FileNotFoundError(f"There is no mask {shown(file)} of the image {self.files[row].name}.")
        with readable(file, "a mask of CLEVR"), Image.open(file, formats=("PNG",)) as opened:
            if opened.mode not in ("L", "P"):
                raise ValueError(f"expected 8 bits, grey or of a palette, got the mode {opened.mode}")
            size = min(opened.size)
            left, top = ((n - size) // 2 for n in opened.size)
            canvas = self.side, self.side
            square = opened.resize(canvas, Image.Resampling.NEAREST, (left, top, left + size, top + size))
            owners = np.asarray(square)
            there = int((~np.isnan(self._attributes[row, :, 0])).sum())
            if owners.max() > there:
                raise ValueError(f"it names object {owners.max()}; the scene has {there}")
        return owners

    def _require_images(self) -> None:
        folder = self.files[0].parent
        held = {p.name for p in folder.iterdir()} if folder.is_dir() else set()
        if missing := [file.name for file in self.files if file.name not in held]:
            raise FileNotFoundError(
                f"{shown(folder)}: {len(missing)} of {len(self.files)} images of the list of scenes are missing, the "
                f"first: {missing[0]}."
            )


def _scenes(path: Path) -> Iterator[dict[str, Any]]:
    """The scenes of a list, one at a time: no more of the file is in memory than a scene and a piece.

    Raises:
        ValueError: if it is no list of scenes, or ends too soon.
    """
    decoder, text, number = json.JSONDecoder(), "", 0
    with path.open(encoding="utf-8") as file:
        while '"scenes"' not in text or "[" not in text.partition('"scenes"')[2]:
            if not (piece := file.read(PIECE)):
                raise ValueError('it has no list "scenes"')
            text += piece
        text = text.partition('"scenes"')[2].partition("[")[2]
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith("]"):
                break
            try:
                scene, end = decoder.raw_decode(text)
            except json.JSONDecodeError as error:
                if not (piece := file.read(PIECE)):
                    raise ValueError(f"it ends within scene {number}, or that is no JSON: {one_line(error)}") from error
                text += piece
                continue
            if not isinstance(scene, dict):
                raise ValueError(f"scene {number} is no object of JSON")
            yield scene
            text, number = text[end:], number + 1
    if not number:
        raise ValueError("its list of scenes is empty")


def _name(scene: dict[str, Any]) -> str:
    name = scene.get("image_filename")
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError(f"expected the name of a file as image_filename of every scene, got {name!r}")
    return name


def _objects(scene: dict[str, Any]) -> np.ndarray:
    """Attributes of the objects of a scene, (objects, 8)."""
    rows = []
    for told in scene.get("objects") or ():
        try:
            words = [WORDS[key].index(told[key]) for key in ("shape", "color", "size", "material")]
            rows.append([*words, *map(float, told["3d_coords"][:3]), float(told["rotation"])])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"an object of {scene.get('image_filename')} is none of CLEVR's: {type(error).__name__}: {error}"
            ) from error
    if len(rows) > 255 or any(len(row) != 8 for row in rows):
        raise ValueError(f"expected at most 255 objects with three coordinates each in {scene.get('image_filename')}")
    return np.array(rows, np.float32).reshape(-1, 8)
