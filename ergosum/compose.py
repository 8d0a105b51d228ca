"""Compose energies: the sum is a conjunction.

$exp(-E_1 - E_2)$ is a product of densities: low energy only where both parts have it.
"""

from collections.abc import Iterator

from torch import nn

from ergosum.energy import Energy
from ergosum.shapes import Batch, PerSample

__all__ = ["And"]


class And(Energy):
    """$E(x) = sum_k E_k(x)$; nested sums flatten, so that terms can be read off one list.

    Raises:
        ValueError: without terms.

    Source: Du, Li, Mordatch 2020, conjunction.
    """

    def __init__(self, *terms: Energy) -> None:
        super().__init__()
        if not terms:
            raise ValueError("And: expected at least one energy, got none.")
        flat: list[Energy] = []
        for term in terms:
            flat.extend(term if isinstance(term, And) else [term])
        self.terms = nn.ModuleList(flat)

    def __iter__(self) -> Iterator[Energy]:
        return iter(self.terms)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.terms)

    def forward(self, x: Batch) -> PerSample:
        """Sum of the terms' energies."""
        return sum(term(x) for term in self)  # type: ignore[return-value]

    def extra_repr(self) -> str:
        """The number of terms."""
        return f"{len(self)} terms"
