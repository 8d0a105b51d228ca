"""The right answer against the best of all answers."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ergosum.density.functionals.functional import Functional, of_answer
from ergosum.shapes import PerSample

__all__ = ["PerceptronLoss"]


@dataclass(frozen=True, kw_only=True)
class PerceptronLoss(Functional):
    r"""$\ell = E(x, y) - \min_{y'} E(x, y') \ge 0$, with y among the y'.

    It is zero as soon as the right answer is among the best, however narrowly.

    Margin: zero; energies that are all equal have the loss 0, its minimum.
    Source: LeCun et al. 2006 (generalised perceptron loss).
    """

    collapses: ClassVar[bool] = True

    def of(self, energies: Tensor, answer: Tensor, distance: Tensor | None) -> PerSample:
        """How far the right answer is above the best one."""
        return of_answer(energies, answer) - energies.amin(1)
