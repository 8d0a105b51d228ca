r"""Score matching by denoising, with the time score that normalises.

With $x_\sigma = x + \sigma z$ and $L = \log p_\sigma$, both of

$$ \left\| \sigma \nabla_x L + z \right\|^2 / D, \qquad
   \left( \frac{\partial L}{\partial \log \sigma} - (\|z\|^2 - D) \right)^2 / D^2 $$

are least, on average, for the true log-density: of the first only its gradient in x, level by level; of the second its
change from level to level, which ties every level, and so every condition and every mode, to the Gaussian that the
energy is anchored to. Both come from one call of autograd.

With `even`, each level's terms are divided by the noise that is left in them for Gaussian data of the family's
deviation, $g = s_d^2 / v$ of the first and $g (2 - g)$ of the second, so that each level counts alike. Without, high
levels, whose noise is small, count for little, and the errors of scale that are made there are handed down the levels.

Source: Vincent 2011, section 4 (denoising); Guth, Kadkhodaie & Simoncelli 2025 (both, for the variance $\sigma^2$; in
$\log \sigma$ their second target is ours, over the same D); Karras et al. 2022 (the weight 1 / g of the first; that of
the second is ours).
"""

import torch
from torch import Generator, Tensor

from ergosum.density.objective import Objective
from ergosum.training.task import Losses

__all__ = ["DenoisingScore"]


class DenoisingScore(Objective):
    """Denoising score matching plus `time` times the time score.

    Args:
        time: weight of the time score, >= 0; 0 leaves the densities of conditions and of separated modes without a
            common scale. begin: share of training at which it begins to act, 0 .. 1; it grows to its weight over the
            next tenth. even: whether each level counts alike, for log Z, or each unit of noise, for samples.
    Raises:
        ValueError: for settings out of range.
    """

    def __init__(self, time: float = 1.0, begin: float = 0.0, even: bool = False) -> None:
        if not time >= 0 or not 0 <= begin <= 1:
            raise ValueError(f"DenoisingScore: expected time >= 0 and 0 <= begin <= 1, got {time!r} and {begin!r}.")
        self.time, self.begin, self.even = time, begin, even

    def weight(self, progress: float) -> float:
        """Weight of the time score at a time of training."""
        return self.time * min(1.0, max(0.0, (progress - self.begin) / 0.1)) if progress < 1 else self.time

    def loss(self, family: "torch.nn.Module", x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """Both losses at one level for each sample; the error is that of denoising, the reference the Gaussian's."""
        log_sigma = family.levels(len(x), generator)  # type: ignore[operator]
        noisy, z = family.noised(x, log_sigma, generator)  # type: ignore[operator]
        weight = self.weight(progress)
        score, change = slopes(family, noisy, log_sigma, c, change=weight > 0)
        size = z[0].numel()
        denoising = (score + z).square().flatten(1).sum(1) / size
        y, level = family.placed(noisy, log_sigma)  # type: ignore[operator]
        reference = (z - level.sigma * y / level.spread**2).square().flatten(1).sum(1) / size
        health = {}
        share = level.gate.flatten() ** 2 if self.even else torch.ones_like(denoising)
        loss = (denoising / share).mean()
        if change is not None:
            timing = ((change - (z.square().flatten(1).sum(1) - size)) / size).square()
            loss = loss + weight * (timing / (share * (2 - share))).mean()
            health["time"] = timing.mean().detach()
        return Losses(loss, denoising.mean().detach(), reference.mean().detach(), health=health)


def slopes(
    family: "torch.nn.Module", noisy: Tensor, log_sigma: Tensor, c: Tensor, change: bool = True
) -> tuple[Tensor, Tensor | None]:
    """$\\sigma \\nabla_x L$, and $\\partial L / \\partial \\log \\sigma$ if asked for, with their graphs."""
    with torch.enable_grad():
        noisy = noisy.detach().requires_grad_()
        clock = log_sigma.detach().requires_grad_(change)
        told = family.log_density(noisy, clock, c).sum()  # type: ignore[operator]
        found = torch.autograd.grad(told, (noisy, clock) if change else (noisy,), create_graph=True)
    sigma = log_sigma.exp().reshape(-1, *[1] * (noisy.ndim - 1))
    return sigma * found[0], found[1] if change else None
