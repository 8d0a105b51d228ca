"""What stands at hidden pixels while an energy is learned from incomplete data: one fill per example, which stays."""

import torch
from torch import Tensor

from ergosum.density.objective import Given

__all__ = ["Fills"]


class Fills:
    """Fills of examples by their rows, which grow as examples are seen.

    Attributes:
        held: (rows, *event), what each example was last filled to. visits: (rows,), how often it was kept.
    """

    def __init__(self) -> None:
        self.held, self.visits = torch.zeros(0), torch.zeros(0, dtype=torch.int64)

    def fill(self, x: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """A batch with what its hidden pixels were last filled to, x itself at the first visit; and earlier visits.

        Shape:
            x: (batch, *event). Returns (batch, *event) and (batch,).
        """
        self._hold(int(given.rows.max()) + 1, x)
        visits = self.visits[given.rows]
        first = (visits == 0).to(x.device).reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(given.known | first, x, self.held[given.rows].to(x)), visits

    def keep(self, x: Tensor, given: Given) -> None:
        """Take a batch as the last fills of its examples; of an example that occurs twice, one of the two."""
        self.held[given.rows] = x.detach().to(self.held)
        self.visits[given.rows] += 1

    def _hold(self, count: int, x: Tensor) -> None:
        """Room for that many examples."""
        if self.held.shape[1:] != x.shape[1:]:
            self.held, self.visits = torch.zeros(0, *x.shape[1:]), self.visits[:0]
        more = max(0, count - len(self.held))
        self.held = torch.cat([self.held, torch.zeros(more, *x.shape[1:])])
        self.visits = torch.cat([self.visits, torch.zeros(more, dtype=torch.int64)])

    def state(self) -> dict[str, Tensor]:
        """All of them."""
        return {"fills": self.held, "visits": self.visits}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up stored ones."""
        self.held, self.visits = state["fills"].clone(), state["visits"].clone()
