"""Solids on a floor whose shape, colour, size and place are told: images that concepts are learned from.

The ray caster of `Scenes` draws matte solids from above under nearly one light. What nobody tells is the angle of a
solid around the vertical, and a little movement of light and camera. Combinations of values can be held out of the
training part, as Liu et al. (2022) and CoInD (Gaudi et al., 2025) do to ask for what was never shown together.
"""

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.concept_solids import ATTRIBUTES, MIDDLE, SHAPES, SIZE_NUMBERS, Variant, points, rendered, renderer
from ergosum.data.dataset import Stored, check_objects, draw_present, store
from ergosum.data.record import ImageRecord
from ergosum.data.scene_reader import scene_reader
from ergosum.data.scenes import FACTORS, FIELD, SIZES
from ergosum.data.solids import SOLIDS

__all__ = ["ConceptScenes"]

LEAST, MOST = torch.tensor([0.18, 0.18]), torch.tensor([0.82, 0.80])
"""Places where the largest solid is seen whole."""
MOST_TESTED = 6_000
"""Images of a test part, however many the training part has."""
Hold = Literal["none", "pairs", "places", "both"]
_JITTER = torch.tensor([0.03, 0.25, 0.25, 0.25, 0.1, 0.1, 0.1])
_TRIES = 32
_APART = 0.85
"""Least distance of two solids in the image, in sums of the radii of balls around them."""


