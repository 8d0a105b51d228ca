"""The right answer towards zero, the wrong one as high as it goes."""

from dataclasses import dataclass

from torch import Tensor

from ergosum.density.functionals.functional import Margin, not_negative, positive
from ergosum.shapes import PerSample

__all__ = ["SquareExponentialLoss"]


@dataclass(frozen=True, kw_only=True)
class SquareExponentialLoss(Margin):
    r"""$\ell = E(x, y)^2 + \gamma \exp(-E(x, \bar y))$.

    As the square-square loss, with a margin that has no end: for energies that are bounded below by zero.

    Margin: any > 0; no gap has the loss 0, its infimum; equal energies c have $c^2 + \gamma e^{-c} > 0$.
    Raises:
        ValueError: if gamma is not positive, or epsilon negative.
    Source: LeCun et al. 2006 (square-exponential loss).
    """

    gamma: float = 1.0
    """Weight of the wrong answer's term, > 0, in squared units of the energy."""
    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        positive("SquareExponentialLoss", gamma=self.gamma)
        not_negative("SquareExponentialLoss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """Square of the right answer's energy, and the weighted exponential of minus the wrong one's."""
        return right.square() + self.gamma * (-wrong).exp()
