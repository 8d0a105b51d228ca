"""What the published models that decomposers are compared with have in common, so that one loop trains and one table
scores them: latents of pictures, pictures of latents, and a loss.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ergosum.objectives.prediction import Terms
from ergosum.settings import RivalSettings
from ergosum.shapes import Images, Latents

__all__ = ["Practice", "Rival", "frozen"]


class Practice(NamedTuple):
    """Terms of a batch, and the pictures (batch, 3, side, side) that the model made of it."""

    terms: Terms
    made: Images


class Rival(nn.Module):
    """A model that codes a picture as K latents and draws pictures from latents.

    Subclasses are final and give `encode`, `recompose` and `objective`; those that segment also give `masks(pictures)`,
    (batch, K, side, side), summing to one over K.

    Args:
        settings: sizes and weights. side: of a picture in pixels, a multiple of 16.
    """

    def __init__(self, settings: RivalSettings, side: int) -> None:
        super().__init__()
        self.settings, self.canvas = settings, side

    def encode(self, pictures: Images, generator: Generator | None = None) -> Latents:
        """Latents (batch, K, D) of pictures: the posterior's mean where the model has one.

        Without a generator they depend on each picture alone, and not on chance.
        """
        raise NotImplementedError

    def recompose(self, latents: Latents) -> Images:
        """The pictures that latents stand for, in [0, 1]."""
        raise NotImplementedError

    def objective(self, pictures: Images, generator: Generator) -> tuple[Tensor, Images]:
        """The loss of a batch, and the pictures that the model made of it.

        Adversaries are trained by the same loss: in the model's term the adversary's weights are constants (`frozen`),
        in the adversary's term what it judges is.
        """
        raise NotImplementedError

    def forward(self, pictures: Images, generator: Generator) -> Practice:
        """Loss and plain errors of a batch; `copy_error` is that of the batch's mean picture."""
        loss, made = self.objective(pictures, generator)
        with torch.no_grad():
            made = made.detach().clamp(0, 1)
            error = F.mse_loss(made, pictures)
            mean_error = F.mse_loss(pictures.mean(0, keepdim=True).expand_as(pictures), pictures)
        return Practice(Terms(loss, error, mean_error), made)

    @torch.no_grad()
    def blame(self, pictures: Images) -> str:
        """Which part first leaves the finite numbers: words for an error message."""
        latents = self.encode(pictures)
        if not torch.isfinite(latents).all():
            return "the encoder's latents"
        return "the loss alone" if torch.isfinite(self.recompose(latents)).all() else "the recomposed pictures"


def frozen(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The same function with constant weights: gradients pass to its argument, and not to them."""
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    return lambda x: functional_call(module, weights, (x,))
