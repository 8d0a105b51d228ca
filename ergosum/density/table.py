r"""How far a family over noise levels is from being normalised: log Z of every condition at every level, measured.

At the highest level a member is close to the Gaussian that the family is anchored to, of which draws and log Z are
known. From there a population goes down the levels (`samplers.ladder`), and its importance weights give log Z of each:
no draw of data is needed, and nothing is assumed of the network. Where weights spread so far that few draws are left,
the effective share says so, and the level counts as not normalised whatever its estimate.
"""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.energies.gaussian import Gaussian
from ergosum.samplers.importance import log_mean
from ergosum.samplers.ladder import NoiseLadder
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import Ancestral

__all__ = ["LevelRow", "LevelTable", "NotNormalisedWarning", "grid", "measure"]

LEVELS = 13
"""Levels of the table, evenly spaced in log sigma."""
TOLERANCE = 1.0
"""Largest |log Z|, in nats, at which a level counts as normalised."""
LEAST = 0.1
"""Least effective share of the draws below which an estimate of log Z is not believed."""


class NotNormalisedWarning(UserWarning):
    """A quantity that needs normalised energies was asked for at a level where they are not known to be."""


class LevelRow(NamedTuple):
    """A level of the table: of all conditions the log Z that is furthest from 0 with its standard error, in nats, the
    least effective share of draws, and whether the level counts as normalised.
    """

    sigma: float
    log_z: float
    error: float
    ess: float
    normalised: bool


def grid(lowest: float, highest: float) -> Tensor:
    """The table's levels, from the highest to the lowest, float64."""
    return torch.linspace(math.log(highest), math.log(lowest), LEVELS, dtype=torch.float64).exp()


class LevelTable(nn.Module):
    """log Z by level and condition; nothing is known until `measure` has filled it. It is saved with the family.

    Args:
        lowest, highest: levels of the family. rows: conditions that are looked at, see `Conditions.listed`.
    Attributes:
        sigma: (13,), from the highest. log_z, error, ess: (13, rows): log Z in nats, its standard error between
            islands, the effective share of draws; all 0 until measured.
    """

    sigma: Tensor
    log_z: Tensor
    error: Tensor
    ess: Tensor

    def __init__(self, lowest: float, highest: float, rows: int) -> None:
        super().__init__()
        self.register_buffer("sigma", grid(lowest, highest))
        for name in ("log_z", "error", "ess"):
            self.register_buffer(name, torch.zeros(LEVELS, rows))
        self.tolerance = TOLERANCE
        self.register_load_state_dict_pre_hook(as_new)

    @property
    def measured(self) -> bool:
        """Whether the table is filled."""
        return bool((self.ess > 0).all())

    def good(self) -> Tensor:
        """At which levels every condition is normalised, (13,): |log Z| within the tolerance, known to half of it, and
        from weights that have not collapsed.
        """
        within = (self.log_z.abs() <= self.tolerance) & (self.error <= self.tolerance / 2) & (self.ess >= LEAST)
        return within.all(1)

    def normalised(self, sigma: float) -> bool:
        """Whether a level is normalised: those of the table on both sides of it are."""
        if not self.measured:
            return False
        good, place = self.good(), self.place(sigma)
        return bool(good[math.floor(place)]) and bool(good[math.ceil(place)])

    def place(self, sigma: float) -> float:
        """Where a level lies among those of the table, 0 .. 12."""
        top, bottom = self.sigma[0].log().item(), self.sigma[-1].log().item()
        at = (top - math.log(sigma)) / (top - bottom) * (LEVELS - 1)
        nearest = round(at)
        return float(nearest) if abs(at - nearest) < 1e-6 else min(max(at, 0.0), LEVELS - 1.0)

    def expect(self, sigma: float, who: str) -> bool:
        """Warn, in the name of `who`, if a level is not normalised; whether it is.

        Warns:
            NotNormalisedWarning: with what the table says of the level.
        """
        if self.normalised(sigma):
            return True
        said = "was never measured there (density.table.measure)"
        if self.measured:
            row = list(self.rows())[round(self.place(sigma))]
            said = (
                f"is off by up to {abs(row.log_z):.2g} +- {row.error:.2g} nats at sigma {row.sigma:.2g}, from "
                f"{row.ess:.0%} of the draws"
            )
        warnings.warn(
            f"{who}: the energy is not known to be normalised at sigma = {sigma:g}: log Z {said}.",
            NotNormalisedWarning,
            stacklevel=3,
        )
        return False

    def rows(self) -> Iterator[LevelRow]:
        """Level by level, from the highest; nothing of a table that is not filled."""
        if not self.measured:
            return
        for n, good in enumerate(self.good().tolist()):
            worst = int(self.log_z[n].abs().argmax())
            yield LevelRow(
                self.sigma[n].item(), self.log_z[n, worst].item(), self.error[n, worst].item(),
                self.ess[n].min().item(), good,
            )  # fmt: skip

    def scores(self) -> dict[str, dict[str, float] | None]:
        """`level_bias`, of all conditions the log Z that is furthest from 0, in nats, its standard error and the least
        effective share of draws (`ess`), by level; None where nothing was measured.
        """
        rows = list(self.rows())
        told = {"level_bias": "log_z", "level_bias_error": "error", "ess": "ess"}
        return {name: {f"{r.sigma:.3g}": getattr(r, what) for r in rows} or None for name, what in told.items()}

    def clear(self) -> None:
        """Forget what was measured; zeros, because weights that are not finite are refused when a run is loaded."""
        for held in (self.log_z, self.error, self.ess):
            held.zero_()


