"""How well a score tells known samples from foreign ones, whatever threshold is chosen."""

import torch

from ergosum.metrics.arrays import Values, tensors

__all__ = ["auroc"]


def auroc(known: Values, foreign: Values) -> float:
    """Probability that a known sample scores higher than a foreign one, of which ties count half.

    The area under the curve of hits against false alarms, from ranks: 1 where all known samples score higher, one half
    where the score says nothing, below it where foreign ones score higher, as brighter images often do.

    Args:
        known, foreign: scores (n,) and (m,), such as log-densities; higher means more known.
    Raises:
        ValueError: for wrong shapes, no scores, or scores that are not finite.
    Source: Mann & Whitney 1947; as the area, Hanley & McNeil 1982.
    """
    own, other = tensors("auroc", known=known, foreign=foreign)
    if own.ndim != 1 or other.ndim != 1 or not len(own) or not len(other):
        raise ValueError(f"auroc: expected scores (n,) and (m,), got {tuple(own.shape)} and {tuple(other.shape)}.")
    ordered = other.double().sort().values
    own = own.double().contiguous()
    below = torch.searchsorted(ordered, own) + torch.searchsorted(ordered, own, right=True)
    return (below.double().sum() / (2 * len(own) * len(other))).item()
