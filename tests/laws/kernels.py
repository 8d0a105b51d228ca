"""Samplers and targets before the laws. A new sampler is one row here."""

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energy import Energy
from ergosum.samplers.annealed import Annealed
from ergosum.samplers.descent import Descent
from ergosum.samplers.gibbs import GibbsWithGradients
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.underdamped import UnderdampedLangevin


class Row(NamedTuple):
    """A sampler under law: its step for a target whose narrowest width is `width`, at a temperature.

    `accepts`: whether it accepts and refuses proposals, and tells the probability. `exact`: whether it leaves its
    target as it is. `noisy`: whether two generators differ. `binary`: whether it flips zeros and ones. `order`: the
    power of the width with which the share of refused proposals vanishes. Where proposals follow the gradient, the
    error of energy and momentum over a step is of third order (Roberts & Rosenthal 1998 for MALA, whose step size goes
    as the square of the width; leapfrog's local error for HMC); of a random walk, the energy itself changes by
    $s \\nabla E \\cdot \\epsilon$, of first order.
    """

    make: Callable[[float, float], Any]
    exact: bool = True
    accepts: bool = True
    noisy: bool = True
    masks: bool = True
    binary: bool = False
    order: int = 3


ROWS: dict[str, Row] = {
    "Descent": Row(lambda w, t: Descent(step_size=0.3 * w**2), exact=False, accepts=False, noisy=False),
    "Descent, noisy": Row(lambda w, t: Descent(step_size=0.3 * w**2, noise=0.1), exact=False, accepts=False),
    "Langevin": Row(lambda w, t: Langevin(step_size=0.2 * w**2, temperature=t), exact=False, accepts=False),
    "Langevin, clipped": Row(
        lambda w, t: Langevin(step_size=0.2 * w**2, clip=0.03, clamp=(0, 1), temperature=t, noise_first=True),
        exact=False,
        accepts=False,
    ),
    "Mala": Row(lambda w, t: Mala(step_size=0.5 * w**2, temperature=t)),
    "Hmc": Row(lambda w, t: Hmc(step_size=0.8 * w * t**0.5, length=4, temperature=t)),
    "Hmc, jittered": Row(lambda w, t: Hmc(step_size=1.1 * w * t**0.5, length=4, jitter=0.75, temperature=t)),
    "Hmc, heavy": Row(lambda w, t: Hmc(step_size=2.0 * w * t**0.5, length=3, mass=4.0, temperature=t)),
    "Annealed": Row(
        lambda w, t: Annealed.over(Mala(step_size=0.5 * w**2, temperature=t), 3, temperatures=(1.0, 1.0)), masks=False
    ),
    "UnderdampedLangevin": Row(
        lambda w, t: UnderdampedLangevin(step_size=0.5 * w, friction=1.0 / w, temperature=t), exact=False, accepts=False
    ),
    "GibbsWithGradients": Row(lambda w, t: GibbsWithGradients(temperature=t), binary=True),
    "GibbsWithGradients, differences": Row(
        lambda w, t: GibbsWithGradients(temperature=t, differences=True), binary=True
    ),
    "ParallelTempering": Row(
        lambda w, t: ParallelTempering(kernel=Mala(step_size=0.5 * w**2), temperatures=(t, 2 * t, 4 * t)),
        exact=False,
        masks=False,
    ),
}

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def _of_the_page() -> tuple[str, Row]:
    """Name and row of the sampler that docs/extending.md shows: its class as it stands there, made as its row says."""
    text = PAGE.read_text()
    block = next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class RandomWalk" in b)
    sources = [example.source for example in doctest.DocTestParser().get_examples(block)]
    names: dict[str, Any] = {"__name__": "extending", "Row": Row}
    exec("".join(s for s in sources if s.startswith(("from ", "import ", "@dataclass"))), names)
    name, row = re.findall(r'^`"(\w+)": (Row\(.*\))`$', text, re.MULTILINE)[0]
    return name, eval(row, names)


EXAMPLE, _row = _of_the_page()
"""The sampler of the page is no public name; it is before all laws like those that are."""
ROWS[EXAMPLE] = _row

EXACT = [name for name, row in ROWS.items() if row.exact and not row.binary]
"""On real x. Of several replicas only all together are at rest, so the ladder has a law of its own."""


class Target(NamedTuple):
    """An energy with exact draws, its narrowest width, and how many draws a test takes."""

    energy: Callable[[], Energy]
    width: float
    n: int = 20_000
    steps: int = 6

    def draw(self, energy: Energy, n: int, generator: Generator) -> Tensor:
        """Exact draws."""
        return energy.draw(n, generator)  # type: ignore[operator]


def _double(*numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _image() -> Energy:
    generator = torch.Generator().manual_seed(5)
    mean = torch.rand(3, 8, 8, generator=generator, dtype=torch.float64)
    return Gaussian(mean, 0.5 + torch.rand(3, 8, 8, generator=generator, dtype=torch.float64))


TARGETS: dict[str, Target] = {
    "Gaussian, 1-D": Target(lambda: Gaussian(_double(0.7), _double(1.0)), 1.0),
    "Gaussian, correlated": Target(lambda: Gaussian(_double(1.0, -2.0), _double([2.0, 1.2], [1.2, 1.0])), 0.5),
    "Mixture": Target(lambda: Mixture(_double([-1.5, 0.0], [1.0, 1.0]), _double(0.5, 1.0), _double(0.7, 0.3)), 0.7),
    "Funnel": Target(lambda: Funnel(2), 0.5),
    "Gaussian images": Target(_image, 0.7, 1_500),
}


def statistics(energy: Energy, x: Tensor) -> Tensor:
    """Numbers whose mean a kernel must not move, (n, statistics): coordinates, squares, products, energy, signs."""
    flat = x.flatten(1)
    few = flat[:, :3]
    whole = torch.stack([energy(x), flat.sum(1), flat.square().sum(1), flat.abs().amax(1).clamp(max=5)], 1)
    return torch.cat([few, few.square().clamp(max=25), few * few.roll(1, 1), (few > 0).to(x.dtype), whole], 1)


def z_scores(energy: Energy, kept: Tensor, truth: Tensor) -> Tensor:
    """Differences of means in standard errors, of independent samples; zero where neither varies."""
    a, b = statistics(energy, kept), statistics(energy, truth)
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return torch.where(error > 0, (a.mean(0) - b.mean(0)) / error, 0.0)
