r"""Images made elsewhere: the same things on another floor and in another light than a model has learned from.

Images of one place share a floor, and their median b is the floor without things. Where all channels of a pixel x are
about the same share $s = x / b$ of it, the pixel shows the floor in light s, and becomes s times the floor that the
model knows (`exchanged`): shadows stay where they fall, and things, which have other colours, stay as they are.

Light from the left is light from the right in a mirror. So the mirror images are read instead where most of them are
more like the data, by the numbers of `unlike.py` (`adapted`), and a place that was read is mirrored back (`restored`).

No weight changes. A named value that a mirror changes, such as a letter, would be read as its mirror image. Whether it
helps is for the reader to see: what is read of adapted images still has its p.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.concepts.unlike import Of
from ergosum.data.attributed import Attribute, columns
from ergosum.part import Part
from ergosum.report.tables import target
from ergosum.training.task import Table

__all__ = [
    "Adapted",
    "adapted",
    "elsewhere_tables",
    "elsewhere_targets",
    "exchanged",
    "floor_of",
    "left_out",
    "restored",
    "score_elsewhere",
]

Read = Callable[[Tensor], Tensor]
"""Values (n, columns) of images."""
LIKE = 0.1
"""Difference of channels, in shares of their mean, up to which a pixel has the colour of the floor."""
LEAST = 8
"""Images of one place; every pixel is to show the floor in more than half of them."""
REACHED = 0.9
"""Of named values, the least share that is to be read."""
SHOWN = 500
"""Held-out images whose median is the floor that a model knows."""


class Adapted(NamedTuple):
    """Images on the floor that a model knows.

    Attributes:
        images: (n, channels, side, side). mirrored: whether left and right are exchanged.
    """

    images: Tensor
    mirrored: bool


def exchanged(images: Tensor, floor: Tensor, other: Tensor) -> Tensor:
    """Images whose floor is exchanged for another one, in the same light.

    Shape:
        images: (n, channels, side, side) in [0, 1], of two channels or more. floor, other: (channels, side, side).
    Raises:
        ValueError: of grey images, in which no colour tells the floor from things on it.
    """
    if images.shape[1] < 2:
        raise ValueError("exchanged: expected images of two channels or more, got grey ones.")
    share = images / floor.clamp(min=1 / 255)
    spread, light = share.amax(1, keepdim=True) - share.amin(1, keepdim=True), share.mean(1, keepdim=True)
    return torch.where(spread <= LIKE * light, light * other, images).clamp(0, 1)


@torch.no_grad()
def adapted(images: Tensor, floor: Tensor, unlike: Of, generator: Generator) -> Adapted:
    """Images of one place on the floor that a model knows, mirrored if most of them are then more like the data.

    Args:
        images: (n, channels, side, side), of a place whose median is its floor. floor: (channels, side, side), that the
            model knows. unlike: gives numbers of images that are larger the less these are like the data.
    Raises:
        ValueError: of fewer images than a median needs, and as `exchanged`.
    """
    if len(images) < LEAST:
        raise ValueError(
            f"adapted: expected {LEAST} images of one place, whose median is its floor, got {len(images)}."
        )
    both = [exchanged(one, one.median(0).values, floor) for one in (images, images.flip(3))]
    start = generator.get_state()
    told = []
    for one in both:
        generator.set_state(start)  # the same noise for both
        told.append(unlike(one, generator))
    better = torch.cat([(told[1][name] < number).double() for name, number in told[0].items()]).mean()
    mirrored = bool(better > 0.5)
    return Adapted(both[mirrored], mirrored)


def restored(values: Tensor, attributes: Sequence[Attribute], mirrored: bool) -> Tensor:
    """Values (..., columns) read of adapted images, as they are in the images that these were made of.

    Raises:
        ValueError: if the images were mirrored and an attribute of numbers is no place (x, y).
    """
    if not mirrored:
        return values
    told = values.clone()
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        if attribute.numbers not in (0, 2):
            raise ValueError(f"restored: expected places of two numbers, got {attribute.name} of {attribute.numbers}.")
        if attribute.numbers:
            told[..., column.start] = 1 - told[..., column.start]
    return told


def floor_of(data: Part[Any]) -> Tensor:
    """The floor of a data set (channels, side, side): the median of held-out images.

    Args:
        data: gets `split`.
    """
    return data.build(split="test").attributed(SHOWN, Generator().manual_seed(0)).images.median(0).values


def score_elsewhere(model: Any, data: Part[Any], read: Read, unlike: Of, n: int, seed: int) -> dict[str, Any]:
    """Rows of n images each, or as many as a median needs, of the variants of a data set that nobody trains on: the
    share of named values that is read right, and the median error of places in pixels, of the images as they are and
    of adapted ones.

    Args:
        data: gets `split` and `variant`; `elsewhere` of its class names the variants. Those that cannot be drawn here,
            for want of a renderer, are left out with a warning. read: gives values (n, columns) of images. unlike: as
            `adapted`.
    """
    rows, n = [], max(n, LEAST)
    for variant in getattr(data.cls, "elsewhere", ()):
        try:
            record = data.but(split="test", variant=variant).build().attributed(n, Generator().manual_seed(seed))
        except (ImportError, RuntimeError) as error:
            left_out(variant, error)
            continue
        changed = adapted(record.images, floor_of(data), unlike, Generator().manual_seed(seed))
        told = {
            "as they are": read(record.images),
            "adapted": restored(read(changed.images), model.attributes, changed.mirrored),
        }
        for name, values in told.items():
            row: dict[str, Any] = {"variant": variant, "images": name, "n": n}
            for attribute, column in zip(model.attributes, columns(model.attributes), strict=True):
                apart = values[:, column] - record.values[:, column]
                if attribute.values:
                    row[attribute.name] = (apart[:, 0] == 0).float().mean().item()
                else:
                    row[attribute.name] = (apart * model.side).norm(dim=1).median().item()
            rows.append(row | ({"mirrored": changed.mirrored} if name == "adapted" else {}))
    if not rows:
        return {}
    adaptations = [row for row in rows if row["images"] == "adapted"]
    least = min((row[a.name] for row in adaptations for a in model.attributes if a.values), default=None)
    return {"elsewhere": rows, "infer_elsewhere": least}


def left_out(variant: str, error: Exception) -> None:
    """Warn that a score has no rows of a variant."""
    warnings.warn(
        f"images of {variant!r} are left out of the score, for they cannot be drawn here: {error}", stacklevel=3
    )


def elsewhere_targets(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What reading of images made elsewhere is to reach, if it was scored."""
    least = scores.get("infer_elsewhere")
    return [] if least is None else [target("values read in images made elsewhere", least, REACHED, True)]


def elsewhere_tables(scores: Mapping[str, Any]) -> list[Table]:
    """A row for the images of each variant as they are, and for adapted ones."""
    rows = scores.get("elsewhere", [])
    keys = [key for key in (rows or [{}])[0] if key not in ("variant", "images", "n", "mirrored")]
    title = "Read in images made elsewhere: values that are right, and the median error of places [pixels]"
    return [Table(("variant", "images"), {"n": 0, **dict.fromkeys(keys, 3)}, rows, title)] if rows else []
