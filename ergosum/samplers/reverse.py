r"""One step down a ladder of noise levels: from x at level $\sigma$ to $x'$ at a lower level $\sigma'$.

Noise adds up: $x_\sigma = x_{\sigma'} + \sqrt{\sigma^2 - \sigma'^2}\,\varepsilon$, which is the kernel B of the way up.
The way down follows the score $s = \nabla \log p_\sigma = -\nabla E_\sigma$. By Tweedie's formula
$E[x_{\sigma'} | x_\sigma] = x_\sigma + (\sigma^2 - \sigma'^2)\, s$, for any density of the data.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from ergosum.energies.arguments import positive
from ergosum.energy import Energy, summed
from ergosum.samplers.state import slope
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Batch, PerSample

__all__ = ["Ancestral", "ProbabilityFlow", "Reverse", "denoised", "levels"]


def levels(lowest: float, highest: float, n: int, rho: float = 7.0) -> tuple[float, ...]:
    r"""n noise levels from `highest` down to `lowest`, evenly spaced in $\sigma^{1/\rho}$.

    Args:
        lowest, highest: 0 < lowest < highest, in units of x. n: >= 2. rho: >= 1; 7 spends more steps on small levels
            than 1, which spaces evenly; infinity is geometric spacing, evenly in log sigma.
    Raises:
        ValueError: if one is out of range.
    Source: Karras et al. 2022, the levels of their sampler.

    Example:
        >>> [round(sigma, 3) for sigma in levels(0.01, 1.0, 3, rho=math.inf)]
        [1.0, 0.1, 0.01]
    """
    if not (0 < lowest < highest < math.inf and n >= 2 and rho >= 1):
        raise ValueError(
            f"levels: expected 0 < lowest < highest, n >= 2 and rho >= 1, got {lowest}, {highest}, {n} and {rho}."
        )
    share = [i / (n - 1) for i in range(1, n - 1)]
    if math.isinf(rho):
        inner = [highest * (lowest / highest) ** t for t in share]
    else:
        top, bottom = highest ** (1 / rho), lowest ** (1 / rho)
        inner = [(top + t * (bottom - top)) ** rho for t in share]
    return (float(highest), *inner, float(lowest))


def denoised(x: Batch, gradient: Batch, sigma: float) -> Batch:
    r"""$E[x_0 | x_\sigma] = x - \sigma^2 \nabla E_\sigma(x)$, the mean of the data given their noised version.

    Source: Robbins 1956; Efron 2011 (Tweedie's formula).
    """
    return torch.add(x, gradient, alpha=-(sigma**2))


@runtime_checkable
class Reverse(Protocol):
    """A step from one noise level to a lower one.

    A class attribute `weighs = True` says that its kernel has a density, which `log_ratio` then gives; `gradients` is
    how many gradients a step costs.
    """

    weighs: ClassVar[bool]

    @property
    def gradients(self) -> int:
        """How many gradients a step costs, that at its start included."""
        ...

    def move(
        self, x: Batch, gradient: Batch, sigma: float, following: float, energy: Energy,
        generator: Generator | None = None,
    ) -> Batch:  # fmt: skip
        """x at the level `following`, from x at the level sigma with the gradient there; `energy` is at `following`."""
        ...

    def log_ratio(
        self, x: Batch, gradient: Batch, after: Batch, sigma: float, following: float, free: Tensor | None = None
    ) -> PerSample:
        """log B(x | after) - log F(after | x) over the free coordinates, (batch,)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ancestral:
    r"""A random step with the mean that Tweedie's formula gives, and the variance of a Gaussian:

    $$ x' = x + (\sigma^2 - \sigma'^2)\, s + \tau \varepsilon, \qquad
       \tau^2 = \frac{(d^2 + \sigma'^2)(\sigma^2 - \sigma'^2)}{d^2 + \sigma^2}. $$

    The mean is right for any data; $\tau$ is right for Gaussian data of standard deviation d. The usual sampler of
    diffusion models has d = 0, data known exactly; d = infinity gives the other bound, $\tau^2 = \sigma^2 - \sigma'^2$.
    As the levels come closer, the law of the chain approaches that of the data noised to the last level whatever d is.
    For importance weights from level to level (see `NoiseLadder`) d near the data's own deviation wastes least.

    Args:
        deviation: d >= 0, in units of x: a number, or one per coordinate, (*event,).
    Raises:
        ValueError: if a deviation is negative.
    Exact: for Gaussian data of independent coordinates with standard deviation d; else as levels come closer.
    Cost: one gradient.   Needs the score alone.
    Source: Ho, Jain, Abbeel 2020, section 2 (d = 0) and 3.2 (both bounds); Song et al. 2021, appendix on ancestral
        sampling of variance-exploding noise. Differs: d between the bounds.
    """

    weighs: ClassVar[bool] = True

    deviation: float | Tensor = 0.0

    def __post_init__(self) -> None:
        lowest = torch.as_tensor(self.deviation).min().item()
        if not lowest >= 0:
            raise ValueError(f"Ancestral: expected a deviation >= 0, in units of x, got {lowest:g}.")

    @property
    def gradients(self) -> int:
        """One."""
        return 1

    def move(
        self, x: Batch, gradient: Batch, sigma: float, following: float, energy: Energy,
        generator: Generator | None = None,
    ) -> Batch:  # fmt: skip
        """Tweedie's mean, and noise."""
        mean = torch.add(x, gradient, alpha=following**2 - sigma**2)
        return mean + self._variance(x, sigma, following).sqrt() * gaussian(x, generator)

    def log_ratio(
        self, x: Batch, gradient: Batch, after: Batch, sigma: float, following: float, free: Tensor | None = None
    ) -> PerSample:
        """log B(x | after) - log F(after | x), in float64."""
        added, variance = sigma**2 - following**2, self._variance(x, sigma, following).double()
        wide = x.double()
        up = (wide - after.double()).square() / added + math.log(added)
        down = (after.double() - wide + added * gradient.double()).square() / variance + variance.log()
        each = (down - up) / 2
        return summed(each if free is None else torch.where(free, each, 0))

    def _variance(self, x: Tensor, sigma: float, following: float) -> Tensor:
        """tau^2, a number or one per coordinate."""
        added = sigma**2 - following**2
        data = torch.as_tensor(self.deviation, dtype=x.dtype, device=x.device) ** 2
        share = torch.where(torch.isinf(data), 1.0, (data + following**2) / (data + sigma**2))
        return added * share


@dataclass(frozen=True, kw_only=True)
class ProbabilityFlow:
    r"""A step of the deterministic flow $dx / d\sigma = -\sigma\, s(x, \sigma)$, which has the marginals of the noise.

    Euler's step, which is also that of DDIM, is $x' = x + \sigma (\sigma - \sigma')\, s$. Heun's takes the slope at
    both ends, $x' = x + (\sigma - \sigma') (\sigma s + \sigma' s') / 2$ with $s'$ at Euler's $x'$. A map has no
    density: there are no importance weights.

    Args:
        heun: take the slope at both ends.
    Exact: no, biased by O(h) (Euler) or O(h^2) (Heun) in the distance h of levels.   Cost: one gradient, or two.
    Needs the score alone.
    Source: Song et al. 2021 (probability flow); Song, Meng, Ermon 2021 (DDIM); Karras et al. 2022 (Heun).
    """

    weighs: ClassVar[bool] = False

    heun: bool = False

    @property
    def gradients(self) -> int:
        """One, or two of Heun's."""
        return 2 if self.heun else 1

    def move(
        self, x: Batch, gradient: Batch, sigma: float, following: float, energy: Energy,
        generator: Generator | None = None,
    ) -> Batch:  # fmt: skip
        """Euler's step, or Heun's."""
        euler = torch.add(x, gradient, alpha=-sigma * (sigma - following))
        if not self.heun:
            return euler
        _, ahead = slope(energy, euler)
        return x - (sigma - following) / 2 * (sigma * gradient + following * ahead)

    def log_ratio(
        self, x: Batch, gradient: Batch, after: Batch, sigma: float, following: float, free: Tensor | None = None
    ) -> PerSample:
        """Raises: a map has no density."""
        raise ValueError("ProbabilityFlow: a deterministic step has no density to weigh with; use Ancestral.")


def check_levels(who: str, held: tuple[float, ...]) -> None:
    """Raise unless there are levels, falling and > 0."""
    for sigma in held:
        positive(who, "a noise level", sigma)
    if not held or any(b >= a for a, b in pairwise(held)):
        raise ValueError(f"{who}: expected noise levels from high to low, got {held}; `levels` makes them.")
