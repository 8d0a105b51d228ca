"""The right answer against all answers, each by its probability."""

from dataclasses import dataclass

from torch import Tensor

from ergosum.density.functionals.functional import Functional, of_answer, positive
from ergosum.shapes import PerSample

__all__ = ["NllLoss"]


@dataclass(frozen=True, kw_only=True)
class NllLoss(Functional):
    r"""$\ell = E(x, y) + \frac{1}{\beta} \log \sum_{y'} e^{-\beta E(x, y')} = -\frac{1}{\beta} \log p(y | x)$.

    The negative log-likelihood of $p(y | x) \propto \exp(-\beta E(x, y))$, exact on the answers given: of a discrete y
    the true conditional likelihood, of candidates of a continuous y that of a choice among them. Every wrong answer is
    raised, by its probability. As $\beta$ grows it tends to the perceptron loss.

    Margin: any > 0; equal energies of N answers have $\log N / \beta > 0$, and the infimum is 0.
    Raises:
        ValueError: if beta is not positive.
    Source: LeCun et al. 2006 (negative log-likelihood loss).
    """

    beta: float = 1.0
    """Inverse temperature, > 0, per unit of the energy."""

    def __post_init__(self) -> None:
        positive("NllLoss", beta=self.beta)

    def of(self, energies: Tensor, answer: Tensor, distance: Tensor | None) -> PerSample:
        """Energy of the right answer plus the free energy's negative."""
        return of_answer(energies, answer) + (-self.beta * energies).logsumexp(1) / self.beta
