"""Components of two images that are chosen by hand, moved by their place codes, and added up.

    A:ground A:one B:three@0.25,-0.4

takes the ground and the component one of the first image, and three of the second, moved to x = 0.25, y = -0.4, where
an image reaches from -1 to 1 and y grows downwards.
"""

import re
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.decomposition.figures import masks_shown
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import Share, encode_best, recombine
from ergosum.nets.slots import PLACE
from ergosum.report.strips import sheet
from ergosum.shapes import Images, Latents

__all__ = ["Choice", "added", "choices_sheet", "parse_choices", "place_of", "sum_sheet"]

IMAGES = ("A", "B")
MOST = 32
"""Components that are added, at most."""
BEYOND = 1.5
"""How far from the middle a place may be: an object that lies half outside is at about 1.2."""
_CHOICE = re.compile(r"(?P<image>[^:@\s]+):(?P<name>[^:@\s]+)(@(?P<x>[^,\s]+),(?P<y>[^,\s]+))?")


class Choice(NamedTuple):
    """A component of image A or B, and where it goes, x and y in -1 .. 1; None where it is."""

    image: str
    component: str
    place: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.image}:{self.component}" + ("" if self.place is None else "@{:g},{:g}".format(*self.place))


def parse_choices(text: str, components: Sequence[str]) -> tuple[Choice, ...]:
    """The choices written as `text`; a component that is taken twice is there twice.

    Args:
        components: names of the model's components.
    Raises:
        ValueError: naming the part that cannot be read, the image or component that there is none of, or a place out of
        range.

    Example:
        >>> str(parse_choices("A:ground B:one@0.25,-0.4", ("ground", "one"))[1])
        'B:one@0.25,-0.4'
    """
    chosen = []
    for part in text.split():
        found = _CHOICE.fullmatch(part)
        if not found or found["image"] not in IMAGES:
            raise ValueError(f"Choice: cannot read {part!r}; expected A:NAME, B:NAME or A:NAME@X,Y.")
        if found["name"] not in components:
            raise ValueError(f"Choice: there is no component {found['name']!r}; there are {', '.join(components)}.")
        place = None
        if found["x"] is not None:
            place = _number(part, found["x"]), _number(part, found["y"])
        chosen.append(Choice(found["image"], found["name"], place))
    if not 1 <= len(chosen) <= MOST:
        told = f"Choice: expected 1 to {MOST} components, got {len(chosen)}; choose one, such as A:{components[0]}."
        raise ValueError(told)
    return tuple(chosen)


def _number(part: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and abs(value) <= BEYOND):
        raise ValueError(f"Choice: {part!r}: expected a place from -{BEYOND} to {BEYOND}, such as @0.25,-0.4.")
    return value


def place_of(model: ImageDecomposer, latents: Latents, k: int) -> tuple[float, float] | None:
    """Where component k of the first image lies, x and y in -1 .. 1; None if it has no place."""
    if not model.placed or latents[0, k, -1] == 0:
        return None
    x, y = latents[0, k, -PLACE : 2 - PLACE].tolist()
    return x, y


@torch.no_grad()
def added(
    model: ImageDecomposer, a: Latents, b: Latents, choices: Sequence[Choice], generator: Generator | None = None
) -> tuple[Images, Tensor]:
    """The image at the bottom of the sum of the chosen components' energies, and each one's share of its pixels.

    Shape:
        a, b: (1, K, D), of the two images. Returns (1, 3, side, side) and (1, choices, side, side).
    Raises:
        ValueError: if a component that has no place is to be moved.
    """
    shares = []
    for choice in choices:
        k = model.components.index(choice.component)
        latents = (a if choice.image == "A" else b).clone()
        if choice.place is not None:
            if place_of(model, latents, k) is None:
                raise ValueError(f"Choice: {choice}: {choice.component} has no place, so it cannot be moved.")
            latents[0, k, -PLACE : 2 - PLACE] = torch.tensor(choice.place)
        shares.append(Share(model, latents, [k]))
    return recombine(shares, generator)


def choices_sheet(
    model: ImageDecomposer, one: Images, two: Images, choices: Sequence[Choice], seed: int = 0
) -> Image.Image:
    """Two images, the sum of what is chosen of them, and the masks of the sum.

    Args:
        seed: of the noise that descents start from; each of the three starts from the same.
    Shape:
        one, two: (1, 3, side, side) in [0, 1].
    """
    a, b = (encode_best(model, image, Generator().manual_seed(seed)) for image in (one, two))
    made, masks = added(model, a, b, choices, Generator().manual_seed(seed))
    return sum_sheet(one, two, choices, made, masks)


def sum_sheet(one: Images, two: Images, choices: Sequence[Choice], made: Images, masks: Tensor) -> Image.Image:
    """The sheet of a sum that `added` has made."""
    told = " ".join(map(str, choices))
    rows = [("image A", one), ("image B", two), (told, made), ("its masks", masks_shown(masks, made))]
    return sheet(rows, boxed=())
