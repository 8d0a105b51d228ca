"""Drawing from energies without noise levels: chains of the recipe that trained them, from noise.

Such energies fit what their own chains reach, and in a unit of their own; other samplers, or longer chains, often find
other images. So they are drawn as they were trained.
"""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.density.objectives.starts import UniformNoise
from ergosum.energy import Energy
from ergosum.samplers.chain import frozen, run
from ergosum.samplers.state import Sampler

__all__ = ["Recipe", "chain_recipe", "run_chains"]

FRAMES = 40
"""Points of a chain that are kept for a film, at most."""
RESTART = 0.05
"""Share of chains that start anew in an update, where an objective starts chains on the data."""


class Recipe(NamedTuple):
    """How chains are drawn.

    Attributes:
        sampler: takes the steps. steps: as many as chains of the training had taken on average, or all of those that
            start from noise each time. noise: what they start from.
    """

    sampler: Sampler
    steps: int
    noise: Any


def chain_recipe(objective: Any) -> Recipe | None:
    """The recipe of an objective, or of the one that it holds as `chains`; None of one that has no chains."""
    held = getattr(objective, "chains", objective)
    sampler, start = getattr(held, "sampler", None), getattr(held, "start", None)
    if sampler is None or start is None:
        return None
    restart = getattr(start, "restart", 1.0 if hasattr(start, "noise") else RESTART)
    return Recipe(sampler, round(held.steps / max(restart, 0.02)), getattr(start, "noise", UniformNoise()))


def run_chains(
    recipe: Recipe, energy: Energy, event: tuple[int, ...], n: int, generator: Generator | None = None, steps: int = 0
) -> list[Tensor]:
    """Points of n chains along the way, at most 40, the last of them the ends, (n, *event).

    Args:
        steps: >= 1, of each chain; 0 for those of the recipe.
    Raises:
        NonFiniteError: at the first value that is not finite.
    """
    draw = generator or torch.default_generator
    total = steps or recipe.steps
    x = recipe.noise.draw(torch.zeros(n, *event), draw)
    kept, every = [x], max(1, -(-total // (FRAMES - 1)))
    with frozen(energy):
        for number, step in enumerate(run(recipe.sampler, energy, x, total, generator=draw), 1):
            x = step.x
            if number % every == 0 or number == total:
                kept.append(x.detach())
    return kept
