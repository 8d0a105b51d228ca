"""A classifier as an energy: the energies of all classes, by any loss functional."""

from typing import Any

from torch import Generator, Tensor

from ergosum.density.functionals import Functional, NllLoss
from ergosum.density.objective import Objective
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["Discriminative"]


class Discriminative(Objective):
    """A loss functional of $E(x, y)$ over the classes y, with the label as the right answer.

    With `NllLoss` it is the cross-entropy of a plain classifier. What is learned are differences of energies between
    classes; of x alone it learns nothing.

    Args:
        functional: of `functionals/`.
    Source: LeCun et al. 2006.
    """

    levels = False

    def __init__(self, functional: Part[Functional] = Part(NllLoss)) -> None:  # noqa: B008
        self.functional = functional.build()

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """The mean over the samples that have a class; the error is the share whose lowest energy is another's.

        Raises:
            ValueError: if no sample has a class, or the family has less than two.
        """
        energies, known = family.energies(x), c >= 0
        if not known.any():
            raise ValueError("Discriminative: expected labels, got none; it learns from images with classes.")
        energies, c = energies[known], c[known]
        told = self.functional(energies, c)
        wrong = (energies.argmin(1) != c).to(energies.dtype).mean()
        return Losses(told.mean(), wrong.detach())
