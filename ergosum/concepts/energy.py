r"""Energies of concepts over noise levels: a sum over parts of a code of which most are known, or one of a whole point.

With parts $z = (z_1, ..., z_A, z_0)$ of a code, one for each attribute and one for the rest,

$$ E(z, \sigma | c) = \sum_a E_a(z_a, \sigma | c_a) + E_0(z_0, \sigma) : $$

the density of a code is the product of those of its parts, at every noise level. Then AND is exact: for values of
different attributes the lift over the prior, $E_\emptyset + \sum_i (E_{c_i} - E_\emptyset)$, is the energy under all of
them, whether or not they were ever seen together, and needs no correction. What it rests on is that the attributes are
independent in the data, or shall be, and that the code keeps them apart.

Where a part lies if its value is told, the codec has said (`codec.py`): around $\mu_a(v)$ with deviation s. So nothing
of it has to be learned,

$$ p_\sigma(z_a | v) = N(z_a; \mu_a(v), s^2 + \sigma^2), \qquad
   p_\sigma(z_a) = \sum_v \pi_v\, N(z_a; \mu_a(v), s^2 + \sigma^2), $$

normalised at every level; only the energy of the rest is a network.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ergosum.concepts.conditions import Values
from ergosum.data.attributed import Attribute, columns
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form, InnerProduct
from ergosum.energy import Conditional, Energy, as_energy
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample

__all__ = ["ConceptEnergy", "ToldPart", "WholeEnergy"]

CELLS = 256
"""Cells, about, whose shares of the data are the density of numbers that are not told."""


class ToldPart(nn.Module):
    """The density of an attribute's part: a normal around its value, or where none is told all of them by their shares.

    Numbers in [0, 1] that are not told are anywhere in the cells of a grid, by the cells' shares; within a cell, and
    half of a cell beyond it, they are normal.

    Args:
        attribute: whose part it is.
    Attributes:
        centre: (values, size), where each value lies; of numbers where all are 0, and where all are 1, between which
            they lie in proportion. spread: (size,), s. shares: of values, or of cells.
    """

    centre: Tensor
    spread: Tensor
    shares: Tensor

    def __init__(self, attribute: Attribute) -> None:
        super().__init__()
        self.attribute = attribute
        self.bins = round(CELLS ** (1 / attribute.numbers)) if attribute.numbers else 0
        count, size = len(attribute.values) or 2, attribute.numbers or len(attribute.values)
        places = self.bins**attribute.numbers if attribute.numbers else count
        self.register_buffer("centre", torch.zeros(count, size))
        self.register_buffer("spread", torch.ones(size))
        self.register_buffer("shares", torch.full((places,), 1 / places))

    @torch.no_grad()
    def tell(self, centre: Tensor, spread: Tensor, values: Tensor) -> None:
        """Take where values lie, see `centre`, and their shares in data (n, width); NaN is left out, and of data that
        tell nothing the shares stay as they were.
        """
        self.centre.copy_(centre)
        self.spread.copy_(spread)
        known = values[~values.isnan().any(1)]
        if not len(known):
            return
        cell = known[:, 0].long()
        if self.bins:
            place = (known * self.bins).long().clamp(0, self.bins - 1)
            cell = (place * self.bins ** torch.arange(self.attribute.numbers, device=place.device)).sum(1)
        self.shares.copy_(torch.bincount(cell, minlength=len(self.shares)) / len(known))

    def forward(self, z: Tensor, sigma: Tensor, told: Tensor) -> PerSample:
        """$\\log p_\\sigma(z_a | v)$.

        Shape:
            z: (batch, size). sigma: (batch, 1). told: (batch, width), NaN where no value is. Returns (batch,).
        """
        v = self.spread**2 + sigma**2
        known = ~told.isnan().any(1)
        value = told.nan_to_num()
        at = self.centre[value[:, 0].long()] if not self.bins else self._between(value)
        found = _normal(z, at, v)
        if known.all():
            return found
        return torch.where(known, found, self._any(z, v))

    def _any(self, z: Tensor, v: Tensor) -> PerSample:
        """Log-density where nothing is told, of variances (batch, size)."""
        at = self.centre
        if self.bins:
            cells = torch.arange(len(self.shares), device=z.device)
            each = torch.stack([cells // self.bins**n % self.bins for n in range(self.attribute.numbers)], 1)
            at = self._between((each + 0.5) / self.bins)
            v = v + ((self.centre[1] - self.centre[0]) / (2 * self.bins)) ** 2
        held = self.shares > 0
        at, v = at[held], v.expand_as(z)
        # the square multiplied out, so that there is nothing of the size of batch x places x numbers
        told = (z / v) @ at.T - (at**2 / 2 @ (1 / v).T).T + self.shares[held].log()
        return told.logsumexp(1) - (z**2 / v + (2 * math.pi * v).log()).sum(1) / 2

    def _between(self, numbers: Tensor) -> Tensor:
        """Where numbers in [0, 1] lie."""
        return self.centre[0] + (self.centre[1] - self.centre[0]) * numbers.to(self.centre)


def _normal(z: Tensor, at: Tensor, v: Tensor) -> Tensor:
    """Log-density of normals with variances v, summed over the last dimension."""
    return -(((z - at) ** 2 / v) + (2 * math.pi * v).log()).sum(-1) / 2


REST: Part[Form] = Part(InnerProduct, body=Part(LevelMlp, width=96, blocks=2))


class ConceptEnergy(Conditional):
    """The sum over parts: known densities of the parts that values tell, and a learned one of the rest.

    Args:
        event: (D,). attributes: of the data. parts: of x, one for each attribute and one for the rest. form: how the
            energy of the rest comes from its network. lowest, highest, code: as `LevelEnergy`.
    Attributes:
        told: a `ToldPart` of each attribute. rest: a `LevelEnergy` without conditions.
    Shape:
        x: (batch, D). c: (batch, columns), as `Values`.
    Raises:
        ValueError: if the space has no parts, or they do not make up the point.
    """

    independent = True
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        attributes: Sequence[Attribute] = (),
        parts: Sequence[slice] = (),
        form: Part[Form] = REST,
        lowest: float = 0.03,
        highest: float = 15.0,
        code: int = 48,
    ) -> None:
        super().__init__()
        ends = [0, *(p.stop for p in parts)]
        if len(event) != 1 or len(parts) != len(attributes) + 1 or [p.start for p in parts] != ends[:-1] or (
            ends[-1] != event[0]
        ):  # fmt: skip
            raise ValueError(
                f"ConceptEnergy: expected parts that make up a point one after the other, one for each of "
                f"{len(attributes)} attributes and one for the rest (space AttributeCodes), got "
                f"{[(p.start, p.stop) for p in parts]} of {event}; elsewhere WholeEnergy is the family."
            )
        self.event, self.parts = tuple(event), tuple(parts)
        self.conditions: Any = Values(0, attributes)
        self.columns = columns(self.conditions.attributes)
        self.told: Any = nn.ModuleList(ToldPart(a) for a in self.conditions.attributes)
        size = parts[-1].stop - parts[-1].start
        self.rest = LevelEnergy((size,), form=form, lowest=lowest, highest=highest, code=code)
        self.lowest, self.highest = self.rest.lowest, self.rest.highest
        self.register_buffer("mean", torch.zeros(self.event))
        self.register_buffer("deviation", torch.ones(()))

    @property
    def table(self) -> Any:
        """Of log Z by level, which is that of the rest."""
        return self.rest.table

    @property
    def log_z(self) -> float | None:  # type: ignore[override]
        """0 if the rest is normalised at the lowest level."""
        return 0.0 if self.rest.normalised(self.lowest) else None

    @property
    def one_scale(self) -> Any:  # type: ignore[override]
        """The family and the lowest level: members differ in what is known, so that log Z is the same."""
        return (self, self.lowest)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take mean and deviation from data (n, D); errors as `LevelEnergy.fit`."""
        self.rest.fit(x[:, self.parts[-1]])
        self.mean.copy_(x.mean(0))
        self.deviation.copy_((x - x.mean(0)).square().mean().sqrt())

    @torch.no_grad()
    def tell(self, space: Any, values: Tensor) -> None:
        """Take where the codes of a space put values, and their shares in data (n, columns)."""
        for attribute, column, part, told in zip(
            self.conditions.attributes, self.columns, self.parts[:-1], self.told, strict=True
        ):
            rows = values.new_full((len(attribute.values) or 2, values.shape[1]), torch.nan)
            rows[:, column] = torch.arange(len(rows), device=values.device)[:, None].to(rows)
            centre, spread = space.normals(rows)
            told.tell(centre[:, part], spread[0, part], values[:, column])

    def learned(self, x: Tensor, c: Tensor) -> tuple[LevelEnergy, Tensor, Tensor]:
        """What an objective trains: the energy of the rest, on the rest of points x, without conditions."""
        return self.rest, x[:, self.parts[-1]], self.rest.conditions.none(len(x))

    def log_density(self, x: Batch, log_sigma: Tensor, c: Tensor) -> PerSample:
        """$\\log p_\\sigma(x | c)$ with one level for each sample, as `LevelEnergy.log_density`."""
        self.conditions(c)
        rest = self.rest.log_density(x[:, self.parts[-1]], log_sigma, self.rest.conditions.none(len(x)))
        return rest + self.of_told(x, log_sigma.exp()[:, None], c)

    def of_told(self, x: Batch, sigma: Tensor, c: Tensor) -> PerSample:
        """Log-densities of the parts that values tell, summed; sigma is (batch, 1) or (1, 1)."""
        each = [
            told(x[:, part], sigma, c[:, column])
            for told, part, column in zip(self.told, self.parts[:-1], self.columns, strict=True)
        ]
        return torch.stack(each).sum(0) if each else x.new_zeros(len(x))

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the lowest level."""
        return self.at_noise(0.0).bind(z, anchor)

    def prior(self) -> Energy:
        """The member without a condition."""
        return self(self.conditions.none(1)[0]).named("prior")

    def at_noise(self, sigma: float) -> "_AtLevel":
        """The family at a level, from the lowest to the highest; 0 is the lowest."""
        return _AtLevel(self, self.checked(sigma))

    def checked(self, sigma: float) -> float:
        """A level that the family has, as `LevelEnergy.checked`."""
        return self.rest.checked(sigma)


class _AtLevel(Conditional):
    """A sum over parts at one level, with the weights of its family."""

    def __init__(self, family: ConceptEnergy, sigma: float) -> None:
        super().__init__()
        self._family, self.sigma = (family,), sigma
        self.rest = family.rest.at_noise(sigma)
        self.log_z, self.one_scale = self.rest.log_z, (family, sigma)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the level."""
        (family,) = self._family
        family.conditions(z)
        rest, part = self.rest.bind(family.rest.conditions.none(len(z)), None), family.parts[-1]

        def energy(x: Tensor) -> Tensor:
            return rest(x[:, part]) - family.of_told(x, x.new_full((1, 1), self.sigma), z)

        return as_energy(energy)

    def at_noise(self, sigma: float) -> "_AtLevel":
        """With noise of deviation sigma added to what has the level's noise already."""
        (family,) = self._family
        return family.at_noise(math.hypot(self.sigma, sigma))


class WholeEnergy(LevelEnergy):
    """One `LevelEnergy` of a whole point, whose conditions are values of attributes: in pixels, or as an ablation.

    Args:
        event: shape of x. attributes: of the data. parts: of x, which nothing is made of here. form, lowest, highest,
            code: as `LevelEnergy`.
    """

    independent = False

    def __init__(
        self,
        event: tuple[int, ...],
        attributes: Sequence[Attribute] = (),
        parts: Sequence[slice] = (),
        form: Part[Form] = Part(InnerProduct),  # noqa: B008
        lowest: float = 0.03,
        highest: float = 15.0,
        code: int = 128,
    ) -> None:
        super().__init__(event, Part(Values, attributes=attributes), form, lowest, highest, code)

    def learned(self, x: Tensor, c: Tensor) -> tuple[LevelEnergy, Tensor, Tensor]:
        """What an objective trains: all of it."""
        return self, x, c
