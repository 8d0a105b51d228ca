"""Drawn faces with six attributes each, for concepts that can be seen at a glance: `pip install 'ergosum[faces]'`.

Each face is put together from the parts of one of DiceBear's styles, so that smile, glasses, length and colour of the
hair, beard and skin are independent and exactly known; eyes, clothes, the very shape of hair, mouth, beard and glasses,
and the background vary at random. The same parts are what `read` compares an image with.
"""

from itertools import product
from math import prod
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.data.attributed import Attributed
from ergosum.data.avatar_styles import ATTRIBUTES, GROUNDS, STYLES, Shown, layers_of, options_of
from ergosum.data.images_given import as_images
from ergosum.data.layers import Fitted, Layers
from ergosum.data.sources import Split

__all__ = ["Avatars"]

LATIN = ("smile", "glasses", "beard")
"""The attributes whose combinations `hold="latin"` leaves out by half."""
STRANGE, STRANGE_PART = 0.1, 0.2
"""Root mean square differences between an image, or the place of a part on it, and the nearest face of the style from
which on nothing is read of it."""
SHARP, BLURS = 0.03, (0.35, 0.6, 0.9)
"""Root mean square difference above which a face may be a blurred one, and the blurs that are then tried, in pixels of
the side at which the style is read."""
ODDS = 100.0
"""How much likelier a value must be than every other to be read."""
_BATCH = 250


