"""Images made of layers, one option of each laid on the one below; and which options an image was made of.

A layer has several options: pictures with a colour and a cover (alpha) at every pixel. An image is one option of each
layer on a plain ground,

    x <- a_k + (1 - c_k) x     for the layers k from below to above,

with a_k the option's colour times its cover c_k (Porter and Duff 1984, "over"). Seen from one layer, the image is
affine in what this layer shows, so that the squared errors of all its options given the other layers are a few matrix
products. `fit` goes through the layers and takes the best option of each until nothing changes: coordinate descent on
the squared error, which is maximum likelihood under Gaussian noise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Fitted", "Layers"]

SWEEPS = 6
"""Times that `fit` goes through all layers, at most."""


class Fitted(NamedTuple):
    """What images are made of.

    Shape:
        choice: (n, layers), int64, the option of each layer. ground: (n, 3), the colour under all of them.
        errors: for each layer (n, options), the sum of squared errors over pixels and colours with each of its options,
            given those chosen of the other layers. residual: (n, 3, side, side), image minus its layers.
    """

    choice: Tensor
    ground: Tensor
    errors: list[Tensor]
    residual: Tensor


class Layers:
    """Layers from below to above.

    Args:
        options: of each layer (options, 4, side, side), uint8: red, green, blue, each times the cover, and the cover.
        order: in which `fit` first looks at the layers, from what covers most to details; None is from below.
    Raises:
        ValueError: if the layers have no common side.
    """

    def __init__(self, options: Sequence[Tensor], order: Sequence[int] | None = None) -> None:
        self.options = list(options)
        sides = {tuple(o.shape[1:]) for o in self.options}
        if len(sides) != 1 or any(o.ndim != 4 or o.shape[1] != 4 or o.dtype != torch.uint8 for o in self.options):
            shapes = ", ".join(f"{tuple(o.shape)} of {o.dtype}" for o in self.options)
            raise ValueError(f"Layers: expected options (options, 4, side, side) of uint8 in each layer, got {shapes}.")
        self.side = self.options[0].shape[-1]
        self.order = tuple(range(len(self.options)) if order is None else order)
        self._boxes = [_box(o) for o in self.options]

    def compose(self, choice: Tensor, ground: Tensor) -> Tensor:
        """The images of given options on given grounds.

        Shape:
            choice: (n, layers), int64. ground: (n, 3) in [0, 1]. Returns (n, 3, side, side), float32 in [0, 1].
        """
        images = ground[:, :, None, None].repeat(1, 1, self.side, self.side)
        for k, (options, (rows, columns)) in enumerate(zip(self.options, self._boxes, strict=True)):
            laid = options[:, :, rows, columns][choice[:, k]].float() / 255
            part = images[:, :, rows, columns]
            images[:, :, rows, columns] = laid[:, :3] + (1 - laid[:, 3:]) * part
        return images.clamp_(0, 1)

    def reduced(self, factor: int) -> "Layers":
        """The layers at a side `factor` times as small, each pixel the mean of those that it holds."""
        small = [F.avg_pool2d(o.float(), factor).round().byte() for o in self.options]
        return Layers(small, self.order)

    def fit(self, images: Tensor) -> Fitted:
        """Which options images are made of, and on which ground.

        Shape:
            images: (n, 3, side, side).
        """
        n, layers = len(images), len(self.options)
        tables = [_Table(o) for o in self.options]
        choice = torch.zeros(n, layers, dtype=torch.int64)
        ground = images[:, :, 0].mean(2)
        errors: list[Tensor] = [torch.empty(0)] * layers
        seen = [False] * layers
        for sweep in range(SWEEPS):
            before = choice.clone()
            for k in self.order:
                above, through = self._stack(choice, range(k + 1, layers), seen)
                below, clear = self._stack(choice, range(k), seen)
                below = below + clear * ground[:, :, None, None]
                errors[k] = tables[k].errors(images - above, through, below)
                choice[:, k] = errors[k].argmin(1)
                seen[k] = True
            paint, clear = self._stack(choice, range(layers), seen)
            seen_ground = clear.square().sum((2, 3))
            told = (clear * (images - paint)).sum((2, 3)) / seen_ground.clamp(min=1e-6)
            ground = torch.where(seen_ground > 1e-6, told, ground).clamp(0, 1)
            if sweep and torch.equal(before, choice):
                break
        residual = images - paint - clear * ground[:, :, None, None]
        return Fitted(choice, ground, errors, residual)

    def _stack(self, choice: Tensor, layers: range, seen: Sequence[bool]) -> tuple[Tensor, Tensor]:
        """What chosen layers show on black, (n, 3, side, side), and how much is seen through them (n, 1, side, side).

        Layers that were not looked at yet show nothing.
        """
        n = len(choice)
        paint, clear = torch.zeros(n, 3, self.side, self.side), torch.ones(n, 1, self.side, self.side)
        for k in layers:
            if not seen[k]:
                continue
            rows, columns = self._boxes[k]
            laid = self.options[k][:, :, rows, columns][choice[:, k]].float() / 255
            paint[:, :, rows, columns] = laid[:, :3] + (1 - laid[:, 3:]) * paint[:, :, rows, columns]
            clear[:, :, rows, columns] *= 1 - laid[:, 3:]
        return paint, clear


class _Table:
    """The options of a layer as matrices, for the squared errors of all of them at once."""

    def __init__(self, options: Tensor) -> None:
        laid = options.float() / 255
        paint, cover = laid[:, :3], laid[:, 3:]
        self.paint, self.cover = paint.flatten(1).T, cover.flatten(1).T
        self.paint_squared, self.cover_squared = paint.square().sum(1).flatten(1).T, cover.square().flatten(1).T
        self.both = (paint * cover).flatten(1).T

    def errors(self, rest: Tensor, through: Tensor, below: Tensor) -> Tensor:
        """Squared errors of every option: the square of rest - t (a + (1 - c) b), multiplied out.

        Shape:
            rest: (n, 3, side, side), image minus what lies above. through: (n, 1, side, side), t. below: (n, 3, side,
            side), b. Returns (n, options).
        """
        left = rest - through * below
        weight = through.square()
        return (
            left.square().flatten(1).sum(1, keepdim=True)
            - 2 * (through * left).flatten(1) @ self.paint
            + 2 * (through * left * below).sum(1).flatten(1) @ self.cover
            + weight.flatten(1) @ self.paint_squared
            - 2 * (weight * below).flatten(1) @ self.both
            + (weight[:, 0] * below.square().sum(1)).flatten(1) @ self.cover_squared
        )


def _box(options: Tensor) -> tuple[slice, slice]:
    """Rows and columns outside of which no option of a layer shows anything."""
    used = options.amax((0, 1)) > 0
    rows, columns = used.any(1).nonzero().flatten().tolist(), used.any(0).nonzero().flatten().tolist()
    if not rows:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
