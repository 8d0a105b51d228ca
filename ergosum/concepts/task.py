"""The task of concepts: densities of images under any of their attributes' values, several at once, or none."""

import collections.abc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.elsewhere import (
    Adapted,
    adapted,
    elsewhere_tables,
    elsewhere_targets,
    floor_of,
    restored,
    score_elsewhere,
)
from ergosum.concepts.inference import choose_levels, infer
from ergosum.concepts.model import Concepts
from ergosum.concepts.sampling import sampling_concepts
from ergosum.concepts.scores import score_concepts, tables
from ergosum.concepts.unlike import Numbers, held_out_numbers, p_values, score_unlike, unlike_tables, unlikeness
from ergosum.data.attributed import Attributed, AttributedData
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.density.objective import Objective
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.offsets import absorb, fit_offsets
from ergosum.density.sampling import Passing
from ergosum.density.table import measure
from ergosum.density.task import CALIBRATED, FITTED, ISLANDS, Densities, DensityBatch
from ergosum.part import Part, parameters
from ergosum.samplers.chain import finished
from ergosum.training.task import Losses, Samples, Section, Shelf, Table

__all__ = ["ConceptDensities"]

KEPT = 20_000
"""Images whose posteriors densities of codes learn from."""


class Reading(NamedTuple):
    """What was read in images: numbers as `--json` prints them, and tables for a person.

    Attributes:
        unlike: names of images that are unlike those that the model learned from. share: of images like these, the
            share that is called so, at most; 0 if none was compared.
    """

    numbers: dict[str, Any]
    tables: list[Table]
    unlike: Sequence[str] = ()
    share: float = 0.0


