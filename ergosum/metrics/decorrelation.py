"""How far latents of different components tell the same."""

import torch
from torch import Tensor

__all__ = ["decorrelation"]


def decorrelation(latents: Tensor) -> Tensor:
    """Mean squared correlation over the batch between latents of different components; can be differentiated.

    Shape:
        latents: (batch, K, D). Returns a scalar in [0, 1]; 0 for K = 1.
    """
    batch, k, d = latents.shape
    if k < 2 or batch < 2:
        return latents.new_zeros(())
    flat = latents.flatten(1)
    flat = (flat - flat.mean(0)) / (flat.std(0) + 1e-6)
    correlation = (flat.T @ flat) / (batch - 1)
    owner = torch.arange(k, device=latents.device).repeat_interleave(d)
    return correlation[owner[:, None] != owner[None]].square().mean()
