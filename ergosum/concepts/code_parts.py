"""Parts of a code: where a value says that the part of its attribute lies, and which value a part tells.

Of n named values each has a corner of a simplex, scaled so that parts of uniform values have mean 0 and deviation 1;
numbers in [0, 1] are scaled alike.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from ergosum.data.attributed import Attribute

__all__ = [
    "FINE",
    "SPREAD",
    "centred",
    "corners",
    "divergences",
    "logits",
    "nearest",
    "part_size",
    "place_among",
    "probabilities",
]

SPREAD = 0.3
"""s, deviation of a part around where a named value says that it is."""
FINE = 0.05
"""The same of numbers."""


def part_size(attribute: Attribute) -> int:
    """Numbers of an attribute's part."""
    return attribute.numbers or len(attribute.values)


def place_among(name: str, attributes: Sequence[Attribute]) -> slice | None:
    """Where the part of the attribute that says where something is lies among those of all attributes."""
    at, found = 0, None
    for attribute in attributes:
        if attribute.name == name and attribute.numbers == 2:
            found = slice(at, at + 2)
        at += part_size(attribute)
    if name and attributes and found is None:
        raise ValueError(f"place: expected the name of an attribute of two numbers, or none, got {name!r}.")
    return found


def corners(value: Tensor, count: int) -> Tensor:
    """Corners of a simplex, (batch, count), of mean 0 and deviation 1 where values are uniform."""
    share = 1 / count
    return (F.one_hot(value, count) - share) / max(share * (1 - share), 1e-6) ** 0.5


def logits(part: Tensor) -> Tensor:
    """Of each corner, that a part (batch, count) was drawn around it with deviation s, corners equally likely."""
    share = 1 / part.shape[1]
    return part / (SPREAD**2 * max(share * (1 - share), 1e-6) ** 0.5)


def probabilities(part: Tensor) -> Tensor:
    """What `logits` tells, (batch, count)."""
    return logits(part).softmax(1)


def nearest(part: Tensor) -> Tensor:
    """The mean corner that a part (batch, count) was drawn around."""
    share = 1 / part.shape[1]
    return (probabilities(part) - share) / max(share * (1 - share), 1e-6) ** 0.5


def centred(numbers: Tensor) -> Tensor:
    """Numbers in [0, 1] as a part: of mean 0 and deviation 1 where they are uniform."""
    return (numbers - 0.5) * 12**0.5


def divergences(mean: Tensor, deviation: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(centre, spread^2)) of each number."""
    ratio = (deviation / spread).square()
    return (((mean - centre) / spread).square() + ratio - 1 - ratio.log()) / 2
