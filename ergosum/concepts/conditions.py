"""Conditions that are values of several attributes, of which any may be missing."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ergosum.data.attributed import Attribute, columns
from ergosum.density.conditions import Conditions

__all__ = ["Values"]

WAVES = 4
"""Sines and cosines that a number in [0, 1] is told by, of up to so many half turns."""


class Values(Conditions):
    """Values of attributes, as tables of `data/attributed.py` hold them; not a number is no value.

    Args:
        code: its width; 0 for conditions that are told by no code. attributes: of the conditions.
    Shape:
        c: (batch, columns), float. Returns (batch, code), the sum of the attributes' codes.
    Raises:
        ValueError: from `forward`, for values that an attribute has not.
    """

    dims = 1

    def __init__(self, code: int, attributes: Sequence[Attribute] = ()) -> None:
        super().__init__()
        self.attributes, self.code = tuple(Attribute(*a) for a in attributes), code
        self.columns = columns(self.attributes)
        self.width = sum(a.width for a in self.attributes)
        self.each = nn.ModuleList(_code_of(a, code) for a in self.attributes if code)
        self.register_buffer("device_of", torch.zeros(()), persistent=False)

    def none(self, batch: int) -> Tensor:
        """Not a number everywhere."""
        return torch.full((batch, self.width), torch.nan, device=self.device_of.device)  # type: ignore[arg-type]

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """Nothing with a probability, else a random subset of the attributes: 1 .. all of them, each size as often."""
        count = len(self.columns)
        order = torch.rand(len(c), count, generator=generator).argsort(1).argsort(1)
        size = 1 + (torch.rand(len(c), generator=generator) * count).long().clamp(max=max(0, count - 1))
        size = torch.where(torch.rand(len(c), generator=generator) < probability, 0, size)
        gone = (order >= size[:, None]).to(c.device)
        kept = c.clone()
        for n, column in enumerate(self.columns):
            kept[:, column] = torch.where(gone[:, n : n + 1], torch.nan, c[:, column])
        return kept

    def listed(self) -> Tensor:
        """None, and each named value alone."""
        rows = [self.none(1)]
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            for value in range(len(attribute.values)):
                row = self.none(1)
                row[:, column] = value
                rows.append(row)
        return torch.cat(rows)

    def place(self, c: Tensor) -> Tensor:
        """Where conditions that tell no value or a named one stand in the list; -1 for all others."""
        place = torch.zeros(len(c), dtype=torch.long, device=c.device)
        told, at = 0, 1
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            known = ~c[:, column].isnan().any(1)
            told = told + known.long() * (1 if attribute.values else 2)
            if attribute.values:
                place = torch.where(known, at + c[:, column][:, 0].nan_to_num().long(), place)
                at += len(attribute.values)
        return torch.where(torch.as_tensor(told) > 1, -1, place)

    def groups(self, c: Tensor) -> list[tuple[range, Tensor]]:
        """The named values of each attribute."""
        found, at = [], 1
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            if attribute.values:
                own = torch.where(c[:, column].isnan(), -1.0, c[:, column])[:, 0].long()
                found.append((range(at, at + len(attribute.values)), own))
                at += len(attribute.values)
        return found

    def forward(self, c: Tensor) -> Tensor:
        """Codes of all attributes, added up."""
        if c.ndim != 2 or c.shape[1] != self.width:
            raise ValueError(f"Values: expected conditions (batch, {self.width}), got {tuple(c.shape)}.")
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            if attribute.values:
                _expect_values(attribute, c[:, column])
        codes = [each(c[:, column]) for each, column in zip(self.each, self.columns, strict=False)]
        return torch.stack(codes).sum(0) if codes else c.new_zeros(len(c), self.code)


def _expect_values(attribute: Attribute, c: Tensor) -> None:
    """Refuse numbers (batch, 1) of named values that there are not."""
    held = torch.where(c.isnan(), -1.0, c)
    if len(held) and not ((held >= -1) & (held < len(attribute.values)) & (held == held.floor())).all():
        raise ValueError(
            f"{attribute.name}: expected whole numbers 0 .. {len(attribute.values) - 1}, or none (not a number), got "
            f"{c[:4, 0].tolist()}."
        )


def _code_of(attribute: Attribute, code: int) -> nn.Module:
    return _Named(attribute, code) if attribute.values else _Numbers(attribute, code)


class _Named(nn.Module):
    """A learned code for each named value, and one for none."""

    def __init__(self, attribute: Attribute, code: int) -> None:
        super().__init__()
        self.table = nn.Embedding(len(attribute.values) + 1, code)
        with torch.no_grad():
            self.table.weight.mul_(0.3)

    def forward(self, c: Tensor) -> Tensor:
        """(batch, code) of (batch, 1)."""
        return self.table(torch.where(c[:, 0].isnan(), -1.0, c[:, 0]).long() + 1)


class _Numbers(nn.Module):
    """A small network of numbers in [0, 1] and their waves, and a learned code for none."""

    def __init__(self, attribute: Attribute, code: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(attribute.numbers * (1 + 2 * WAVES), code), nn.SiLU(), nn.Linear(code, code))
        self.nothing = nn.Parameter(torch.zeros(code))

    def forward(self, c: Tensor) -> Tensor:
        """(batch, code) of (batch, numbers)."""
        missing = c.isnan().any(1, keepdim=True)
        x = 2 * c.nan_to_num() - 1
        angle = x[:, :, None] * torch.arange(1, WAVES + 1, device=x.device) * (math.pi / 2)
        told = torch.cat([x, angle.sin().flatten(1), angle.cos().flatten(1)], 1)
        return torch.where(missing, self.nothing, self.net(told))
