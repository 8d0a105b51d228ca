"""A density of images with any number of objects, from single ones: a background, and windows that hold one object.

A window is learned from images of single objects, around the place that they tell; the background from what the images
have in common. `LocalLifts` puts them together: `at(0.3,0.6) & at(0.7,0.4)` are two objects there and nothing else.
"""

import collections.abc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.counting import sampling_objects, score_counts, sections, tables
from ergosum.concepts.elsewhere import Adapted, elsewhere_targets, restored
from ergosum.concepts.finding import choose_object_levels, find, search
from ergosum.concepts.finding_scores import finding_tables, score_finding
from ergosum.concepts.object_model import Objects
from ergosum.concepts.one_object import sampling_somewhere, score_told
from ergosum.concepts.task import ConceptDensities, Reading, compared
from ergosum.concepts.unlike import Numbers, unlike_tables
from ergosum.data.attributed import AttributedData
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.density.formulas import kinds, vocabulary
from ergosum.density.objective import Objective
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.sampling import Passing
from ergosum.density.space import Pixels
from ergosum.density.task import FITTED
from ergosum.formula import numbered
from ergosum.part import Part
from ergosum.samplers.chain import finished
from ergosum.training.task import Samples, Section, Shelf, Table

__all__ = ["ObjectDensities"]


