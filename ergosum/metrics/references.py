"""Reference rows for tables of disentanglement: what a metric says of codes whose worth is known."""

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values, tensors
from ergosum.metrics.codes import standardised

__all__ = ["reference_rows"]


def reference_rows(factors: Values, generator: Generator | None = None) -> dict[str, Tensor]:
    """Latents (rows, factors) of known worth for these factors, each as wide as they are.

    `oracle`: the factors, standardised. `permuted`: the oracle in another order, with random signs and units (up to e
    times larger or smaller): every metric must say the same. `rotated`: the oracle turned, all information kept and
    no axis aligned; the rotation is that of 64 random ones whose largest entry is smallest, since one alone often lies
    near the axes when factors are few. `noise`: independent of the factors, the floor.

    Args:
        factors: (rows, factors), at least two rows. Constant factors give codes that are dead.
        generator: of signs, units, rotations and noise; PyTorch's default one if None.
    Raises:
        ValueError: for wrong shapes and factors that are not finite.
    """
    (factors,) = tensors("reference_rows", factors=factors)
    if factors.ndim != 2 or len(factors) < 2 or not factors.numel():
        raise ValueError(f"reference_rows: expected (rows, factors), at least two rows, got {tuple(factors.shape)}.")
    oracle = standardised(factors.detach().cpu().double())
    width = oracle.shape[1]
    order = torch.randperm(width, generator=generator)
    sign = 2 * torch.randint(2, (width,), generator=generator) - 1
    unit = (2 * torch.rand(width, generator=generator, dtype=torch.float64) - 1).exp()
    turns = torch.linalg.qr(torch.randn(64, width, width, generator=generator, dtype=torch.float64)).Q
    return {
        "oracle": oracle,
        "permuted": oracle[:, order] * sign * unit,
        "rotated": oracle @ turns[turns.abs().amax((1, 2)).argmin()],
        "noise": torch.randn(oracle.shape, generator=generator, dtype=torch.float64),
    }
