"""A density of images whose conditions are concepts: named values of attributes, and numbers such as a place."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.energy import ConceptEnergy
from ergosum.concepts.space import AttributeCodes
from ergosum.data.attributed import Attribute, columns, told
from ergosum.density.model import PRIOR, Density, Entry
from ergosum.density.space import Space
from ergosum.energy import Closed, Conditional, Energy
from ergosum.nodes import Named, leaves
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["Concepts"]


class Concepts(Density):
    """Energies of images with attributes.

    Args:
        attributes: of the images, each as `Attribute` or its three fields; with channels and side they are the data's.
        space: where energies live, gets `attributes`, `channels`, `side`. family: of the energies there, gets `event`,
            `attributes` and `parts`. channels, side: of an image.
    Attributes:
        names: of all named values, in the order of the attributes. shares: of each in the data, equal until `count`.
            best: the noise level at which each attribute is read, the lowest until `inference.choose_levels`; 0 of a
            family without levels.
    """

    shares: Tensor
    best: Tensor

    def __init__(
        self,
        attributes: Sequence[Attribute] = (),
        channels: int = 3,
        side: int = 32,
        space: Part[Space] = Part(AttributeCodes),  # noqa: B008
        family: Part[Conditional] = Part(ConceptEnergy),  # noqa: B008
    ) -> None:
        nn.Module.__init__(self)
        self.attributes = tuple(Attribute(a[0], tuple(a[1]), a[2]) for a in attributes)
        self.columns = columns(self.attributes)
        self.names = tuple(value for a in self.attributes for value in a.values)
        self.channels, self.side = channels, side
        self.space = space.build(channels=channels, side=side, attributes=self.attributes)
        parts = getattr(self.space, "parts", ())
        self.family: Any = family.build(event=self.space.event, attributes=self.attributes, parts=parts)
        equal = [1 / len(a.values) for a in self.attributes for _ in a.values]
        self.register_buffer("shares", torch.tensor(equal))
        self.register_buffer("best", torch.full((len(self.attributes),), getattr(self.family, "lowest", 0.0)))

    @property
    def independent(self) -> bool:
        """Whether energies are sums over parts, so that values of different attributes may be told at once."""
        return bool(getattr(self.family, "independent", False))

    @torch.no_grad()
    def points(self, images: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Points of the space that a density of these images learns from."""
        told = getattr(self.space, "told", None)
        return self.encode(images, generator) if told is None else told(images, values, generator)

    def forward(  # type: ignore[override]
        self, objective: Any, points: Tensor, c: Tensor, generator: Generator, progress: float
    ) -> Losses:
        """An objective's loss on points of images with values, under conditions c that tell some of these."""
        return objective.loss(*self.learned(points, c), generator, progress)

    def learned(self, points: Tensor, c: Tensor) -> tuple[Any, Tensor, Tensor]:
        """The family that training changes, and of points under conditions c what it learns from."""
        return self.family.learned(points, c) if hasattr(self.family, "learned") else (self.family, points, c)

    @torch.no_grad()
    def count(self, values: Tensor) -> None:
        """Take the shares of named values from data, (n, columns)."""
        found = []
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            known = values[:, column][:, 0]
            known = known[~known.isnan()].long()
            if attribute.values:
                found.append(torch.bincount(known, minlength=len(attribute.values)) / max(1, len(known)))
        self.shares.copy_(torch.cat([self.shares[:0], *found]))

    def condition(self, **values: str | int | Sequence[float]) -> Tensor:
        """The condition that tells these values, (columns,), as `told` of `data/attributed.py`."""
        return told(self.attributes, **values)

    def given(self, **values: str | int | Sequence[float]) -> Energy:
        """The energy of images with these values: `given(colour="red", place=(0.3, 0.6))`."""
        name = " & ".join(f"{k}({', '.join(f'{n:g}' for n in v)})" if not isinstance(v, str | int) else str(v)
                          for k, v in values.items())  # fmt: skip
        return self.family(self.condition(**values)).named(name or PRIOR)

    def energies(self) -> dict[str, Energy]:
        """Every named value by its name, and the prior."""
        told = {name: self.family(row).named(name) for name, row in zip(self.names, self._rows(), strict=True)}
        return {**told, PRIOR: self.family.prior()}

    def _rows(self) -> list[Tensor]:
        return [self.condition(**{a.name: value}) for a in self.attributes for value in a.values]

    def entries(self) -> Mapping[str, Entry]:
        """What formulas may name, see `Density.entries`; numbers are told as `place(0.3, 0.6)`."""
        energies = self.energies()
        prior = energies[PRIOR]
        kinds = [a.name for a in self.attributes for _ in a.values]
        made = {
            name: Entry(energies[name], prior, share, kind, self)
            for name, kind, share in zip(self.names, kinds, self.shares.tolist(), strict=True)
        }
        return {**made, PRIOR: Entry(prior, prior, 1.0, "", self)}

    def at(self, name: str, numbers: Sequence[float]) -> Entry | None:
        """What `place(0.3, 0.6)` stands for; None if no attribute of that name is told in numbers.

        Raises:
            ValueError: for numbers that the attribute has not.
        """
        for attribute in self.attributes:
            if attribute.numbers and name in (attribute.name, "at" if attribute.numbers == 2 else attribute.name):
                energy = self.given(**{attribute.name: list(numbers)})
                return Entry(energy, self.family.prior(), 0.0, attribute.name, self)
        return None

    def together(self, energies: Sequence[Energy]) -> Energy | None:
        """One member for what several members tell of different attributes, where its energy is their lift."""
        if not self.independent:
            return None
        condition = torch.full((self.family.conditions.width,), torch.nan)
        for energy in energies:
            own = condition_of(energy)
            if own is None or (~condition.isnan() & ~own.isnan()).any():
                return None
            condition = torch.where(own.isnan(), condition, own)
        return self.family(condition).named(" & ".join(map(str, energies)))


def condition_of(energy: Energy) -> Tensor | None:
    """The one condition of a member of a family, (columns,); None of anything else."""
    held = leaves(energy)
    member = held[0] if len(held) == 1 and isinstance(energy, Closed | Named) else None
    return member.c if isinstance(member, Closed) and member.c.ndim == 1 else None
