"""A hinge without a kink."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ergosum.density.functionals.functional import Margin, not_negative
from ergosum.shapes import PerSample

__all__ = ["LogLoss"]


@dataclass(frozen=True, kw_only=True)
class LogLoss(Margin):
    r"""$\ell = \log(1 + \exp(E(x, y) - E(x, \bar y)))$.

    It never stops to widen the gap, less and less so: its slope in the gap is minus the logistic function of minus it.

    Margin: any > 0; no gap has the loss 0, its infimum, and equal energies have log 2.
    Raises:
        ValueError: if epsilon is negative.
    Source: LeCun et al. 2006 (log loss).
    """

    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        not_negative("LogLoss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """Softplus of minus the gap."""
        return F.softplus(right - wrong)
