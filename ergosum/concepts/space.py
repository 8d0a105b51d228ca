"""Codes in parts: where concepts live that shall be put together in ways that nobody has shown."""

from collections.abc import Sequence
from typing import Any

from torch import Generator, Tensor

from ergosum.concepts.codec import AttributeCodec
from ergosum.data.attributed import Attribute
from ergosum.density.space import Codec, Codes
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["AttributeCodes"]


class AttributeCodes(Codes):
    """Codes of an encoder and decoder that learn from the values of attributes, of mean 0 and deviation 1 each.

    Args:
        codec: gets `attributes`, `channels` and `side`. share, weights, divergence, batch: as `Codes`. attributes,
            channels, side: of the images.
    """

    def __init__(
        self,
        codec: Part[Any] = Part(AttributeCodec),  # noqa: B008
        share: float = 0.5,
        weights: str = "",
        divergence: float = 2e-5,
        batch: int = 64,
        attributes: Sequence[Attribute] = (),
        channels: int = 3,
        side: int = 32,
    ) -> None:
        known: Part[Codec] = codec if "attributes" in codec.arguments else codec.but(attributes=tuple(attributes))
        super().__init__(known, share, weights, divergence, batch, channels, side)
        self.parts: tuple[slice, ...] = self.codec.parts

    def told_loss(self, images: Tensor, values: Tensor, generator: Generator) -> Losses:
        """The codec's loss on images whose values are told; the reference is the error of the mean image."""
        images, values = images[: self.batch], values[: self.batch]
        loss, error = self.codec.loss(images, values, generator, self.divergence)
        return Losses(loss, error, (images - images.mean(0)).square().mean().detach())
