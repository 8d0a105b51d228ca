"""A density of images: the space that it lives in, a family of energies, and the names of its conditions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.density.family import LevelEnergy
from ergosum.density.objective import Given
from ergosum.density.space import Codes, Space
from ergosum.energy import Conditional, Energy
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["PRIOR", "Density", "Entry", "OfImages"]

PRIOR = "prior"
"""What formulas call the density of all data."""


class Entry(NamedTuple):
    """What a name stands for in formulas.

    Attributes:
        energy: of the name. prior: of its model. share: of it in the prior; 1 of the prior itself, 0 of a number such
            as a place. kind: what it is a value of, such as colour, of which an image has one alone; empty where
            classes may be joined. owner: its model.
    """

    energy: Energy
    prior: Energy
    share: float
    kind: str
    owner: "Density"


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
        return {**told, PRIOR: self.family.prior()}

    def entries(self) -> Mapping[str, Entry]:
        """What formulas may name: every class, as an equal share of the prior, and the prior."""
        energies = self.energies()
        prior, share = energies[PRIOR], 1 / max(1, len(self.names))
        return {name: Entry(e, prior, 1.0 if name == PRIOR else share, "", self) for name, e in energies.items()}

    @property
    def independent(self) -> bool:
        """Whether values of different kinds are independent of each other, so that they join without corrections."""
        return False

    def at(self, name: str, numbers: Sequence[float]) -> Entry | None:
        """What `name(0.3, 0.6)` stands for in formulas; None if it is nothing that is told in numbers."""
        return None

    def together(self, energies: Sequence[Energy]) -> Energy | None:
        """One member for all that several tell, where its energy is their lift over the prior, or None."""
        return None

    def of_images(self, name: str = "") -> "OfImages":
        """An energy of images in [0, 1]: of all images, or how surely an image is of a class.

        Without a name it is the prior's, -log p(x) where that is normalised; of a class it is
        $E(x | c) - E(x) = -\\log p(c | x)$ up to the constant log p(c): `c & ~prior`.

        Raises:
            ValueError: if there is no class of that name.
        """
        told = self.energies()
        if name and name not in told:
            raise ValueError(f"There is no class {name!r}; expected one of {', '.join(self.names) or 'none, no name'}.")
        return OfImages(self, told[name] & ~told[PRIOR] if name in self.names else told[PRIOR])

    @property
    def has_levels(self) -> bool:
        """Whether energies are over noise levels."""
        return hasattr(self.family, "log_density")

    def forward(
        self, objective: Any, images: Tensor, c: Tensor, generator: Generator, progress: float,
        given: Given | None = None,
    ) -> Losses:  # fmt: skip
        """An objective's loss on images; `given` says what is known of incomplete ones."""
        with torch.no_grad():
            x = self.encode(images, generator)
        return objective.loss(self.family, x, c, generator, progress, *(() if given is None else (given,)))


class OfImages(Energy):
    """An energy of points of a density's space as one of images in [0, 1], differentiable through the encoder; what
    `density.of_images()` gives.

    In pixels it is minus the log-density of images up to a constant. In codes it is that of an image's code, the same
    for all images of one code.

    Args:
        density: whose space it is. energy: of its points.
    Shape:
        x: (batch, channels, side, side).
    """

    def __init__(self, density: Density, energy: Energy) -> None:
        super().__init__()
        self.density, self.energy = density, energy
        self.temperature = energy.temperature

    def forward(self, x: Tensor) -> Tensor:
        """E(encode(x)), (batch,)."""
        return self.energy(self.density.encode(x))

    def at_noise(self, sigma: float) -> "OfImages":
        """That of images with noise of deviation sigma added, in units of images.

        Raises:
            ValueError: in codes, where noise of images has no counterpart, and for a level that the family has not.
        """
        space = self.density.space
        if not space.direct:
            raise ValueError(
                f"{type(space).__name__}: noise of images is none of codes; expected sigma = 0, or a density of pixels."
            )
        return OfImages(self.density, self.energy.at_noise(space.unit * sigma))
