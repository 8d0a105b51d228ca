"""Latents and true factors as the metrics of disentanglement take them: one row per image, on the CPU, in float64.

Latents are (rows, codes), a set of K codes of width D flattened to K D by the caller; factors are (rows, factors).
A factor that is constant on these rows says nothing and is left out; a code that is constant (dead) stays and counts
as one that carries nothing.
"""

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["binned", "levels", "paired", "parted", "seed", "split", "standardised"]

MOST_LEVELS = 64


def paired(latents: Values, factors: Values, name: str, least: int = 1) -> tuple[Tensor, Tensor]:
    """Both as float64 on the CPU, without the factors that are constant; `name` is the metric that an error names.

    Raises:
        ValueError: unless both are (rows, columns) with the same rows, at least two, all finite, and at least `least`
            factors vary.
    """
    latents, factors = (x.detach().cpu().double() for x in tensors(name, latents=latents, factors=factors))
    shaped = latents.ndim == factors.ndim == 2 and len(latents) == len(factors) > 1
    if not shaped or not latents.numel():
        raise ValueError(
            f"{name}: expected latents (rows, codes) and factors (rows, factors) of the same two or more rows, got "
            f"{tuple(latents.shape)} and {tuple(factors.shape)}. Flatten sets of latents first."
        )
    varying = (factors != factors[:1]).any(0)
    if varying.sum() < least:
        raise ValueError(f"{name}: needs at least {least} factors that vary, got {int(varying.sum())}.")
    return latents, factors[:, varying]


def parted(
    latents: Values, factors: Values, name: str, generator: Generator | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What metrics that learn start from: latents, levels of two or more factors, rows to fit on, rows to judge on."""
    z, known = paired(latents, factors, name, least=2)
    return z, levels(known, name), *split(len(z), generator)


def standardised(values: Values) -> Tensor:
    """Columns of (rows, columns) with mean 0 and standard deviation 1; constant columns become 0."""
    (values,) = tensors("standardised", values=values)
    values = values if values.is_floating_point() else values.double()
    centred = values - values.mean(0)
    spread = values.std(0)
    constant = (values == values[:1]).all(0) | (spread == 0)
    return torch.where(constant, 0.0, centred / torch.where(constant, 1.0, spread))


def levels(factors: Values, name: str = "levels") -> Tensor:
    """Each column's distinct values numbered 0, 1, ... in their order: (rows, columns), whole numbers.

    Raises:
        ValueError: for a column of more than 64 distinct values, which is continuous; `binned` cuts it.
    """
    (factors,) = tensors(name, factors=factors)
    numbered = [column.unique(return_inverse=True)[1] for column in factors.unbind(1)]
    most = max(int(column.max()) + 1 for column in numbered)
    if most > MOST_LEVELS:
        raise ValueError(
            f"{name}: a factor has {most} distinct values, at most {MOST_LEVELS} are levels. Cut continuous factors "
            "with `ergosum.metrics.binned`."
        )
    return torch.stack(numbered, 1)


def binned(values: Values, bins: int) -> Tensor:
    """Each column of (rows, columns) cut into `bins` bins of equal width between its extremes: whole numbers < bins.

    A constant column lies in bin 0. It makes levels of continuous factors for the metrics that need levels.
    """
    (values,) = tensors("binned", values=values)
    if bins < 1:
        raise ValueError(f"binned: expected at least one bin, got {bins}.")
    low, high = values.amin(0), values.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    return ((values - low) / width * bins).long().clamp(0, bins - 1)


def split(rows: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Row numbers in random order, two thirds to fit on and one third to judge on (10,000 and 5,000 in the papers)."""
    order = torch.randperm(rows, generator=generator)
    fit = max(1, round(rows * 2 / 3))
    return order[:fit], order[fit:]


def seed(generator: Generator | None = None) -> int:
    """A whole number drawn from the generator, for learners that take a `random_state`."""
    return int(torch.randint(2**31 - 1, (), generator=generator))