def as_new(module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """A family that was saved before a part of it existed gets that part as new."""
    for name, held in module.named_buffers():
        state.setdefault(prefix + name, held)


def measure(
    family: Any,
    *,
    n: int = 128,
    islands: int = 8,
    between: int = 4,
    correction: Any = Mala(step_size=0.2),  # noqa: B008
    corrections: int = 1,
    together: int = 1024,
    generator: Generator | None = None,
) -> LevelTable:
    """Fill the family's table, and return it.

    Args:
        family: a `LevelEnergy`. n: draws of each condition, a multiple of `islands`. islands: >= 2, whose scatter is
            the error. between: steps from one level of the table to the next. correction, corrections: see
            `NoiseLadder`; the kernel must be exact. together: draws that are evaluated at once, about.
    Raises:
        ValueError: for settings out of range.
    Cost: 12 `between` (1 + `corrections`) gradients of n draws, for each condition.
    """
    if islands < 2 or between < 1:
        raise ValueError(f"measure: expected islands >= 2 and between >= 1, got {islands} and {between}.")
    table: LevelTable = family.table
    low, high = family.lowest, family.highest
    steps = torch.linspace(math.log(high), math.log(low), (LEVELS - 1) * between + 1, dtype=torch.float64)
    held = [*steps.exp().tolist()]
    held[0], held[-1] = high, low
    deviation = family.deviation.item()
    start = Gaussian(family.mean, deviation**2 + high**2)
    listed = family.conditions.listed()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in listed.split(max(1, together // n)):
        ladder = NoiseLadder(
            levels=tuple(held), reverse=Ancestral(deviation=deviation), correction=correction, corrections=corrections,
            islands=islands * len(part),
        )  # fmt: skip
        member = family(part.repeat_interleave(n, 0))
        rungs = ladder.descend(member, start.draw(n * len(part), generator), start=start, generator=generator)
        kept = [rung for k, rung in enumerate(rungs) if k % between == 0]
        whole = [[log_mean(z) for z in rung.log_z.view(len(part), islands)] for rung in kept]
        found.append((
            torch.tensor([[z.value for z in row] for row in whole]),
            torch.tensor([[z.error for z in row] for row in whole]),
            torch.stack([rung.effective.view(len(part), islands).mean(1) for rung in kept]),
        ))  # fmt: skip
    for held_buffer, parts in zip((table.log_z, table.error, table.ess), zip(*found, strict=True), strict=True):
        held_buffer.copy_(torch.cat(parts, 1))
    return table
