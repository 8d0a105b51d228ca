r"""Energies over noise levels from the logits of one network: a classifier of noisy data that is a density as well.

$$ \log p_\sigma(x, c) = \log N(y; 0, v) + g_c(y, \sigma) - \log K, \qquad
   p_\sigma(c | x) = \mathrm{softmax}_c g(y, \sigma), \qquad \log p_\sigma(x) = \log \sum_c p_\sigma(x, c) $$

One pass gives all classes, where `LevelEnergy` takes one for each. What the corrections share, a field's inner product
with the sample, is the same for all classes; their numbers tell them apart. Classes are equally probable.

Source: Grathwohl et al. 2020 (a classifier's logits as energies); Guo et al. 2023, EGC (over noise levels).
"""

import math

import torch
from torch import Tensor

from ergosum.density.family import LevelEnergy
from ergosum.density.forms import InnerProduct, Scalar
from ergosum.energy import summed
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample

__all__ = ["LevelLogits"]


class LevelLogits(LevelEnergy):
    """$E(x, \\sigma | c) = -\\log p_\\sigma(x | c)$ with $g_c$ from one network; c = -1 for $-\\log p_\\sigma(x)$.

    Args:
        event: shape of x. form: `InnerProduct` or `Scalar`, whose body gives a number for each class. classes: K >= 1.
            lowest, highest, code: as `LevelEnergy`.
    Raises:
        ValueError: without classes, for levels out of order, or another form.
    """

    def __init__(
        self,
        event: tuple[int, ...],
        form: Part = Part(InnerProduct),  # noqa: B008
        lowest: float = 0.03,
        highest: float = 15.0,
        code: int = 128,
        classes: int = 0,
    ) -> None:
        if classes < 1:
            raise ValueError("LevelLogits: expected data with classes; LevelEnergy learns from data without.")
        if form.cls not in (InnerProduct, Scalar):
            raise ValueError(f"LevelLogits: expected form InnerProduct or Scalar, got {form.cls.__name__}.")
        super().__init__(
            event, form=form.but(outputs=classes), lowest=lowest, highest=highest, code=code, classes=classes
        )
        self.classes = classes

    def joint(self, x: Batch, log_sigma: Tensor) -> Tensor:
        """$\\log p_\\sigma(x, c)$ of all classes, (batch, K)."""
        y, level = self.placed(x, log_sigma)
        code = self.coded(log_sigma, self.conditions.none(len(x)))
        told = self.form.body(self.form.seen(y, level), code)  # type: ignore[operator]
        shared = self.anchor(y, level) - math.log(self.classes)
        if told.field is not None:
            shared = shared + summed(level.ratio * told.field * y / level.spread)
        return shared[:, None] + self.form.number(told, level)  # type: ignore[operator]

    def log_density(self, x: Batch, log_sigma: Tensor, c: Tensor) -> PerSample:
        """$\\log p_\\sigma(x | c)$, of c = -1 $\\log p_\\sigma(x)$."""
        if c.is_floating_point() or (len(c) and not -1 <= int(c.min()) <= int(c.max()) < self.classes):
            got = c.flatten()[:4].tolist()
            raise ValueError(f"LevelLogits: expected classes 0 .. {self.classes - 1}, or -1 for none, got {got}.")
        told = self.joint(x, log_sigma)
        of_class = told.gather(1, c.clamp(min=0)[:, None])[:, 0] + math.log(self.classes)
        return torch.where(c < 0, told.logsumexp(1), of_class)
