r"""A classifier whose logits are a density, without chains: denoising score matching of the marginal, cross-entropy.

With $x_\sigma = x + \sigma z$,

$$ \left\| \sigma \nabla_x \log \sum_c p_\sigma(x_\sigma, c) + z \right\|^2 / D
   \;+\; w \, [-\log p_\sigma(c | x_\sigma)] $$

The first learns what images look like, the second which class they are of, at every noise level.

Source: Vincent 2011 (denoising); Grathwohl et al. 2020 (logits as energies); Guo et al. 2023, EGC (both at once).
"""

from math import isfinite
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.density.objective import Objective
from ergosum.energy import summed
from ergosum.training.task import Losses

__all__ = ["DenoisingJem"]


class DenoisingJem(Objective):
    """Denoising of the marginal plus `weight` times the cross-entropy of the classes.

    Args:
        weight: of the cross-entropy, in denoising error per dimension and nat, >= 0.
    Raises:
        ValueError: if the weight is negative; from losses, if the family has no logits (`LevelLogits`).
    """

    def __init__(self, weight: float = 0.05) -> None:
        if not (isfinite(weight) and weight >= 0):
            raise ValueError(f"DenoisingJem: expected weight >= 0, got {weight!r}.")
        self.weight = weight

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """Both losses at one level for each sample; the error is that of denoising, the reference the Gaussian's."""
        if not hasattr(family, "joint"):
            raise ValueError(f"DenoisingJem trains LevelLogits; got {type(family).__name__} as model.family.")
        log_sigma = family.levels(len(x), generator)
        noisy, z = family.noised(x, log_sigma, generator)
        with torch.enable_grad():
            noisy = noisy.detach().requires_grad_()
            told = family.joint(noisy, log_sigma)
            (slope,) = torch.autograd.grad(told.logsumexp(1).sum(), noisy, create_graph=True)
        sigma = log_sigma.exp().reshape(-1, *[1] * (x.ndim - 1))
        size = z[0].numel()
        denoising = summed((sigma * slope + z).square()) / size
        y, level = family.placed(noisy.detach(), log_sigma)
        reference = summed((z - level.sigma * y / level.spread**2).square()) / size
        known = c >= 0
        loss, health = denoising.mean(), {}
        if known.any():
            entropy = F.cross_entropy(told[known], c[known])
            loss = loss + self.weight * entropy
            health["cross_entropy"] = entropy.detach()
        return Losses(loss, denoising.detach().mean(), reference.mean(), health=health)
