"""Sampling in the plane: named energies, a formula of them, chains, and whether the chains tell the truth.

Chains run in blocks of `BLOCK`, each with a generator of its own, so that several processes (`torchrun`) can share them
out and find what one process finds.
"""

import collections.abc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.data.dataset import block_seed
from ergosum.energies.box import Box
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.well import DoubleWell
from ergosum.energy import Energy
from ergosum.formula import parse_formula
from ergosum.report.plane import Grid, draw_plane, film_plane, on_grid
from ergosum.report.processes import gathered, processes
from ergosum.samplers.broken import HalfNoise, NoReverse, SharedTest
from ergosum.samplers.chain import Chain, finished, sampling
from ergosum.samplers.descent import Descent
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.state import Sampler, Step
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.underdamped import UnderdampedLangevin
from ergosum.samplers.warmup import warm_up

__all__ = [
    "BLOCK",
    "BROKEN",
    "PLANE",
    "SAMPLERS",
    "PlanarRun",
    "diagnosed",
    "planar_names",
    "sample_plane",
    "sampling_plane",
]

BLOCK = 200
"""Chains of a block."""


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
    "underdamped": UnderdampedLangevin(step_size=0.2),
    "tempering": ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0, 4.0, 8.0)),
}
"""Samplers by name, with the step size that they start from."""


BROKEN: dict[str, Any] = {
    "half-noise": HalfNoise(step_size=0.05),
    "no-reverse": NoReverse(step_size=0.2),
    "shared-test": SharedTest(step_size=0.2),
}
"""Samplers with the mistakes that are made most, to see what bias looks like."""


def planar_names() -> Mapping[str, Energy]:
    """The planar energies, built."""
    return {name: make() for name, make in PLANE.items()}


class PlanarRun(NamedTuple):
    """A run in the plane: its image, its chains, its numbers, and the density."""

    image: Image.Image
    chain: Chain
    numbers: dict[str, Any]
    grid: Grid

    def film(self, most: int = 40) -> list[Image.Image]:
        """The chains as they move, at most so many frames."""
        return film_plane(self.grid, self.chain.draws, most)


def sample_plane(
    formula: str,
    sampler: str | Sampler = "mala",
    steps: int = 500,
    chains: int = 200,
    seed: int = 0,
    step_size: float | None = None,
    extent: float = 4.0,
    progress: bool = False,
) -> PlanarRun | None:
    """Sample a formula of planar energies and compare what the chains say with quadrature.

    Exact kernels find their step size in a warm-up of 200 steps, unless one is given; all blocks of chains take that of
    the first. The first fifth of the steps is discarded. Of several processes each runs its share of the blocks, and
    the first one has the result; the others get None.

    Args:
        sampler: a name in `SAMPLERS`, or a sampler. steps: >= 10. chains: >= 2. extent: half the side of the image.
    Raises:
        ValueError: for an unknown sampler or numbers out of range; FormulaError for a formula that cannot be read.
    """
    return finished(sampling_plane(formula, sampler, steps, chains, seed, step_size, extent, progress))


def sampling_plane(
    formula: str,
    sampler: str | Sampler = "mala",
    steps: int = 500,
    chains: int = 200,
    seed: int = 0,
    step_size: float | None = None,
    extent: float = 4.0,
    progress: bool = False,
) -> collections.abc.Generator[tuple[Grid, Tensor] | Step, None, PlanarRun | None]:
    """What `sample_plane` does, step by step.

    Yields the density with where the chains of the first block start, (chains, 2), before anything is sampled; then
    every step. Returns the run.
    """
    known = SAMPLERS | BROKEN
    if isinstance(sampler, str) and sampler not in known:
        raise ValueError(f"There is no sampler {sampler!r}; expected one of {', '.join(known)}, or your own.")
    if steps < 10 or chains < 2 or not extent > 0:
        raise ValueError(f"Expected steps >= 10, chains >= 2 and extent > 0, got {steps}, {chains} and {extent}.")
    energy = parse_formula(formula, planar_names())
    kernel = known[sampler] if isinstance(sampler, str) else sampler
    name = sampler if isinstance(sampler, str) else type(sampler).__name__
    rank, world = processes()
    mine: dict[int, Chain] = {}
    grid = on_grid(energy, extent)
    for number, size in enumerate([BLOCK] * (chains // BLOCK) + ([chains % BLOCK] if chains % BLOCK else [])):
        if number and number % world != rank:
            continue
        generator = Generator().manual_seed(seed if number == 0 else block_seed(seed, number))
        start = extent / 2 * torch.randn(size, 2, generator=generator, dtype=torch.float64)
        if number == 0:  # every process warms up on the first block
            yield grid, start
            kernel, begin = _prepared(kernel, energy, start, step_size, generator)
            if rank:
                continue
        else:
            begin = start
        mine[number] = yield from sampling(
            kernel, energy, begin, steps, discard=steps // 5, generator=generator, progress=progress and rank == 0
        )
    blocks = gathered(mine)
    if blocks is None:
        return None
    chain = _joined([blocks[number] for number in sorted(blocks)])
    reach = max(extent, 1.25 * chain.draws.abs().max().item())
    numbers = diagnosed(chain, energy, on_grid(energy, reach, 400))
    if name == "descent":
        numbers |= {"ess": None, "rhat": None, "z": None}  # a minimum is no sample
    numbers |= {"formula": str(energy), "sampler": name, "steps": steps, "chains": chains, "seed": seed,
                "step_size": _step_size(kernel)}  # fmt: skip
    return PlanarRun(draw_plane(grid, chain, str(energy), _text(numbers)), chain, numbers, grid)


def _joined(blocks: list[Chain]) -> Chain:
    """Blocks of chains side by side; of several, the state to go on from is that of the first."""
    if len(blocks) == 1:
        return blocks[0]

    def along(name: str, dim: int) -> Tensor | None:
        values = [getattr(b, name) for b in blocks]
        return None if values[0] is None else torch.cat(values, dim)

    swaps = None if blocks[0].swaps is None else torch.stack([b.swaps for b in blocks]).mean(0)  # type: ignore[arg-type]
    return blocks[0]._replace(
        draws=along("draws", 1), energy=along("energy", 1), acceptance=along("acceptance", 0),
        divergent=along("divergent", 0), clipped=along("clipped", 0), swaps=swaps,
    )  # fmt: skip


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
    return float(getattr(kernel.kernel if isinstance(kernel, ParallelTempering) else kernel, "step_size", float("nan")))


def diagnosed(chain: Chain, energy: Energy, grid: Grid) -> dict[str, Any]:
    """What the chains say beside what quadrature says: acceptance, ESS, R-hat, and means of x, y and the energy with
    their distance z from the truth in Monte-Carlo standard errors.
    """
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
