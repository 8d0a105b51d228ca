r"""How far the rest of codes tells values: a measure that a codec lowers, without a network that guesses.

With a kernel k of codes and l of values, over images drawn at random with codes z, z' and values v, v', v'',

$$ \mathrm{HSIC} = E[k(z, z')\, l(v, v')] + E[k(z, z')]\, E[l(v, v')] - 2\, E[k(z, z')\, l(v, v'')], $$

which is 0 if and only if codes and values are independent, with kernels as ours. A network that guesses values, and an
encoder that hides them from it, chase each other: what one network no longer guesses, a fresh one may.

Source: Gretton et al. 2005, there by expectations of kernels; the unbiased estimate is that of Song et al. 2007; codes
that are kept independent of a value by it, Lopez et al. 2018; a kernel of codes that is a sum over scales, Tolstikhin
et al. 2018. Differs: divided by the mean of l, so that attributes of few and of many values count alike.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ergosum.concepts.code_parts import centred
from ergosum.data.attributed import Attribute, columns

__all__ = ["closeness", "hsic", "told_by"]

SCALES = (0.1, 0.5, 2.0, 10.0)
"""s, of the squared distance 2 D of two codes of a normal distribution."""
FEWEST = 4
"""Images that the estimate needs."""


def closeness(codes: Tensor) -> Tensor:
    r"""The mean over s of $1 / (1 + |z - z'|^2 / (2 D s))$ of codes (n, D), in units of their deviation, (n, n).

    Else numbers that tell values would hide by being small, beside others that are large and tell nothing.
    """
    scaled = codes / codes.std(0).clamp(min=1e-4)
    squared = (scaled[:, None] - scaled[None]).square().sum(2)
    kernels = [1 / (1 + squared / (2 * codes.shape[1] * s)) for s in SCALES]
    return sum(kernels, torch.zeros_like(squared)) / len(SCALES)


def alike(attribute: Attribute, values: Tensor) -> Tensor:
    """1 where two images show the same named value, 0 elsewhere; of numbers exp(-d^2 / 2), d in deviations of uniform
    ones. values: (n, columns of the attribute). Returns (n, n).
    """
    if attribute.values:
        return (values == values.T).to(values)
    told = centred(values)
    return (-(told[:, None] - told[None]).square().sum(2) / 2).exp()


def hsic(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """The unbiased estimate from two kernels (n, n) of the same n >= 4 images; what is on their diagonals is not used.

    Raises:
        ValueError: for other shapes, or fewer images.
    """
    n = len(k)
    if k.shape != (n, n) or l.shape != (n, n) or n < FEWEST:
        raise ValueError(f"hsic: expected two (n, n), n >= {FEWEST}, got {tuple(k.shape)} and {tuple(l.shape)}.")
    others = 1 - torch.eye(n).to(k)
    k, l = k * others, l * others  # noqa: E741
    both = (k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ l.sum(0))
    return both / (n * (n - 3))


def told_by(rest: Tensor, attributes: Sequence[Attribute], values: Tensor) -> Tensor:
    """How far codes (n, D) tell values (n, columns): for each attribute `hsic` over the mean of the values' kernel, of
    the images of which it is told, summed; about 0 if it is told of fewer than four.
    """
    told = rest.new_zeros(())
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        known = ~values[:, column].isnan().any(1)
        n = int(known.sum())
        if n >= FEWEST:
            same = alike(attribute, values[known][:, column])
            mean = same.fill_diagonal_(0).sum() / (n * (n - 1))
            told = told + hsic(closeness(rest[known]), same) / mean.clamp(min=1e-3)  # 0 where no two are alike
    return told
