"""Images made of layers, one option of each laid on the one below; and which options an image was made of.

A layer has several options: pictures with a colour and a cover (alpha) at every pixel. An image is one option of each
layer on a plain ground,

    x <- a_k + (1 - c_k) x     for the layers k from below to above,

with a_k the option's colour times its cover c_k (Porter and Duff 1984, "over"). Seen from one layer, the image is
affine in what this layer shows, so that the squared errors of all its options given the other layers are a few matrix
products. `fit` goes through the layers and takes the best option of each until nothing changes: coordinate descent on
the squared error, which is maximum likelihood under Gaussian noise. Layers that can stand in for each other, such as
glasses and the eyes behind them, are also changed two at a time.
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
            given those chosen of the other layers, where the layer shows anything at all: their differences count.
        residual: (n, 3, side, side), image minus its layers.
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
        pairs: layers that `fit` changes together; all options of the first are gone through, so it had better have few.
    Raises:
        ValueError: if the layers have no common side.
    """

    def __init__(
        self,
        options: Sequence[Tensor],
        order: Sequence[int] | None = None,
        pairs: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.options = list(options)
        sides = {tuple(o.shape[1:]) for o in self.options}
        if len(sides) != 1 or any(o.ndim != 4 or o.shape[1] != 4 or o.dtype != torch.uint8 for o in self.options):
            shapes = ", ".join(f"{tuple(o.shape)} of {o.dtype}" for o in self.options)
            raise ValueError(f"Layers: expected options (options, 4, side, side) of uint8 in each layer, got {shapes}.")
        self.side = self.options[0].shape[-1]
        self.order = tuple(range(len(self.options)) if order is None else order)
        self.pairs = tuple(pairs)
        self._boxes = [_box(o) for o in self.options]
        self._tables: dict[tuple[int, _Box], _Table] = {}

    def compose(self, choice: Tensor, ground: Tensor) -> Tensor:
        """The images of given options on given grounds.

        Shape:
            choice: (n, layers), int64. ground: (n, 3) in [0, 1]. Returns (n, 3, side, side), float32 in [0, 1].
        """
        images = ground[:, :, None, None].repeat(1, 1, self.side, self.side)
        for k, box in enumerate(self._boxes):
            laid, part = self._laid(k, choice, box), images[:, :, box.rows, box.columns]
            part.mul_(1 - laid[:, 3:]).add_(laid[:, :3])
        return images.clamp_(0, 1)

    def reduced(self, factor: int) -> "Layers":
        """The layers at a side `factor` times as small, each pixel the mean of those that it holds."""
        small = [F.avg_pool2d(o.float(), factor).round().byte() for o in self.options]
        return Layers(small, self.order, self.pairs)

    def blurred(self, sigma: float) -> "Layers":
        """The layers blurred one by one, nearly what blurs their images.

        Args:
            sigma: standard deviation of the Gaussian in pixels, > 0.
        """
        reach = max(1, round(4 * sigma))
        bell = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
        kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(4, 1, -1, -1)
        soft = [F.conv2d(F.pad(o.float(), (reach,) * 4, mode="replicate"), kernel, groups=4) for o in self.options]
        return Layers([o.round().byte() for o in soft], self.order, self.pairs)

    def fit(self, images: Tensor) -> Fitted:
        """Which options images are made of, and on which ground.

        Shape:
            images: (n, 3, side, side).
        """
        layers, whole = len(self.options), _Box(0, self.side, 0, self.side)
        choice = torch.zeros(len(images), layers, dtype=torch.int64)
        state = _State(images, choice, images[:, :, 0].mean(2), [False] * layers)
        errors: list[Tensor] = [torch.empty(0)] * layers
        residual = images
        for sweep in range(SWEEPS):
            before = choice.clone()
            for k in self.order:
                errors[k] = self._errors(k, state, self._boxes[k])
                choice[:, k] = errors[k].argmin(1)
                state.seen[k] = True
            residual = self._regrounded(state, whole)
            if sweep == 0:
                continue
            if sweep == 1:
                for first, second in self.pairs:
                    self._change_both(first, second, state)
            elif torch.equal(before, choice):
                break
        return Fitted(choice, state.ground, errors, residual)

    def _change_both(self, first: int, second: int, state: "_State") -> None:
        """Take the best options of two layers, given those of all others."""
        box = self._boxes[first].around(self._boxes[second])
        least = torch.full((len(state.images),), torch.inf)
        best = state.choice[:, [first, second]]
        for option in range(len(self.options[first])):
            state.choice[:, first] = option
            error, other = self._errors(second, state, box).min(1)
            best = torch.where((error < least)[:, None], torch.stack([torch.full_like(other, option), other], 1), best)
            least = torch.minimum(error, least)
        state.choice[:, [first, second]] = best

    def _errors(self, k: int, state: "_State", box: "_Box") -> Tensor:
        """Squared errors over a box with every option of a layer, given the other layers: (n, options)."""
        if (k, box) not in self._tables:
            self._tables[k, box] = _Table(self.options[k][:, :, box.rows, box.columns])
        above, through = self._stack(state, range(k + 1, len(self.options)), box)
        below, clear = self._stack(state, range(k), box)
        below = below + clear * state.ground[:, :, None, None]
        return self._tables[k, box].errors(state.images[:, :, box.rows, box.columns] - above, through, below)

    def _regrounded(self, state: "_State", whole: "_Box") -> Tensor:
        """Take the best ground under the chosen layers; returns what is left of the images."""
        paint, clear = self._stack(state, range(len(self.options)), whole)
        weight = clear.square().sum((2, 3))
        told = (clear * (state.images - paint)).sum((2, 3)) / weight.clamp(min=1e-6)
        state.ground.copy_(torch.where(weight > 1e-6, told, state.ground).clamp(0, 1))
        return state.images - paint - clear * state.ground[:, :, None, None]

    def _stack(self, state: "_State", layers: range, box: "_Box") -> tuple[Tensor, Tensor]:
        """What chosen layers show on black, (n, 3, height, width), and how much is seen through them (n, 1, ...).

        Layers that were not looked at yet show nothing.
        """
        n, height, width = len(state.choice), box.bottom - box.top, box.right - box.left
        paint, clear = torch.zeros(n, 3, height, width), torch.ones(n, 1, height, width)
        for k in layers:
            if state.seen[k]:
                laid = self._laid(k, state.choice, box)
                rest = 1 - laid[:, 3:]
                paint.mul_(rest).add_(laid[:, :3])
                clear.mul_(rest)
        return paint, clear

    def _laid(self, k: int, choice: Tensor, box: "_Box") -> Tensor:
        """The chosen options of a layer within a box: (n, 4, height, width) in [0, 1]."""
        return self.options[k][:, :, box.rows, box.columns][choice[:, k]].float().div_(255)


class _State(NamedTuple):
    """Where a fit has got to; `choice`, `ground` and `seen` change in place."""

    images: Tensor
    choice: Tensor
    ground: Tensor
    seen: list[bool]


class _Box(NamedTuple):
    """A part of the image, in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)

    def around(self, other: "_Box") -> "_Box":
        """The smallest box that holds both."""
        return _Box(min(self.top, other.top), max(self.bottom, other.bottom), min(self.left, other.left),
                    max(self.right, other.right))  # fmt: skip


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
            rest: (n, 3, height, width), image minus what lies above. through: (n, 1, height, width), t. below: (n, 3,
            height, width), b. Returns (n, options).
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


def _box(options: Tensor) -> _Box:
    """The smallest box outside of which no option of a layer shows anything."""
    used = options.amax((0, 1)) > 0
    rows, columns = used.any(1).nonzero().flatten().tolist(), used.any(0).nonzero().flatten().tolist()
    return _Box(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if rows else _Box(0, 1, 0, 1)
