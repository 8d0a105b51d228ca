"""Predict the frame `lag` later by descent: the training signal of temporal energies.

$$ L = || x_N - x_{t+l} ||^2,   x_N = argmin by N steps from x_t $$

on the last step, on every step, or on the path: step n against the frame at $t + l n/N$, drawn by the true operator.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.data.record import Pairs
from ergosum.data.render import render
from ergosum.decomposer import Trajectory
from ergosum.settings import ObjectiveSettings

__all__ = ["Terms", "decorrelation", "prediction"]


class Terms(NamedTuple):
    """The loss that is differentiated, and beside it the plain errors of the last step and of copying the start."""

    loss: Tensor
    error: Tensor
    copy_error: Tensor


def prediction(settings: ObjectiveSettings, pairs: Pairs, path: Trajectory) -> Terms:
    """Loss of a trajectory against the pair it should join.

    Shape:
        path: frames of (batch, 3, side, side), the start first.
    Raises:
        ValueError: if `on` = path and the descent took no steps.
    """
    predicted = path.frames[1:]
    distance = F.mse_loss if settings.norm == "l2" else F.l1_loss
    if settings.on == "last":
        loss = distance(predicted[-1], pairs.target)
    elif settings.on == "all":
        loss = torch.stack([distance(x, pairs.target) for x in predicted]).mean()
    else:
        steps = len(predicted)
        frames = [_between(pairs, n / steps) for n in range(1, steps + 1)]
        loss = torch.stack([distance(x, f) for x, f in zip(predicted, frames, strict=True)]).mean()
    if settings.decorrelation:
        loss = loss + settings.decorrelation * decorrelation(path.latents)
    with torch.no_grad():
        error = F.mse_loss(predicted[-1].clamp(0, 1), pairs.target)
        copy_error = F.mse_loss(pairs.start, pairs.target)
    return Terms(loss, error, copy_error)


def _between(pairs: Pairs, fraction: float) -> Tensor:
    factors = pairs.before + fraction * (pairs.after - pairs.before)
    return render(pairs.digits, factors)


def decorrelation(latents: Tensor) -> Tensor:
    """Mean squared correlation over the batch between latents of different components.

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