class ConceptDensities(Densities):
    """Learn the density of images under every subset of their attributes' values.

    Args:
        data: images with attributes; gets `split`. model: gets the data's `attributes`, `channels` and `side`.
            objective: what trains the family. drop: probability that nothing is told of an image; else it is a random
            subset of its values, each size as often. draws: as `Densities`.
    Attributes:
        compared: held-out images that others are compared with, to tell whether they are unlike. foreign: images of
            each set, at most, that a score tells from held-out ones so.
    Raises:
        ValueError: if the arguments do not go together.
    """

    compared = 199
    foreign = 200

    def __init__(
        self,
        data: Part[AttributedData] = Part(ConceptScenes),  # noqa: B008
        model: Part[Concepts] = Part(Concepts),  # noqa: B008
        objective: Part[Objective] = Part(DenoisingScore),  # noqa: B008
        drop: float = 0.2,
        draws: int = 128,
    ) -> None:
        super().__init__(data, model, objective, drop, draws)  # type: ignore[arg-type]
        self._posteriors: tuple[Tensor, Tensor, Tensor] | None = None

    def _about_data(self) -> dict[str, Any]:
        """Attributes, channels and side, which a recipe of a run that ships tells itself."""
        wanted = ("attributes", "channels", "side")
        if all(k in self.model.arguments for k in wanted):
            return {}
        told = {k: getattr(self.images, k) for k in wanted}
        told["attributes"] = [[a.name, list(a.values), a.numbers] for a in told["attributes"]]
        return {k: v for k, v in told.items() if k not in self.model.arguments}

    def ready(self) -> None:
        """Read the data, and test a small record of them."""
        record = self.images.attributed(2, torch.Generator().manual_seed(0))
        data, wanted = self.images, (self.images.channels, self.images.side, self.images.side)
        if record.images.shape[1:] != wanted or record.images.min() < 0 or record.images.max() > 1:
            raise ValueError(
                f"{self.data.cls.__name__}.attributed: expected images (n, {wanted[0]}, {wanted[1]}, {wanted[2]}) in "
                f"[0, 1], got {tuple(record.images.shape)} in [{record.images.min():g}, {record.images.max():g}]."
            )
        width = sum(a.width for a in data.attributes)
        if record.values.shape[1:] != (width,):
            raise ValueError(
                f"{self.data.cls.__name__}.attributed: expected values (n, {width}), a column for each named attribute "
                f"and number, got {tuple(record.values.shape)}."
            )

    def _settle(self, model: Concepts) -> None:  # type: ignore[override]
        """Take what the space, the family and the vocabulary hold of the data themselves."""
        generator = torch.Generator().manual_seed(0)
        record = self._record(model, FITTED, generator)
        space: Any = model.space
        if hasattr(space, "settle_told"):
            space.settle_told(record.images, record.values)
        else:
            space.settle(record.images)
        parts = zip(record.images.split(500), record.values.split(500), strict=True)
        with torch.no_grad():
            points = torch.cat([model.points(a, b, generator) for a, b in parts])
        model.family.fit(points)
        if hasattr(model.family, "tell"):
            model.family.tell(space, record.values)
        model.count(record.values)
        self.objective.fit(points)

    def _record(self, model: Concepts, n: int, generator: Generator) -> Attributed:
        """Random images of the training part, and their values in the model's columns."""
        return self.images.attributed(n, generator)

    def batch(self, n: int, generator: Generator) -> DensityBatch:
        """Images with their values."""
        record = self.images.attributed(n, generator)
        return DensityBatch(record.images, record.values)

    def loss(self, model: Any, batch: DensityBatch, generator: Generator, progress: float) -> Losses:  # type: ignore[override]
        """The objective's loss, or while codes are being learned that of the codec."""
        inner = model.module if hasattr(model, "module") else model
        if inner.space.learns(progress) and hasattr(inner.space, "told_loss"):
            if getattr(inner.space, "unseen", False):
                inner.space.look(*self._record(inner, FITTED, torch.Generator().manual_seed(0)))
            return inner.space.told_loss(batch.images, batch.labels, generator, progress)
        if inner.space.stages and not inner.space.settled:
            self._settle(inner)
        if hasattr(inner.space, "posterior"):
            points, values = self._kept(inner, len(batch.images), generator)
        else:
            points, values = inner.points(batch.images, batch.labels, generator), batch.labels
        c = self._conditions(inner, values, generator)
        return model(self.objective, points, c, generator, progress)

    def _kept(self, model: Concepts, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Codes of n of the images whose posteriors are kept since codes are settled, and their values: to encode every
        batch anew would take twice as long as to learn from it.
        """
        space: Any = model.space
        if self._posteriors is None:
            record = self._record(model, KEPT, torch.Generator().manual_seed(1))
            values = record.values.to(model.shares)
            self._posteriors = (*space.posterior(record.images.to(model.shares), values), values)
        rows = torch.randint(KEPT, (n,), generator=generator, device=generator.device)
        mean, deviation, values = (kept[rows.to(kept.device)] for kept in self._posteriors)
        return space.drawn(mean, deviation, values, generator), values

    def _conditions(self, model: Concepts, labels: Tensor, generator: Generator) -> Tensor:  # type: ignore[override]
        """A random subset of the values."""
        return model.family.conditions.drop(labels, self.drop, generator)

    @torch.no_grad()
    def finish(self, model: Concepts, generator: Generator) -> bool:  # type: ignore[override]
        """Offsets of values that denoising alone has left on scales of their own, the table of levels, and the levels
        at which attributes are read.
        """
        if not self.draws:
            return False
        known = self._record(model, CALIBRATED, generator)
        points = torch.cat([model.encode(part) for part in known.images.split(500)])
        family, own, values = model.learned(points, known.values)
        several = any(len(rows) > 1 for rows, _ in family.conditions.groups(values))
        if several and not getattr(self.objective, "time", 0.0):
            self.tell("fitting the offsets of values")
            fit_offsets(family, own, values, generator=generator)
        self.tell("measuring log Z of the levels")
        measure(family, n=2 * self.draws, islands=ISLANDS, generator=generator)
        absorb(family)
        self.tell("measuring log Z again, of what is left")
        measure(family, n=self.draws, islands=ISLANDS, generator=generator)
        self.tell("choosing the levels at which attributes are read")
        choose_levels(model, points, known.values, generator)
        return True

    def reader(self, shelf: Shelf | None = None) -> Callable[[Tensor], Tensor] | None:
        """What reads values (n, columns) in images: the data's own rules; None without these, or without the data or
        what draws them.
        """
        try:
            data: Any = self.data.build(split="test")
        except (FileNotFoundError, ImportError):
            return None
        if not hasattr(data, "read"):
            return None
        takes = parameters(data.read)
        if "classifier" in takes and shelf is not None:
            return lambda images: data.read(images, classifier=shelf.classifier("upright"))
        return data.read

    def sample(  # type: ignore[override]
        self, models: Sequence[nn.Module], formula: str, *, n: int = 64, shares: Sequence[float] | None = None,
        steps: int = 0, sigma: float = 0.0, corrections: int | None = None, particles: int = 1, seed: int = 0,
        runs: Sequence[str] = (), shelf: Shelf | None = None,
    ) -> Samples:  # fmt: skip
        """Draw a formula of concepts, see `concepts/sampling.py`."""
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
        read = self.reader(shelf)
        return sampling_concepts(
            models, formula, read or (lambda images: None), n=n, shares=shares, steps=steps, sigma=sigma,
            corrections=corrections, particles=particles, seed=seed, runs=runs,
        )  # fmt: skip

    def infer(
        self, model: Concepts, names: Sequence[str], images: Tensor, generator: Generator,
        held_out: Mapping[str, Sequence[float]] | None = None, adapt: bool = False,
    ) -> Reading:  # fmt: skip
        """Values of images (n, channels, side, side) with their probabilities, a row each; and whether the images are
        like those that the model learned from, if the numbers of held-out ones are given, see `concepts/unlike.py`.

        Args:
            adapt: whether images were made elsewhere, in one place, and are to be adapted (`concepts/elsewhere.py`).
        Raises:
            ValueError: if they are too few or too grey to be adapted.
        """
        images, mirrored = self.adapted(model.eval(), images, generator) if adapt else Adapted(images, False)
        found = infer(model, model.encode(images), generator)
        values = restored(found.values, model.attributes, mirrored)
        rows, told = [], []
        for number, name in enumerate(names):
            row: dict[str, Any] = {"image": name}
            own: dict[str, Any] = {"image": name}
            for attribute, column in zip(model.attributes, model.columns, strict=True):
                if attribute.values:
                    p = found.probabilities[attribute.name][number]
                    own[attribute.name] = dict(zip(attribute.values, p.tolist(), strict=True))
                    row[attribute.name] = f"{attribute.values[int(p.argmax())]} {p.max():.2f}"
                else:
                    own[attribute.name] = values[number, column].tolist()
                    row[attribute.name] = ", ".join(f"{v:.2f}" for v in own[attribute.name])
            rows.append(row)
            told.append(own)
        names = ("image", *(a.name for a in model.attributes))
        read = Reading({"images": told}, [Table(names, {}, rows, "Likeliest values, with their probabilities")])
        return read if held_out is None else compared(read, held_out, self.unlikeness(model, images, generator))

    def adapted(self, model: Any, images: Tensor, generator: Generator) -> Adapted:
        """Images of another place as ones of the data's, see `concepts/elsewhere.py`."""
        return adapted(images, floor_of(self.data), partial(self.unlikeness, model), generator)

    def unlikeness(self, model: Any, images: Tensor, generator: Generator) -> Numbers:
        """Numbers of images that are larger the less these are like the data, see `concepts/unlike.py`."""
        return unlikeness(model.eval(), images, generator)

    def held_out_numbers(self, model: nn.Module, scores: Mapping[str, Any]) -> dict[str, list[float]] | None:
        """Such numbers of held-out images: those that scores keep, or of images drawn now; None without the data."""
        kept = scores.get("unlike", {}).get("held_out")
        return kept or held_out_numbers(partial(self.unlikeness, model), self.data, self.compared)

    def score_unlike(self, model: nn.Module, n: int, seed: int) -> dict[str, Any]:
        """How well foreign images are told from held-out ones, under `unlike`."""
        return {
            "unlike": score_unlike(
                partial(self.unlikeness, model), self.data, min(n, self.foreign), seed, self.compared
            )
        }  # fmt: skip

    def score_elsewhere(self, model: Concepts, n: int, seed: int) -> dict[str, Any]:
        """How well values are read in images made elsewhere, if the data have any."""

        def read(images: Tensor) -> Tensor:
            points = torch.cat([model.encode(part) for part in images.split(500)])
            return infer(model, points, Generator().manual_seed(seed)).values

        return score_elsewhere(model, self.data, read, partial(self.unlikeness, model), n, seed)

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Scores on draws and on held-out images, see `concepts/scores.py`, and on images made elsewhere."""
        data = self.data.but(source=source) if source and self.takes_source else self.data
        data.build(split="test")  # if it is not at hand, this says what to do
        read = self.reader(shelf)
        if read is None:
            raise ValueError(f"{self.data.cls.__name__} has no reader, so that draws cannot be scored; give it `read`.")
        told = score_concepts(name, model.eval(), data.build(split="test"), read, n, seed)  # type: ignore[arg-type]
        told |= self.score_unlike(model, n, seed)
        told |= self.score_elsewhere(model, n, seed)  # type: ignore[arg-type]
        told["targets"] = [*told["targets"], *elsewhere_targets(told)]
        return told | {"source": str(data.get("source")) if self.takes_source else self.data.cls.__name__}

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Conjunctions, formulas, inference, images that are none of the data, and images made elsewhere."""
        return [*tables(dict(scores)), *unlike_tables(scores), *elsewhere_tables(scores)]

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Draws of every value, and the tables of the score."""
        from ergosum.concepts.figures import sections

        return sections(model, scores, seed, self.test_part(), self.reader(shelf))  # type: ignore[arg-type]

    def test_part(self) -> Any:
        """The test part, whose true images stand beside draws; None without the data or what draws them."""
        try:
            return self.data.build(split="test")
        except (FileNotFoundError, ImportError):
            return None

    @property
    def takes_source(self) -> bool:
        """Whether the data are named by a source."""
        return "source" in parameters(self.data.cls)

    @property
    def of_digits(self) -> bool:
        """Images of concepts are read by their data's own reader."""
        return False


def compared(read: Reading, held_out: Mapping[str, Sequence[float]], numbers: Numbers) -> Reading:
    """What was read, with p of every image: at most that share of images like the held-out ones is as unlike them.

    Args:
        read: its numbers have a row for each image, its table one or more. held_out, numbers: of held-out images and of
            these, see `unlike.p_values`.
    """
    p, least = p_values(held_out, numbers)
    (table,) = read.tables
    told = []
    for number, own in enumerate(read.numbers["images"]):
        values = {name: each[number].item() for name, each in numbers.items()}
        told.append(own | {"p": p[number].item(), "unlike": bool(p[number] <= least), "unlikeness": values})
    of = {own["image"]: own["p"] for own in told}
    like = {own["image"]: "NO" if own["unlike"] else "yes" for own in told}
    rows = [{**row, "p": of[row["image"]], "like the data": like[row["image"]]} for row in table.rows]
    title = f"{table.title}; p: at most this share of images like those learned from is as unlike them"
    count = len(next(iter(held_out.values())))
    return Reading(
        {"images": told, "held_out": count, "share": least},
        [Table((*table.names, "like the data"), {**table.decimals, "p": 3}, rows, title)],
        [own["image"] for own in told if own["unlike"]],
        least,
    )
