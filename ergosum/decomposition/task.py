"""The tasks of image decomposition: recompose an image from noise, or code it as the published baselines do."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.data.contract import check_images
from ergosum.data.dataset import ImageDataset, Stored, store
from ergosum.data.named import name_of
from ergosum.data.record import ImageRecord
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.objective import RecompositionLoss, RecompositionObjective
from ergosum.part import Part, parameters, within
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Losses, Section, Shelf, Table, Task

__all__ = ["HELD_OUT", "Coding", "OfImages", "Recomposition", "decomposer_of", "load_decomposer"]


HELD_OUT = 1_000_000
"""Seeds of held-out images start here; training images are drawn with smaller ones."""


TOGETHER = 8
"""Held-out images that are drawn with one seed where they are called by their number."""


class NoisedBatch(NamedTuple):
    """Images and the noise to recompose them from."""

    images: Tensor
    noise: Tensor


class ImageBatch(NamedTuple):
    """Images."""

    images: Tensor


class OfImages(Task):
    """What both tasks share: a dataset that is rendered once, stored, and read in random order."""

    compared_with = "the mean image"

    def __init__(self, data: Part[ImageDataset], count: int, metrics: tuple[Part[Any], ...]) -> None:
        if count < 1:
            raise ValueError(f"count: expected an integer >= 1, got {count!r}.")
        self.data, self.count, self.metrics = data, count, metrics

    @property
    def side(self) -> int:
        """Side of an image in pixels: an argument of the dataset, or of those that it mixes."""
        stated = (part.get("side") for part in within(self.data) if "side" in parameters(part.cls))
        return next(stated, None) or self.dataset().side

    def dataset(self, split: str = "train", objects: int = 0) -> ImageDataset:
        """The dataset, of its held-out part with `split` = test; with another number of objects if that is not 0."""
        return (_with_objects(self.data, objects) if objects else self.data).build(split=split)

    def held_out(self, n: int, generator: Generator) -> ImageRecord:
        """Images that training never sees."""
        return self.dataset("test").draw(n, generator)

    def held_out_image(self, number: int) -> Tensor:
        """One held-out image by its number from 0, (1, 3, side, side); eight are drawn with one seed."""
        generator = Generator().manual_seed(HELD_OUT + number // TOGETHER)
        return self.held_out(TOGETHER, generator).images[number % TOGETHER][None]

    @cached_property
    def stored(self) -> Stored:
        """The training images, stored as 8-bit files."""
        return store(self.dataset(), self.count, seed=0)

    def ready(self) -> None:
        """Test a small record of the dataset, then render the training images, or open what was rendered before."""
        check_images(self.dataset(), self.side)
        self.stored  # noqa: B018

    def drawn(self, n: int, generator: Generator) -> Tensor:
        """Stored images, with replacement."""
        return self.stored.images(torch.randint(len(self.stored), (n,), generator=generator)).to(self.device)

    def about(self) -> dict[str, str]:
        """The dataset, and the name of the stored images, which holds a digest of dataset and settings."""
        return {"source": self.name, "data_sha256": self.stored.folder.name}

    @property
    def source(self) -> str:
        """What the dataset is called."""
        return self.name

    @property
    def name(self) -> str:
        """What the dataset is called in scores and cards."""
        return name_of(self.data)

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Scores on n held-out images, see `scores.score_images`."""
        from ergosum.decomposition.scores import score_images

        return score_images(name, self, model, n, seed, shelf)

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Segmentation, recomposition, kernel distances, factors: those that were measured."""
        from ergosum.decomposition.scores import tables

        return tables(scores)

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Components, masks, recombinations, and the tables of the score."""
        from ergosum.decomposition.figures import sections

        return sections(self, model, scores, seed)


