"""A density of images with any number of objects, from single ones: a background, and windows that hold one object.

A window is learned from images of single objects, around the place that they tell; the background from what the images
have in common. `LocalLifts` puts them together: `at(0.3,0.6) & at(0.7,0.4)` are two objects there and nothing else.
"""

import collections.abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.counting import sampling_objects, sampling_somewhere, score_counts, score_told, tables
from ergosum.concepts.energy import WholeEnergy
from ergosum.concepts.finding import choose_object_levels, find, search
from ergosum.concepts.finding_scores import finding_tables, score_finding
from ergosum.concepts.local import LocalLifts, background_of, corners, cut
from ergosum.concepts.model import Concepts
from ergosum.concepts.task import ConceptDensities, Reading, compared
from ergosum.concepts.unlike import Numbers, unlike_tables
from ergosum.concepts.windows import WindowEnergy
from ergosum.data.attributed import Attribute, AttributedData, columns
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.density.formulas import kinds, vocabulary
from ergosum.density.model import PRIOR, Entry
from ergosum.density.objective import Objective
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.sampling import Passing
from ergosum.density.space import Pixels
from ergosum.density.task import FITTED
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy
from ergosum.formula import numbered
from ergosum.nodes import leaves
from ergosum.part import Part
from ergosum.samplers.chain import finished
from ergosum.shapes import Batch, PerSample
from ergosum.training.task import Losses, Samples, Section, Shelf, Table

__all__ = ["ObjectDensities", "Objects", "ObjectsEnergy"]

SPOTS = 256
"""Places that are kept, to draw an object somewhere."""


