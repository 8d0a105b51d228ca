"""Predict the frame `lag` later by descent: the training signal of temporal energies.

$$ L = || x_N - x_{t+l} ||^2,   x_N = argmin by N steps from x_t $$

on the last step, on every step, or on the path: step n against the frame at $t + l n/N$, drawn by the true operator.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.data.record import Pairs
from ergosum.data.render import render
from ergosum.decomposer import Trajectory
from ergosum.metrics.decorrelation import decorrelation
from ergosum.metrics.orthogonality import squared_cosine
from ergosum.training.task import Losses

__all__ = ["PredictionLoss", "PredictionObjective"]


class PredictionObjective:
    """What a predicted trajectory is compared with: the base class of objectives of sequences, yours included."""

    def __call__(self, pairs: Pairs, path: Trajectory) -> Losses:
        """Loss, plain error, error of copying; `first` and `last` are where the trajectory starts and ends."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PredictionLoss(PredictionObjective):
    """Error of a trajectory against the pair of frames it should join.

    Raises:
        ValueError: if the weight is negative, or a choice unknown.
    """

    on: Literal["last", "all", "path"] = "last"
    """Loss on the last step, on every step against the target, or on every step against its own frame t + l n/N."""
    norm: Literal["l2", "l1"] = "l2"
    """Squared or absolute pixel error."""
    decorrelation: float = 0.0
    """Weight of the squared correlations between latents of different components, >= 0."""
    orthogonality: float = 0.0
    """Weight of the squared cosine between latents of different components of one sample, >= 0."""

    def __post_init__(self) -> None:
        for name, known in {"on": ("last", "all", "path"), "norm": ("l2", "l1")}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"objective.{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}.")
        for name in ("decorrelation", "orthogonality"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"objective.{name}: expected a number >= 0, got {getattr(self, name)!r}.")

    def __call__(self, pairs: Pairs, path: Trajectory) -> Losses:
        """Loss, error of the last step, and as reference the error of copying the first frame.

        Shape:
            path: frames of (batch, 3, side, side), the start first.
        """
        predicted = path.frames[1:]
        distance = F.mse_loss if self.norm == "l2" else F.l1_loss
        if self.on == "last":
            loss = distance(predicted[-1], pairs.target)
        elif self.on == "all":
            loss = torch.stack([distance(x, pairs.target) for x in predicted]).mean()
        else:
            steps = len(predicted)
            frames = [_between(pairs, n / steps) for n in range(1, steps + 1)]
            loss = torch.stack([distance(x, f) for x, f in zip(predicted, frames, strict=True)]).mean()
        if self.decorrelation:
            loss = loss + self.decorrelation * decorrelation(path.latents)
        if self.orthogonality:
            loss = loss + self.orthogonality * squared_cosine(path.latents)
        with torch.no_grad():
            error = F.mse_loss(predicted[-1].clamp(0, 1), pairs.target)
            copy_error = F.mse_loss(pairs.start, pairs.target)
        return Losses(loss, error, copy_error, pairs.start, predicted[-1])


def _between(pairs: Pairs, fraction: float) -> Tensor:
    factors = pairs.before + fraction * (pairs.after - pairs.before)
    return render(pairs.digits, factors)
