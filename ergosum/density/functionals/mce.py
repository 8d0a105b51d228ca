"""A smooth count of wrong answers."""

from dataclasses import dataclass

from torch import Tensor

from ergosum.density.functionals.functional import Margin, not_negative, positive
from ergosum.shapes import PerSample

__all__ = ["MceLoss"]


@dataclass(frozen=True, kw_only=True)
class MceLoss(Margin):
    r"""$\ell = \sigma((E(x, y) - E(x, \bar y)) / s)$ with the logistic function $\sigma$: minimum classification error.

    As s falls it becomes the share of samples that are answered wrongly. It saturates at 1, so that outliers do not
    decide.

    Margin: any > 0; no gap has the loss 0, its infimum, and equal energies have 1/2.
    Raises:
        ValueError: if the scale is not positive, or epsilon negative.
    Source: LeCun et al. 2006 (minimum classification error loss).
    """

    scale: float = 1.0
    """s > 0, in units of the energy."""
    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        positive("MceLoss", scale=self.scale)
        not_negative("MceLoss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """The logistic function of minus the gap."""
        return ((right - wrong) / self.scale).sigmoid()
