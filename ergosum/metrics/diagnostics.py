"""How much a set of chains knows: effective sample size, potential scale reduction, Monte-Carlo error.

Chains are (draws, chains, *event); every number is told for each coordinate of the event. A coordinate whose draws are
not all finite, or are all the same, has no such numbers: it gets NaN, and the others keep theirs.
Source: Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021, sections 3 and 4; Geyer 1992.
"""

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, as_tensor

__all__ = ["ess", "mcse", "rhat"]


def ess(draws: Values) -> Tensor:
    r"""Effective sample size of the mean: $S / (1 + 2 \sum_t \rho_t)$ for S draws in all chains.

    Autocorrelations come from the fast Fourier transform, are pooled over split chains, and are summed as long as
    sums of neighbouring pairs are positive, made monotone (Geyer's initial sequence). Larger than S for antithetic
    chains, at most S log10(S). Chains that stay in different places count for little, however fast each forgets: the
    variance that correlations are shares of is that of all chains together.

    Args:
        draws: (draws, chains, *event), at least four draws.
    Raises:
        ValueError: for fewer draws.
    Source: Vehtari et al. 2021, section 3.2.
    """
    split = _split(draws, "ess")
    length, chains = split.shape[:2]
    centred = split - split.mean(0)
    spectrum = torch.fft.rfft(centred, n=2 * length, dim=0)
    covariance = torch.fft.irfft(spectrum.abs().square(), n=2 * length, dim=0)[:length] / length
    within = (covariance[0] * length / (length - 1)).mean(0)
    pooled = within * (length - 1) / length
    if chains > 1:
        pooled = pooled + split.mean(0).var(0)
    correlation = 1 - (within - covariance.mean(1) * length / (length - 1)) / pooled
    correlation[0] = 1.0
    pairs = correlation[: length // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cumprod(0).bool()
    monotone = torch.cummin(pairs, 0).values
    time = -1 + 2 * torch.where(positive, monotone, 0.0).sum(0)
    total = length * chains
    time = time.clamp(min=1 / torch.log10(torch.tensor(float(total))))
    moved = split.flatten(0, 1).amax(0) > split.flatten(0, 1).amin(0)
    return torch.where(moved & _finite(split), total / time, torch.nan)


def rhat(draws: Values) -> Tensor:
    r"""Rank-normalised split potential scale reduction: near 1 when chains agree, larger when they do not.

    The larger of the bulk value (of rank-normalised draws) and the tail value (of rank-normalised distances from the
    median), so that it sees chains that differ in place as well as in scale.

    Args:
        draws: (draws, chains, *event), at least four draws.
    Raises:
        ValueError: for fewer draws.
    Source: Vehtari et al. 2021, section 4.1.
    """
    split = _split(draws, "rhat")
    ordered = split.flatten(0, 1).sort(0).values
    # of an even number of draws the median lies between two; torch.median takes the lower one
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    bulk, tail = _reduction(_normalised(split)), _reduction(_normalised((split - median).abs()))
    # draws of two values only are all as far from the median: then there is no tail value, and the bulk's counts
    return torch.where(_finite(split), torch.fmax(bulk, tail), torch.nan)


def mcse(draws: Values) -> Tensor:
    """Monte-Carlo standard error of each coordinate's mean: standard deviation over the root of `ess`.

    Args:
        draws: (draws, chains, *event), at least four draws.
    Raises:
        ValueError: for fewer draws.
    """
    draws = as_tensor(draws, "mcse", "draws")
    size = ess(draws)
    return (draws if draws.is_floating_point() else draws.double()).flatten(0, 1).std(0) / size.sqrt()


def _split(draws: Values, name: str) -> Tensor:
    """Each chain cut in two halves, so that a drift within it shows."""
    draws = as_tensor(draws, name, "draws")
    if draws.ndim < 2 or len(draws) < 4:
        raise ValueError(f"{name}: expected (draws, chains, *event) with at least 4 draws, got {tuple(draws.shape)}.")
    half = len(draws) // 2
    return torch.cat([draws[:half], draws[len(draws) - half :]], 1).double()


def _finite(split: Tensor) -> Tensor:
    """Which coordinates have finite draws only: (*event)."""
    return split.isfinite().flatten(0, 1).all(0)


def _reduction(split: Tensor) -> Tensor:
    length = len(split)
    within = split.var(0).mean(0)
    between = length * split.mean(0).var(0)
    return (((length - 1) / length * within + between / length) / within).sqrt()


def _normalised(split: Tensor) -> Tensor:
    """Draws replaced by normal scores of their ranks among all chains; ties share the mean of their ranks."""
    flat = split.flatten(0, 1)
    ordered = flat.sort(0).values.movedim(0, -1).contiguous()
    across = flat.movedim(0, -1).contiguous()
    low = torch.searchsorted(ordered, across)
    high = torch.searchsorted(ordered, across, right=True)
    rank = ((low + 1 + high).to(flat.dtype) / 2).movedim(-1, 0)
    scores = torch.special.ndtri((rank - 0.375) / (len(flat) + 0.25))
    return scores.reshape(split.shape)
