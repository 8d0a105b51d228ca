"""The right answer towards zero, the wrong one above a margin."""

from dataclasses import dataclass

from torch import Tensor

from ergosum.density.functionals.functional import Margin, not_negative, positive
from ergosum.shapes import PerSample

__all__ = ["SquareSquareLoss"]


@dataclass(frozen=True, kw_only=True)
class SquareSquareLoss(Margin):
    r"""$\ell = E(x, y)^2 + \max(0, m - E(x, \bar y))^2$.

    Each energy is judged by itself and not against the other: for energies that are bounded below by zero, such as
    distances.

    Margin: m; the loss is zero exactly where $E(x, y) = 0$ and $E(x, \bar y) \ge m$; equal energies have $m^2 / 2$ at
        best, at m / 2.
    Raises:
        ValueError: if the margin is not positive, or epsilon negative.
    Source: LeCun et al. 2006 (square-square loss).
    """

    margin: float = 1.0
    """m > 0, in units of the energy."""
    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        positive("SquareSquareLoss", margin=self.margin)
        not_negative("SquareSquareLoss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """Square of the right answer's energy, and of what is missing to the margin."""
        return right.square() + (self.margin - wrong).clamp(min=0).square()
