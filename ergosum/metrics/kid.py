"""Kernel distance between two sets of features, as of generated and of true images."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["Kid", "kid", "squared_mmd"]


class Kid(NamedTuple):
    """Mean over parts, and its standard error.

    Of equal distributions the mean is 0 within a few errors, below or above: it is unbiased, hence not clamped.
    """

    mean: float
    error: float


def kid(features: Values, reference: Values, generator: Generator | None = None, parts: int = 10) -> Kid:
    r"""Squared maximum mean discrepancy with the kernel $(x \cdot y / d + 1)^3$, over disjoint random parts.

    Args:
        features, reference: (rows, d) and (other rows, d), of one extractor; at least two rows per part in each.
        generator: of the order in which rows are cut; PyTorch's default one if None.
        parts: both sets are shuffled and cut into as many parts, which give independent values.
    Raises:
        ValueError: for wrong shapes, features that are not finite, or reference features that are all the same, which
            tell nothing of any image.
    Source: Bińkowski, Sutherland, Arbel & Gretton 2018 (KID; there features are Inception's). Differs: released code
    draws 100 overlapping subsets of 1,000 and quotes their spread; disjoint parts give an honest standard error.
    """
    features, reference = tensors("kid", features=features, reference=reference)
    for rows in (features, reference):
        if rows.ndim != 2 or rows.shape[1:] != features.shape[1:] or len(rows) < 2 * parts or parts < 2:
            raise ValueError(
                f"kid: expected (rows, d) twice with at least two rows for each of {parts} parts (two or more), got "
                f"{tuple(features.shape)} and {tuple(reference.shape)}."
            )
    if (reference == reference[:1]).all():
        raise ValueError("kid: all reference features are the same; this extractor cannot tell images apart.")
    shuffled = (
        rows.double()[torch.randperm(len(rows), generator=generator).to(rows.device)].tensor_split(parts)
        for rows in (features, reference)
    )
    values = torch.stack([squared_mmd(x, y) for x, y in zip(*shuffled, strict=True)])
    return Kid(values.mean().item(), (values.std() / parts**0.5).item())


def squared_mmd(x: Values, y: Values) -> Tensor:
    r"""Unbiased estimate of the squared discrepancy of two sets (m, d) and (n, d) under $(x \cdot y / d + 1)^3$."""
    x, y = tensors("squared_mmd", x=x, y=y)
    if x.ndim != 2 or x.shape[1:] != y.shape[1:] or min(len(x), len(y)) < 2:
        raise ValueError(f"squared_mmd: expected (m, d) and (n, d), m, n >= 2; got {tuple(x.shape)}, {tuple(y.shape)}.")
    width = x.shape[1]
    xx, yy, xy = ((a @ b.T / width + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    m, n = len(x), len(y)
    return (xx.sum() - xx.trace()) / (m * (m - 1)) + (yy.sum() - yy.trace()) / (n * (n - 1)) - 2 * xy.mean()
