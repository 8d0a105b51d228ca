"""Mutual information gap: does one code alone know each factor?"""

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors
from ergosum.metrics.codes import binned, levels, paired

__all__ = ["mig", "mutual_information"]


def mig(latents: Values, factors: Values, bins: int = 20) -> float:
    r"""$\frac1F \sum_k (I(z_{(1)}; v_k) - I(z_{(2)}; v_k)) / H(v_k)$ with the two codes that know most of $v_k$.

    1: each factor is known to exactly one code; 0: to none, or to two alike. In [0, 1]. A single code is compared with
    one that knows nothing.
    On rows where factors move in lockstep one code that knows the clock and nothing else scores near 1: use
    independent factors. Information from n rows is too large by about (bins - 1)(levels - 1) / 2 n nats.

    Args:
        latents: (rows, codes), cut into `bins` bins of equal width. factors: (rows, factors), levels.
    Raises:
        ValueError: for wrong shapes, values that are not finite, factors without levels or of which none varies.
    Source: Chen et al. 2018, eq. 6. Differs: as in disentanglement_lib, the codes are point values in bins (the paper
    integrates over the posterior); factors that do not vary are left out.
    """
    z, known = paired(latents, factors, "mig")
    level = levels(known, "mig")
    information = mutual_information(binned(z, bins), level)
    entropy = mutual_information(level, level).diagonal()
    best = torch.cat([information, torch.zeros(1, len(entropy), dtype=torch.float64)]).topk(2, 0).values
    return ((best[0] - best[1]) / entropy).mean().item()


def mutual_information(a: Values, b: Values) -> Tensor:
    """Mutual information [nats] of every column of a with every column of b, from their counts (the plug-in value).

    Shape:
        a: (rows, A), b: (rows, B), whole numbers from 0. Returns (A, B), never negative.
    Raises:
        ValueError: for other shapes or numbers.
    """
    a, b = tensors("mutual_information", a=a, b=b)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or not a.numel() or not b.numel():
        raise ValueError(f"mutual_information: expected the same rows, got {tuple(a.shape)} and {tuple(b.shape)}.")
    if any((x < 0).any() or x.is_floating_point() for x in (a, b)):
        raise ValueError("mutual_information: expected whole numbers from 0; cut codes with `ergosum.metrics.binned`.")
    high = int(b.max()) + 1
    size = (int(a.max()) + 1) * high
    rows = [[_information(torch.bincount(x * high + y, minlength=size).view(-1, high)) for y in b.T] for x in a.T]
    return torch.tensor(rows, dtype=torch.float64)


def _information(counts: Tensor) -> float:
    joint = counts.double() / counts.sum()
    apart = joint.sum(1, keepdim=True) * joint.sum(0)
    return torch.special.xlogy(joint, torch.where(joint > 0, joint / apart, 1.0)).sum().clamp_min(0).item()
