"""What a dataset must hand out, tested on a small record before anything is trained on it.

A dataset of one's own that gives the wrong shape, range or mask would otherwise fail deep inside a network, or train on
nonsense without a word.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from ergosum.data.dataset import ImageDataset
from ergosum.data.images_given import as_images
from ergosum.data.record import Clips, ImageRecord, Pairs

__all__ = ["ClipData", "check_clips", "check_images", "check_pairs", "columns_of"]

N = 2
"""Rows of the record that is drawn."""


class ClipData(Protocol):
    """A dataset of clips: `DigitSequences`, `MovingShapes`, `MovingScenes`, `ClipFolder`, or your own.

    Its constructor takes `canvas`, the side of a frame in pixels, with a default; and, if it likes, `split` (`train` or
    `test`) and `device`. Where the columns of `Clips.speeds` are others than `factors`, an attribute `columns` names
    them.
    """

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors that may change in a clip; none where nobody knows them."""
        ...

    def clips(self, n: int, steps: int, generator: Generator) -> Clips:
        """`n` random clips of `steps` + 1 frames, of the part that it was built for."""
        ...


def columns_of(data: ClipData) -> tuple[str, ...]:
    """Names of the columns of a dataset's `Clips.speeds`: its `columns`, where it has them, else its `factors`."""
    return tuple(getattr(data, "columns", data.factors))


def check_images(dataset: ImageDataset, side: int | None = None) -> None:
    """Draw two images with a generator of their own, and refuse a dataset that does not keep to `ImageDataset`.

    Args:
        side: the side that a model expects; None takes the dataset's.
    Raises:
        ValueError: naming the class, what was expected and what came: an attribute is missing, the settings cannot be
            written as JSON, images are no floats in 0 .. 1 of the stated side, a pixel has not exactly one owner, or
            factors and attributes are not as many as they have names.
    """
    name = type(dataset).__name__
    _require(dataset, ("side", "factors", "attributes", "objects", "settings", "draw"), name)
    try:
        json.dumps(dataset.settings)
    except TypeError as error:
        raise ValueError(f"{name}.settings: expected plain values that JSON can hold; {error}.") from error
    if side is not None and dataset.side != side:
        raise ValueError(f"{name}.side: expected {side}, the side that its recipe states, got {dataset.side!r}.")
    drawn = dataset.draw(N, Generator().manual_seed(0))
    _require(drawn, ImageRecord._fields, f"{name}.draw")
    _check_frames(drawn.images, dataset.side, f"{name}.draw, images")
    masks = f"{name}.draw, masks"
    _check_shape(drawn.masks, (N, 1 + dataset.objects, dataset.side, dataset.side), masks, "the background first")
    if drawn.masks.dtype != torch.bool:
        raise ValueError(f"{masks}: expected Booleans, got {drawn.masks.dtype}.")
    if int((wrong := drawn.masks.sum(1) != 1).sum()):
        raise ValueError(
            f"{masks}: expected exactly one owner of every pixel, the background (the first mask) or an object; "
            f"{int(wrong.sum())} of {wrong.numel()} pixels have none or several."
        )
    _check_shape(drawn.factors, (N, len(dataset.factors)), f"{name}.draw, factors", "one column for each name")
    wanted = (N, dataset.objects, len(dataset.attributes))
    _check_shape(drawn.attributes, wanted, f"{name}.draw, attributes", "one column for each name")


def check_pairs(data: Any, side: int) -> None:
    """Draw two pairs of frames with a generator of their own, and refuse a dataset that does not keep to `Pairs`.

    Args:
        data: has `pairs(n, generator)`. side: of a frame in pixels, the data's `canvas`.
    Raises:
        ValueError: naming the class, what was expected and what came: a field is missing, frames are no floats in
            0 .. 1 of the stated side, or a field has not one row for each pair.
    """
    name = f"{type(data).__name__}.pairs"
    drawn = data.pairs(N, Generator().manual_seed(0))
    _require(drawn, Pairs._fields, name)
    for field in ("start", "target"):
        _check_frames(getattr(drawn, field), side, f"{name}, {field}")
    for field in Pairs._fields[2:]:
        value = getattr(drawn, field)
        if not isinstance(value, Tensor) or value.ndim < 1 or len(value) != N:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name}, {field}: expected a tensor of {N} rows, one for each pair, got {got}.")


def check_clips(data: ClipData, side: int, steps: int = 2) -> None:
    """Draw two clips with a generator of their own, and refuse a dataset that does not keep to `ClipData`.

    Args:
        side: of a frame in pixels, the data's `canvas`. steps: moves of a clip, as many as will be asked for.
    Raises:
        ValueError: naming the class, what was expected and what came: an attribute or a field is missing, frames are no
            floats in 0 .. 1 of the stated side, there are not `steps` + 1 of them, or speeds are not as many as they
            have names, or not finite.
    """
    name = type(data).__name__
    _require(data, ("factors", "clips"), name)
    drawn = data.clips(N, steps, Generator().manual_seed(0))
    _require(drawn, Clips._fields, f"{name}.clips")
    frames, speeds, where = drawn.frames, drawn.speeds, f"{name}.clips, speeds"
    _check_shape(frames, (N, steps + 1, 3, side, side), f"{name}.clips, frames", "(clips, steps + 1, 3, side, side)")
    _check_frames(frames.flatten(0, 1), side, f"{name}.clips, frames", N * (steps + 1))
    _check_shape(speeds, (N, steps, len(columns_of(data))), where, "one column for each name")
    if speeds.dtype != torch.float32 or not speeds.isfinite().all():
        got = "NaN or infinity" if speeds.dtype == torch.float32 else speeds.dtype
        raise ValueError(f"{where}: expected finite float32, got {got}.")


def _require(thing: Any, names: Sequence[str], where: str) -> None:
    missing = [k for k in names if not hasattr(thing, k)]
    if missing:
        raise ValueError(f"{where}: expected {', '.join(names)}; missing: {', '.join(missing)}.")


def _check_frames(images: Any, side: int, where: str, count: int = N) -> None:
    """Float32 images in 0 .. 1, as many as were asked for."""
    if isinstance(images, Tensor) and images.dtype != torch.float32:
        raise ValueError(f"{where}: expected float32 in 0 .. 1, got {images.dtype}; x.float() / 255 mends bytes.")
    try:
        as_images(images, side)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {str(error).removeprefix('images: ')}") from error
    if len(images) != count:
        raise ValueError(f"{where}: expected {count} images where {count} are asked for, got {len(images)}.")


def _check_shape(value: Any, expected: tuple[int, ...], where: str, why: str) -> None:
    got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    if got != expected:
        raise ValueError(f"{where}: expected the shape {expected}, {why}; got {got}.")
