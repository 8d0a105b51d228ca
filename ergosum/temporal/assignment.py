"""How unlabelled energies share the factors: do they separate, or do all the same?"""

from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ergosum.data.record import Pairs
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING
from ergosum.metrics.reader import read_factors
from ergosum.metrics.response import levels_moved
from ergosum.part import Part

__all__ = ["READABLE", "assignment"]

READABLE = 0.4
"""Smallest scale that is asked about: a smaller digit, under 8 of 28 pixels high, is too coarse to be read."""
SCALES = (0.1, 2.0)
"""Scales that the reader tries, a little more than data have (0.1 .. 1.8), so that an overgrown digit reads as one."""


@torch.no_grad()
def assignment(predictor: nn.Module, data: Part[Any], source: str, n: int, seed: int) -> dict[str, Any]:
    """Response of each energy alone to lockstep pairs, and the share under the best assignment of energies to factors.

    Chance level of the share is one over the number of factors; a value near 1 would mean that they separated.

    Args:
        predictor: energies by any names. data: what they were trained on; lag, start, scales and canvas are taken from
        it, while all three factors move together, forwards, by whole levels.
    """
    names = list(predictor.components)  # type: ignore[arg-type]
    pairs = _readable_pairs(data, source, n, seed)
    matrix = torch.stack([_response(predictor, k, pairs, data.get("lag")) for k in range(len(names))])
    share = matrix / matrix.sum(1, keepdim=True).clamp_min(1e-9)
    first, second = linear_sum_assignment(-share.numpy())
    return {
        "response": matrix.tolist(),
        "response_rows": names,
        "response_factors": list(FACTORS),
        "assigned_share": share[first, second].mean().item(),
        "assignment": {names[i]: FACTORS[j] for i, j in zip(first.tolist(), second.tolist(), strict=True)},
    }


def _readable_pairs(data: Part[Any], source: str, n: int, seed: int) -> Pairs:
    lockstep = data.but(source=source, factors=FACTORS, mode="lockstep", signs="forward", continuous=False)
    pairs = lockstep.build(split="test").pairs(n, torch.Generator().manual_seed(seed))
    keep = pairs.before[:, 2] >= READABLE
    return Pairs(*(v[keep] for v in pairs))


def _response(predictor: nn.Module, k: int, pairs: Pairs, lag: int) -> Tensor:
    """Mean absolute levels per frame that each factor moves while energy k acts alone."""
    frames = predictor.predict(pairs.start, moves=pairs.moves, active=[k])  # type: ignore[operator]
    read = read_factors(frames, pairs.digits, render, SCALES).factors
    return levels_moved(pairs.before, read, SPACING).abs().mean(0) / lag
