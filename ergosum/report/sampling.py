"""Sampling in the plane: named energies, a formula of them, chains, and whether the chains tell the truth."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.energies.box import Box
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.well import DoubleWell
from ergosum.energy import Energy
from ergosum.formula import parse_formula
from ergosum.report.plane import Grid, draw_plane, on_grid
from ergosum.samplers.chain import Chain, sample
from ergosum.samplers.descent import Descent
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.warmup import warm_up

__all__ = ["PLANE", "SAMPLERS", "Told", "planar_names", "sample_plane"]


def _at(x: float, y: float, variance: float) -> Callable[[], Energy]:
    return lambda: Gaussian(torch.tensor([x, y], dtype=torch.float64), variance)


PLANE: dict[str, Callable[[], Energy]] = {
    "wide": _at(0, 0, 4.0),
    "left": _at(-1.2, 0, 0.6),
    "right": _at(1.2, 0, 0.6),
    "top": _at(0, 1.2, 0.6),
    "slanted": lambda: Gaussian(torch.zeros(2, dtype=torch.float64), torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double()),
    "ring": lambda: Ring(2.0, 0.3).double(),
    "modes": lambda: Mixture.ring(8, 2.0, 0.3).double(),
    "box": lambda: Box(torch.tensor([-1.0, -1.0]).double(), torch.tensor([1.0, 1.0]).double(), 0.3),
    "strip": lambda: Box(torch.tensor([-3.0, -0.5]).double(), torch.tensor([3.0, 0.5]).double(), 0.2),
    "well": lambda: DoubleWell(2.0, 1.5, dimensions=2).double(),
    "funnel": lambda: Funnel(2, 1.0).double(),
}
"""Energies that a formula in the plane may name."""

SAMPLERS: dict[str, Any] = {
    "descent": Descent(step_size=0.05),
    "langevin": Langevin(step_size=0.02),
    "mala": Mala(step_size=0.1),
    "hmc": Hmc(step_size=0.2, length=8, jitter=0.5),
    "tempering": ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0, 4.0, 8.0)),
}
"""Samplers by name, with the step size that they start from."""


def planar_names() -> Mapping[str, Energy]:
    """The planar energies, built."""
    return {name: make() for name, make in PLANE.items()}


class Told(NamedTuple):
    """A run in the plane: its picture, its chains, and its numbers."""

    image: Image.Image
    chain: Chain
    numbers: dict[str, Any]


def sample_plane(
    formula: str,
    sampler: str = "mala",
    steps: int = 500,
    chains: int = 200,
    seed: int = 0,
    step_size: float | None = None,
    extent: float = 4.0,
    progress: bool = False,
) -> Told:
    """Sample a formula of planar energies and compare what the chains say with quadrature.

    Exact kernels find their step size in a warm-up of 200 steps, unless one is given. The first fifth of the steps is
    discarded.

    Args:
        sampler: a name in `SAMPLERS`. steps: >= 10. chains: >= 2. extent: half the side of the picture.
    Raises:
        ValueError: for an unknown sampler or numbers out of range; FormulaError for a formula that cannot be read.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"There is no sampler {sampler!r}; expected one of {', '.join(SAMPLERS)}.")
    if steps < 10 or chains < 2 or not extent > 0:
        raise ValueError(f"Expected steps >= 10, chains >= 2 and extent > 0, got {steps}, {chains} and {extent}.")
    energy = parse_formula(formula, planar_names())
    generator = Generator().manual_seed(seed)
    start = extent / 2 * torch.randn(chains, 2, generator=generator, dtype=torch.float64)
    kernel, begin = _prepared(SAMPLERS[sampler], energy, start, step_size, generator)
    chain = sample(kernel, energy, begin, steps, discard=steps // 5, generator=generator, progress=progress)
    grid = on_grid(energy, extent)
    reach = max(extent, 1.25 * chain.draws.abs().max().item())
    numbers = _numbers(chain, energy, on_grid(energy, reach, 400))
    if sampler == "descent":
        numbers |= {"ess": None, "rhat": None, "z": None}  # a minimum is no sample
    numbers |= {"formula": str(energy), "sampler": sampler, "steps": steps, "chains": chains, "seed": seed,
                "step_size": _step_size(kernel)}  # fmt: skip
    return Told(draw_plane(grid, chain, str(energy), _text(numbers)), chain, numbers)


def _prepared(kernel: Any, energy: Energy, start: Tensor, step_size: float | None, generator: Generator) -> Any:
    inner = kernel.kernel if isinstance(kernel, ParallelTempering) else kernel
    begin: Any = start
    if step_size is not None:
        inner = replace(inner, step_size=step_size)
    elif isinstance(inner, Mala | Hmc):
        inner, state = warm_up(inner, energy, start, 200, generator=generator)
        begin = state.x if isinstance(kernel, ParallelTempering) else state
    return (replace(kernel, kernel=inner) if isinstance(kernel, ParallelTempering) else inner), begin


def _step_size(kernel: Any) -> float:
    return float((kernel.kernel if isinstance(kernel, ParallelTempering) else kernel).step_size)


def _numbers(chain: Chain, energy: Energy, grid: Grid) -> dict[str, Any]:
    """What the chains say beside what quadrature says, in Monte-Carlo standard errors."""
    with torch.no_grad():
        at_draws = energy(chain.draws.flatten(0, 1)).unflatten(0, chain.draws.shape[:2])
        at_points = energy(grid.points.flatten(0, 1)).reshape(grid.probability.shape)
    told = torch.cat([chain.draws, at_draws[..., None]], -1)
    whole = chain._replace(draws=told)
    truth = torch.tensor([grid.mean(grid.points[..., 0]), grid.mean(grid.points[..., 1]), grid.mean(at_points)])
    return {
        "acceptance": None if chain.acceptance is None else chain.acceptance.mean().item(),
        "divergent": None if chain.divergent is None else int(chain.divergent.sum().item()),
        "swaps": None if chain.swaps is None else chain.swaps.tolist(),
        "ess": chain.ess().min().item(),
        "rhat": chain.rhat().max().item(),
        "mean": told.mean((0, 1)).tolist(),
        "mean_true": truth.tolist(),
        "z": ((told.mean((0, 1)) - truth) / whole.mcse()).tolist(),
    }


def _text(n: Mapping[str, Any]) -> dict[str, str]:
    shown = {
        "sampler": n["sampler"],
        "step size": f"{n['step_size']:.3g}",
        "steps x chains": f"{n['steps']} x {n['chains']}",
    }
    if n["acceptance"] is not None:
        shown["acceptance"] = f"{n['acceptance']:.2f}"
        shown["divergent"] = str(n["divergent"])
    if n["swaps"] is not None:
        shown["exchanges"] = " ".join(f"{s:.2f}" for s in n["swaps"])
    if n["ess"] is not None:
        shown |= {"smallest ESS": f"{n['ess']:.0f}", "largest R-hat": f"{n['rhat']:.3f}"}
    shown[""] = ""
    for label, mean, true, z in zip(
        ("mean x", "mean y", "mean energy"), n["mean"], n["mean_true"], n["z"] or [None] * 3, strict=True
    ):
        shown[label] = f"{mean:+.3f}  true {true:+.3f}" + ("" if z is None else f"  z {z:+.1f}")
    return shown
