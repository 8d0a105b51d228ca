"""The FactorVAE metric: does the code that moves least name the factor that was held?"""

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values
from ergosum.metrics.codes import parted
from ergosum.metrics.sharing import draw_groups

__all__ = ["factor_vae"]


def factor_vae(
    latents: Values,
    factors: Values,
    generator: Generator | None = None,
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    dead: float = 0.05,
) -> float:
    r"""Accuracy of a majority vote that names the held factor from $\arg\min_d \mathrm{var}_d / \mathrm{Var}_d$.

    Within a batch of images that share one factor, a random one, $\mathrm{var}_d$ is the variance of code d;
    $\mathrm{Var}_d$ is its variance over all. Each code votes for the factor for which it was most often the stillest.
    1 is best, about 1 / (factors that vary) chance, and 0 is given if every code is dead. It is blind to factors that
    a code shares with others, and to codes that no factor needs.

    Args:
        latents: (rows, codes). factors: (rows, factors), levels; at least two vary.
        generator: of the split and the batches; PyTorch's default one if None.
        train, evaluate: batches that the votes are counted on and judged on, from two thirds of the rows and from the
            others. batch: rows in each.
        dead: codes whose standard deviation is below this share of the largest one have no vote.
    Raises:
        ValueError: for wrong shapes, values that are not finite, factors without levels, fewer than two that vary.
    Source: Kim & Mnih 2018, section 4; sizes as released in disentanglement_lib. Differs: rows of a table take the
    place of a simulator; codes are dead relative to the largest one (released: standard deviation below an absolute 0
    or 0.05, which supposes a unit prior); a code never seen while counting votes names nothing (released: factor 0).
    """
    z, level, fit, judge = parted(latents, factors, "factor_vae", generator)
    spread = z[fit].std(0)
    alive = (spread > dead * spread.max()) & (z[fit] != z[fit][:1]).any(0)
    if not alive.any():
        return 0.0
    z = z[:, alive] / spread[alive]
    votes = _votes(z[fit], level[fit], train, batch, generator)
    judged = _votes(z[judge], level[judge], evaluate, batch, generator)
    named = votes.argmax(0)
    right = judged[named, torch.arange(z.shape[1])][votes.sum(0) > 0].sum()
    return right.item() / evaluate


def _votes(z: Tensor, level: Tensor, count: int, batch: int, generator: Generator | None) -> Tensor:
    """How often each code was the stillest while each factor was held: (factors, codes)."""
    kept, rows = draw_groups(level, count, batch, generator)
    stillest = torch.cat([z[part].var(1).argmin(1) for part in rows.split(256)])
    width = z.shape[1]
    return torch.bincount(kept * width + stillest, minlength=level.shape[1] * width).view(-1, width)