class Avatars:
    """Faces drawn from parts, with smile, glasses, hair_length, hair_colour, beard and skin; every image is new.

    Values are uniform and independent, but for combinations that are left out of the part to train on: with `latin`
    every value and every pair of values is still uniform, while of the eight triples of smile, glasses and beard the
    four of a Latin square are never shown, a smiling face with glasses and a beard among them. The part to test on
    shows all of them.

    Args:
        style: `pixel-art` (CC0), `personas` (CC BY 4.0) or `avataaars` (free for personal and commercial use).
        side: pixels of an image, 32 or 64. hold: what is left out of the part to train on: `none`, or `latin`.
        split: `train` or `test`.
    Raises:
        ValueError: if a setting is out of range. ImportError: if the faces extra is not installed.
    """

    attributes = ATTRIBUTES
    held_together = LATIN
    channels = 3

    def __init__(
        self, style: str = "pixel-art", side: int = 64, hold: Literal["none", "latin"] = "none", split: Split = "train"
    ) -> None:
        if style not in STYLES:
            raise ValueError(f"style: expected one of {', '.join(STYLES)}, got {style!r}.")
        if side not in (32, 64):
            raise ValueError(f"side: expected 32 or 64 pixels, got {side!r}.")
        if hold not in ("none", "latin"):
            raise ValueError(f"hold: expected 'none' or 'latin', got {hold!r}.")
        if split not in ("train", "test"):
            raise ValueError(f"split: expected 'train' or 'test', got {split!r}.")
        self.style, self.side, self.hold, self.split = style, side, hold, split
        self._options = options_of(style)
        names = list(self._options)
        order = [names.index(name) for name in STYLES[style].looked]
        pairs = [(names.index(a), names.index(b)) for a, b in STYLES[style].pairs]
        self._layers = Layers(layers_of(style, side), order, pairs)
        self._drawable = [_Drawable(shown) for shown in self._options.values()]
        self.settings: dict[str, Any] = {"style": style, "side": side, "hold": hold, "split": split}

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """`n` random faces of this part, on the generator's device."""
        if n < 1:
            raise ValueError(f"attributed: expected n >= 1 images, got {n!r}.")
        values = torch.stack([torch.randint(len(a.values), (n,), generator=generator, device=generator.device)
                              for a in ATTRIBUTES], 1).float()  # fmt: skip
        if self.split == "train" and self.hold == "latin":
            beard = _columns("beard")[0]
            values[:, beard] = torch.where(self.held_out(values), 1 - values[:, beard], values[:, beard])
        return self.showing(values, generator)

    def showing(self, values: Tensor, generator: Generator) -> Attributed:
        """Faces with given values, whether they are left out or not; all else, and values that are NaN, at random.

        Shape:
            values: (n, 6).
        Raises:
            ValueError: if a value is not the number of one.
        """
        device, n = generator.device, len(values)
        sizes = torch.tensor([len(a.values) for a in ATTRIBUTES], device=device)
        if values.ndim != 2 or values.shape[1] != len(ATTRIBUTES):
            raise ValueError(f"showing: expected values (n, {len(ATTRIBUTES)}), got {tuple(values.shape)}.")
        values = values.to(device)
        u = torch.rand(n, len(ATTRIBUTES), generator=generator, device=device)
        values = torch.where(values.isnan(), (u * sizes).floor().minimum(sizes - 1), values).float()
        if ((values < 0) | (values >= sizes) | (values != values.floor())).any():
            raise ValueError("showing: expected the number of a value, or NaN, for every attribute.")
        u = torch.rand(n, len(self._drawable), generator=generator, device=device).cpu()
        numbers = values.long().cpu()
        choice = torch.stack([d.choose(numbers, u[:, k]) for k, d in enumerate(self._drawable)], 1)
        ground = GROUNDS[torch.randint(len(GROUNDS), (n,), generator=generator, device=device).cpu()]
        return Attributed(self._layers.compose(choice, ground).to(device), values)

    def held_out(self, values: Tensor) -> Tensor:
        """Whether the part to train on never shows a combination: (n, 6) -> (n,), bool; False where it is not told.

        With `latin` these are the triples of smile, glasses and beard whose numbers have an even sum.
        """
        if self.hold == "none":
            return torch.zeros(len(values), dtype=torch.bool, device=values.device)
        return values[:, _columns(*LATIN)].sum(1) % 2 == 0

    def read(self, images: Tensor) -> Tensor:
        """The values of faces of this style, by comparison with its parts, on whatever background of one colour.

        The options of all parts that come nearest in squared error are sought, part by part (`Layers.fit`), sharp and,
        where that does not suffice, blurred. A value is read where it is `ODDS` times as likely as any other under
        Gaussian noise as large as what the comparison left.
        Nothing is read of an image that is no such face, of a part that is hidden or of none of its forms.

        Shape:
            images: (n, 3, side, side) in [0, 1], of this or another side that is a multiple of 32. Returns (n, 6), NaN
            where a value cannot be told.
        """
        images = as_images(images, images.shape[-1]).cpu().float()
        side, least = images.shape[-1], STYLES[self.style].least
        if side % least:
            raise ValueError(f"read: expected images of 32 or 64 pixels a side, got {side}.")
        small, sharp = F.avg_pool2d(images, side // least), self._layers.reduced(self.side // least)
        values, left = self._read_by(sharp, small)
        if len(soft := (left > SHARP).nonzero().flatten()):
            for sigma in BLURS:
                told, again = self._read_by(sharp.blurred(sigma), small[soft])
                nearer = again < left[soft]
                values[soft[nearer]], left[soft[nearer]] = told[nearer], again[nearer]
        return values

    def _read_by(self, layers: Layers, images: Tensor) -> tuple[Tensor, Tensor]:
        """Values and root mean square differences of the nearest faces: (n, 6), (n,)."""
        told = [self._told(layers, layers.fit(batch)) for batch in images.split(_BATCH)]
        return torch.cat([values for values, _ in told]), torch.cat([left for _, left in told])

    def _told(self, layers: Layers, fitted: Fitted) -> tuple[Tensor, Tensor]:
        squared = fitted.residual.square().mean(1)
        variance = squared.mean((1, 2)).clamp(min=1 / 255**2)
        names = list(self._options)
        face = (fitted.choice[:, names.index("skin")] > 0) & (variance < STRANGE**2)
        values = torch.full((len(squared), len(ATTRIBUTES)), torch.nan)
        for column, attribute in enumerate(ATTRIBUTES):
            k = next(names.index(name) for name in STYLES[self.style].looked
                     if any(attribute.name in o.told for o in self._options[name]))  # fmt: skip
            told = torch.tensor([o.told.get(attribute.name, len(attribute.values)) for o in self._options[names[k]]])
            least = torch.stack(
                [fitted.errors[k].masked_fill(told != v, torch.inf).amin(1) for v in range(len(attribute.values) + 1)],
                1,
            )
            best, value = least.min(1)
            second = least.scatter(1, value[:, None], torch.inf).amin(1)
            place = layers.options[k][:, 3].float().mean(0)
            strange = (squared * place).sum((1, 2)) / place.sum() > STRANGE_PART**2
            clear = second - best > 2 * variance * torch.tensor(ODDS).log()
            seen = face & clear & ~strange & (value < len(attribute.values))
            values[:, column] = torch.where(seen, value.float(), torch.nan)
        return values, variance.sqrt()


class _Drawable:
    """Which options of a layer go with which values."""

    def __init__(self, shown: list[Shown]) -> None:
        self.columns = [i for i, a in enumerate(ATTRIBUTES) if any(a.name in o.told for o in shown)]
        sizes = [len(ATTRIBUTES[i].values) for i in self.columns]
        rows: list[list[int]] = []
        for values in product(*[range(size) for size in sizes]):
            asked = {ATTRIBUTES[i].name: v for i, v in zip(self.columns, values, strict=True)}
            rows.append([j for j, o in enumerate(shown) if (o.told or o.variant)
                         and all(asked[name] == v for name, v in o.told.items())])  # fmt: skip
        self.counts = torch.tensor([len(row) for row in rows])
        longest = int(self.counts.max())
        self.table = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        self.strides = torch.tensor([prod(sizes[i + 1 :]) for i in range(len(sizes))])

    def choose(self, values: Tensor, u: Tensor) -> Tensor:
        """An option for each row of values, uniform by `u` in [0, 1): (n, 6), (n,) -> (n,)."""
        row = (values[:, self.columns] * self.strides).sum(1).long() if self.columns else torch.zeros_like(u).long()
        count = self.counts[row]
        return self.table[row, (u * count).long().minimum(count - 1)]


def _columns(*names: str) -> list[int]:
    return [i for i, a in enumerate(ATTRIBUTES) if a.name in names]
