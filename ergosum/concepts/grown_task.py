"""The task of one more concept: an older model is frozen, and learns one attribute from images that tell it."""

from collections.abc import Sequence
from typing import Any

from torch import Generator, Tensor, nn

from ergosum.concepts.grown_model import Grown, older
from ergosum.concepts.model import Concepts
from ergosum.concepts.sampling import sample_concepts
from ergosum.concepts.scores import score_concepts
from ergosum.concepts.task import ConceptDensities
from ergosum.data.attributed import Attribute, Attributed, AttributedData, retold
from ergosum.data.partly_told import PartlyTold
from ergosum.density.formulas import kinds, vocabulary
from ergosum.density.objective import Objective
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.task import DensityBatch
from ergosum.part import Part
from ergosum.training.task import Losses, Samples, Shelf

__all__ = ["GrownDensities"]


class GrownDensities(ConceptDensities):
    """Add an attribute to a trained model of concepts, from images that tell it; the older images are not needed.

    Args:
        data: images that tell the new attribute, and may tell older ones; gets `split`. model: gets the data's
            `attributes`, `channels` and `side`. objective, drop, draws: as `ConceptDensities`.
    Raises:
        ValueError: if the arguments do not go together.
    """

    def __init__(
        self,
        data: Part[AttributedData] = Part(PartlyTold),  # noqa: B008
        model: Part[Concepts] = Part(Grown),  # noqa: B008
        objective: Part[Objective] = Part(DenoisingScore),  # noqa: B008
        drop: float = 0.2,
        draws: int = 128,
    ) -> None:
        super().__init__(data, model, objective, drop, draws)

    def build(self) -> Grown:
        """The model, its older part with the weights of its run, unless it is described by this run's own recipe."""
        return super().build()  # type: ignore[return-value]

    def settled(self, part: Part[Any]) -> Part[Any]:
        """The part with what the data told, and the older model as its run describes it."""
        part = super().settled(part)
        if self.model.get("before") is None:
            part = part.but(model={"before": older(str(self.model.get("grown_from")))})
        return part

    def _record(self, model: Concepts, n: int, generator: Generator) -> Attributed:
        record = self.images.attributed(n, generator)
        return record._replace(values=retold(record.values, self.images.attributes, model.attributes))

    def loss(self, model: Any, batch: DensityBatch, generator: Generator, progress: float) -> Losses:  # type: ignore[override]
        """The loss of the new codec, then of the new energy."""
        inner = model.module if hasattr(model, "module") else model
        if not inner.loaded:
            raise ValueError(
                "model.before: its weights have not been taken up; leave `before` out, so that the run of grown_from "
                "is read, or go on with --resume."
            )
        values = retold(batch.labels, self.images.attributes, inner.attributes)
        return super().loss(model, batch._replace(labels=values), generator, progress)

    def sample(  # type: ignore[override]
        self, models: Sequence[nn.Module], formula: str, *, n: int = 64, shares: Sequence[float] | None = None,
        steps: int = 0, sigma: float = 0.0, corrections: int | None = None, particles: int = 1, seed: int = 0,
        runs: Sequence[str] = (), shelf: Shelf | None = None,
    ) -> Samples:  # fmt: skip
        """Draw a formula of concepts; attributes that were added and that it does not speak of are neutral."""
        if len(models) > 1:
            raise ValueError("--model: a model that was grown holds the older ones; give it alone.")
        model: Any = models[0]
        named = kinds(formula, vocabulary([model])) if formula else set()
        world = model.world(named)
        held = self._held(world.attributes)
        return sample_concepts(
            [world], formula, held.read if held else lambda images: None, n=n, shares=shares, steps=steps, sigma=sigma,
            corrections=corrections, particles=particles, seed=seed, runs=runs,
        )  # fmt: skip

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Scores of all attributes, the older ones among them, see `concepts/scores.py`."""
        grown: Any = model.eval()
        held = self._held(grown.attributes)
        if held is None:
            raise ValueError(f"{self.data.cls.__name__} has no reader, so that draws cannot be scored; give it `read`.")
        told = score_concepts(name, grown, held, held.read, n, seed) | self.score_unlike(grown, n, seed)
        return told | {"source": self.data.cls.__name__}

    def test_part(self) -> None:
        """Nothing: data of one set have other columns than what has grown from several."""

    def _held(self, wanted: Sequence[Attribute]) -> "_Held | None":
        """The test part, in columns of these attributes; None without the data, or if they have no reader."""
        try:
            data: Any = self.data.build(split="test")
        except FileNotFoundError:
            return None
        whole = getattr(data, "whole", data)
        return _Held(whole, wanted) if hasattr(whole, "read") else None


class _Held:
    """A test part, with values in the columns of other attributes."""

    def __init__(self, data: Any, wanted: Sequence[Attribute]) -> None:
        self.data, self.attributes = data, tuple(wanted)

    def attributed(self, n: int, generator: Generator) -> Attributed:
        """Random images."""
        record = self.data.attributed(n, generator)
        return record._replace(values=retold(record.values, self.data.attributes, self.attributes))

    def read(self, images: Tensor) -> Tensor:
        """What the data's reader sees."""
        return retold(self.data.read(images), self.data.attributes, self.attributes)
