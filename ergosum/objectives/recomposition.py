r"""Recompose a picture by descent from noise: the training signal of unsupervised decomposition.

$$ L = \|x_N - x\|^2, \quad x_n = x_{n-1} - h \nabla \sum_k E(x_{n-1}; z_k), \quad z = Enc(x), \quad x_0 \sim U $$

on the last step (what COMET's released code does) or on every step (what its paper says). `area` times the part of
the picture that components with a place hold is added: what is everywhere explains all that it can. `indecision` times
the entropy of the masks is added: of two components on one object, one lets go. Noisy latents pay for what they say
(`objectives/bottleneck.py`).

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, equation (1) and algorithm 1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.decomposer import Trajectory
from ergosum.objectives.bottleneck import divergence, total_correlation
from ergosum.objectives.prediction import Terms, decorrelation
from ergosum.settings import ObjectiveSettings

__all__ = ["recomposition"]


def recomposition(
    settings: ObjectiveSettings, pictures: Tensor, path: Trajectory, rows: int = 1, progress: float = 1.0
) -> Terms:
    """Loss of a trajectory against the pictures it should end in.

    `Terms.copy_error` is the error of the batch's mean picture: what a model that ignores its input can reach.

    Args:
        rows: pictures in the data set, for the total correlation of noisy latents. progress: of training, 0 .. 1; what
            masks cost grows with it to its price at `settings.ramp`.
    Shape:
        pictures: (batch, 3, side, side) in [0, 1]. path: frames of that shape, the noise first.
    """
    made = path.frames[1:]
    distance = F.mse_loss if settings.norm == "l2" else F.l1_loss
    if settings.on == "last":
        loss = distance(made[-1], pictures)
    else:
        loss = torch.stack([distance(x, pictures) for x in made]).mean()
    if path.posterior is not None:
        mean, log_variance = path.posterior
        loss = loss + settings.divergence * divergence(mean, log_variance).mean()
        if settings.correlation:
            together = total_correlation(path.latents[:, :, : mean.shape[2]], mean, log_variance, rows)
            loss = loss + settings.correlation * together
    share = min(1.0, progress / settings.ramp) if settings.ramp else 1.0
    if path.masks is not None and settings.area:
        loss = loss + share * settings.area * (path.masks.mean((2, 3)) * path.latents[:, :, -1]).sum(1).mean()
    if path.masks is not None and settings.indecision:
        loss = loss - share * settings.indecision * torch.special.xlogy(path.masks, path.masks).sum(1).mean()
    if settings.decorrelation:
        loss = loss + settings.decorrelation * decorrelation(path.latents)
    with torch.no_grad():
        error = F.mse_loss(made[-1].clamp(0, 1), pictures)
        mean_error = F.mse_loss(pictures.mean(0, keepdim=True).expand_as(pictures), pictures)
    return Terms(loss, error, mean_error)
