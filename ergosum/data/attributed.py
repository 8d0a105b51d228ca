"""Images with several attributes each: what concepts learn from."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

__all__ = ["Attribute", "Attributed", "AttributedData", "columns", "retold", "told"]


class Attribute(NamedTuple):
    """What can be said of an image: one of several named values, or numbers.

    Attributes:
        name: such as colour or place. values: their names, as formulas use them; none where it is told in numbers.
        numbers: how many numbers in [0, 1] tell it, of an attribute without named values; else 0.
    """

    name: str
    values: tuple[str, ...] = ()
    numbers: int = 0

    @property
    def width(self) -> int:
        """Columns that it takes in a table of values."""
        return self.numbers or 1


class Attributed(NamedTuple):
    """Images and the values of their attributes.

    Shape:
        images: (n, channels, side, side), float32 in [0, 1]. values: (n, columns), float32: the number of the value of
            an attribute with named values, the numbers of one without; NaN where nothing is told.
    """

    images: Tensor
    values: Tensor


class AttributedData(Protocol):
    """A dataset of images with attributes; yours may draw them as it likes.

    Scores ask for more where it is there: `read(images)`, the values (n, columns) that images show, `held_out(values)`,
    (n,) bool, whether training never shows them, and `showing(values, generator)`, an `Attributed` of as many images,
    each with the values (n, columns) of its row, all told, and all else at random. They are called with up to 1,600
    rows at once, on the CPU.

    Attributes:
        attributes: in the order of the columns of values. side, channels: of an image.
    """

    attributes: tuple[Attribute, ...]
    side: int
    channels: int

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images, with replacement, of the part that it was built for."""
        ...


def columns(attributes: Sequence[Attribute]) -> list[slice]:
    """Where each attribute stands in a table of values."""
    places, at = [], 0
    for attribute in attributes:
        places.append(slice(at, at + attribute.width))
        at += attribute.width
    return places


def retold(values: Tensor, attributes: Sequence[Attribute], wanted: Sequence[Attribute]) -> Tensor:
    """A table of values (n, columns) as one of other attributes, found by their names; NaN where there are none.

    Raises:
        ValueError: if two attributes of one name differ.
    """
    held = {a.name: (a, column) for a, column in zip(attributes, columns(attributes), strict=True)}
    made = values.new_full((len(values), sum(a.width for a in wanted)), torch.nan)
    for attribute, column in zip(wanted, columns(wanted), strict=True):
        known, own = held.get(attribute.name, (attribute, None))
        if (tuple(known.values), known.numbers) != (tuple(attribute.values), attribute.numbers):
            raise ValueError(
                f"{attribute.name}: expected {_kind(attribute)}, as it was told before, got {_kind(known)}."
            )
        if own is not None:
            made[:, column] = values[:, own]
    return made


def _kind(attribute: Attribute) -> str:
    return f"values {', '.join(attribute.values)}" if attribute.values else f"{attribute.numbers} numbers"


def told(attributes: Sequence[Attribute], **values: str | int | Sequence[float]) -> Tensor:
    """One row of values, (columns,): those that are given by name, number or numbers; NaN elsewhere.

    Raises:
        ValueError: for an attribute or a value that there is not.

    Example:
        >>> told((Attribute("colour", ("red", "blue")), Attribute("place", numbers=2)), colour="blue")
        tensor([1., nan, nan])
    """
    row = torch.full((sum(a.width for a in attributes),), torch.nan)
    known = {a.name: (a, place) for a, place in zip(attributes, columns(attributes), strict=True)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"There is no attribute {name!r}; expected one of {', '.join(known)}.")
        attribute, place = known[name]
        row[place] = _numbers(attribute, value)
    return row


def _numbers(attribute: Attribute, value: str | int | Sequence[float]) -> Tensor:
    """A value of an attribute as it stands in a table."""
    if not attribute.values:
        held = torch.as_tensor(value, dtype=torch.float32).flatten() if not isinstance(value, str) else torch.empty(0)
        if len(held) != attribute.numbers or not ((held >= 0) & (held <= 1)).all():
            raise ValueError(f"{attribute.name}: expected {attribute.numbers} numbers in [0, 1], got {value!r}.")
        return held
    if isinstance(value, str) and value in attribute.values:
        return torch.tensor([float(attribute.values.index(value))])
    if isinstance(value, int) and 0 <= value < len(attribute.values):
        return torch.tensor([float(value)])
    raise ValueError(
        f"{attribute.name}: expected one of {', '.join(attribute.values)}, or its number 0 .. "
        f"{len(attribute.values) - 1}, got {value!r}."
    )
