r"""Recompose an image by descent from noise: the training signal of unsupervised decomposition.

$$ L = \|x_N - x\|^2, \quad x_n = x_{n-1} - h \nabla \sum_k E(x_{n-1}; z_k), \quad z = Enc(x), \quad x_0 \sim U $$

on the last step (what COMET's released code does) or on every step (what its paper says). `foreground_area` times the
part of the image that components with a place hold is added: what is everywhere explains all that it can.
`mask_entropy` times the entropy of the masks is added: of two components on one object, one lets go. Stochastic latents
pay for what they tell (`bottleneck.py`).

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, equation (1) and algorithm 1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.decomposer import Trajectory
from ergosum.decomposition.bottleneck import divergence, total_correlation
from ergosum.metrics.decorrelation import decorrelation
from ergosum.training.task import Losses

__all__ = ["RecompositionLoss", "RecompositionObjective"]


class RecompositionObjective:
    """What a recomposed image is compared with: the base class of objectives of images, yours included."""

    def __call__(self, images: Tensor, path: Trajectory, rows: int = 1, progress: float = 1.0) -> Losses:
        """Loss, plain error, error of the mean image; `rows` is the size of the dataset, `progress` 0 .. 1."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RecompositionLoss(RecompositionObjective):
    """Error of a trajectory against the images it should end in, and the weights of what is added to it.

    Raises:
        ValueError: if a weight is negative, or the warm-up outside of 0 .. 1.
    """

    on: Literal["last", "all"] = "last"
    """Loss on the last step, or on every step."""
    norm: Literal["l2", "l1"] = "l2"
    """Squared or absolute pixel error."""
    decorrelation: float = 0.0
    """Weight of the squared correlations between latents of different components, >= 0."""
    kl_weight: float = 0.0
    """Weight (beta) of the divergence of stochastic latents from a standard normal, in mean squared error per nat."""
    tc_weight: float = 0.0
    """Weight of the total correlation between all numbers of stochastic latents, in mean squared error per nat."""
    foreground_area: float = 0.0
    """Weight of the area that components with a place hold, in mean squared error, >= 0."""
    mask_entropy: float = 0.0
    """Weight of the entropy of masks, in mean squared error per nat, >= 0 (experts only)."""
    warm_up: float = 0.0
    """Part of training in which the weights of area and mask entropy grow from nothing, 0 .. 1."""

    def __post_init__(self) -> None:
        for name, known in {"on": ("last", "all"), "norm": ("l2", "l1")}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"objective.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}.")
        for name in ("decorrelation", "kl_weight", "tc_weight", "foreground_area", "mask_entropy"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"objective.{name}: expected a number >= 0, got {getattr(self, name)!r}.")
        if not 0 <= self.warm_up <= 1:
            raise ValueError(f"objective.warm_up: expected 0 .. 1, got {self.warm_up!r}.")

    def __call__(self, images: Tensor, path: Trajectory, rows: int = 1, progress: float = 1.0) -> Losses:
        """Loss, error of the last step, and as reference the error of the batch's mean image.

        Args:
            rows: images in the dataset, for the total correlation of stochastic latents. progress: of training, 0 .. 1.
        Shape:
            images: (batch, 3, side, side) in [0, 1]. path: frames of that shape, the noise first.
        """
        made = path.frames[1:]
        distance = F.mse_loss if self.norm == "l2" else F.l1_loss
        if self.on == "last":
            loss = distance(made[-1], images)
        else:
            loss = torch.stack([distance(x, images) for x in made]).mean()
        if path.posterior is not None:
            mean, log_variance = path.posterior
            loss = loss + self.kl_weight * divergence(mean, log_variance).mean()
            if self.tc_weight:
                together = total_correlation(path.latents[:, :, : mean.shape[2]], mean, log_variance, rows)
                loss = loss + self.tc_weight * together
        share = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        if path.masks is not None and self.foreground_area:
            held = (path.masks.mean((2, 3)) * path.latents[:, :, -1]).sum(1).mean()
            loss = loss + share * self.foreground_area * held
        if path.masks is not None and self.mask_entropy:
            loss = loss - share * self.mask_entropy * torch.special.xlogy(path.masks, path.masks).sum(1).mean()
        if self.decorrelation:
            loss = loss + self.decorrelation * decorrelation(path.latents)
        with torch.no_grad():
            error = F.mse_loss(made[-1].clamp(0, 1), images)
            mean_error = F.mse_loss(images.mean(0, keepdim=True).expand_as(images), images)
        return Losses(loss, error, mean_error, path.frames[0], made[-1])
