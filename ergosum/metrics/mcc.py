"""Mean correlation coefficient: how well does the best one-to-one pairing of codes with factors fit?"""

from typing import Literal

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors
from ergosum.metrics.codes import paired, standardised

__all__ = ["correlations", "mcc"]

Correlation = Literal["spearman", "pearson"]


def mcc(latents: Values, factors: Values, correlation: Correlation = "spearman") -> float:
    r"""$\frac1F \max_\pi \sum_k |\rho(z_{\pi(k)}, v_k)|$ over one-to-one pairings (Hungarian method), in [0, 1].

    1: each factor is a monotone function of its own code (of Spearman's ranks; affine with Pearson). A rotated oracle
    scores high, 0.8 for three factors: print it beside (`reference_rows`), with independent factors only, since any
    code that follows a shared clock scores 1. Noise scores about the largest of (codes) chance correlations, each
    around $1 / \sqrt n$. On a circle (hue, angle) it sees only codes that are monotone from end to end.

    Args:
        latents: (rows, codes); a dead code correlates with nothing. factors: (rows, factors); with fewer codes than
            factors those left over count as 0.
    Raises:
        ValueError: for wrong shapes, values that are not finite, or if no factor varies.
    Source: Hyvärinen & Morioka 2016; Spearman as in the released configuration of Klindt et al. 2021. Differs: the
    released code pads factors with rows of noise up to the number of codes, here the assignment is rectangular.
    """
    z, known = paired(latents, factors, "mcc")
    from scipy.optimize import linear_sum_assignment

    size = correlations(z, known, correlation).abs()
    codes, matched = linear_sum_assignment(size.numpy(), maximize=True)
    return (size[codes, matched].sum() / known.shape[1]).item()


def correlations(a: Values, b: Values, correlation: Correlation = "spearman") -> Tensor:
    """Correlation of every column of a with every column of b: (rows, A), (rows, B) -> (A, B); 0 for constants."""
    a, b = tensors("correlations", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < 2:
        raise ValueError(f"correlations: expected the same two or more rows, got {tuple(a.shape)}, {tuple(b.shape)}.")
    if correlation not in ("spearman", "pearson"):
        raise ValueError(f"correlations: expected 'spearman' or 'pearson', got {correlation!r}.")
    if correlation == "spearman":
        a, b = _ranks(a), _ranks(b)
    return (standardised(a).T @ standardised(b) / (len(a) - 1)).clamp(-1, 1)


def _ranks(x: Tensor) -> Tensor:
    """Rank of every value in its column, 1 .. rows, float64; equal values share the mean of theirs."""
    ranks = []
    for column in x.detach().cpu().double().T:
        _, place, often = column.unique(return_inverse=True, return_counts=True)
        ranks.append((often.cumsum(0) - (often.double() - 1) / 2)[place])
    return torch.stack(ranks, 1)
