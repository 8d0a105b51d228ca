"""The task of densities: energies of images, by any objective."""

import collections.abc
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.data.labelled import LabelledData, LabelledImages
from ergosum.data.masks import Mask
from ergosum.data.record import PartlyKnown
from ergosum.density.inpainting import inpainted
from ergosum.density.model import Density
from ergosum.density.objective import Given, Objective
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.offsets import absorb, fit_offsets
from ergosum.density.table import measure
from ergosum.part import Part, parameters
from ergosum.samplers.chain import finished
from ergosum.training.task import Losses, Samples, Section, Shelf, Table, Task

if TYPE_CHECKING:
    from ergosum.density.sampling import Passing

__all__ = ["Densities", "DensityBatch"]

ISLANDS = 8
"""Populations that the error of log Z is told from."""
CALIBRATED = 1000
"""Images that offsets of classes are fitted on."""
FITTED = 4096
"""Images that mean and deviation are taken from."""


class DensityBatch(NamedTuple):
    """Images and their conditions.

    Shape:
        images: (batch, channels, side, side) in [0, 1]. labels: (batch,).
    """

    images: Tensor
    labels: Tensor


class Densities(Task):
    """Learn the density of images, of every class and of all.

    Args:
        data: images with classes; gets `split`. model: gets the data's `names`, `channels` and `side`. objective: what
            trains the family. drop: probability that a condition is left out, so that the prior is learned, 0 .. 1.
            draws: of each condition, that the table of levels is measured with after training (`table.py`), 0 or a
            multiple of 8 from 16; 0 for no table.
    Raises:
        ValueError: if the arguments do not go together.
    """

    compared_with = "the Gaussian"

    def __init__(
        self,
        data: Part[LabelledData] = Part(LabelledImages),  # noqa: B008
        model: Part[Density] = Part(Density),  # noqa: B008
        objective: Part[Objective] = Part(DenoisingScore),  # noqa: B008
        drop: float = 0.15,
        draws: int = 128,
    ) -> None:
        if not 0 <= drop <= 1:
            raise ValueError(f"drop: expected a probability, got {drop!r}.")
        if draws % ISLANDS or not (draws == 0 or draws >= 2 * ISLANDS):
            raise ValueError(f"draws: expected 0, or a multiple of {ISLANDS} from {2 * ISLANDS}, got {draws!r}.")
        self.data, self.model, self.drop, self.draws = data, model, drop, draws
        self.objective = objective.build()
        self.stages = self._space_of(model).stages

    undivided = "Noise and chains of a batch are drawn where its loss is, so several processes would draw others."

    def _space_of(self, model: Part[Density]) -> Any:
        return model.get("space").build(channels=1, side=28)

    @cached_property
    def images(self) -> Any:
        """The training part of the data."""
        return self.data.build(split="train")

    def build(self) -> Density:
        """The model for images like the data's."""
        model = self.model.build(**self._about_data())
        if self.objective.levels != hasattr(model.family, "log_density"):
            needed = "over noise levels, LevelEnergy" if self.objective.levels else "without noise levels, Landscape"
            raise ValueError(
                f"{type(self.objective).__name__} trains a family {needed}; got {type(model.family).__name__} as "
                "model.family: exchange one of the two, --model.family or --objective."
            )
        if self.objective.temperature is not None:
            model.family.temperature = self.objective.temperature
        return model

    def _about_data(self) -> dict[str, Any]:
        """Names, channels and side, which a recipe of a run that ships tells itself."""
        told = {k: self.model.arguments[k] for k in ("names", "channels", "side") if k in self.model.arguments}
        if len(told) < 3:
            told = {"names": self.images.names, "channels": self.images.channels, "side": self.images.side} | told
        return {k: v for k, v in told.items() if k not in self.model.arguments}

    def settled(self, part: Part[Any]) -> Part[Any]:
        """The part with names, channels and side of the data."""
        return part.but(model=self._about_data()) if self._about_data() else part

    @torch.no_grad()
    def finish(self, model: Density, generator: Generator) -> bool:  # type: ignore[override]
        """Offsets of classes that denoising alone has left on scales of their own, and the table of levels: log Z is
        measured, taken into the offsets where it is known well, and measured again with other draws.
        """
        if not hasattr(model.family, "table") or not self.draws:
            return False
        if len(model.names) > 1 and not getattr(self.objective, "time", 0.0):
            self.tell("fitting the offsets of classes")
            known = self.images.labelled(CALIBRATED, generator)
            fit_offsets(model.family, model.encode(known.images), known.labels, generator=generator)
        self.tell("measuring log Z of the levels")
        measure(model.family, n=2 * self.draws, islands=ISLANDS, generator=generator)
        absorb(model.family)
        self.tell("measuring log Z again, of what is left")
        measure(model.family, n=self.draws, islands=ISLANDS, generator=generator)
        return True

    def ready(self) -> None:
        """Read the data, and test a small record of them."""
        record = self.images.labelled(2, torch.Generator().manual_seed(0))
        if self.objective.incomplete != isinstance(record, PartlyKnown):
            learns = "incomplete" if self.objective.incomplete else "whole"
            raise ValueError(
                f"{type(self.objective).__name__} learns from {learns} images; expected data of that kind, got "
                f"{self.data.cls.__name__}. `Incomplete` hides a part of any images; `MaskedScore` and `Recovery` "
                "learn from what is left."
            )
        if self.objective.incomplete and not self._space_of(self.model).direct:
            raise ValueError(
                "Incomplete images have no codes: expected the space `Pixels`, whose pixels may be hidden."
            )
        wanted = (self.images.channels, self.images.side, self.images.side)
        if record.images.shape[1:] != wanted or record.images.min() < 0 or record.images.max() > 1:
            raise ValueError(
                f"{self.data.cls.__name__}.labelled: expected images (n, {wanted[0]}, {wanted[1]}, {wanted[2]}) in "
                f"[0, 1], got {tuple(record.images.shape)} in [{record.images.min():g}, {record.images.max():g}]."
            )

    def prepare(self, model: Density) -> None:  # type: ignore[override]
        """Take up weights of another codec; let a family in pixels take mean and deviation of the data."""
        model.space.begin()
        if not model.space.stages:
            self._settle(model)

    def _settle(self, model: Density) -> None:
        """Take what the space and the family hold of the data themselves."""
        images = self.images.labelled(FITTED, torch.Generator().manual_seed(0)).images
        model.space.settle(images)
        with torch.no_grad():
            points = [model.encode(part) for part in images.split(500)]
        model.family.fit(torch.cat(points))
        self.objective.fit(torch.cat(points))

    def batch(self, n: int, generator: Generator) -> DensityBatch | PartlyKnown:
        """Images with their labels, and of incomplete data what is known of them."""
        record = self.images.labelled(n, generator)
        return record if isinstance(record, PartlyKnown) else DensityBatch(record.images, record.labels)

    def loss(self, model: Any, batch: DensityBatch | PartlyKnown, generator: Generator, progress: float) -> Losses:
        """The objective's loss, or while codes are being learned that of the codec."""
        inner = model.module if hasattr(model, "module") else model
        if inner.space.learns(progress):
            return inner.space.loss(batch.images, generator)
        if inner.space.stages and not inner.space.settled:
            self._settle(inner)
        c = self._conditions(inner, batch.labels, generator)
        given = Given(batch.known, batch.rows) if isinstance(batch, PartlyKnown) else None
        return model(self.objective, batch.images, c, generator, progress, given)

    def _conditions(self, model: Density, labels: Tensor, generator: Generator) -> Tensor:
        """Labels as conditions, some left out; of data without classes, none."""
        kinds = getattr(model.family, "conditions", None)
        if kinds is None:
            return labels if model.names else torch.full_like(labels, -1)
        return kinds.drop(labels, self.drop, generator) if model.names else kinds.none(len(labels))

    def inpaint(
        self, model: Density, start: Callable[[int, int], Tensor], mask: Mask, *, condition: str = "", n: int = 4,
        steps: int = 20, corrections: int = 1, seed: int = 0,
    ) -> Samples:  # fmt: skip
        """Draws of an image's hidden pixels; `start` gives the image (1, C, side, side) for a number of channels and a
        side. See `inpainting.inpainted`.
        """
        image = start(model.channels, model.side)
        return inpainted(model, image, mask, condition=condition, n=n, steps=steps, corrections=corrections, seed=seed)

    def state(self) -> dict[str, Tensor]:
        """The objective's."""
        return self.objective.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Hand the objective its state."""
        self.objective.load(state)

    def sample(
        self,
        models: Sequence[nn.Module],
        formula: str,
        *,
        n: int = 64,
        shares: Sequence[float] | None = None,
        condition: str = "",
        steps: int = 0,
        sigma: float = 0.0,
        corrections: int | None = None,
        particles: int = 1,
        seed: int = 0,
        runs: Sequence[str] = (),
        shelf: Shelf | None = None,
    ) -> Samples:
        """Draw a formula of classes of densities, see `density/sampling.py`."""
        return finished(
            self.sampling(
                models, formula, n=n, shares=shares, condition=condition, steps=steps, sigma=sigma,
                corrections=corrections, particles=particles, seed=seed, runs=runs, shelf=shelf,
            )
        )  # fmt: skip

    def sampling(
        self, models: Sequence[nn.Module], formula: str, *, n: int = 64, shares: Sequence[float] | None = None,
        condition: str = "", steps: int = 0, sigma: float = 0.0, corrections: int | None = None, particles: int = 1,
        seed: int = 0, runs: Sequence[str] = (), shelf: Shelf | None = None,
    ) -> "collections.abc.Generator[Passing, None, Samples]":  # fmt: skip
        """What `sample` does, level by level."""
        from ergosum.density.chains import chain_recipe
        from ergosum.density.sampling import sampling_densities

        return sampling_densities(
            models, formula, n, shares, condition, steps, sigma, corrections, particles, seed, runs, shelf,
            self.of_digits, chain_recipe(self.objective),
        )  # fmt: skip

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Scores on held-out images and draws, see `density/scores.py`."""
        from ergosum.density.scores import score_density

        return score_density(name, self, model.eval(), n, seed, source, shelf)  # type: ignore[arg-type]

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Draws, Bayes' rule, likelihood, levels: those that were measured."""
        from ergosum.density.tables import tables

        return tables(scores)

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Draws of every class, how they come about, and the tables of the score."""
        from ergosum.density.figures import sections

        return sections(self, model, scores, seed)  # type: ignore[arg-type]

    @property
    def takes_source(self) -> bool:
        """Whether the data are named by a source."""
        return "source" in parameters(self.data.cls)

    @property
    def of_digits(self) -> bool:
        """Whether images are upright digits, which a reader ships for."""
        return self.takes_source and set(str(self.data.get("source")).split("+")) <= {"digits", "mnist-1000", "mnist"}

    def about(self) -> dict[str, str]:
        """Source and digest of the images."""
        data: Any = self.images
        return {"source": self.source, "data_sha256": data.digest() if hasattr(data, "digest") else ""}

    @property
    def source(self) -> str:
        """What the images are called."""
        return str(getattr(self.images, "source", type(self.images).__name__))
