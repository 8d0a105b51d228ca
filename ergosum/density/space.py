"""Where densities live: in pixels, or in the codes of an autoencoder. Everything else is the same for both."""

from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from ergosum.nets.autoencoder import Autoencoder
from ergosum.part import Part
from ergosum.training.runfolder import load_weights, locate
from ergosum.training.task import Losses

__all__ = ["Codec", "Codes", "Pixels", "Space"]


CODEC = "space.codec."
"""What the weights of a codec are called in a density's."""


class Codec(Protocol):
    """An encoder and decoder, see `nets/autoencoder.py`."""

    latent: int

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Codes (batch, D)."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Images (batch, channels, side, side)."""
        ...

    def loss(self, images: Tensor, generator: Generator, divergence: float) -> tuple[Tensor, Tensor]:
        """The loss that it learns by, and its mean squared error; not asked for where its share of training is 0."""
        ...


class Space(nn.Module):
    """What a space offers.

    Attributes:
        event: shape of a point. stages: shares of training after which something else begins, see `Task.stages`.
        direct: whether a point's numbers are an image's pixels, so that a known pixel is a known number. unit: change
            of such a number where a pixel changes by one.
    """

    event: tuple[int, ...]
    stages: tuple[float, ...] = ()
    direct: bool = False
    unit: float = 1.0

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Points of images (n, channels, side, side) in [0, 1]; with a generator, as objectives see them."""
        raise NotImplementedError

    def decode(self, x: Tensor) -> Tensor:
        """Images in [0, 1] of points."""
        raise NotImplementedError

    def learns(self, progress: float) -> bool:
        """Whether the space itself is being learned."""
        return False

    def loss(self, images: Tensor, generator: Generator) -> Losses:
        """The loss of the space, while it learns."""
        raise NotImplementedError

    def begin(self) -> None:
        """Take up weights of another run, before training."""

    def settle(self, images: Tensor) -> None:
        """Take what is needed from data once the space has been learned."""


class Pixels(Space):
    """Images as they are: x = 2 image - 1.

    Args:
        channels, side: of an image.
    """

    direct = True
    unit = 2.0

    def __init__(self, channels: int = 1, side: int = 28) -> None:
        super().__init__()
        self.event = (channels, side, side)

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """2 image - 1; with a generator, noise of less than one of 256 steps is added, so that a density exists."""
        x = 2 * images - 1
        if generator is None:
            return x
        return x + (torch.rand(x.shape, generator=generator).to(x) - 0.5) * (2 / 256)

    def decode(self, x: Tensor) -> Tensor:
        """(x + 1) / 2, clamped."""
        return ((x + 1) / 2).clamp(0, 1)


class Codes(Space):
    """Codes of an encoder and decoder, of mean 0 and deviation 1 each.

    Args:
        codec: encoder and decoder, gets `channels` and `side`. share: of training that it learns in before the density
            does, 0 for one that is trained already. weights: run folder or card whose density has such a codec, to
            start from. divergence: weight of the codes' Kullback-Leibler divergence from a standard normal, on the
            scale of the mean squared error of pixels. batch: images of an update that the codec learns from, at most.
        channels, side: of an image.
    Raises:
        ValueError: for a share out of range.
    """

    centre: Tensor
    spread: Tensor
    settled: Tensor

    def __init__(
        self,
        codec: Part[Codec] = Part(Autoencoder),  # noqa: B008
        share: float = 0.4,
        weights: str = "",
        divergence: float = 2e-5,
        batch: int = 64,
        channels: int = 1,
        side: int = 28,
    ) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"share: expected 0 <= share < 1, got {share!r}.")
        self.codec: Any = codec.build(channels=channels, side=side)
        self.share, self.weights, self.divergence = share, weights, divergence
        self.batch = batch
        self.stages = (share,) if share else ()
        self.event = (self.codec.latent,)
        self.register_buffer("centre", torch.zeros(self.event))
        self.register_buffer("spread", torch.ones(self.event))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Standardised codes."""
        return (self.codec.encode(images, generator) - self.centre) / self.spread

    def decode(self, x: Tensor) -> Tensor:
        """The decoder's images, clamped."""
        return self.codec.decode(x * self.spread + self.centre).clamp(0, 1)

    def learns(self, progress: float) -> bool:
        """In the first share of training."""
        return progress < self.share

    def begin(self) -> None:
        """Start from the codec of another run or card, where one is named."""
        if self.weights:
            held = load_weights(locate(self.weights) / "model.safetensors")
            own = {k.removeprefix(CODEC): v for k, v in held.items() if k.startswith(CODEC)}
            try:
                self.codec.load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(
                    f"weights: the codec of {self.weights} is another one ({str(error).splitlines()[0]}); expected the "
                    "same class and sizes."
                ) from error

    def loss(self, images: Tensor, generator: Generator) -> Losses:
        """The codec's; the reference is the error of the mean image. What was taken from data before is taken anew."""
        self.settled.fill_(False)
        images = images[: self.batch]
        loss, error = self.codec.loss(images, generator, self.divergence)
        return Losses(loss, error, (images - images.mean(0)).square().mean().detach())

    @torch.no_grad()
    def settle(self, images: Tensor) -> None:
        """Mean and deviation of the codes of images."""
        codes = torch.cat([self.codec.encode(part) for part in images.split(500)])
        self.centre.copy_(codes.mean(0))
        self.spread.copy_(codes.std(0).clamp(min=1e-3))
        self.settled.fill_(True)
        self.codec.requires_grad_(False)
