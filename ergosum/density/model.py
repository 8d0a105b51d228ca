"""A density of images: the space that it lives in, a family of energies, and the names of its conditions."""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.density.family import LevelEnergy
from ergosum.density.objective import Given
from ergosum.density.space import Codes, Space
from ergosum.energy import Conditional, Energy
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["Density"]


class Density(nn.Module):
    """Energies of images with names.

    Args:
        names: of the classes. channels, side: of an image; all three are the data's. space: where energies live.
        family: of the energies there, gets `event` and `classes`.
    """

    def __init__(
        self,
        names: tuple[str, ...] = (),
        channels: int = 1,
        side: int = 28,
        space: Part[Space] = Part(Codes),  # noqa: B008
        family: Part[Conditional] = Part(LevelEnergy),  # noqa: B008
    ) -> None:
        super().__init__()
        self.names, self.channels, self.side = tuple(names), channels, side
        self.space = space.build(channels=channels, side=side)
        self.family: Any = family.build(event=self.space.event, classes=len(self.names))

    @property
    def image(self) -> tuple[int, int, int]:
        """Shape of an image."""
        return (self.channels, self.side, self.side)

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Points of the space, of images in [0, 1]."""
        if images.shape[1:] != self.image:
            raise ValueError(f"Density: expected images of shape {self.image}, got {tuple(images.shape[1:])}.")
        return self.space.encode(images, generator)

    def decode(self, x: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return self.space.decode(x)

    def energies(self) -> dict[str, Energy]:
        """Every class by its name, and the prior, which has no condition."""
        told = {name: self.family(torch.tensor(c)).named(name) for c, name in enumerate(self.names)}
        return {**told, "prior": self.family.prior()}

    def forward(
        self, objective: Any, images: Tensor, c: Tensor, generator: Generator, progress: float,
        given: Given | None = None,
    ) -> Losses:  # fmt: skip
        """An objective's loss on images; `given` says what is known of incomplete ones."""
        with torch.no_grad():
            x = self.encode(images, generator)
        return objective.loss(self.family, x, c, generator, progress, *(() if given is None else (given,)))