class ConceptScenes:
    """Solids on a floor: shape, one of eight colours, one of three sizes, and place.

    The place is where the middle of a solid is in the image, x to the right and y down, 0 .. 1, uniform over where the
    largest solid is seen whole. Values are independent of each other and uniform, apart from combinations that are held
    out. With several solids the values are those of one of them, chosen at random; solids may hide a little of each
    other, and crowded images hold fewer large ones. A part is a fixed set of images, rendered once and kept in the
    user's cache.

    Of shapes and colours, `hold` leaves out six of the 24 pairs: spheres that are grey or green, red and brown cubes,
    blue and purple cylinders. Of colours and places it leaves out one quarter of the image for each of the first four
    colours: grey at the top left, red at the top right, blue at the bottom left, green at the bottom right.

    Args:
        objects: solids in an image, 1 .. 8, or (fewest, most).
        side: pixels of an image, 32, 64, 96 or 128.
        hold: combinations that the training part never shows: `none`, `pairs`, `places` or `both`.
        only: values that all solids have, such as {"colour": "purple", "shape": "cube"}.
        count: images of the part; None takes 20,000, and 4,000 of the test part, which has 6,000 at most.
        variant: `usual`; `other`, the same solids lit from the other side on a floor of another colour; or `mujoco`, by
            MuJoCo's renderer (`pip install ergosum[scenes]`), whose images `read` does not read.
        split: `train`, or `test`, which shows all combinations.
        seed: of the set of images; the two parts share no image.
    Raises:
        ValueError: if an argument is out of its range, or `only` asks for a pair that is held out. ImportError,
        RuntimeError: where images are drawn, if MuJoCo is to do it and this, or OpenGL, is missing.
    """

    attributes: tuple[Attribute, ...] = ATTRIBUTES
    channels: int = 3
    elsewhere: tuple[Variant, ...] = ("other", "mujoco")

    def __init__(
        self,
        objects: int | tuple[int, int] = 1,
        side: int = 32,
        hold: Hold = "none",
        only: Mapping[str, str] | None = None,
        count: int | None = None,
        variant: Variant = "usual",
        split: Literal["train", "test"] = "train",
        seed: int = 0,
    ) -> None:
        self._range = check_objects(objects, 8)
        _require(side in (32, 64, 96, 128), "side", "32, 64, 96 or 128 pixels", side)
        _require(hold in ("none", "pairs", "places", "both"), "hold", "'none', 'pairs', 'places' or 'both'", hold)
        _require(count is None or count >= 1, "count", "at least one image, or None", count)
        _require(variant in MIDDLE, "variant", "'usual', 'other' or 'mujoco'", variant)
        _require(split in ("train", "test"), "split", "'train' or 'test'", split)
        self.most, self.side, self.hold, self.split = self._range[1], side, hold, split
        self.only = _numbers(only or {})
        self.count_of_images = (count or 20_000) if split == "train" else min(count or 4_000, MOST_TESTED)
        self.variant: Variant = variant
        self.seed = seed
        if split == "train" and hold in ("pairs", "both") and set(self.only) >= {0, 1}:
            row = torch.tensor([[self.only[0], self.only[1]]])
            _require(not held_pairs(row).any(), "only", "a shape and a colour that are not held out together", only)

    def __len__(self) -> int:
        """Images in this part."""
        return self.count_of_images

    @cached_property
    def _stored(self) -> Stored:
        renderer = _Renderer(self)
        return store(renderer, len(self), seed=2 * self.seed + (self.split == "test"))

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random images, with replacement, and the values of one solid of each.

        Shape:
            images: (n, 3, side, side). values: (n, 5): shape 0 .. 2, colour 0 .. 7, size 0 .. 2, place x and y.
        """
        images, values = self.objects(n, generator)
        present = ~values.isnan().any(2)
        chosen = (torch.rand(n, device=generator.device, generator=generator).cpu() * present.sum(1)).long()
        return Attributed(images, values[torch.arange(n), chosen])

    def objects(self, n: int, generator: Generator) -> Attributed:
        """The images that `attributed` draws from the same generator, and the values of all their solids.

        Shape:
            values: (n, most, 5), NaN where there are fewer solids than the most.
        """
        if n < 1:
            raise ValueError(f"attributed: expected n >= 1 images, got {n!r}.")
        return self.at(torch.randint(len(self), (n,), generator=generator, device=generator.device).cpu())

    def at(self, rows: Tensor) -> Attributed:
        """The images of this part with the given numbers, and the values of all their solids (n, most, 5)."""
        record = self._stored.batch(rows)
        return Attributed(record.images, record.attributes)

    def showing(self, values: Tensor, generator: Generator) -> Attributed:
        """Images of one solid each with these values, turned, and with light and camera moved, at random.

        Shape:
            values: (n, 5). Returns images (n, 3, side, side), and the same values.
        Raises:
            ValueError: if values have another shape, or one is not told.
        """
        if values.ndim != 2 or values.shape[1] != 5 or values.isnan().any():
            told = f"{tuple(values.shape)}" + (" with NaN" if values.isnan().any() else "")
            raise ValueError(f"showing: expected values (n, 5), all told, got {told}.")
        return Attributed(self.drawn(values[:, None], generator), values)

    def drawn(self, values: Tensor, generator: Generator) -> Tensor:
        """Images (n, 3, side, side) of solids with these values (n, objects, 5), NaN where there is none; they are
        turned, and light and camera moved, at random.
        """
        n, count = values.shape[:2]
        factors = torch.tensor(MIDDLE[self.variant]) + _JITTER * (2 * torch.rand(n, 7, generator=generator) - 1)
        angle = 2 * math.pi * torch.rand(n, count, generator=generator)
        return rendered(renderer(count, self.side, self.variant), values, angle, factors, self.variant).images

    def held_out(self, values: Tensor) -> Tensor:
        """Whether the training part never shows solids with these values (n, 5): (n,), bool."""
        none = torch.zeros(len(values), dtype=torch.bool, device=values.device)
        pair = self.held_out_pair(values) if self.hold in ("pairs", "both") else none
        return pair | (self.held_out_place(values) if self.hold in ("places", "both") else none)

    def held_out_pair(self, values: Tensor) -> Tensor:
        """Whether shape and colour are a pair that `hold` of `pairs` leaves out: (n,), bool."""
        return held_pairs(values)

    def held_out_place(self, values: Tensor) -> Tensor:
        """Whether colour and place are a pair that `hold` of `places` leaves out: (n,), bool."""
        return held_places(values[:, 1], values[:, 3:])

    def read(self, images: Tensor) -> Tensor:
        """The values (n, 5) of the solid that differs most from the floor in each image; NaN where none is found.

        Images of drawn concepts may be a little blurred or noisy. Reads about 230 images per CPU second, after four
        seconds in which the reader makes its drawings.

        Raises:
            ValueError: if the images have another shape than (n, 3, side, side), the side a multiple of 32.
        """
        nothing = torch.full((1, len(_Renderer.attributes)), torch.nan)
        rows = [torch.cat([solids, nothing])[:1] for solids in scene_reader(self.variant).found(images, 1)]
        return torch.cat([nothing[:0], *rows])

    def found(self, images: Tensor) -> list[Tensor]:
        """The values of up to eight solids in each image, (solids, 5) each, those first that differ most.

        Raises:
            ValueError: as `read`.
        """
        return scene_reader(self.variant).found(images, 8)

    def count(self, images: Tensor) -> Tensor:
        """How many solids are in each image, 0 .. 8: (n,), int64.

        Raises:
            ValueError: as `read`.
        """
        return torch.tensor([len(solids) for solids in self.found(images)], dtype=torch.long)

    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the images as bytes and of the values."""
        digest = hashlib.sha256()
        for rows in torch.arange(len(self)).split(1024):
            images, values = self.at(rows)
            digest.update((images * 255).round().byte().numpy().tobytes())
            digest.update(np.ascontiguousarray(values.numpy(), "<f4").tobytes())
        return digest.hexdigest()[:16]


def held_pairs(values: Tensor) -> Tensor:
    """Whether shape and colour, the first two columns of (..., columns), are held out together."""
    return (values[..., 1] < 6) & (values[..., 1] % 3 == values[..., 0])


def held_places(colour: Tensor, place: Tensor) -> Tensor:
    """Whether colours (...) are held out of the quarter of the image where places (..., 2) are."""
    quarter = (place[..., 0] >= 0.5) + 2.0 * (place[..., 1] >= 0.5)
    return (quarter == colour) & ~place.isnan().any(-1)


