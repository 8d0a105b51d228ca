"""The right answer lower than the most offending one by a margin, or pay the difference."""

from dataclasses import dataclass

from torch import Tensor

from ergosum.density.functionals.functional import Margin, not_negative, positive
from ergosum.shapes import PerSample

__all__ = ["HingeLoss"]


@dataclass(frozen=True, kw_only=True)
class HingeLoss(Margin):
    r"""$\ell = \max(0, m + E(x, y) - E(x, \bar y))$.

    Margin: m; the loss is zero exactly where $E(x, \bar y) \ge E(x, y) + m$, and m where energies are equal.
    Raises:
        ValueError: if the margin is not positive, or epsilon negative.
    Source: LeCun et al. 2006 (hinge loss).
    """

    margin: float = 1.0
    """m > 0, in units of the energy."""
    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        positive("HingeLoss", margin=self.margin)
        not_negative("HingeLoss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """What is missing to the margin."""
        return (self.margin + right - wrong).clamp(min=0)
