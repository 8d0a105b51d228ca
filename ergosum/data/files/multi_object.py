"""The Multi-Object Datasets as they are published: Tetrominoes, Multi-dSprites, Objects Room and CLEVR with masks.

After Kabra, Burgess, Matthey, Kaufman, Greff, Reynolds, Lerchner 2019. The files are TFRecords, which have to be read
from their beginning; the first `count` records are read once, resized and kept in the cache, from which any image is
read at once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ergosum.data.dataset import BLOCK
from ergosum.data.files import archive
from ergosum.data.files.reading import UnreadableFile, present, readable
from ergosum.data.files.table import ImageTable, Rows, check_settings, squares
from ergosum.data.files.tfrecord import Value, example, records
from ergosum.data.files.unpacked import unpacked
from ergosum.data.sources import Split

__all__ = ["MultiObject"]

WHAT = "Multi-Object Datasets (.tfrecords)"
ADDRESS = "https://github.com/google-deepmind/multi_object_datasets"
Window = tuple[int, int, int]
"""Uppermost row, first column and side of the square that is taken of an image, in pixels."""


class _Form(NamedTuple):
    """One of the four datasets.

    Attributes:
        height, width: of its images. grounds: masks that belong to the background. last: whether the number of the mask
            is the last axis of the masks, instead of the first. features: what is told of an object, in order.
    """

    name: str
    height: int
    width: int
    grounds: int
    last: bool
    features: tuple[str, ...]


FORMS = (
    _Form("CLEVR with masks", 240, 320, 1, False,
          ("x", "y", "z", "pixel_coords", "rotation", "size", "material", "shape", "color")),
    _Form("Multi-dSprites", 64, 64, 1, True, ("x", "y", "shape", "color", "orientation", "scale")),
    _Form("Tetrominoes", 35, 35, 1, False, ("x", "y", "shape", "color")),
    _Form("Objects Room", 64, 64, 4, False, ()),
)  # fmt: skip
"""The first whose features are all there is the form of a file."""


class MultiObject(ImageTable):
    """Images of several objects with their masks, and what is told of each object, as the file has it.

    The form is told by the features of the first record. The first mask is the background, of Objects Room the first
    four (sky, floor and walls). Attributes with several numbers are numbered from 0 (`color_0`, `color_1`, `color_2`);
    those of an object that is not visible are NaN. Places are in the units of the file, whatever is cut away.

    Args:
        path: the `.tfrecords` file. side: pixels of an image, >= 4, or 0 for what they come with (35, 64, of CLEVR
            240). split: `train`, or `test`, the tenth that is held out. count: records that are read, the first ones;
            0 takes all (a million, but for CLEVR). most: objects in an image at most, others are left out; 0 takes all.
            window: the square that is taken of an image, as its uppermost row, first column and side; None takes the
            middle. Greff et al. 2019 take (29, 64, 192) of CLEVR, and `most` 6.
    Raises:
        FileNotFoundError: if there is no such file. UnreadableFile, an OSError: if it has another form or is damaged.
        ValueError: if a setting is out of range, or no image has so few objects.
    """

    def __init__(
        self,
        path: Path | str,
        side: int = 0,
        split: Split = "train",
        count: int = 60_000,
        most: int = 0,
        window: Window | None = None,
    ) -> None:
        check_settings(side or 64, split)
        for name, value in (("count", count), ("most", most)):
            if value < 0:
                raise ValueError(f"{name}: expected a number >= 0, got {value!r}.")
        self.path = present(path, WHAT, ADDRESS)
        with readable(self.path, WHAT):
            first = example(next(records(self.path), b""))
            self.form = _form(first)
            self._sizes = {name: _width(first, name) for name in self.form.features}
        side = side or min(self.form.height, self.form.width)
        self._window = _checked(window, self.form)
        where = "-".join(map(str, self._window))
        name = f"{archive.state(self.path)}-{side}-{where}-{count}"
        with readable(self.path, WHAT):
            self._kept = unpacked(name, lambda: self._blocks(side, count))
        self.attributes = tuple(
            f"{k}_{i}" if size > 1 else k for k, size in self._sizes.items() for i in range(size)
        )  # fmt: skip
        present_objects = self._kept["shown"].sum(1)
        chosen = np.flatnonzero(present_objects <= most) if most else np.arange(len(present_objects))
        if len(chosen) < 2:
            raise ValueError(f"most: {len(chosen)} of {len(present_objects)} images have at most {most} objects.")
        self.objects = most or self._kept["shown"].shape[1]
        super().__init__(
            side, split, len(chosen),
            {"file": self.path.name, "sha256": name, "most": most},
        )  # fmt: skip
        self.rows = chosen[self.rows]

    def read(self, rows: np.ndarray) -> Rows:
        """Images by their numbers in the file."""
        owners, attributes = np.asarray(self._kept["owners"][rows]), np.asarray(self._kept["attributes"][rows])
        if self.objects < attributes.shape[1]:
            owners, attributes = _first(owners, attributes, np.asarray(self._kept["shown"][rows]), self.objects)
        return Rows(np.asarray(self._kept["images"][rows]), np.zeros((len(rows), 0), np.float32), owners, attributes)

    def _blocks(self, side: int, count: int) -> Iterator[dict[str, np.ndarray]]:
        waiting: list[dict[str, np.ndarray]] = []
        for number, record in enumerate(records(self.path)):
            if count and number == count:
                break
            try:
                waiting.append(self._row(example(record), side))
            except ValueError as error:
                raise UnreadableFile(self.path, WHAT, f"record {number}: {error}") from error
            if len(waiting) == BLOCK:
                yield _stacked(waiting)
                waiting = []
        if waiting:
            yield _stacked(waiting)

    def _row(self, told: dict[str, Value], side: int) -> dict[str, np.ndarray]:
        form = self.form
        place = form.height * form.width
        pixels, masks = _bytes_of(told, "image"), _bytes_of(told, "mask")
        if len(pixels) not in (place, 3 * place) or len(masks) % place or len(masks) <= form.grounds * place:
            raise ValueError(
                f"expected an image of {form.height}x{form.width} pixels, grey or in colour, and {form.grounds + 1} "
                f"masks or more of {form.name}, got {len(pixels)} and {len(masks)} bytes"
            )
        image = pixels.reshape(form.height, form.width, -1)
        image = np.repeat(image, 3, 2) if image.shape[2] == 1 else image
        shape = (form.height, form.width, -1) if form.last else (-1, form.height, form.width)
        each = masks.reshape(shape)
        each = np.moveaxis(each, 2, 0) if form.last else each
        objects = each[form.grounds :] > 127
        seen = np.ones(len(objects), bool)
        if "visibility" in told:
            seen = _numbers(told, "visibility", len(each), 1)[form.grounds :, 0] > 0
        owners = np.where(objects & seen[:, None, None], np.arange(1, len(objects) + 1)[:, None, None], 0).max(0)
        top, left, size = self._window
        part = slice(top, top + size), slice(left, left + size)
        columns = [_numbers(told, k, len(each), n)[form.grounds :] for k, n in self._sizes.items()]
        attributes = np.concatenate(columns, 1) if columns else np.zeros((len(objects), 0), np.float32)
        return {
            "images": squares(image[part][None], side)[0],
            "owners": _nearest(owners[part].astype(np.uint8), side),
            "attributes": np.where(seen[:, None], attributes, np.nan).astype(np.float32),
            "shown": np.asarray(seen if columns else objects.any((1, 2))),
        }


def _form(told: dict[str, Value]) -> _Form:
    """Which of the datasets the features of a record are of."""
    for form in FORMS:
        if {"image", "mask", *form.features} <= set(told):
            return form
    held = ", ".join(sorted(told)) or "none"
    raise ValueError(f"expected the features image and mask of one of {', '.join(f.name for f in FORMS)}; got {held}")


def _width(told: dict[str, Value], name: str) -> int:
    """Numbers that a feature tells of each mask."""
    masks = len(_array(told, "visibility"))
    held = len(_array(told, name))
    if not masks or held % masks:
        raise ValueError(f"expected {name!r} of each of {masks} masks, got {held} numbers")
    return held // masks


def _numbers(told: dict[str, Value], name: str, masks: int, width: int) -> np.ndarray:
    """A feature, (masks, width), float32."""
    held = _array(told, name)
    if len(held) != masks * width:
        raise ValueError(f"expected {masks * width} numbers of {name!r}, got {len(held)}")
    return held.reshape(masks, width).astype(np.float32)


def _array(told: dict[str, Value], name: str) -> np.ndarray:
    if name not in told:
        raise ValueError(f"the feature {name!r} is missing; there are {', '.join(sorted(told)) or 'none'}")
    value = told[name]
    if isinstance(value, list):
        raise ValueError(f"expected single bytes or numbers of {name!r}, got bytes of {len(value)} values")
    return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value


def _bytes_of(told: dict[str, Value], name: str) -> np.ndarray:
    """Pixels: single bytes, or all of them in one value."""
    value = told.get(name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, bytes):
        raise ValueError(f"expected {name!r} in bytes, got {'nothing' if value is None else type(value).__name__}")
    return np.frombuffer(value, np.uint8)


def _checked(window: Window | None, form: _Form) -> Window:
    size = min(form.height, form.width)
    if window is None:
        return (form.height - size) // 2, (form.width - size) // 2, size
    top, left, size = window
    if min(top, left) < 0 or size < 4 or top + size > form.height or left + size > form.width:
        raise ValueError(
            f"window: expected (row, column, side) within {form.height}x{form.width} pixels, got {tuple(window)}."
        )
    return top, left, size


def _nearest(owners: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(owners).resize((side, side), Image.Resampling.NEAREST))


def _stacked(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(shapes := {row["attributes"].shape for row in rows}) > 1:
        raise ValueError(f"records differ in their number of masks: {', '.join(str(s[0]) for s in sorted(shapes))}")
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _first(
    owners: np.ndarray, attributes: np.ndarray, shown: np.ndarray, objects: int
) -> tuple[np.ndarray, np.ndarray]:
    """Objects that are there brought to the front, and no more than `objects` places."""
    order = np.argsort(~shown, 1, kind="stable")
    place = np.argsort(order, 1)  # of every object, where it goes
    moved = np.concatenate([np.zeros((len(owners), 1), np.int64), place + 1], 1)
    flat = np.take_along_axis(moved, owners.reshape(len(owners), -1).astype(np.int64), 1)
    told = np.take_along_axis(attributes, order[..., None], 1)[:, :objects]
    return flat.reshape(owners.shape).astype(np.uint8), told