class ObjectsEnergy(nn.Module):
    """Energies of images with objects at places: `family(values)` is a `LocalLifts` over one background.

    Args:
        event: (channels, side, side). attributes: of an object, one of them a place of two numbers. window: side of the
            windows in pixels. windows: family of these as vectors, gets `event` and the other `attributes`. moved:
            whether windows at the border are moved inside; else there are no objects there.
    Attributes:
        mean, variance: of the background's pixels, independent normals; 0 and 1 until `fit`. spots: places of some
            objects that were learned from, (256, 2); the middle until then. deviation: of pixels in windows.
    Raises:
        ValueError: without a place, or for a window that does not fit.
    """

    mean: Tensor
    variance: Tensor
    spots: Tensor

    def __init__(
        self, event: tuple[int, ...], attributes: Sequence[Attribute], window: int, windows: Part[WholeEnergy],
        moved: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        places = [p for a, p in zip(attributes, columns(attributes), strict=True) if a.numbers == 2]
        if len(places) != 1:
            told = ", ".join(a.name for a in attributes) or "none"
            raise ValueError(f"attributes: expected one of two numbers, the place of an object, got {told}.")
        if not 1 <= window <= event[-1]:
            raise ValueError(f"window: expected a side in pixels up to that of the image, {event[-1]}, got {window}.")
        self.event, self.window, self.place, self.moved = tuple(event), window, places[0], moved
        self.width = sum(a.width for a in attributes)
        self.others = [n for n in range(self.width) if not self.place.start <= n < self.place.stop]
        self.own = [n if n < self.place.stop else n + 2 for n in range(self.width)]
        told = tuple(a if a.numbers != 2 else a._replace(numbers=4) for a in attributes)
        self.windows: Any = windows.build(event=(event[0] * window**2,), attributes=told)
        self.lowest, self.highest = self.windows.lowest, self.windows.highest
        self.register_buffer("mean", torch.zeros(self.event))
        self.register_buffer("variance", torch.ones(self.event))
        self.register_buffer("spots", torch.full((SPOTS, 2), 0.5))
        self.register_load_state_dict_pre_hook(_older)

    @property
    def deviation(self) -> Tensor:
        """Of pixels in windows."""
        return self.windows.deviation

    def checked(self, sigma: float) -> float:
        """A level that the windows have, see `LevelEnergy.checked`."""
        return self.windows.checked(sigma)

    def forward(self, values: Tensor) -> LocalLifts:
        """Images with these objects: without noise, windows are at their lowest level.

        Shape:
            values: (K, columns) for all samples or (n, K, columns), NaN where nothing is told; an object without a
            place is none.
        """
        held = values if values.ndim == 3 else values[None]
        ground = Gaussian(self.mean, self.variance)
        return LocalLifts(ground, self.windows, held[..., self.place], self.told(held), self.window, self.moved)

    def prior(self) -> LocalLifts:
        """Images without objects."""
        return self(torch.full((1, self.width), torch.nan))

    def crops(self, x: Tensor, values: Tensor) -> Tensor:
        """Windows around the objects of points (n, *event), less the background: (n, channels window window)."""
        return cut(x - self.mean, values[:, None, self.place], self.window, self.moved).flatten(1)

    def told(self, values: Tensor) -> Tensor:
        """Conditions of windows (..., columns + 2) of values (..., columns): beside its place stands where an object
        lies in the middle pixel of its window, 0 .. 1 in x and y.
        """
        place = values[..., self.place]
        first = corners(place, self.window, self.event[-1], self.moved).flip(-1)
        within = place * self.event[-1] - self.window / 2 - first + 0.5
        return torch.cat([values[..., : self.place.stop], within, values[..., self.place.stop :]], -1)

    @torch.no_grad()
    def fit(self, x: Tensor, values: Tensor) -> None:
        """Take the background, and mean and deviation of windows, from images (n, *event) of single objects."""
        mean, variance = background_of(x)
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        self.windows.fit(self.crops(x, values))
        held = values[~values[:, self.place].isnan().any(1)][:SPOTS, self.place]
        self.spots.copy_(held[torch.arange(SPOTS, device=held.device) % len(held)])


def _older(family: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Weights that were kept before places were: the middle of the image stands for them."""
    state.setdefault(f"{prefix}spots", family.spots)


class Value(Energy):
    """What an object is, without its place: nothing that an image can be drawn from, only part of a conjunction.

    Args:
        row: its values, (columns,).
    """

    remembers = False

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.row = row

    def forward(self, x: Batch) -> PerSample:
        """Refused."""
        raise self._refused()

    def at_noise(self, sigma: float) -> Energy:
        """Refused."""
        raise self._refused()

    def _refused(self) -> ValueError:
        return ValueError(f"{self}: expected a place too, such as {self} & at(0.3,0.6): objects are drawn in windows.")


class Objects(Concepts):
    """Energies of images with any number of objects at places, see the module.

    In formulas `at(x,y)` is an object there, `red(x,y)` a red one; a named value in a conjunction tells of all its
    objects, and the prior has none.

    Args:
        attributes: of an object, each as `Attribute` or its three fields; with channels and side they are the data's.
        window: side of a window in pixels: as large as an object. windows: energies of windows as vectors, get `event`
            and the `attributes` but the place. moved: whether windows at the border are moved inside, so that large
            objects may lie there; else places have to leave room for them. channels, side: of an image.
    """

    def __init__(
        self,
        attributes: Sequence[Attribute] = (),
        channels: int = 3,
        side: int = 32,
        window: int = 8,
        windows: Part[WholeEnergy] = Part(WindowEnergy),  # noqa: B008
        moved: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.attributes = tuple(Attribute(a[0], tuple(a[1]), a[2]) for a in attributes)
        self.columns = columns(self.attributes)
        self.names = tuple(value for a in self.attributes for value in a.values)
        self.channels, self.side = channels, side
        self.space = Pixels(channels, side)
        self.family: Any = ObjectsEnergy(self.space.event, self.attributes, window, windows, moved)
        equal = [1 / len(a.values) for a in self.attributes for _ in a.values]
        self.register_buffer("shares", torch.tensor(equal))
        self.register_buffer("best", torch.full((len(self.attributes),), self.family.lowest))

    def given(self, **values: Any) -> Energy:
        """The energy of images with one object: `given(colour="red", place=(0.3, 0.6))`."""
        return self.family(self.condition(**values)[None])

    def energies(self) -> dict[str, Energy]:
        """The prior, of images without objects: what is named has no place of its own."""
        return {PRIOR: self.family.prior().named(PRIOR)}

    def entries(self) -> Mapping[str, Entry]:
        """What formulas may name: the values that the data have, and the prior."""
        prior = self.energies()[PRIOR]
        kinds = [a.name for a in self.attributes for _ in a.values]
        told = zip(self.names, kinds, self._rows(), self.shares.tolist(), strict=True)
        made = {n: Entry(Value(row).named(n), prior, share, kind, self) for n, kind, row, share in told if share > 0}
        return {**made, PRIOR: Entry(prior, prior, 1.0, "", self)}

    def at(self, name: str, numbers: Sequence[float]) -> Entry | None:
        """What `at(0.3,0.6)` or `red(0.3,0.6)` stands for; None for another name.

        Raises:
            ValueError: for numbers that are no place, or one whose window is not in the image.
        """
        place = next(a.name for a in self.attributes if a.numbers == 2)
        kind = next((a.name for a in self.attributes if name in a.values), None)
        if name in ("at", place):
            energy = self.given(**{place: list(numbers)})
        elif kind is not None and self.shares[self.names.index(name)] > 0:
            energy = self.given(**{place: list(numbers), kind: name})
        else:
            return None
        return Entry(energy, self.family.prior(), 0.0, "", self)

    def together(self, energies: Sequence[Energy]) -> Energy | None:
        """One energy for all objects that several tell: one at each place, with the values told of it and of all.

        Raises:
            ValueError: if two values of a kind are told of one object, or two places lie within half a window.
        """
        held = [leaves(energy)[0] for energy in energies]
        formula = " & ".join(map(str, energies))
        if any(isinstance(energy, LocalLifts) and len(energy.places) > 1 for energy in held):
            return self._somewhere(held, formula)
        objects: dict[tuple[float, ...], list[Tensor]] = {}
        for energy in held:
            for row in self.rows_of(energy) if isinstance(energy, LocalLifts) else ():
                objects.setdefault(tuple(row[self.family.place].tolist()), []).append(row)
        common = [energy.row for energy in held if isinstance(energy, Value)]
        if not objects:
            return None
        rows = [self._merged([*told, *common], formula) for told in objects.values()]
        made = self.family(torch.stack(rows))
        if made.apart() < self.family.window / 2:
            raise ValueError(
                f"{formula}: two places are {made.apart()} pixels apart; expected at least {self.family.window // 2}, "
                f"half of the window of {self.family.window} that holds an object."
            )
        return made.named(formula)

    def somewhere(self, n: int, generator: Generator, particles: int = 1) -> dict[str, Entry]:
        """What formulas may name of one object in each of n draws, at a place of training drawn at random, the same for
        all particles of a draw: its values, and the prior of objects there.
        """
        chosen = torch.randint(SPOTS, (n,), generator=generator, device=generator.device).to(self.family.spots.device)
        chosen, n = chosen.repeat_interleave(particles), n * particles
        rows = torch.full((n, self.family.width), torch.nan, device=chosen.device)
        rows[:, self.family.place] = self.family.spots[chosen]
        prior = self.family(rows[:, None]).named(PRIOR)
        told = zip(self.names, [a.name for a in self.attributes for _ in a.values], self._rows(), strict=True)
        made = {}
        for (name, kind, row), share in zip(told, self.shares.tolist(), strict=True):
            held = torch.where(row.to(rows).isnan(), rows, row.to(rows))
            if share > 0:
                made[name] = Entry(self.family(held[:, None]).named(name), prior, share, kind, self)
        return {**made, PRIOR: Entry(prior, prior, 1.0, "", self)}

    def _somewhere(self, held: Sequence[Energy], formula: str) -> Energy | None:
        """One object with all that several energies of `somewhere` tell of it."""
        lifts = [energy for energy in held if isinstance(energy, LocalLifts) and energy.places.shape[1] == 1]
        if len(lifts) < len(held):
            return None
        rows = [energy.conditions[:, 0, self.family.own] for energy in lifts]
        return self.family(self._merged(rows, formula)[:, None]).named(formula)

    def rows_of(self, energy: LocalLifts) -> Tensor:
        """Values (K, columns) of the objects that an energy of this model has, without those that are not there."""
        rows = energy.conditions[0][:, self.family.own]
        return rows[~energy.places[0].isnan().any(1)]

    def _merged(self, rows: Sequence[Tensor], formula: str) -> Tensor:
        """What several rows tell of one object."""
        made = rows[0]
        for row in rows[1:]:
            clash = ~made.isnan() & ~row.isnan() & (made != row)
            if clash.any():
                kind = next(a.name for a, c in zip(self.attributes, self.columns, strict=True) if clash[c].any())
                raise ValueError(f"{formula}: an object has one {kind}; leave one away, or tell it of a place.")
            made = torch.where(made.isnan(), row, made)
        return made

    def forward(self, objective: Any, points: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """An objective's loss on the windows of points of images (n, channels, side, side), under conditions c that
        tell places and some of the values.
        """
        with torch.no_grad():
            y = self.family.crops(points, c)
        return objective.loss(self.family.windows, y, self.family.told(c), generator, progress)


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
        objective: Part[Objective] = Part(DenoisingScore, time=0.25, begin=0.6),  # noqa: B008
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
        """Draw a formula of objects at places, or of one object somewhere, see `concepts/counting.py`."""
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
        held_out: Mapping[str, Sequence[float]] | None = None,
    ) -> Reading:  # fmt: skip
        """The objects in images (n, channels, side, side), a row each, see `concepts/finding.py`; with the numbers of
        held-out images, as `ConceptDensities.infer`.
        """
        found, left = search(model.eval(), model.encode(images), generator)
        rows: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        place = next(a.name for a in model.attributes if a.numbers == 2)
        for name, objects in zip(names, found, strict=True):
            told.append({"image": name, "objects": []})
            for number, one in enumerate(objects, 1):
                at = one.values[model.family.place].tolist()
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
        raise ValueError("inpaint: this density knows windows around places, not whole images; use concepts-scenes.")

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Counts in n draws of each number and, of data that hold combinations out, draws with all values told and of
        formulas, see `concepts/counting.py`; where more than one is counted, objects found in n images of each kind,
        see `concepts/finding_scores.py`.
        """
        data = self.data.build(split="test")
        if not (hasattr(data, "found") and hasattr(data, "drawn")):
            raise ValueError(
                f"{self.data.cls.__name__}: counts need `found`, which finds objects in images, and `drawn`, which "
                "draws them; it has not both."
            )
        told = score_counts(name, model.eval(), data, n, seed, self.counts)  # type: ignore[arg-type]
        told |= score_told(model, data, n, seed)
        found = score_finding(model, self.data, n, seed) if self.counts > 1 else {}
        told |= ({"finding": found} if found else {}) | self.score_unlike(model, n, seed)
        return told | {"source": self.data.cls.__name__}

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Counts by number of objects, objects found, and images that are none of the data."""
        return [*tables(scores), *finding_tables(scores), *unlike_tables(scores)]

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Draws of one to as many objects as are scored, and the table of counts."""
        from ergosum.concepts.counting import sections

        return sections(model, scores, seed, self.counts)  # type: ignore[arg-type]
