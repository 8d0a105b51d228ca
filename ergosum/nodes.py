"""What all compositions share: parts, the leaves below them, and what passes through to every leaf."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from ergosum.energy import Closed, Conditional, Energy, differentiated
from ergosum.leaves import leaf_values
from ergosum.shapes import Batch, PerSample

__all__ = ["Named", "Node", "leaves", "silence", "warn"]

_ALGEBRA = {"ergosum.energy", "ergosum.compose", "ergosum.formula", "ergosum.nodes"}
_SILENT = ContextVar("silent", default=False)


class Node:
    """What all compositions share: parts, which `join` makes one energy of, and the leaves below them."""

    parts: tuple[Energy, ...]
    leaves: tuple[Energy, ...]
    has_value: bool
    remembers = False

    def hold(self, *parts: Energy) -> None:
        """Take the parts, and find the leaves once and for all."""
        self.parts = parts
        self.leaves = tuple(dict.fromkeys(leaf for part in parts for leaf in leaves(part)))
        self.has_value = all(part.has_value for part in parts)

    def __iter__(self) -> Iterator[Energy]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def forward(self, x: Batch) -> PerSample:
        """The composition's energy, from one evaluation of each leaf."""
        return self.joined(leaf_values(self.leaves, [x] * len(self.leaves)))

    def gradient(self, x: Batch, create_graph: bool = False) -> Batch:
        """$grad_x E(x)$; of energies given by their scores it is known although the value is not."""
        if self.has_value:
            return super().gradient(x, create_graph)  # type: ignore[misc]

        def evaluate(point: Tensor) -> Tensor:
            return self.joined(leaf_values(self.leaves, [point] * len(self.leaves), True, create_graph))

        return differentiated(self, x, create_graph, evaluate)[1]  # type: ignore[arg-type]

    def joined(self, values: Mapping[Energy, Tensor]) -> Tensor:
        """The energy that follows from the leaves' values."""
        return self.join([part.joined(values) if isinstance(part, Node) else values[part] for part in self.parts])

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The energy that follows from the parts' values."""
        raise NotImplementedError

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """The same composition of other parts, one for each."""
        raise NotImplementedError

    def at_noise(self, sigma: float) -> Energy:
        """The same composition of its leaves at that noise level; members of one family stay members of one family."""
        families: dict[Conditional, Conditional] = {}
        made: dict[Energy, Energy] = {}
        for leaf in self.leaves:
            if isinstance(leaf, Closed):
                if leaf.family not in families:
                    families[leaf.family] = leaf.family.at_noise(sigma)
                made[leaf] = leaf.of(families[leaf.family])
            else:
                noised = leaf.at_noise(sigma)
                unnamed = not noised.name and not isinstance(noised, Node)
                made[leaf] = Named(leaf.name, noised) if leaf.name and unnamed else noised
        with silence():
            return self.exchanged(made)

    def exchanged(self, leaves: Mapping[Energy, Energy]) -> Energy:
        """The same composition with other leaves."""
        return self.rebuilt([p.exchanged(leaves) if isinstance(p, Node) else leaves[p] for p in self.parts])

    def in_units(self) -> Energy:
        """The same composition of its terms in units of the temperatures that they were trained at."""
        parts = [part.in_units() for part in self.parts]
        if all(new is old for new, old in zip(parts, self.parts, strict=True)):
            return self  # type: ignore[return-value]
        with silence():
            return self.rebuilt(parts)


class Named(Node, Energy):
    """A term with the name that a formula gives it, which may differ from the name that its energy has for itself."""

    def __init__(self, name: str, term: Energy) -> None:
        super().__init__()
        self.name, self.term = name, term
        self.temperature, self.log_z, self.one_scale = term.temperature, term.log_z, term.one_scale
        self.grounded, self.negative = term.grounded, term.negative
        self.hold(term)

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """Those of the term."""
        return self.term.value_and_gradient(x, create_graph)

    def log_z_at(self, temperature: float) -> float | None:
        """What the term knows."""
        return self.term.log_z_at(temperature)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The term's value."""
        return values[0]

    def rebuilt(self, parts: Sequence[Energy]) -> Energy:
        """Another term of the same name."""
        return Named(self.name, parts[0])

    def in_units(self) -> Energy:
        """The term in units; of a single energy the name stays beside the weight."""
        if isinstance(self.term, Node):
            made = self.term.in_units()
            return self if made is self.term else made
        return Energy.in_units(self)


def leaves(energy: Energy) -> list[Energy]:
    """The energies that a composition is made of, each once, in the order they are written."""
    return list(energy.leaves) if isinstance(energy, Node) else [energy]


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is warned of again where a composition is only built anew."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that composed, the first one outside of the algebra."""
    if _SILENT.get():
        return
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__") in _ALGEBRA:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
