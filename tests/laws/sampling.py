"""The laws of sampling as functions of a sampler: tests assert them, and broken samplers must fail them."""

import math
from typing import Any

import torch
from kernels import TARGETS, Target, z_scores
from torch import Tensor

from ergosum.energies.gaussian import Gaussian
from ergosum.samplers.chain import run, sample
from ergosum.samplers.hmc import Hmc

SIGMAS = 4.0


def leaves_its_target_as_it_is(sampler: Any, target: Target, seed: int = 0) -> None:
    """Chains that start as exact draws are exact draws after m steps: every statistic's mean within 4 standard errors.

    Sharper and cheaper than waiting for convergence; a bias of 5 % of a variance shows at n = 20,000 after few steps.
    """
    generator = torch.Generator().manual_seed(seed)
    energy = target.energy()
    start = target.draw(energy, target.n, generator)
    truth = target.draw(energy, 4 * target.n, generator)
    kept = sample(sampler, energy, start, target.steps, keep=target.steps, generator=generator).x
    assert not torch.equal(kept, start), "nothing moved"
    worst = z_scores(energy, kept, truth).abs().max().item()
    assert worst < SIGMAS, f"{worst:.1f} standard errors"


def every_chain_has_an_accept_test_of_its_own(sampler: Any, seed: int = 0) -> None:
    """Given the proposals, acceptances of different chains are independent.

    With probabilities p_i the number accepted has variance sum p_i (1 - p_i); over S steps the mean of its squared
    z-score is 1 with standard error sqrt(2 / S) (the chains are many, so their sum is near Gaussian).
    """
    generator = torch.Generator().manual_seed(seed)
    energy = TARGETS["Gaussian, 1-D"].energy()
    x, squares, steps = TARGETS["Gaussian, 1-D"].draw(energy, 2_000, generator), [], 300
    for step in run(sampler, energy, x, steps, generator=generator):
        p = step.info.acceptance[: len(x)]
        moved = (step.x != x).flatten(1).any(1)
        squares.append((moved.sum() - p.sum()).square() / (p * (1 - p)).sum().clamp(min=1e-9))
        x = step.x
    mean = torch.stack(squares).mean().item()
    assert abs(mean - 1) < SIGMAS * (2 / steps) ** 0.5, f"mean squared z-score {mean:.2f} of the acceptances"


def acceptance_tends_to_one(make: Any, order: int, seed: int = 0) -> None:
    """The smaller the step, the surer it is accepted: the share that is refused goes as width**order.

    Between widths 0.1 and 0.01 its logarithm to base 10 falls by the order, within four standard errors of the two
    means and 0.05 for the next power of the width, whose part of the share is of the order of the width 0.1. Both
    widths have the same noise, and with it the same random lengths of trajectories, which all chains share.
    """
    energy = TARGETS["Gaussian images"].energy()
    x = TARGETS["Gaussian images"].draw(energy, 1_000, torch.Generator().manual_seed(seed))
    refused, error = [], 0.0
    for width in (1e-1, 1e-2):
        noise = torch.Generator().manual_seed(seed + 1)
        share = 1 - sample(make(width), energy, x, 5, generator=noise).acceptance
        refused.append(share.mean())
        error += (share.var() / len(share) / share.mean() ** 2).item()
    found = (refused[0] / refused[1]).log10().item()
    tolerance = SIGMAS * error**0.5 / math.log(10) + 0.05
    assert abs(found - order) < tolerance, f"refused with order {found:.2f} of the step, not {order} +- {tolerance:.2f}"


def goes_back_the_way_it_came(hmc: Hmc, leap: Any) -> None:
    """The leapfrog map with its momentum flip is its own inverse, and keeps energy plus kinetic energy to O(step^2)."""
    energy = Gaussian(torch.zeros(2, dtype=torch.float64), torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    x, p = (torch.randn(5, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    there, flipped = leap(hmc, energy, hmc.init(energy, x), p.clone(), 7)
    back, again = leap(hmc, energy, there, flipped.clone(), 7)
    torch.testing.assert_close(back.x, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(again, p, rtol=1e-9, atol=1e-9)


def variance_of_ula(h: float, temperature: float, variance: float = 1.0) -> float:
    """The law of x' = (1 - h / s^2) x + sqrt(2 h T) eps, exactly."""
    keep = 1 - h / variance
    return 2 * h * temperature / (1 - keep**2)


def z_of_variance(x: Tensor, variance: float) -> float:
    """(sample variance - variance) in standard errors, for a Gaussian of known mean 0."""
    return (x.square().mean() - variance).item() / (variance * (2 / x.numel()) ** 0.5)
