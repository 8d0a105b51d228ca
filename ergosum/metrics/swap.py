"""Swap consistency: components are exchanged, the image is encoded again: did they, and only they, change?"""

from typing import NamedTuple

import torch

from ergosum.metrics.arrays import Values, tensors

__all__ = ["Swap", "swap_consistency"]


class Swap(NamedTuple):
    """Three numbers in [0, 1]; 1 is best."""

    share: float
    """Of all movement, the part in swapped components: 1 if nothing else moved, 0 if nothing moved or only others."""
    arrival: float
    """How far swapped components came towards the donor's: 1 there, 0 not at all or away."""
    consistency: float
    """Share times arrival: 1 only if the swapped components alone moved and became the donor's."""


def swap_consistency(own: Values, donor: Values, recombined: Values, swapped: Values) -> Swap:
    r"""With latents a of image A, b of B, and m of the re-encoded image made of A's components, but B's for k in S:

    $$ \text{share} = \frac{\sum_{k \in S} |m_k - a_k|^2 / s_k}{\sum_k |m_k - a_k|^2 / s_k}, \qquad
       \text{arrival} = 1 - \sqrt{\frac{\sum_{k \in S} |m_k - b_k|^2 / s_k}{\sum_{k \in S} |a_k - b_k|^2 / s_k}} $$

    Sums run over the batch, so that pairs that happen to agree in what is swapped weigh nothing. $s_k$ is the mean
    squared distance of a and b in component k, so that no component counts by its unit alone; components that never
    differ (dead) are left out. An encoder of constants has nothing to swap and is refused; a renderer that ignores its
    latents leaves m far from b and scores low; unchanged m scores 0.

    Args:
        own, donor, recombined: (batch, components, latent) in one order of components; match those of encoders
            without an order first. swapped: (components,) or (batch, components), Boolean.
    Raises:
        ValueError: for wrong shapes, latents that are not finite, if all components are swapped, or if those of A and
            B are the same throughout.
    """
    own, donor, recombined, swapped = tensors(
        "swap_consistency", own=own, donor=donor, recombined=recombined, swapped=swapped
    )
    shapes = {tuple(z.shape) for z in (own, donor, recombined)}
    allowed = (tuple(own.shape[1:2]), tuple(own.shape[:2]))
    empty = own.ndim != 3 or not own.numel()
    if len(shapes) != 1 or empty or swapped.dtype != torch.bool or tuple(swapped.shape) not in allowed:
        raise ValueError(
            "swap_consistency: expected three equal (batch, components, latent) and Boolean (components,) or (batch, "
            f"components), got {sorted(shapes)} and {swapped.dtype} {tuple(swapped.shape)}."
        )
    if swapped.all():
        raise ValueError("swap_consistency: every component is swapped; one at least must stay.")
    a, b, m = own.double(), donor.double(), recombined.double()
    where = swapped.expand(a.shape[:2])
    unit = (a - b).square().sum(2).mean(0)
    scale = torch.where(unit > 0, 1 / torch.where(unit > 0, unit, 1.0), 0.0)
    moved, missed, apart = (((x - y).square().sum(2) * scale) for x, y in ((m, a), (m, b), (a, b)))
    if not apart[where].sum() > 0:
        raise ValueError("swap_consistency: the swapped components of both images are the same; nothing is swapped.")
    total = moved.sum()
    share = (moved[where].sum() / total).item() if total > 0 else 0.0
    arrival = (1 - (missed[where].sum() / apart[where].sum()).sqrt()).clamp_min(0).item()
    return Swap(share, arrival, share * arrival)
