r"""Concepts learned one after another: an older density, frozen, and beside it that of one more attribute.

$$ E(z, \sigma | c) = E_{<k}(z_{<k}, \sigma | c_{<k}) + E_k(z_k, \sigma | c_k) $$

is a sum over parts (`energy.py`), so that adding one leaves the older terms as they are. An attribute that was added is
held at its neutral value, that of all images before it, wherever a formula does not speak of it: `Grown.world`. What
could be drawn before is then drawn by the same energies from the same noise, and is the same in every bit.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.energy import ConceptEnergy
from ergosum.concepts.grown_codes import GrownCodes
from ergosum.concepts.model import Concepts
from ergosum.data.attributed import Attribute, columns
from ergosum.density.conditions import Conditions
from ergosum.density.family import LevelEnergy
from ergosum.density.space import Space
from ergosum.energy import Conditional, Energy, as_energy
from ergosum.part import Part
from ergosum.training.runfolder import load_recipe, load_weights, locate

__all__ = ["Grown", "GrownEnergy", "older"]


class GrownEnergy(Conditional):
    """The sum of an older family, of the first numbers of a point, and one of the others; both keep their weights.

    Args:
        before: the older family. own: of the new part and its rest. held: values (columns,) of attributes that are
            taken where a condition tells none, NaN for those that may be anything.
    Shape:
        x: (batch, D), the older point first. c: (batch, columns), the older attributes first.
    Raises:
        ValueError: if the two have other levels of noise.
    """

    independent = True

    def __init__(self, before: Any, own: LevelEnergy, held: Tensor | None = None) -> None:
        super().__init__()
        if (before.lowest, before.highest) != (own.lowest, own.highest):
            raise ValueError(
                f"family: expected the levels of the older one, {before.lowest:g} to {before.highest:g}, got "
                f"{own.lowest:g} to {own.highest:g}."
            )
        self._terms: tuple[Any, Any] = (
            before,
            own,
        )  # in a tuple, so that weights are counted and saved once, where they belong
        self.lowest, self.highest = own.lowest, own.highest
        self.event, self.older = (before.event[0] + own.event[0],), before.event[0]
        self.conditions: Any = _Values(before.conditions, own.conditions)
        self.held = held

    @property
    def mean(self) -> Tensor:
        """That of both, (D,)."""
        return torch.cat([term.mean for term in self._terms])

    @property
    def deviation(self) -> Tensor:
        """Root of the mean square, over all numbers, of the deviations of both."""
        return torch.cat([term.deviation.expand(term.event) for term in self._terms]).square().mean().sqrt()

    @property
    def log_z(self) -> float | None:  # type: ignore[override]
        """0 if both are normalised at the lowest level."""
        return self._at(self._terms).log_z

    @property
    def one_scale(self) -> Any:  # type: ignore[override]
        """What members have in common, if those of both have."""
        return self._at(self._terms).one_scale

    def log_density(self, x: Tensor, log_sigma: Tensor, c: Tensor) -> Tensor:
        """The sum of both, (batch,)."""
        told = zip(self._terms, self._split(x), self.conditions.split(c), strict=True)
        return torch.stack([term.log_density(own, log_sigma, v) for term, own, v in told]).sum(0)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the lowest level."""
        return self._at(self._terms).bind(z, anchor)

    def at_noise(self, sigma: float) -> "_Sum":
        """The family at a level, from the lowest to the highest; 0 is the lowest."""
        return self._at([term.at_noise(sigma) for term in self._terms])

    def checked(self, sigma: float) -> float:
        """A level that the family has, as `LevelEnergy.checked`."""
        return self._terms[1].checked(sigma)

    def prior(self) -> Energy:
        """The member without a condition."""
        return self(self.conditions.none(1)[0]).named("prior")

    def holding(self, held: Tensor) -> "GrownEnergy":
        """The same energies, with values held."""
        return GrownEnergy(*self._terms, held)

    def fit(self, x: Tensor) -> None:
        """Mean and deviation of the new part, of data (n, own numbers)."""
        self._terms[1].fit(x)

    def tell(self, space: Any, values: Tensor) -> None:
        """Where the new part lies, of data (n, columns)."""
        self._terms[1].tell(space, self.conditions.split(values)[1])

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, : self.older], x[:, self.older :]

    def _at(self, terms: Sequence[Any]) -> "_Sum":
        return _Sum(terms, self)


