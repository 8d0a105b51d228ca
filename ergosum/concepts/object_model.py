"""Energies of images with objects at places, as formulas name them: a family over values, and the model around it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.energy import WholeEnergy
from ergosum.concepts.local import LocalLifts, background_of, corners, cut
from ergosum.concepts.model import Concepts
from ergosum.concepts.windows import WindowEnergy
from ergosum.data.attributed import Attribute, columns
from ergosum.density.model import PRIOR, Entry
from ergosum.density.space import Pixels
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy
from ergosum.nodes import leaves
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample
from ergosum.training.task import Losses

__all__ = ["Objects", "ObjectsEnergy"]

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
