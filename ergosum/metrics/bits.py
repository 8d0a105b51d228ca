r"""Densities of images in the unit that they are compared in: bits per dimension.

$$ b = -\frac{\log p(x)}{D \log 2} - \log_2 w $$

for a log-density in nats over D numbers x, where w is the width of a level in the units of x: 2 / 255 of 8-bit images
scaled to -1 .. 1. A density that is even over all 256 levels has 8 bits. The density of *noised* images has a value for
its level of noise, and figures of different levels cannot be compared.
"""

import math

from ergosum.metrics.arrays import Values, tensors

__all__ = ["bits_per_dimension"]


def bits_per_dimension(log_density: Values, dimensions: int, width: float = 2 / 255) -> float:
    """Mean bits per dimension of log-densities in nats.

    Args:
        log_density: (n,), of each image. dimensions: D >= 1, numbers per image. width: w > 0, of a level in units of x;
            1 for the density itself.
    Raises:
        ValueError: for wrong shapes, values that are not finite, or numbers out of range.
    """
    (held,) = tensors("bits_per_dimension", log_density=log_density)
    if held.ndim != 1 or not len(held) or dimensions < 1 or not (math.isfinite(width) and width > 0):
        raise ValueError(
            f"bits_per_dimension: expected log-densities (n,), D >= 1 and a width > 0, got {tuple(held.shape)}, "
            f"{dimensions} and {width}."
        )
    return -held.double().mean().item() / (dimensions * math.log(2)) - math.log2(width)
