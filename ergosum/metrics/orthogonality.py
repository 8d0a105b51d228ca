"""How far latents of different components point the same way."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["squared_cosine"]


def squared_cosine(latents: Tensor) -> Tensor:
    """Mean squared cosine between the latents of different components of one sample; can be differentiated.

    Where latents are standard normal and independent it is 1 / D on average. Unlike the decorrelation over a batch, it
    is 0 for constant latents at right angles, and it is 1 for latents of one number, whatever they are.

    Shape:
        latents: (batch, K, D). Returns a scalar in [0, 1]; 0 for K = 1, or without samples. Zero latents count as 0.
    """
    batch, k, _ = latents.shape
    if k < 2 or not batch:
        return latents.new_zeros(())
    unit = F.normalize(latents, dim=2)
    cosine = unit @ unit.mT
    other = ~torch.eye(k, dtype=torch.bool, device=latents.device)
    return cosine[:, other].square().mean()
