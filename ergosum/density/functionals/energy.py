"""Pull the right answer down, and nothing else."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ergosum.density.functionals.functional import Functional, of_answer
from ergosum.shapes import PerSample

__all__ = ["EnergyLoss"]


@dataclass(frozen=True, kw_only=True)
class EnergyLoss(Functional):
    r"""$\ell = E(x, y)$.

    Nothing raises the other answers, so it works only where the architecture does that by itself, as in a regression
    $E = |G(x) - y|^2$: energies there cannot all be low. Of energies without bound below it has no minimum.

    Margin: none; flat energies at the architecture's floor are its minimum.
    Source: LeCun et al. 2006.
    """

    collapses: ClassVar[bool] = True

    def of(self, energies: Tensor, answer: Tensor, distance: Tensor | None) -> PerSample:
        """The energy of the right answer."""
        return of_answer(energies, answer)
