r"""Energies of concepts over noise levels: one network for all attributes, or parts that know nothing of each other.

With parts $z = (z_1, ..., z_A, z_0)$ of a code, one for each attribute and one for the rest,

$$ E(z, \sigma | c) = \sum_a E_a(z_a, \sigma | c_a) + E_0(z_0, \sigma) : $$

the density of a code is the product of those of its parts, at every noise level. Then AND is exact: for values of
different attributes the lift over the prior, $E_\emptyset + \sum_i (E_{c_i} - E_\emptyset)$, is the energy under all of
them, whether or not they were ever seen together, and needs no correction. What it rests on is that the attributes are
independent in the data, or shall be, and that the code keeps them apart.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ergosum.concepts.conditions import Values
from ergosum.data.attributed import Attribute
from ergosum.density.conditions import Conditions
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form, InnerProduct, Level
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part

__all__ = ["ByParts", "ConceptEnergy"]

PART: Part[Form] = Part(InnerProduct, body=Part(LevelMlp, width=96, blocks=2))
"""Of a part of a code."""
SLICE = 48
"""Width of the code of level and condition of each part."""


class ByParts(nn.Module):
    """A sum of forms, one for each part of a vector, each with a slice of the code of level and condition.

    Args:
        event: (D,). code: width of the code, divided evenly. parts: where each lies, together 0 .. D. form: of each.
    Shape:
        y: (batch, D). code: (batch, code). Returns (batch,).
    Raises:
        ValueError: if the parts do not make up the vector, or the code cannot be divided.
    """

    def __init__(self, event: tuple[int, ...], code: int, parts: Sequence[slice] = (), form: Part[Form] = PART) -> None:
        super().__init__()
        ends = [0, *(p.stop for p in parts)]
        if len(event) != 1 or [p.start for p in parts] != ends[:-1] or ends[-1] != event[0] or code % len(parts):
            raise ValueError(
                f"ByParts: expected parts that make up a vector one after the other and share the code, got parts "
                f"{[(p.start, p.stop) for p in parts]} of {event} and a code of {code}."
            )
        self.parts, self.slice = tuple(parts), code // len(parts)
        self.each = nn.ModuleList(form.build(event=(p.stop - p.start,), code=self.slice) for p in parts)

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """The sum of what each part adds to its Gaussian."""
        told = [
            form(y[:, part], level, own)
            for form, part, own in zip(self.each, self.parts, code.split(self.slice, 1), strict=True)
        ]
        return torch.stack(told).sum(0)


class ConceptEnergy(LevelEnergy):
    """`LevelEnergy` whose conditions are values of attributes.

    Args:
        event: shape of x. attributes: of the data. parts: of x, one for each attribute and one for the rest, where its
            space has them. independent: whether the energy is a sum over parts. form: how the energy comes from its
            network; of each part, if it is a sum over them. lowest, highest: as `LevelEnergy`. code: width of the codes
            of level and condition, of each part if independent.
    Raises:
        ValueError: if parts are to be independent, and the space has none.
    """

    def __init__(
        self,
        event: tuple[int, ...],
        attributes: Sequence[Attribute] = (),
        parts: Sequence[slice] = (),
        independent: bool = True,
        form: Part[Form] = PART,
        lowest: float = 0.03,
        highest: float = 15.0,
        code: int = SLICE,
    ) -> None:
        if independent and not parts:
            raise ValueError(
                "independent: codes in parts are needed (space AttributeCodes), this space has none; expected False."
            )
        conditions: Part[Conditions] = Part(Values, attributes=attributes, apart=independent)
        whole: Part[Any] = Part(ByParts, parts=parts, form=form) if independent else form
        width = code * len(parts) if independent else code
        super().__init__(event, conditions, whole, lowest, highest, width)
        self.independent = independent
