"""Learning vector quantisation: only answers that are nearly right or nearly wrong teach."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ergosum.density.functionals.functional import Margin, not_negative, positive
from ergosum.shapes import PerSample

__all__ = ["Lvq2Loss"]


@dataclass(frozen=True, kw_only=True)
class Lvq2Loss(Margin):
    r"""$\ell = \min(1, \max(0, \frac{E(x, y) - E(x, \bar y)}{\delta E(x, \bar y)}))$, of energies $\ge 0$.

    It saturates: a sample whose right answer is worse by more than a share $\delta$ is given up, so that outliers do
    not decide. For the same reason it has no gradient at samples that are far from right; start it from weights that
    another loss has trained.

    Margin: zero; energies that are all equal have the loss 0, its minimum.
    Raises:
        ValueError: if delta is not positive, epsilon negative, or an energy below 0.
    Source: LeCun et al. 2006 (LVQ2 loss).
    """

    collapses: ClassVar[bool] = True

    delta: float = 1.0
    """Width of the window, > 0: a share of the wrong answer's energy."""
    epsilon: float = 0.0
    """Candidates of a continuous y at most this far from the right one are no wrong answers, >= 0."""

    def __post_init__(self) -> None:
        positive("Lvq2Loss", delta=self.delta)
        not_negative("Lvq2Loss", epsilon=self.epsilon)

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """The gap in units of the window, between 0 and 1."""
        if (right < 0).any() or (wrong < 0).any():
            lowest = torch.minimum(right.min(), wrong.min()).item()
            raise ValueError(f"Lvq2Loss: expected energies >= 0, got {lowest:.3g}; square them, or take HingeLoss.")
        window = self.delta * wrong.clamp(min=torch.finfo(wrong.dtype).tiny)
        return ((right - wrong) / window).clamp(0, 1)