class _Sum(Conditional):
    """Both terms of a grown energy at one level."""

    def __init__(self, terms: Sequence[Any], family: GrownEnergy) -> None:
        super().__init__()
        self._terms, self._family = tuple(terms), (family,)
        self.log_z = 0.0 if all(term.log_z == 0 for term in terms) else None
        shared = tuple(term.one_scale for term in terms)
        self.one_scale = None if None in shared else (*shared, *_told(family.held))

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member at the level."""
        (family,) = self._family
        told = z if family.held is None else torch.where(z.isnan(), family.held.to(z), z)
        both = [term.bind(c, None) for term, c in zip(self._terms, family.conditions.split(told), strict=True)]
        return as_energy(lambda x: both[0](x[:, : family.older]) + both[1](x[:, family.older :]))

    def at_noise(self, sigma: float) -> "_Sum":
        """With noise of deviation sigma added to what has the level's noise already."""
        return _Sum([term.at_noise(sigma) for term in self._terms], self._family[0])


def _told(held: Tensor | None) -> list[float]:
    """Values that are held, as numbers that can be compared: -1 for none."""
    return [] if held is None else held.nan_to_num(-1.0).tolist()


class _Values(Conditions):
    """The conditions of two families, side by side."""

    dims = 1

    def __init__(self, before: Any, own: Any) -> None:
        super().__init__()
        self._both = (before, own)
        self.width = before.width + own.width

    def split(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Those of each."""
        older = self._both[0].width
        return c[:, :older], c[:, older:]

    def none(self, batch: int) -> Tensor:
        """No value told."""
        return torch.cat([each.none(batch) for each in self._both], 1)

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """The new ones left out with a probability; the older ones are not learned."""
        before, own = self._both
        return torch.cat([before.none(len(c)), own.drop(self.split(c)[1], probability, generator)], 1)


class Grown(Concepts):
    """An older model of concepts, frozen, with one attribute more.

    Args:
        attributes: that the new images tell: one that is new, with two named values or more, and any of the older ones.
        channels, side: of an image. grown_from: run folder or card of the older model. neutral: the value of the new
            attribute that all older images have. before: the older model as its run describes it; found there if None.
            space: of the new part. family: of the energies there, gets `event`, `attributes` and `parts`.
    Attributes:
        before: the older model. energy: of the new part and its rest. loaded: whether the older weights were taken up.
    Raises:
        ValueError: if the older run is none of codes in parts, the images differ, or there is not one new attribute
            with the neutral value.
    """

    loaded: Tensor
    own_shares: Tensor

    def __init__(
        self,
        attributes: Sequence[Attribute] = (),
        channels: int = 3,
        side: int = 32,
        grown_from: str = "",
        neutral: str = "",
        before: Part[Concepts] | None = None,
        space: Part[Space] = Part(GrownCodes),  # noqa: B008
        family: Part[Conditional] = Part(ConceptEnergy),  # noqa: B008
    ) -> None:
        nn.Module.__init__(self)
        self.before: Any = (older(grown_from) if before is None else before).build()
        if not (hasattr(self.before.space, "shown") and self.before.independent):
            raise ValueError(
                f"grown_from: expected a run of concepts in codes with parts such as concepts-place, got "
                f"{type(self.before.space).__name__}."
            )
        if (self.before.channels, self.before.side) != (channels, side):
            raise ValueError(
                f"grown_from: expected a run of images of {channels} channels and side {side}, as the new ones are, "
                f"got {self.before.channels} and {self.before.side}."
            )
        self.before.requires_grad_(False)
        known = self.before.attributes
        new = [Attribute(a[0], tuple(a[1]), a[2]) for a in attributes if a[0] not in {k.name for k in known}]
        if len(new) != 1 or len(new[0].values) < 2 or neutral not in new[0].values:
            told = ", ".join(f"{a.name} ({' '.join(a.values) or 'numbers'})" for a in new) or "none"
            raise ValueError(
                f"neutral: expected images that tell one new attribute, and the value of it that the older ones have, "
                f"got {neutral!r} of {told}."
            )
        self.attributes, self.channels, self.side = (*known, new[0]), channels, side
        self.columns, self.names = columns(self.attributes), (*self.before.names, *new[0].values)
        self.neutral = float(new[0].values.index(neutral))
        self.space: Any = space.build(
            channels=channels, side=side, attributes=tuple(new), neutral=int(self.neutral), before=self.before.space,
            beside=known,
        )  # fmt: skip
        codec = self.space.codec
        self.energy: Any = family.build(event=(codec.latent,), attributes=tuple(new), parts=codec.parts)
        self.family: Any = GrownEnergy(self.before.family, self.energy)
        self.register_buffer("own_shares", torch.full((len(new[0].values),), 1 / len(new[0].values)))
        self.register_buffer("best", torch.full((len(self.attributes),), self.energy.lowest))
        self.register_buffer("loaded", torch.zeros((), dtype=torch.bool))
        if before is None:
            self._take_up(grown_from)

    def _take_up(self, run: str) -> None:
        self.before.load_state_dict(load_weights(locate(run) / "model.safetensors"))
        self.before.eval()
        self.space.codec.start_from(self.before.space.codec)
        self.best[:-1] = self.before.best
        self.loaded.fill_(True)

    @property
    def shares(self) -> Tensor:  # type: ignore[override]
        """Of each named value in the data that told it."""
        return torch.cat([self.before.shares, self.own_shares])

    @property
    def held(self) -> Tensor:
        """Neutral values (columns,) of the attributes that were added, NaN of the first ones."""
        free = torch.full((self.before.columns[-1].stop,), torch.nan)
        first = self.before.held if isinstance(self.before, Grown) else free
        return torch.cat([first, torch.tensor([self.neutral])])

    def world(self, named: Collection[str]) -> Concepts:
        """The model that answers a formula that speaks of these attributes.

        It is the oldest that knows them, and holds at their neutral values those that were added and are not named.
        """
        if self.attributes[-1].name not in named:
            return self.before.world(named) if isinstance(self.before, Grown) else self.before
        held = self.held.clone()
        for attribute, column in zip(self.attributes, self.columns, strict=True):
            if attribute.name in named:
                held[column] = torch.nan
        return self if held.isnan().all() else _World(self, held)

    def completed(self, x: Tensor) -> Tensor:
        """Points of this model of points (n, D) of an older one, of what was added since neutral."""
        if x.shape[1] < self.family.older:
            x = self.before.completed(x)
        return torch.cat([x, self.space.neutral_point(len(x)).to(x)], 1) if x.shape[1] == self.family.older else x

    @torch.no_grad()
    def points(self, images: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Points of the new part and its rest, that its density learns from."""
        return self.space.told(images, values, generator)

    def learned(self, points: Tensor, c: Tensor) -> tuple[Any, Tensor, Tensor]:
        """The new energy, or of it what is to be learned, on points of the new part or of the whole model."""
        own = points[:, self.space.own] if points.shape[1] == self.family.event[0] else points
        return self.energy.learned(own, self.family.conditions.split(c)[1])

    @torch.no_grad()
    def count(self, values: Tensor) -> None:
        """Take the shares of the new attribute's values from data, (n, columns)."""
        known = values[:, -1][~values[:, -1].isnan()].long()
        self.own_shares.copy_(torch.bincount(known, minlength=len(self.own_shares)) / max(1, len(known)))

    def train(self, mode: bool = True) -> "Grown":
        """What is older stays in evaluation mode."""
        super().train(mode)
        self.before.eval()
        return self


class _World(Concepts):
    """A grown model in which some attributes are held, with the same weights."""

    def __init__(self, model: Grown, held: Tensor) -> None:
        nn.Module.__init__(self)
        self.attributes, self.columns, self.names = model.attributes, model.columns, model.names
        self.channels, self.side, self.space = model.channels, model.side, model.space
        self.family = model.family.holding(held)
        self.register_buffer("shares", model.shares)
        self.register_buffer("best", model.best)


def older(run: str) -> Part[Concepts]:
    """The model of a run or card, as its recipe describes it.

    Raises:
        FileNotFoundError: if there is no such run. ValueError: if none is named, or it has no model of concepts.
    """
    if not run:
        raise ValueError("grown_from: expected a run folder or card of concepts, got none.")
    task: Any = load_recipe(locate(run)).task
    model = task.settings().get("model")
    if model is None or not issubclass(model.cls, Concepts):
        raise ValueError(f"grown_from: expected a run of concepts, got {run}, whose task is {task.cls.__name__}.")
    return model
