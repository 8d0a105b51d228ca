"""Persistent roll-outs: start some predictions from the model's own earlier ones, as persistent chains do.

A model trained on true frames alone has never seen the blur it makes itself. Here a store keeps predictions together
with the digit and the true factors they stand for, so that the next target can still be drawn exactly.
"""

import torch
from torch import Generator, Tensor

from ergosum.data.record import Digits, Pairs
from ergosum.data.sequences import SPACING, DigitSequences

__all__ = ["RollOuts"]


class RollOuts:
    """A store of `size` roll-outs, or as many as a batch if that is more.

    Args:
        data: draws fresh pairs and renders continued ones. probability: of continuing a stored roll-out, in [0, 1).
    """

    def __init__(self, data: DigitSequences, probability: float, size: int = 512) -> None:
        self.data, self.probability, self.size = data, probability, size
        self.stored: dict[str, Tensor] = {}
        self._last: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Pairs:
        """`n` pairs, of which about the share `probability` start from a stored prediction and keep its move."""
        fresh = self.data.pairs(n, generator)
        if self.probability == 0:
            return fresh
        if not self.stored:
            self.size = max(self.size, n)
            more = self.data.pairs(self.size, generator)
            self.stored = {"frame": more.start, "factors": more.before, "moves": more.moves, "digits": more.digits,
                           "labels": more.labels, "age": torch.zeros(self.size, device=more.start.device)}  # fmt: skip
        self._last = torch.randperm(self.size, generator=generator)[:n]
        old = {k: v[self._last] for k, v in self.stored.items()}
        after = old["factors"] + SPACING.to(old["moves"].device) * old["moves"]
        inside = (after[:, 2] <= self.data.scale_max + 1e-4) & (after[:, 2] >= self.data.scale_min - 1e-4)
        lucky = (torch.rand(n, generator=generator) < self.probability).to(inside.device)
        keep = lucky & (old["age"] > 0) & inside
        pick = lambda a, b: torch.where(keep.view(-1, *[1] * (a.ndim - 1)), a, b)  # noqa: E731
        before, moves = pick(old["factors"], fresh.before), pick(old["moves"], fresh.moves)
        digits = Digits(pick(old["digits"], fresh.digits), pick(old["labels"], fresh.labels))
        pair = self.data.pair(digits, before, moves)
        self._age = torch.where(keep, old["age"], 0.0) + 1
        return pair._replace(start=pick(old["frame"], fresh.start))

    def keep(self, pairs: Pairs, predicted: Tensor) -> None:
        """Store the predictions for the pairs drawn last."""
        if self._last is None:
            return
        new = {"frame": predicted.detach().clamp(0, 1), "factors": pairs.after, "moves": pairs.moves,
               "digits": pairs.digits, "labels": pairs.labels, "age": self._age}  # fmt: skip
        for name, value in new.items():
            self.stored[name][self._last] = value.to(self.stored[name].dtype)

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs."""
        return self.stored

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a stored state."""
        self.stored = dict(state)
        self.size = len(state["age"]) if state else self.size
