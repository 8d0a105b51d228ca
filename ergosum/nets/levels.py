"""Bodies of energies over noise levels: a field and numbers from a noisy sample and a code of its level and condition.

A `LevelBody` is called with samples of unit size and a code, and gives `Field(field, numbers)`: `field` has the shape
of the samples (None of a body that has no field), `numbers` is (batch, outputs). No normalisation over the batch,
smooth activations: energies are differentiated twice in x and in the level.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import ConditionedBlock, reduced

__all__ = ["Field", "LevelBody", "LevelDense", "LevelEncoder", "LevelMlp", "LevelUNet"]


class Field(NamedTuple):
    """What a body gives: (batch, *event) or None, and (batch, outputs)."""

    field: Tensor | None
    numbers: Tensor


class LevelBody(nn.Module):
    """What all bodies are; yours takes `event`, `code`, `inputs` and `outputs`, as far as it heeds them."""

    def forward(self, seen: Tensor, code: Tensor) -> Field:
        """Field and numbers."""
        raise NotImplementedError


class _Block(nn.Module):
    """Residual block of vectors, scaled and shifted by a code: $x + W_2 silu((1 + g) W_1 silu(x) + b)$."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.modulation = nn.Linear(code, 2 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        gain, bias = self.modulation(code).chunk(2, 1)
        return x + self.second(F.silu(self.first(F.silu(x)) * (1 + gain) + bias))


class LevelMlp(LevelBody):
    """A residual network of vectors, such as codes or points of the plane.

    Args:
        event: (D,). code: width of the code. width: of a layer. blocks: residual blocks. outputs: numbers beside the
            field. inputs: samples side by side that it sees, each of the event's size.
    Shape:
        seen: (batch, inputs * D). code: (batch, code).
    """

    def __init__(
        self, event: tuple[int, ...], code: int, width: int = 384, blocks: int = 4, outputs: int = 1, inputs: int = 1
    ) -> None:
        super().__init__()
        if len(event) != 1:
            raise ValueError(f"LevelMlp: expected vectors, (D,), got {event}; images need LevelUNet or LevelEncoder.")
        (self.size,) = event
        self.stem = nn.Linear(inputs * self.size, width)
        self.blocks = nn.ModuleList(_Block(width, code) for _ in range(blocks))
        self.head = nn.Linear(width, self.size + outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, seen: Tensor, code: Tensor) -> Field:
        """Field and numbers."""
        h = self.stem(seen)
        for block in self.blocks:
            h = block(h, code)
        made = self.head(F.silu(h))
        return Field(made[:, : self.size], made[:, self.size :])


class LevelUNet(LevelBody):
    """A U-Net of images on blocks of 4 x 4 pixels: cheap enough for a CPU, and it sees the whole image.

    Two resolutions, a quarter and an eighth of the side. The code also scales features after the first and before the
    last convolution, and lets the input pass straight to the output.

    Args:
        event: (channels, side, side), side a multiple of 4. code: width of the code. width: channels at a quarter of
            the side. outputs: numbers beside the field. inputs: images stacked as channels that it sees.
    Shape:
        seen: (batch, inputs * channels, side, side). code: (batch, code).
    """

    def __init__(self, event: tuple[int, ...], code: int, width: int = 64, outputs: int = 1, inputs: int = 1) -> None:
        super().__init__()
        channels, side = event[0], event[-1]
        reduced(side, 4)
        wide = width * 3 // 2
        self.inputs = inputs
        self.stem = nn.Conv2d(16 * inputs * channels, width, 3, padding=1)
        self.entering, self.leaving = nn.Linear(code, 2 * width), nn.Linear(code, 2 * width)
        self.fine_in = nn.ModuleList(ConditionedBlock(width, code) for _ in range(2))
        self.down = nn.Conv2d(width, wide, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(ConditionedBlock(wide, code) for _ in range(3))
        self.up = nn.Conv2d(wide, width, 3, padding=1)
        self.fine_out = nn.ModuleList(ConditionedBlock(width, code) for _ in range(2))
        self.head = nn.Conv2d(width, 16 * channels, 3, padding=1)
        self.numbers = nn.Linear(wide, outputs)
        self.gate = nn.Linear(code, inputs * channels)
        for layer in (self.head, self.numbers, self.gate, self.entering, self.leaving):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor, code: Tensor) -> Field:
        """Field and numbers."""
        h = F.pixel_unshuffle(seen, 4)
        h = _scaled(self.stem(h), self.entering(code))
        for block in self.fine_in:
            h = block(h, code)
        deep = self.down(h)
        for block in self.coarse:
            deep = block(deep, code)
        deep = F.silu(deep)
        h = h + self.up(F.interpolate(deep, size=h.shape[-2:]))
        for block in self.fine_out:
            h = block(h, code)
        field = F.pixel_shuffle(self.head(F.silu(_scaled(h, self.leaving(code)))), 4)
        straight = (seen * self.gate(code)[:, :, None, None]).unflatten(1, (self.inputs, -1)).sum(1)
        return Field(field + straight, self.numbers(deep.mean((2, 3))))


class LevelDense(LevelBody):
    """Fully connected layers on all numbers of a sample at once, and numbers: the body that is cheapest where chains
    run through it, of images of up to about 28 pixels.

    Args:
        event: shape of a sample. code: width of the code. width: of a layer. blocks: residual blocks. outputs: numbers.
            inputs: samples side by side that it sees.
    Shape:
        seen: (batch, inputs * first, ...) for an event (first, ...). code: (batch, code).
    """

    def __init__(
        self, event: tuple[int, ...], code: int, width: int = 512, blocks: int = 1, outputs: int = 1, inputs: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(inputs * math.prod(event), width)
        self.blocks = nn.ModuleList(_Block(width, code) for _ in range(blocks))
        self.numbers = nn.Linear(width, outputs)

    def forward(self, seen: Tensor, code: Tensor) -> Field:
        """Numbers alone."""
        h = self.stem(seen.flatten(1))
        for block in self.blocks:
            h = block(h, code)
        return Field(None, self.numbers(F.silu(h)))


class LevelEncoder(LevelBody):
    """Convolutions down to an eighth of the side, and numbers: a body without a field, as of a classifier.

    Args:
        event: (channels, side, side). code: width of the code. width: channels at half of the side; twice and three
            times as many at a quarter and an eighth. outputs: numbers. inputs: images stacked as channels that it sees.
    Shape:
        seen: (batch, inputs * channels, side, side). code: (batch, code).
    """

    def __init__(self, event: tuple[int, ...], code: int, width: int = 32, outputs: int = 1, inputs: int = 1) -> None:
        super().__init__()
        widths = (width, 2 * width, 3 * width)
        before = (inputs * event[0], *widths[:-1])
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 4 if n else 3, stride=2, padding=1)
            for n, (a, b) in enumerate(zip(before, widths, strict=True))
        )
        self.blocks = nn.ModuleList(ConditionedBlock(w, code) for w in widths)
        self.numbers = nn.Linear(4 * widths[-1], outputs)

    def forward(self, seen: Tensor, code: Tensor) -> Field:
        """Numbers alone."""
        h = seen
        for layer, block in zip(self.layers, self.blocks, strict=True):
            h = block(layer(h), code)
        return Field(None, self.numbers(F.adaptive_avg_pool2d(F.silu(h), 2).flatten(1)))


def _scaled(h: Tensor, code: Tensor) -> Tensor:
    """Channels scaled and shifted."""
    gain, bias = code[:, :, None, None].chunk(2, 1)
    return h * (1 + gain) + bias