class _Renderer:
    """Draws the images of a part of `ConceptScenes`; attributes of its records are the values of all solids."""

    factors: tuple[str, ...] = FACTORS
    attributes: tuple[str, ...] = ("shape", "colour", "size", "x", "y")

    def __init__(self, data: ConceptScenes) -> None:
        self._data = data
        self.side, self.objects = data.side, data.most
        self._range = data._range
        held = data.hold if data.split == "train" else "none"
        self._pairs, self._places = held in ("pairs", "both"), held in ("places", "both")
        self._scenes = renderer(self.objects, self.side, data.variant)
        self.settings: dict[str, Any] = {
            "objects": list(self._range), "side": self.side, "hold": held, "variant": data.variant,
            "only": {ATTRIBUTES[i].name: v for i, v in data.only.items()},
        }  # fmt: skip
        if data.variant == "mujoco":  # another release may draw otherwise
            self.settings["mujoco"] = self._scenes.settings["mujoco"]

    def draw(self, n: int, generator: Generator) -> ImageRecord:
        """`n` random images."""
        values, factors = self.sample(n, generator)
        angle = 2 * math.pi * torch.rand(n, self.objects, generator=generator)
        return rendered(self._scenes, values, angle, factors, self._data.variant)

    def sample(self, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Values (n, objects, 5), NaN where a solid is absent, and factors (n, 7) of random scenes."""
        present = draw_present(n, self._range, generator)
        factors = torch.tensor(MIDDLE[self._data.variant]) + _JITTER * (2 * torch.rand(n, 7, generator=generator) - 1)
        values = torch.zeros(n, self.objects, 5)
        waiting = torch.arange(n)
        while len(waiting):
            drawn, placed = self._place(present[waiting], factors[waiting, 4:], generator)
            values[waiting] = drawn
            waiting = waiting[~placed]
        return values.masked_fill(~present[..., None], torch.nan), factors

    def _drawn(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Kinds (count, 3) and attempts at places (count, tries, 2); kind and first attempt are not held out."""
        kinds, tries = torch.zeros(count, 3), torch.zeros(count, _TRIES, 2)
        waiting = torch.arange(count)
        numbers = torch.tensor([len(a.values) for a in ATTRIBUTES[:3]])
        while len(waiting):
            drawn = (torch.rand(len(waiting), 3, generator=generator) * numbers).floor().minimum(numbers - 1)
            for column, value in self._data.only.items():
                drawn[:, column] = value
            places = LEAST + (MOST - LEAST) * torch.rand(len(waiting), _TRIES, 2, generator=generator)
            kinds[waiting], tries[waiting] = drawn, places
            held = self._places & held_places(drawn[:, 1], places[:, 0])
            waiting = waiting[held | (self._pairs & held_pairs(drawn))]
        return kinds, tries

    def _place(self, present: Tensor, camera: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Values of random solids, and whether all of an image's found room."""
        n, count = present.shape
        drawn, attempts = self._drawn(n * count, generator)
        kinds, tries = drawn.view(n, count, 3), attempts.view(n, count, _TRIES, 2)
        free = ~(self._places & held_places(kinds[..., 1:2], tries))
        reach = torch.tensor([SOLIDS[s].reach for s in SHAPES])[kinds[..., 0].long()]
        size = SIZES[SIZE_NUMBERS[kinds[..., 2].long()]]
        away = camera[:, None, None] - points(tries.flatten(1, 2), camera, torch.tensor(0.6)).view(n, count, -1, 3)
        radius = reach[..., None] * size[..., None] / away.norm(dim=3) / (2 * FIELD)  # in sides of an image
        place, shown = torch.zeros(n, count, 2), torch.zeros(n, count)
        placed = torch.ones(n, dtype=torch.bool)
        for k in range(count):
            room = free[:, k]
            for j in range(k):
                apart = (tries[:, k] - place[:, None, j]).norm(dim=2) > _APART * (radius[:, k] + shown[:, None, j])
                room = room & (apart | ~present[:, None, j])
            placed &= room.any(1) | ~present[:, k]
            first = room.byte().argmax(1)
            place[:, k] = tries[torch.arange(n), k, first]
            shown[:, k] = radius[torch.arange(n), k, first]
        return torch.cat([kinds, place], 2), placed


def _numbers(only: Mapping[str, str]) -> dict[int, int]:
    """Columns and numbers of values given by name."""
    known = {a.name: (i, a.values) for i, a in enumerate(ATTRIBUTES) if a.values}
    for name, value in only.items():
        _require(name in known, "only", f"attributes among {', '.join(known)}", name)
        _require(value in known[name][1], f"only: {name}", f"one of {', '.join(known[name][1])}", value)
    return {known[name][0]: known[name][1].index(value) for name, value in only.items()}


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")
