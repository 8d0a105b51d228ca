"""What the published models that decomposers are compared with have in common, so that one loop trains and one table
scores them: latents of images, images of latents, and a loss.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ergosum.shapes import Images, Latents
from ergosum.training.task import Losses

__all__ = ["ImageBaseline", "frozen", "require_least"]


class ImageBaseline(nn.Module):
    """A model that codes an image as K latents and draws images from latents: the base class of baselines, yours too.

    Subclasses give `encode`, `recompose` and `objective`; those that segment also give `masks(images)`,
    (batch, K, side, side), summing to one over K.

    Args:
        components: K, latents of an image, >= 1. latent: D, numbers of each, >= 1. width: channels of the finest
        features, >= 4. side: of an image in pixels.
    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, components: int = 1, latent: int = 64, width: int = 32, side: int = 64) -> None:
        super().__init__()
        require_least(1, components=components, latent=latent)
        require_least(4, width=width)
        self.components, self.latent, self.canvas = components, latent, side

    def encode(self, images: Images, generator: Generator | None = None) -> Latents:
        """Latents (batch, K, D) of images: the posterior's mean where the model has one.

        Without a generator they depend on each image alone, and not on chance.
        """
        raise NotImplementedError

    def recompose(self, latents: Latents) -> Images:
        """The images that latents stand for, in [0, 1]."""
        raise NotImplementedError

    def objective(self, images: Images, generator: Generator) -> tuple[Tensor, Images]:
        """The loss of a batch, and the images that the model made of it.

        Adversaries are trained by the same loss: in the model's term the adversary's weights are constants (`frozen`),
        in the adversary's term the images or codes that it classifies are.
        """
        raise NotImplementedError

    def forward(self, images: Images, generator: Generator) -> Losses:
        """Loss and plain error of a batch, and as reference the error of its mean image; a coder starts nowhere."""
        loss, made = self.objective(images, generator)
        with torch.no_grad():
            made = made.detach().clamp(0, 1)
            error = F.mse_loss(made, images)
            mean_error = F.mse_loss(images.mean(0, keepdim=True).expand_as(images), images)
        return Losses(loss, error, mean_error, None, made)

    @torch.no_grad()
    def locate(self, images: Images) -> str:
        """Which part first leaves the finite numbers: words for an error message."""
        latents = self.encode(images)
        if not torch.isfinite(latents).all():
            return "the encoder's latents"
        return "the loss alone" if torch.isfinite(self.recompose(latents)).all() else "the recomposed images"


def frozen(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The same function with constant weights: gradients pass to its argument, and not to them."""
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    return lambda x: functional_call(module, weights, (x,))


def require_least(low: int, **values: float) -> None:
    """Raise a ValueError for the first of some named numbers that is below `low`."""
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name}: expected a number >= {low}, got {value!r}.")
