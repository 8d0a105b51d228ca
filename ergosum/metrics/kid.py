"""Kernel distance between two sets of features, as of generated and of true images."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Kid", "kid", "squared_mmd"]


class Kid(NamedTuple):
    """Mean over parts, and its standard error.

    Of equal distributions the mean is 0 within a few errors, below or above: it is unbiased, hence not clamped.
    """

    mean: float
    error: float


def kid(features: Tensor, reference: Tensor, generator: torch.Generator, parts: int = 10) -> Kid:
    r"""Squared maximum mean discrepancy with the kernel $(x \cdot y / d + 1)^3$, over disjoint random parts.

    Args:
        features, reference: (rows, d) and (other rows, d), of one extractor; at least two rows per part in each.
        parts: both sets are shuffled and cut into as many parts, which give independent values.
    Source: Bińkowski, Sutherland, Arbel & Gretton 2018 (KID; there features are Inception's). Differs: released code
    draws 100 overlapping subsets of 1,000 and quotes their spread; disjoint parts give an honest standard error.
    """
    for rows in (features, reference):
        if rows.ndim != 2 or rows.shape[1:] != features.shape[1:] or len(rows) < 2 * parts or parts < 2:
            raise ValueError(
                f"kid: expected (rows, d) twice with at least two rows for each of {parts} parts (two or more), got "
                f"{tuple(features.shape)} and {tuple(reference.shape)}."
            )
    shuffled = (
        rows.double()[torch.randperm(len(rows), generator=generator).to(rows.device)].tensor_split(parts)
        for rows in (features, reference)
    )
    values = torch.stack([squared_mmd(x, y) for x, y in zip(*shuffled, strict=True)])
    return Kid(values.mean().item(), (values.std() / parts**0.5).item())


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    r"""Unbiased estimate of the squared discrepancy of two sets (m, d) and (n, d) under $(x \cdot y / d + 1)^3$."""
    width = x.shape[1]
    xx, yy, xy = ((a @ b.T / width + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    m, n = len(x), len(y)
    return (xx.sum() - xx.trace()) / (m * (m - 1)) + (yy.sum() - yy.trace()) / (n * (n - 1)) - 2 * xy.mean()
