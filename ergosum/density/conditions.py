"""Conditions of a family as codes: classes, several attributes, vectors; and no condition at all, the prior's.

Each is a module with `dims` (dimensions of one condition without its batch), `none(batch)`, the condition of the prior,
`drop`, which leaves some out, and `forward`, which gives codes (batch, code).
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

__all__ = ["Attributes", "Classes", "Conditions", "Vectors"]


class Conditions(nn.Module):
    """What conditions of any kind offer.

    Attributes:
        dims: of one condition without its batch, 0 for a class, 1 for attributes and vectors.
    """

    dims: int = 0

    def none(self, batch: int) -> Tensor:
        """No condition, for each of a batch."""
        raise NotImplementedError

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """The conditions with each left out with a probability, independently."""
        raise NotImplementedError

    def listed(self) -> Tensor:
        """The conditions that are looked at one by one when a family is measured, (rows, *dims): none alone."""
        return self.none(1)

    def place(self, c: Tensor) -> Tensor:
        """Where each condition (batch, *dims) stands in that list, (batch,); -1 if it is not there."""
        return torch.full((len(c),), -1, device=c.device)

    def groups(self, c: Tensor) -> list[tuple[range, Tensor]]:
        """Kinds of conditions of which each sample has one: their rows in that list, and which of them each of the
        conditions c tells, (batch,), -1 for none.
        """
        return []


class Classes(Conditions):
    """One class of several, int64 in 0 .. classes - 1; -1 is none.

    Args:
        code: its width. classes: how many, >= 0.
    Shape:
        c: (batch,). Returns (batch, code).
    """

    def __init__(self, code: int, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.table = nn.Embedding(classes + 1, code)
        with torch.no_grad():
            self.table.weight.mul_(0.3)

    def none(self, batch: int) -> Tensor:
        """Minus one."""
        return torch.full((batch,), -1, dtype=torch.long, device=self.table.weight.device)

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """Some classes as -1."""
        gone = torch.rand(c.shape, generator=generator).to(c.device) < probability
        return torch.where(gone, -1, c)

    def listed(self) -> Tensor:
        """None, and every class."""
        return torch.arange(-1, self.classes, device=self.table.weight.device)

    def place(self, c: Tensor) -> Tensor:
        """One more than the class."""
        return c + 1

    def groups(self, c: Tensor) -> list[tuple[range, Tensor]]:
        """The classes."""
        return [(range(1, self.classes + 1), c)]

    def forward(self, c: Tensor) -> Tensor:
        """A learned code for each class, and one for none."""
        if c.is_floating_point() or (len(c) and not -1 <= int(c.min()) <= int(c.max()) < self.classes):
            raise ValueError(
                f"Classes: expected whole numbers 0 .. {self.classes - 1}, or -1 for no condition, got "
                f"{c.dtype} {c.flatten()[:4].tolist()}."
            )
        return self.table(c + 1)


class Attributes(Conditions):
    """A class for each of several attributes, of which any may be none.

    Args:
        code: its width. sizes: classes of each attribute.
    Shape:
        c: (batch, attributes), int64, -1 where an attribute is not given. Returns (batch, code).
    """

    dims = 1

    def __init__(self, code: int, sizes: Sequence[int] = ()) -> None:
        super().__init__()
        self.each = nn.ModuleList(Classes(code, size) for size in sizes)

    def none(self, batch: int) -> Tensor:
        """Minus one for every attribute."""
        return torch.stack([one.none(batch) for one in self.each], 1)  # type: ignore[operator]

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """Each attribute on its own."""
        gone = torch.rand(c.shape, generator=generator).to(c.device) < probability
        return torch.where(gone, -1, c)

    def forward(self, c: Tensor) -> Tensor:
        """The sum of the attributes' codes."""
        if c.ndim != 2 or c.shape[1] != len(self.each):
            raise ValueError(f"Attributes: expected conditions (batch, {len(self.each)}), got {tuple(c.shape)}.")
        return torch.stack([one(c[:, a]) for a, one in enumerate(self.each)]).sum(0)


class Vectors(Conditions):
    """A vector, such as a place; one that is not a number is none.

    Args:
        code: its width. size: numbers in a vector, of about unit size.
    Shape:
        c: (batch, size). Returns (batch, code).
    """

    dims = 1

    def __init__(self, code: int, size: int = 2) -> None:
        super().__init__()
        self.size = size
        self.net = nn.Sequential(nn.Linear(size, code), nn.SiLU(), nn.Linear(code, code))
        self.nothing = nn.Parameter(torch.zeros(code))

    def none(self, batch: int) -> Tensor:
        """Not a number."""
        return torch.full((batch, self.size), torch.nan, device=self.nothing.device)

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """Some vectors as a whole."""
        gone = torch.rand(len(c), 1, generator=generator).to(c.device) < probability
        return torch.where(gone, torch.nan, c)

    def forward(self, c: Tensor) -> Tensor:
        """A small network of the vector."""
        if c.shape[1:] != (self.size,):
            raise ValueError(f"Vectors: expected conditions (batch, {self.size}), got {tuple(c.shape)}.")
        missing = c.isnan().any(1, keepdim=True)
        return torch.where(missing, self.nothing, self.net(c.nan_to_num()))