class ObjectDensities(ConceptDensities):
    """Learn the background of images of single objects, and the density of windows that hold one.

    Windows are not measured for log Z: the shares of alternatives, `at(0.3,0.6) | at(0.7,0.4)`, are not known.

    Args:
        data: images with attributes, one of them the place of an object; gets `split`. model, objective, drop: as
            `ConceptDensities`; the place is always told. counts: numbers of objects that are scored.
            readings: training images by which the levels are chosen at which objects are found, 0 to take the lowest.
    Raises:
        ValueError: if the arguments do not go together.
    """

    compared, foreign = 99, 8  # it takes half a second and more to find the objects of an image

    def __init__(
        self,
        data: Part[AttributedData] = Part(ConceptScenes),  # noqa: B008
        model: Part[Objects] = Part(Objects),  # noqa: B008
        objective: Part[Objective] = Part(DenoisingScore, time=0.25, begin=0.6, even=True),  # noqa: B008
        drop: float = 0.2,
        counts: int = 8,
        readings: int = 64,
    ) -> None:
        super().__init__(data, model, objective, drop, draws=0)  # type: ignore[arg-type]
        if not self.objective.levels:
            raise ValueError(f"objective: expected one over noise levels, got {type(self.objective).__name__}.")
        if counts < 1:
            raise ValueError(f"counts: expected one object or more, got {counts}.")
        if readings < 0:
            raise ValueError(f"readings: expected 0 training images or more, got {readings}.")
        self.counts, self.readings = counts, readings

    def _space_of(self, model: Part[Objects]) -> Any:  # type: ignore[override]
        return Pixels()

    def build(self) -> Objects:
        """The model for images like the data's."""
        return self.model.build(**self._about_data())  # type: ignore[return-value]

    def _settle(self, model: Objects) -> None:  # type: ignore[override]
        record = self.images.attributed(FITTED, torch.Generator().manual_seed(0))
        model.family.fit(model.encode(record.images), record.values)
        model.count(record.values)

    @torch.no_grad()
    def finish(self, model: Objects, generator: Generator) -> bool:  # type: ignore[override]
        """The levels at which objects are found and read."""
        if not self.readings:
            return False
        self.tell("choosing the levels at which objects are found")
        record = self.images.attributed(self.readings, generator)
        choose_object_levels(model, model.encode(record.images), record.values, generator)
        return True

    def _conditions(self, model: Objects, labels: Tensor, generator: Generator) -> Tensor:  # type: ignore[override]
        """The place, and a random subset of the other values."""
        family = model.family
        kept = family.windows.conditions.drop(family.told(labels), self.drop, generator)[:, family.own]
        kept[:, family.place] = labels[:, family.place]
        return kept

    def sample(  # type: ignore[override]
        self, models: Sequence[nn.Module], formula: str, *, n: int = 64, shares: Sequence[float] | None = None,
        steps: int = 0, sigma: float = 0.0, corrections: int | None = None, particles: int = 1, seed: int = 0,
        runs: Sequence[str] = (), shelf: Shelf | None = None,
    ) -> Samples:  # fmt: skip
        """Draw a formula of objects at places, see `concepts/counting.py`, or of one object somewhere, see
        `concepts/one_object.py`.
        """
        return finished(
            self.sampling(
                models, formula, n=n, shares=shares, steps=steps, sigma=sigma, corrections=corrections,
                particles=particles, seed=seed, runs=runs, shelf=shelf,
            )
        )  # fmt: skip

    def sampling(  # type: ignore[override]
        self, models: Sequence[nn.Module], formula: str, *, n: int = 64, shares: Sequence[float] | None = None,
        steps: int = 0, sigma: float = 0.0, corrections: int | None = None, particles: int = 1, seed: int = 0,
        runs: Sequence[str] = (), shelf: Shelf | None = None,
    ) -> collections.abc.Generator[Passing, None, Samples]:  # fmt: skip
        """What `sample` does, level by level."""
        if formula and len(models) == 1 and not numbered(formula) and kinds(formula, vocabulary([models[0]])):  # type: ignore[list-item]
            return sampling_somewhere(
                models[0], formula, self._reading(models[0]), n=n, shares=shares, steps=steps, sigma=sigma,
                corrections=corrections, particles=particles, seed=seed,
            )  # fmt: skip
        return sampling_objects(
            models, formula, self.finder(), n=n, shares=shares, steps=steps, sigma=sigma, corrections=corrections,
            particles=particles, seed=seed, runs=runs,
        )  # fmt: skip

    def _reading(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """What reads one object in images: the data's own rules, or the model itself."""
        held: Any = model

        def found(images: Tensor) -> Tensor:
            told = find(held, held.encode(images), torch.Generator().manual_seed(0))
            return torch.stack([o[0].values if o else torch.full((held.family.width,), torch.nan) for o in told])

        return self.reader() or found

    def finder(self) -> Any:
        """What finds objects in images, of each a row of values; None without the data, or if these have none."""
        try:
            return getattr(self.data.build(split="test"), "found", None)
        except FileNotFoundError:
            return None

    def unlikeness(self, model: Any, images: Tensor, generator: Generator) -> Numbers:
        """What the objects of images leave over."""
        return {"left": search(model.eval(), model.encode(images), generator)[1]}

    def infer(  # type: ignore[override]
        self, model: Objects, names: Sequence[str], images: Tensor, generator: Generator,
        held_out: Mapping[str, Sequence[float]] | None = None, adapt: bool = False,
    ) -> Reading:  # fmt: skip
        """The objects in images (n, channels, side, side), a row each, see `concepts/finding.py`; with the numbers of
        held-out images, and adapted, as `ConceptDensities.infer`.
        """
        images, mirrored = self.adapted(model.eval(), images, generator) if adapt else Adapted(images, False)
        found, left = search(model, model.encode(images), generator)
        rows: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        place = next(a.name for a in model.attributes if a.numbers == 2)
        for name, objects in zip(names, found, strict=True):
            told.append({"image": name, "objects": []})
            for number, one in enumerate(objects, 1):
                at = restored(one.values, model.attributes, mirrored)[model.family.place].tolist()
                row: dict[str, Any] = {"image": name, "object": str(number), place: ", ".join(f"{v:.3f}" for v in at)}
                own: dict[str, Any] = {"log_odds": one.log_odds, place: at}
                for attribute, p in ((a, one.probabilities[a.name]) for a in model.attributes if a.values):
                    own[attribute.name] = dict(zip(attribute.values, p.tolist(), strict=True))
                    row[attribute.name] = f"{attribute.values[int(p.argmax())]} {p.max():.2f}"
                rows.append(row | {"log_odds": one.log_odds})
                told[-1]["objects"].append(own)
            if not objects:
                rows.append({"image": name, "object": "none", **{a.name: "" for a in model.attributes}})
        title = "Objects found, with the probabilities of their values and the log-odds that they are there, in nats"
        heads = ("image", "object", *(a.name for a in model.attributes))
        read = Reading({"images": told}, [Table(heads, {"log_odds": 1}, rows, title)])
        return read if held_out is None else compared(read, held_out, {"left": left})

    def inpaint(self, model: Any, start: Any, mask: Any, **options: Any) -> Samples:  # type: ignore[override]
        """Refused: which objects a hidden part holds is not told by windows around places."""
        raise ValueError(
            "inpaint: this density knows windows around places, not whole images; use one of whole images, such as "
            "concepts-latents."
        )

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Counts in n draws of each number and, of data that hold combinations out, draws with all values told and of
        formulas, see `concepts/one_object.py`; where more than one is counted, objects found in n images of each kind,
        see `concepts/finding_scores.py`.
        """
        data = self.data.build(split="test")
        if not (hasattr(data, "found") and hasattr(data, "drawn")):
            raise ValueError(
                f"{self.data.cls.__name__}: counts need `found`, which finds objects in images, and `drawn`, which "
                "draws them; it has not both."
            )
        told = score_counts(name, model.eval(), data, n, seed, self.counts)  # type: ignore[arg-type]
        one = score_told(model, data, n, seed)
        told |= {**one, "targets": [*told["targets"], *one.get("targets", ())]}
        told |= score_finding(model, self.data, partial(self.unlikeness, model), n, seed) if self.counts > 1 else {}
        told |= self.score_unlike(model, n, seed)
        told["targets"] = [*told["targets"], *elsewhere_targets(told)]
        return told | {"source": self.data.cls.__name__}

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Counts by number of objects, objects found, and images that are none of the data."""
        return [*tables(scores), *finding_tables(scores), *unlike_tables(scores)]

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Draws of one to as many objects as are scored, and the table of counts."""
        return sections(model, scores, seed, self.counts)  # type: ignore[arg-type]
