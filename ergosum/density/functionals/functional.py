r"""What a loss functional is: a number for each sample from the energies of all answers and the right one.

Learning from pairs (x, y) shapes $E(x, \cdot)$ so that the right answer has the lowest energy. A functional says what
it costs that it has not: it pulls the energy of the right answer down and, unless it is one that cannot, that of a
wrong one up. The wrong one that matters most is the *most offending incorrect answer*

$$ \bar y = \arg\min_{y' : d(y', y) > \epsilon} E(x, y') $$

which for a discrete y is the best of all other answers, and for a continuous one the best of a set of candidates that
lie further than epsilon from y. Not every functional rules out that all energies become equal (a *collapse*): each says
so by `collapses`, and `benchmarks/collapse.py` shows it.

Source: LeCun, Chopra, Hadsell, Ranzato, Huang 2006, A Tutorial on Energy-Based Learning.
"""

from typing import ClassVar

import torch
from torch import Tensor

from ergosum.shapes import PerSample

__all__ = ["Functional", "Margin", "offending"]


class Functional:
    """A loss of the energies of all answers: the base class of all functionals, yours included.

    Attributes:
        collapses: whether energies that are all equal, at the lowest value that they can have, minimise it; where the
            architecture of the energy allows for that, it may be what is learned.
        epsilon: answers at most this far from the right one count as right, >= 0; for candidates of a continuous y.
    """

    collapses: ClassVar[bool] = False
    epsilon: float = 0.0

    def __call__(self, energies: Tensor, answer: Tensor, distance: Tensor | None = None) -> PerSample:
        """The loss of each sample.

        Args:
            energies: $E(x, y')$ of every answer, or of candidates, of which the right answer is one. answer: the place
                of the right answer among them. distance: of a continuous y, how far each candidate is from the right
                answer, >= 0; None for a discrete y, whose other answers are all wrong.
        Shape:
            energies: (batch, answers), answers >= 2. answer: (batch,), int64. distance: (batch, answers).
        Raises:
            ValueError: if shapes do not fit, an answer is not among those given, an energy is not finite, or a sample
                has no candidate further away than epsilon.
        """
        expect(type(self).__name__, energies, answer, distance)
        return self.of(energies, answer, distance)

    def of(self, energies: Tensor, answer: Tensor, distance: Tensor | None) -> PerSample:
        """The loss of each sample, of energies that have been checked."""
        raise NotImplementedError


class Margin(Functional):
    """A functional of two energies: of the right answer, and of the most offending incorrect one."""

    def of(self, energies: Tensor, answer: Tensor, distance: Tensor | None) -> PerSample:
        """The loss of each sample, of the two energies that it compares."""
        return self.compare(of_answer(energies, answer), offending(energies, answer, distance, self.epsilon))

    def compare(self, right: Tensor, wrong: Tensor) -> PerSample:
        """The loss where the right answer has energy `right` and the most offending incorrect one `wrong`, (batch,)."""
        raise NotImplementedError


def of_answer(energies: Tensor, answer: Tensor) -> PerSample:
    """The energy of the right answer, (batch,)."""
    return energies.gather(1, answer[:, None])[:, 0]


def offending(energies: Tensor, answer: Tensor, distance: Tensor | None = None, epsilon: float = 0.0) -> PerSample:
    """The energy of the most offending incorrect answer, (batch,): the lowest of those further away than epsilon.

    Args:
        energies, answer, distance: as of a `Functional`.
    Raises:
        ValueError: if a sample has no such answer.
    """
    if distance is None:
        right = torch.zeros_like(energies, dtype=torch.bool).scatter(1, answer[:, None], True)
    else:
        right = distance <= epsilon
    if right.all(1).any():
        raise ValueError(
            f"offending: a sample has no answer further than epsilon = {epsilon:g} from the right one; expected "
            "candidates further away, or a smaller epsilon."
        )
    return energies.masked_fill(right, torch.inf).amin(1)


def expect(name: str, energies: Tensor, answer: Tensor, distance: Tensor | None) -> None:
    """Raise unless energies, answers and distances fit each other."""
    if energies.ndim != 2 or energies.shape[1] < 2 or len(energies) == 0:
        raise ValueError(f"{name}: expected energies (batch, answers >= 2), got shape {tuple(energies.shape)}.")
    if answer.shape != energies.shape[:1] or answer.dtype != torch.int64:
        raise ValueError(
            f"{name}: expected one int64 answer per sample, shape ({len(energies)},), got {tuple(answer.shape)} of "
            f"{answer.dtype}."
        )
    lowest, highest = int(answer.min()), int(answer.max())
    if lowest < 0 or highest >= energies.shape[1]:
        raise ValueError(
            f"{name}: expected answers 0 .. {energies.shape[1] - 1}, got {lowest} .. {highest}; a sample without a "
            "label has no loss of this kind."
        )
    if not torch.isfinite(energies).all():
        raise ValueError(f"{name}: an energy is not finite; lower the rate, or look at the energy's scale.")
    if distance is not None and (distance.shape != energies.shape or not (distance >= 0).all()):
        raise ValueError(f"{name}: expected a distance >= 0 for each energy {tuple(energies.shape)}, got others.")


def positive(name: str, **settings: float) -> None:
    """Raise unless every setting is a finite number > 0."""
    for setting, value in settings.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name}: expected {setting} > 0, got {value!r}.")


def not_negative(name: str, **settings: float) -> None:
    """Raise unless every setting is a finite number >= 0."""
    for setting, value in settings.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}: expected {setting} >= 0, got {value!r}.")
