"""Codes in parts: where concepts live that shall be put together in ways that nobody has shown."""

from collections.abc import Sequence
from typing import Any

import torch
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
        codec: gets `attributes`, `channels` and `side`. share, weights, batch: as `Codes`. divergence: $\\beta$; where
            it is small, the rest of a code repeats what its parts tell, and parts put together anew show nothing.
            attributes, channels, side: of the images.
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
        if self.codec.hsic:
            self.stages = tuple(at for at in (share * (1 - self.codec.closing), share) if at > 0)

    @property
    def unseen(self) -> bool:
        """Whether the codec is to be shown images and values before it learns (`look`)."""
        return bool(getattr(self.codec, "unseen", False))

    def look(self, images: Tensor, values: Tensor) -> None:
        """Show the codec images and values."""
        self.codec.look(images, values)

    def told(self, images: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Standardised codes that a density learns: of parts whose values are told, where these say that they lie."""
        return (self.codec.told(images, values, generator) - self.centre) / self.spread

    def normals(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Where values (n, columns) say that standardised codes lie, (n, D), and with which deviation."""
        centre, spread = self.codec.towards(values)
        return (centre - self.centre) / self.spread, spread / self.spread

    def shown(self, x: Tensor, values: Tensor | None = None) -> Tensor:
        """The parts of all attributes as decoders see them, (batch, their sum): of points x, and where values (batch,
        columns) are told, where these say that they lie.
        """
        codes = self.codec.cleared(x * self.spread + self.centre)
        if values is not None:
            codes = torch.where(self.codec.known(values), self.codec.towards(values)[0], codes)
        return codes[:, : self.codec.parts[-1].start]

    @torch.no_grad()
    def posterior(self, images: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the codes of images with values, of which `drawn` draws."""
        parts = [self.codec.posterior(a, b) for a, b in zip(images.split(500), values.split(500), strict=True)]
        return torch.cat([mean for mean, _ in parts]), torch.cat([deviation for _, deviation in parts])

    def drawn(self, mean: Tensor, deviation: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Standardised codes as `told`, of known posteriors."""
        return (self.codec.drawn(mean, deviation, values, generator) - self.centre) / self.spread

    @torch.no_grad()
    def settle_told(self, images: Tensor, values: Tensor) -> None:
        """Mean and deviation of such codes."""
        generator = torch.Generator().manual_seed(0)
        parts = zip(images.split(500), values.split(500), strict=True)
        codes = torch.cat([self.told(a, b, generator) for a, b in parts]) * self.spread + self.centre
        self.centre.copy_(codes.mean(0))
        self.spread.copy_(codes.std(0).clamp(min=1e-3))
        self.settled.fill_(True)
        self.codec.requires_grad_(False)

    def told_loss(self, images: Tensor, values: Tensor, generator: Generator, progress: float) -> Losses:
        """The codec's loss on images whose values are told, after a share of training, and the error of the mean image.

        What was taken from data before is taken anew.
        """
        self.settled.fill_(False)
        images, values = images[: self.batch], values[: self.batch]
        loss, error = self.codec.loss(images, values, generator, self.divergence, None, progress / self.share)
        return Losses(loss, error, (images - images.mean(0)).square().mean().detach())
