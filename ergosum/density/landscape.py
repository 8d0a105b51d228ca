r"""One energy per class from a network of logits, without noise levels: what chains are trained with, and classifiers.

$$ E(x | c) = -f_c(x), \qquad E(x) = -\log \sum_c \exp f_c(x), \qquad p(c | x) = \mathrm{softmax}_c f(x) $$

Nothing normalises it: log Z is not known, and its unit is the temperature of the chains that trained it.

Source: Grathwohl et al. 2020 (a classifier's logits as energies).
"""

import math

import torch
from torch import Tensor

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import widen
from ergosum.nets.levels import LevelBody, LevelEncoder
from ergosum.part import Part
from ergosum.shapes import Batch

__all__ = ["Landscape"]

WIDTH = 8


class Landscape(Conditional):
    """$E(x | c) = -f_c(x)$, c = -1 for $E(x) = -logsumexp_c f_c(x)$; without classes there is one number, $E = -f$.

    Args:
        event: shape of x, (channels, side, side) for a body of images. classes: K, 0 for none. body: network, gets
            `event`, `code`, `inputs`, `outputs`. temperature: T of the recipe that trains it, > 0.
    Shape:
        c: (batch,), int64. x: (batch, *event). Returns (batch,).
    Raises:
        ValueError: for a temperature that is not > 0; from members, for a class that it has not.
    """

    condition_dims = 0
    code: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        classes: int = 0,
        body: Part[LevelBody] = Part(LevelEncoder),  # noqa: B008
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature: expected a number > 0, got {temperature!r}.")
        self.event, self.classes, self.temperature = tuple(event), classes, float(temperature)
        self.body = body.build(event=self.event, code=WIDTH, inputs=1, outputs=max(1, classes))
        self.register_buffer("code", torch.zeros(1, WIDTH), persistent=False)

    @property
    def size(self) -> int:
        """D, numbers in a sample."""
        return math.prod(self.event)

    def energies(self, x: Batch) -> Tensor:
        """$-f(x)$, all of them from one pass, (batch, max(1, K))."""
        return -widen(self.body(x, self.code.to(x.dtype).expand(len(x), -1)).numbers)

    def fit(self, x: Tensor) -> None:
        """Nothing of the data is held."""

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member."""
        if z.is_floating_point() or (len(z) and not -1 <= int(z.min()) <= int(z.max()) < max(1, self.classes)):
            raise ValueError(
                f"Landscape: expected classes 0 .. {self.classes - 1}, or -1 for none, got {z.flatten()[:4].tolist()}."
            )
        return _Member(self, z)

    def prior(self) -> Energy:
        """The member without a class."""
        return self(torch.tensor(-1)).named("prior")


class _Member(Energy):
    """One class for each sample."""

    remembers = False

    def __init__(self, family: Landscape, c: Tensor) -> None:
        super().__init__()
        self.family, self.c = family, c

    def forward(self, x: Batch) -> Tensor:
        told = self.family.energies(x)
        of_class = told.gather(1, self.c.clamp(min=0)[:, None])[:, 0]
        return torch.where(self.c < 0, -(-told).logsumexp(1), of_class)