class Recomposition(OfImages):
    """Recompose an image from noise, with latents read off the image.

    Args:
        data: dataset of single images; gets `split`.
        model: gets `side`.
        objective: (images, trajectory, rows, progress) -> Losses.
        count: training images, drawn once and stored as 8-bit files, >= 1.
        metrics: more metrics for its score, each (recomposed images, true images) -> (batch,).
    Raises:
        ValueError: if the arguments do not go together.
    """

    def __init__(
        self,
        data: Part[ImageDataset] = Part(Tetrominoes, side=36),  # noqa: B008
        model: Part[ImageDecomposer] = Part(ImageDecomposer),  # noqa: B008
        objective: Part[RecompositionObjective] = Part(RecompositionLoss),  # noqa: B008
        count: int = 20_000,
        metrics: tuple[Part[Any], ...] = (),
    ) -> None:
        super().__init__(data, count, metrics)
        self.model, self.objective = model, objective.build()

    def build(self) -> nn.Module:
        """The decomposer for images of the dataset's side."""
        model = self.model.build(side=self.side)
        self._refuse_unlike(model)
        return model

    def batch(self, n: int, generator: Generator) -> NoisedBatch:
        """Stored images, and uniform noise."""
        images = self.drawn(n, generator)
        return NoisedBatch(images, torch.rand(images.shape, generator=generator).to(self.device))

    def loss(self, model: nn.Module, batch: NoisedBatch, generator: Generator, progress: float) -> Losses:
        """Descend from noise."""
        path = model(batch.noise, batch.images, generator=generator)
        return self.objective(batch.images, path, len(self.stored), progress)

    def locate(self, model: nn.Module, batch: NoisedBatch) -> str:
        """Which component first leaves the finite numbers."""
        return model.locate(batch.images)  # type: ignore[operator]

    @property
    def undivided(self) -> str:  # type: ignore[override]
        """Why several processes cannot share a batch out."""
        told = self.model.settings()
        descent, encoder = told.get("descent"), told.get("encoder")
        if (isinstance(descent, Part) and descent.get("noise")) or told.get("stochastic"):
            return "Descent noise and stochastic latents are drawn for the batch"
        if isinstance(encoder, Part) and getattr(encoder.cls, "placed", False):
            return "Places where slots start to look are drawn for the batch"
        return "Decorrelation is over the batch" if getattr(self.objective, "decorrelation", 0) else ""

    def _refuse_unlike(self, model: nn.Module) -> None:
        """What the objective asks of the model."""
        told = self.objective
        if not isinstance(told, RecompositionLoss) or not isinstance(model, ImageDecomposer):
            return
        d = model.descent
        if told.foreground_area and not model.placed:
            raise ValueError("objective.foreground_area: expected 0 without an encoder with places.")
        if told.mask_entropy and not model.curved:
            raise ValueError("objective.mask_entropy: expected 0 without experts.")
        if (told.kl_weight or told.tc_weight) and not model.stochastic:
            raise ValueError("model.stochastic: expected True with objective.kl_weight or tc_weight.")
        if told.on != "last" and (d.training_steps or d.steps) < 2:
            raise ValueError(
                "objective.on: expected 'last' where training takes one step (descent.training_steps = 1)."
            )
        if told.on != "last" and d.gradient == "last":
            raise ValueError("descent.gradient: expected truncated, window or full with a loss on several steps.")


class Coding(OfImages):
    """Code an image and draw it again, as published models do: the model has the loss, the task the images.

    Args:
        data: dataset of single images of a side that is a multiple of 16. model: a baseline, or a model of your own
            that derives from `ImageBaseline`; gets `side`. count, metrics: as `Recomposition`.
    """

    undivided = "Published models draw latents for the batch"

    def __init__(
        self,
        model: Part[ImageBaseline],
        data: Part[ImageDataset] = Part(Tetrominoes, side=48),  # noqa: B008
        count: int = 20_000,
        metrics: tuple[Part[Any], ...] = (),
    ) -> None:
        super().__init__(data, count, metrics)
        self.model = model
        if self.side % 16:
            raise ValueError(f"data.side: expected a multiple of 16 for a published model, got {self.side}.")

    def build(self) -> nn.Module:
        """The baseline for images of the dataset's side."""
        return self.model.build(side=self.side)

    def batch(self, n: int, generator: Generator) -> ImageBatch:
        """Stored images."""
        return ImageBatch(self.drawn(n, generator))

    def loss(self, model: nn.Module, batch: ImageBatch, generator: Generator, progress: float) -> Losses:
        """The model's own loss; its descent starts nowhere."""
        return model(batch.images, generator)

    def locate(self, model: nn.Module, batch: ImageBatch) -> str:
        """Which part first leaves the finite numbers."""
        return model.locate(batch.images)  # type: ignore[operator]


def load_decomposer(name: str, trust: tuple[str, ...] = ()) -> tuple[OfImages, ImageDecomposer]:
    """Task and model of a run or card that decomposes images.

    Args:
        trust: modules outside of the package that its recipe may name.
    Raises:
        ValueError: if it was trained for something else. FileNotFoundError: if there is no such run or card.
    """
    experiment, model = load_predictor(name, trust)
    return decomposer_of(name, experiment.built(), model)


def decomposer_of(name: str, task: Task, model: nn.Module) -> tuple[OfImages, ImageDecomposer]:
    """The task and model of `name`, which have been loaded, if they decompose images; errors as `load_decomposer`."""
    if isinstance(model, ImageBaseline):
        raise ValueError(
            f"{name} is a {type(model).__name__}, a baseline that is only trained and scored; expected a decomposer."
        )
    if not isinstance(task, OfImages) or not isinstance(model, ImageDecomposer):
        raise ValueError(f"{name} does not decompose images; expected a run such as tetrominoes.")
    return task, model


def _with_objects(data: Part[ImageDataset], objects: int) -> Part[ImageDataset]:
    """The same dataset, or mixture of datasets, with another number of objects where it has one to set."""
    known, changes = parameters(data.cls), {}
    if "objects" in known:
        changes["objects"] = objects
    if "sets" in known:
        changes["sets"] = tuple(_with_objects(part, objects) for part in data.get("sets"))
    return data.but(**changes)
