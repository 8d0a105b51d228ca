r"""Energies over noise levels: $E(x, \sigma | c) = -\log p_\sigma(x | c)$, of data to which noise was added.

With x_sigma = x + sigma z, z standard normal, the density of x_sigma is known where sigma is large, whatever the data:
a Gaussian. The family is anchored there, for every condition alike, so that an objective that sees how the density
changes with the level (the time score, `objectives/denoising.py`) normalises it all the way down, and energies of
conditions, and of models trained apart, share one unit and one zero.

    red = family(torch.tensor(0))        # an Energy, at the lowest level
    red.at_noise(0.5)                    # at another one, as every composition of it
"""

import math
import warnings
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.density.conditions import Classes, Conditions
from ergosum.density.forms import Form, InnerProduct, Level
from ergosum.density.offsets import Offsets
from ergosum.density.table import LevelTable
from ergosum.energy import Conditional, Energy, summed
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample

__all__ = ["AtLevel", "LevelEnergy", "LowNoiseWarning"]

HIDES = 3.0
"""Times the deviation of data where they vary most: noise in which nothing of them is left to be seen, or nearly."""


class LowNoiseWarning(UserWarning):
    """The highest noise level leaves something of the data to be seen, and draws begin as if it left nothing."""


class LevelEnergy(Conditional):
    r"""$E(x, \sigma | c) = \|y\|^2 / 2 v + (D/2) \log 2 \pi v - g(y, \sigma, c)$, y = x - m, $v = s_d^2 + \sigma^2$.

    The correction g is a form's (`forms.py`), and vanishes as sigma grows. Values are in nats; temperature 1.

    Args:
        event: shape of x, (D,) or (channels, side, side). conditions: kind of condition, gets `code` and `classes`.
        form: how the energy comes from its network. lowest, highest: noise levels, 0 < lowest < highest, in units of
            x; the lowest stands for the data themselves. code: width of the codes of level and condition. classes: of
            the data, where they have any.
    Attributes:
        mean, deviation: m and s_d, of the data; 0 and 1 until `fit` is called.
        table: what was measured of log Z at each level (`table.measure`). offsets: constants that bring conditions to
            one scale at each level (`offsets.fit_offsets`, `offsets.absorb`); zero until they are fitted.
    Raises:
        ValueError: for levels out of order; from members, for a condition or a level that it has not.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        conditions: Part[Conditions] = Part(Classes),  # noqa: B008
        form: Part[Form] = Part(InnerProduct),  # noqa: B008
        lowest: float = 0.03,
        highest: float = 15.0,
        code: int = 128,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < lowest < highest < math.inf:
            raise ValueError(f"LevelEnergy: expected 0 < lowest < highest noise, got {lowest} and {highest}.")
        self.event, self.lowest, self.highest = tuple(event), float(lowest), float(highest)
        self.conditions = conditions.build(code=code, classes=classes)
        self.condition_dims = self.conditions.dims
        self.clock = nn.Sequential(nn.Linear(2 * WAVES + 1, code), nn.SiLU(), nn.Linear(code, code))
        self.form = form.build(event=self.event, code=code)
        self.register_buffer("mean", torch.zeros(self.event))
        self.register_buffer("deviation", torch.ones(()))
        rows = len(self.conditions.listed())
        self.table = LevelTable(self.lowest, self.highest, rows)
        self.offsets = Offsets(self.lowest, self.highest, rows)

    @property
    def log_z(self) -> float | None:  # type: ignore[override]
        """0 if members are normalised at the lowest level, where they stand."""
        return 0.0 if self.normalised(self.lowest) else None

    @property
    def one_scale(self) -> Any:  # type: ignore[override]
        """The family and the lowest level, if offsets were fitted."""
        return (self, self.lowest) if self.offsets.fitted else None

    @property
    def size(self) -> int:
        """D, numbers in a sample."""
        return math.prod(self.event)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take mean and deviation from data (n, *event).

        Raises:
            ValueError: if they have another shape, or are all the same.
        Warns:
            LowNoiseWarning: if the highest level is less than three times their deviation in the direction in which
                that is largest.
        """
        if x.shape[1:] != self.event or len(x) < 2:
            raise ValueError(f"LevelEnergy: expected two or more samples of shape {self.event}, got {tuple(x.shape)}.")
        spread = (x - x.mean(0)).square().mean().sqrt()
        if not spread > 0:
            raise ValueError("LevelEnergy: all samples are the same; expected data that vary.")
        self.mean.copy_(x.mean(0))
        self.deviation.copy_(spread)
        most = widest(x - self.mean)
        if self.highest < HIDES * most:
            warnings.warn(
                f"{type(self).__name__}: the highest noise level, {self.highest:g}, is only {self.highest / most:.1f} "
                f"times the deviation of the data in the direction in which that is largest, {most:.3g}: draws begin "
                f"as noise of that level, and what of the data is left in it will be drawn wrong. Expected highest >= "
                f"{math.ceil(HIDES * most)}.",
                LowNoiseWarning,
                stacklevel=3,  # the decorator is one
            )

    def levels(self, n: int, generator: Generator) -> Tensor:
        """Logarithms of n levels, uniform from the lowest to the highest: one in each of n equal parts, shuffled."""
        place = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)) / n
        low, high = math.log(self.lowest), math.log(self.highest)
        return (low + (high - low) * place).to(self.deviation.device)

    def coded(self, log_sigma: Tensor, c: Tensor) -> Tensor:
        """Codes of levels and conditions, (batch, code)."""
        low, high = math.log(self.lowest), math.log(self.highest)
        place = (2 * log_sigma - low - high) / (high - low)
        angle = place[:, None] * torch.arange(1, WAVES + 1, device=place.device) * (math.pi / 2)
        told = torch.cat([place[:, None], angle.sin(), angle.cos()], 1)
        return nn.functional.silu(self.clock(told) + self.conditions(c))

    def log_density(self, x: Batch, log_sigma: Tensor, c: Tensor) -> PerSample:
        """$\\log p_\\sigma(x | c)$ with one level for each sample; differentiable twice in x and in log sigma.

        Shape:
            x: (batch, *event). log_sigma: (batch,). c: (batch,) or (batch, size). Returns (batch,).
        """
        y, level = self.placed(x, log_sigma)
        return self.anchor(y, level) + self.form(y, level, self.coded(log_sigma, c))

    def placed(self, x: Batch, log_sigma: Tensor) -> tuple[Tensor, Level]:
        """Samples less the mean, and their levels."""
        sigma = log_sigma.exp().reshape(-1, *[1] * len(self.event))
        return x - self.mean, Level(sigma, self.deviation)

    def anchor(self, y: Tensor, level: Level) -> PerSample:
        """Log-density of the Gaussian that data of this mean and deviation would have."""
        spread = level.spread
        return -summed((y / spread) ** 2) / 2 - self.size * (spread.flatten().log() + math.log(2 * math.pi) / 2)

    def noised(self, x: Batch, log_sigma: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Samples with noise at their levels, and the noise z of unit size."""
        z = torch.randn(x.shape, generator=generator).to(x)
        return x + log_sigma.exp().reshape(-1, *[1] * len(self.event)) * z, z

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the lowest level."""
        return _Member(self, z, self.lowest)

    def prior(self) -> Energy:
        """The member without a condition."""
        return self(self.conditions.none(1)[0]).named("prior")

    def at_noise(self, sigma: float) -> "AtLevel":
        """The family at a level, from the lowest to the highest; 0 is the lowest."""
        return AtLevel(self, self.checked(sigma))

    def checked(self, sigma: float) -> float:
        """A level that the family has; 0 is the lowest, and so is what half precision makes of it.

        Raises:
            ValueError: if it is out of range.
        """
        if sigma == 0:
            return self.lowest
        slack = 2**-10
        if not self.lowest * (1 - slack) <= sigma <= self.highest * (1 + slack):
            raise ValueError(
                f"sigma: expected a noise level from {self.lowest:g} to {self.highest:g}, which this energy was "
                f"trained on, got {sigma:g}."
            )
        return min(max(float(sigma), self.lowest), self.highest)

    def normalised(self, sigma: float) -> bool:
        """Whether the table shows that members are normalised at a level, within its tolerance."""
        return self.table.normalised(self.checked(sigma))


def widest(y: Batch) -> float:
    """The largest deviation of centred data (n, *event) along any direction, by power iterations."""
    y = y.flatten(1)
    along = y[y.square().sum(1).argmax()]
    for _ in range(ITERATIONS):
        along = y.T @ (y @ along)
        along = along / along.norm()
    return float((y @ along).square().mean().sqrt())


ITERATIONS = 50
"""Enough for a few per cent, however close the second direction is."""
WAVES = 6
"""Sines and cosines of the level that its code is made from."""


class AtLevel(Conditional):
    """A family over noise levels at one of them, what `family.at_noise(sigma)` gives; it shares the family's weights.

    Args:
        family: over noise levels. sigma: the level.
    """

    def __init__(self, family: LevelEnergy, sigma: float) -> None:
        super().__init__()
        self.family, self.sigma = family, sigma
        self.condition_dims = family.condition_dims
        self.log_z = 0.0 if family.normalised(sigma) else None
        self.one_scale = (family, sigma) if family.offsets.fitted else None

    def __eq__(self, other: object) -> bool:
        """One family at one level is the same family, however often it was asked for: compositions call it once."""
        return isinstance(other, AtLevel) and (other.family, other.sigma) == (self.family, self.sigma)

    def __hash__(self) -> int:
        return hash((self.family, self.sigma))

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the level."""
        return _Member(self.family, z, self.sigma)

    def at_noise(self, sigma: float) -> "AtLevel":
        """With noise of deviation sigma added to what has the level's noise already."""
        return AtLevel(self.family, self.family.checked(math.hypot(self.sigma, sigma)))


class _Member(Energy):
    """One condition for each sample, at one level."""

    remembers = False

    def __init__(self, family: LevelEnergy, c: Tensor, sigma: float) -> None:
        super().__init__()
        self.family, self.c, self.sigma = family, c, sigma

    def forward(self, x: Batch) -> PerSample:
        log_sigma = torch.full((len(x),), math.log(self.sigma), dtype=x.dtype, device=x.device)
        value = -self.family.log_density(x, log_sigma, self.c)
        if not self.family.offsets.fitted:
            return value
        return value - self.family.offsets.at(self.sigma, self.family.conditions.place(self.c)).to(value)
