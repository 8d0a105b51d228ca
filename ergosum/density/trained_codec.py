"""A codec that was trained as something else: the encoder and the energies of a decomposition, or an autoencoder."""

from math import prod
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn

from ergosum.training.runfolder import load_predictor

__all__ = ["TrainedCodec"]


class TrainedCodec(nn.Module):
    """The latents of a run or card that decomposes images, all components side by side, as codes; images by its own
    recomposition.

    It is frozen; give `Codes` the share 0. Codes are what the encoder gives, without noise.

    Args:
        run: run folder or card of a decomposition (`scenes-objects`) or of an autoencoder of images.
        channels, side: of the images of the data, which must be those of the run.
    Shape:
        images: (batch, 3, side, side) in [0, 1]. codes: (batch, K D).
    Raises:
        ValueError: if the run cannot recompose images from latents, or is of images of another shape.
    """

    def __init__(self, run: str, channels: int = 3, side: int = 28) -> None:
        super().__init__()
        model: Any = load_predictor(run)[1]
        own = getattr(model, "canvas", None)
        if not hasattr(model, "encode") or not (hasattr(model, "globals") or hasattr(model, "recompose")):
            raise ValueError(f"{run} has no latents of images to recompose; expected a decomposition of images.")
        if channels != 3 or own != side:
            raise ValueError(
                f"{run} knows images of 3 channels and {own} pixels, and the data have {channels} and {side}; set "
                "the data's channels and side to those."
            )
        self.model = model.requires_grad_(False)
        with torch.no_grad():
            self.shape = tuple(self.model.encode(torch.zeros(1, channels, side, side)).shape[1:])
        self.side, self.latent = side, prod(self.shape)

    def train(self, mode: bool = True) -> Self:
        """It stays as it was trained."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """All latents of an image in a row."""
        return self.model.encode(images).flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """The image that the model makes of the latents; a descent starts from grey."""
        latents = codes.unflatten(1, self.shape)
        if hasattr(self.model, "recompose"):
            return self.model.recompose(latents)
        grey = torch.full((len(codes), 3, self.side, self.side), 0.5).to(codes)
        return self.model(grey, latents=latents).frames[-1]

    def loss(self, images: Tensor, generator: Generator, divergence: float = 0.0) -> tuple[Tensor, Tensor]:
        """Raises: it has been trained."""
        raise ValueError("TrainedCodec: its run is trained already; set the space's share to 0.")
