"""What an energy is: one number per sample, low where a property holds.

The density of an energy is $p(x) = exp(-E(x)) / Z$, always: this is what samplers draw from and what `log_z` is about,
$log Z = log int exp(-E(x)) dx$. A network may have been trained so that its data are distributed as $exp(-E / T)$; its
`temperature` records that T and changes nothing by itself. `energy.in_units()` is the energy E / T that says so.

A `Conditional` is a family of energies; `family(c)` closes it with a condition and returns an ordinary `Energy` of `x`
alone. Energies compose with `&`, `|`, `~` and weights, see `compose.py`. Two methods vary an energy, and both pass
through every composition: `at_temperature(T)` is E / T, and `at_noise(sigma)` is the energy of the data after Gaussian
noise of standard deviation sigma was added to them.
"""

from collections.abc import Callable
from math import isfinite
from types import ModuleType
from typing import Any, NamedTuple, Self, Union

import torch
from torch import Tensor, nn

from ergosum.construction import remembering
from ergosum.shapes import Batch, PerSample
from ergosum.weights import Weight, keep, tiled

__all__ = ["Call", "Closed", "Conditional", "Energy", "Term", "as_energy", "summed"]

Term = Union["Energy", Callable[[Tensor], Tensor]]
"""What composes: an energy, or any callable (batch, *event) -> (batch,)."""


class Energy(nn.Module):
    """One number per sample, $E: R^S -> R$.

    Subclasses implement `forward`, override `value_and_gradient` where they know their gradient in closed form, and
    `at_noise` where they know the energy of noised data. Your own classes may be subclassed; those of this package are
    final, because most know their gradient apart from their value: to vary one, wrap it.

    Attributes:
        name: how it is called in a formula; its class's name, in lower case, if empty.
        temperature: a record of the T > 0 at which it was trained, so that its data are distributed as $exp(-E / T)$;
            1 for a closed form. It does not change the value.
        log_z: $log Z = log int exp(-E(x)) dx$ where it is known, else None.
        one_scale: what energies have in common whose log Z are equal though not known, else None.
        grounded: whether $exp(-E)$ can have a finite integral by itself; a lone negation has not.
        has_value: whether E(x) can be computed; of an energy that is given by its score only the gradient can.
    Shape:
        x: (batch, *event), real. Returns (batch,).
    """

    name: str = ""
    temperature: float = 1.0
    log_z: float | None = None
    one_scale: Any = None
    grounded: bool = True
    negative: bool = False
    has_value: bool = True
    remembers: bool = True
    """Whether it keeps the arguments that it was made with, see `construction.py`."""
    __array_ufunc__ = None  # else a number of numpy times a sum would be an array of energies

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.remembers:
            remembering(cls)
        parents = [b for b in cls.__bases__ if b is not Energy and issubclass(b, Energy)]
        for parent in parents:
            if parent.__module__.partition(".")[0] == __name__.partition(".")[0]:
                raise TypeError(f"{cls.__name__} subclasses {parent.__name__}, which is final; wrap it instead.")
        told = cls.value_and_gradient is not Energy.value_and_gradient
        if parents and told and "forward" in cls.__dict__ and "value_and_gradient" not in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} has a forward of its own but the value_and_gradient of its parent, which would go on "
                "to tell the parent's gradient; override both, or set value_and_gradient = Energy.value_and_gradient."
            )

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """As of any module; a tensor that was made under `torch.inference_mode` is copied, so that gradients exist."""
        super().register_buffer(name, plain(tensor), persistent)

    def __call__(self, x: Batch) -> PerSample:
        """$E(x)$, shape (batch,); of a batch of none, no energies, which not every network could tell by itself."""
        if x.numel() == 0 and x.ndim > 0 and len(x) == 0:
            return summed(x)
        return super().__call__(x)

    def forward(self, x: Batch) -> PerSample:
        """$E(x)$, shape (batch,)."""
        raise NotImplementedError

    def value(self, x: Batch) -> PerSample:
        """$E(x)$, the same as calling it."""
        return self(x)

    def gradient(self, x: Batch, create_graph: bool = False) -> Batch:
        """$grad_x E(x)$, same shape as `x`.

        With `create_graph` the result can itself be differentiated, with respect to weights and conditions.
        """
        return self.value_and_gradient(x, create_graph)[1]

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """$E(x)$ and $grad_x E(x)$ from one evaluation.

        Raises:
            ValueError: if the value cannot be differentiated with respect to x.
        """
        return differentiated(self, x, create_graph)

    def call(self, x: Batch) -> "Call | None":
        """The one call of a family that the energy's value at x needs, for a composition to make it for all its leaves
        at once; None if there is no such call.
        """
        return None

    def named(self, name: str) -> Self:
        """The same energy, called `name` in formulas and messages."""
        self.name = name
        return self

    def at_temperature(self, temperature: float) -> "Energy":
        """$E / T$, what `energy / T` builds: the density to the power 1/T, flatter for T > 1, sharper for T < 1.

        Raises:
            ValueError: if the temperature is not a finite number > 0.
        """
        if not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"at_temperature: expected a finite temperature > 0, got {temperature}.")
        return _algebra().scaled(1 / temperature, self)

    def at_noise(self, sigma: float) -> "Energy":
        r"""The energy of the data noised to level sigma: of $\tilde x = x + \sigma \varepsilon$ with x from the data.

        Args:
            sigma: >= 0, in units of x.
        Raises:
            ValueError: if the energy has no notion of noise.
        """
        raise ValueError(
            f"{self}: {type(self).__name__} has no notion of a noise level, asked for sigma = {sigma:g}. An energy of "
            "noised data overrides at_noise(sigma); for a flatter density use at_temperature(T)."
        )

    def log_z_at(self, temperature: float) -> float | None:
        """$log int exp(-E(x) / T) dx$ where it is known, else None."""
        return self.log_z if temperature == 1 else None

    def in_units(self) -> "Energy":
        """$E / T$ with the temperature it was trained at: minus a log-density, comparable with others in units.

        A composition is in units when its energies are: the same formula of $E_i / T_i$.
        """
        return _algebra().in_own_units(self)

    def __and__(self, other: Term) -> "Energy":
        return _algebra().conjunction(self, other)

    def __rand__(self, other: Term) -> "Energy":
        return _algebra().conjunction(other, self)

    def __or__(self, other: Term) -> "Energy":
        return _algebra().disjunction(self, other)

    def __ror__(self, other: Term) -> "Energy":
        return _algebra().disjunction(other, self)

    def __invert__(self) -> "Energy":
        return _algebra().negation(self)

    def __mul__(self, weight: Weight) -> "Energy":
        return _algebra().scaled(weight, self)

    __rmul__ = __mul__

    def __truediv__(self, temperature: float) -> "Energy":
        return self.at_temperature(temperature)

    def __str__(self) -> str:
        from ergosum.formula import show

        return show(self)


def _algebra() -> ModuleType:
    """The module of the operators, which build nodes, and nodes are energies: imported when first used."""
    from ergosum import compose

    return compose


class _Callable(Energy):
    remembers = False

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        own = getattr(function, "__name__", type(function).__name__)
        self.name = own.lower() if own.isidentifier() else ""

    def forward(self, x: Batch) -> PerSample:
        return self.function(x)


def alike(made: Energy, energy: Energy) -> Any:
    """An energy just made, with the name and the temperature of another one."""
    made.name, made.temperature = energy.name, energy.temperature
    return made


def plain(tensor: Tensor | None) -> Tensor | None:
    """The tensor, or a copy that autograd may use if it was made under `torch.inference_mode`."""
    if tensor is None or not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        return tensor.clone()


def differentiated(
    energy: Energy, x: Batch, create_graph: bool, evaluate: Callable[[Tensor], Tensor] | None = None
) -> tuple[PerSample, Batch]:
    """Value and gradient in x of an energy by autograd, or of what `evaluate` gives in its place.

    Raises:
        ValueError: if the value is not one number per sample, or cannot be differentiated with respect to x.
    """
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            return differentiated(energy, x.clone(), create_graph, evaluate)
    with torch.enable_grad():
        point = x if x.requires_grad else x.detach().requires_grad_()
        value = per_sample((evaluate or energy)(point), point, energy)
        if not value.requires_grad:
            raise ValueError(f"{energy}: the value does not depend on x through operations that torch differentiates.")
        # of the sum, because for a gradient that is given torch imports SymPy, which takes a second, once
        (gradient,) = torch.autograd.grad((value.sum(),), (point,), create_graph=create_graph)
    return (value, gradient) if create_graph else (value.detach(), gradient)


def per_sample(value: Tensor, x: Tensor, energy: Energy) -> Tensor:
    """The value, which must be one number per sample: any other shape would broadcast in a sum, and mix samples."""
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"{energy}: expected one energy per sample, shape ({len(x)},), got {tuple(value.shape)}; "
            "sum over all dimensions but the first."
        )
    return value


def as_energy(function: Term) -> Energy:
    """Any callable (batch, *event) -> (batch,) as an `Energy`; an `Energy` comes back unchanged.

    Raises:
        TypeError: if `function` is not callable.

    Example:
        >>> bowl = as_energy(lambda x: (x**2).sum(-1) / 2)
        >>> bowl.gradient(torch.tensor([[1.0, -2.0]]))
        tensor([[ 1., -2.]])
    """
    if isinstance(function, Energy):
        return function
    if not callable(function):
        raise TypeError(f"as_energy: expected a callable (batch, *event) -> (batch,), got {type(function).__name__}.")
    return _Callable(function)


def summed(x: Tensor) -> PerSample:
    """Sum over everything but the batch."""
    return x.flatten(1).sum(1) if x.ndim > 1 else x


class Conditional(nn.Module):
    """A family of energies with shared weights: $c -> E(x; c)$.

    Calling it closes it: `family(c)` is an ordinary `Energy` that composes and samples like any other. Subclasses
    implement `bind`.
    """

    anchored: bool = False
    """Whether members depend on an anchor, the frame that a change starts from."""
    folds: bool = False
    """Whether `bind` takes K conditions per sample, (batch K, D) sample by sample, and gives energies (batch K,) of
    frames (batch,): what does not depend on the condition is then computed once for all K."""
    condition_dims: int = 1
    """Dimensions of one condition without its batch: 1 for vectors, 0 for labels."""
    temperature: float = 1.0
    """Temperature that its members were trained at."""
    log_z: float | None = None
    """log Z of every member where it is known, as of a family that was trained to be normalised."""
    one_scale: Any = None
    """What members have in common whose log Z are equal though not known; None if that is not so."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        remembering(cls)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy $x -> E(x; a, z)$ with one condition per sample; computes at once what does not depend on x.

        Shape:
            z: (batch, D). anchor: (batch, channels, height, width), or None for a family without anchor.
        """
        raise NotImplementedError

    def forward(self, c: Tensor, anchor: Tensor | None = None) -> "Closed":
        """The member with condition c: one for all samples, or one for each.

        Shape:
            c: (D,) or (batch, D). anchor: (batch, *event).
        """
        return Closed(self, c, anchor)

    def at_temperature(self, temperature: float) -> "Conditional":
        """The family whose members are $E / T$; it shares its weights with this one."""
        return Tempered(self, temperature)

    def at_noise(self, sigma: float) -> "Conditional":
        """The family whose members are energies of the data noised to level sigma; it shares its weights with this one.

        Args:
            sigma: >= 0, in units of x.
        Raises:
            ValueError: if the family has no notion of noise.
        """
        raise ValueError(
            f"{type(self).__name__} has no notion of a noise level, asked for sigma = {sigma:g}. A family of energies "
            "of noised data overrides at_noise(sigma); for flatter densities use at_temperature(T)."
        )


class Tempered(Conditional):
    """A family with every member divided by a temperature, what `family.at_temperature(T)` builds."""

    def __init__(self, family: Conditional, temperature: float) -> None:
        super().__init__()
        if not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"at_temperature: expected a finite temperature > 0, got {temperature}.")
        self.family, self.divisor = family, float(temperature)
        self.anchored, self.folds, self.condition_dims = family.anchored, family.folds, family.condition_dims
        self.temperature = family.temperature

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The member of the family, divided by the temperature."""
        return self.family.bind(z, anchor).at_temperature(self.divisor)

    def at_noise(self, sigma: float) -> Conditional:
        """The family at that level, divided by the temperature."""
        return Tempered(self.family.at_noise(sigma), self.divisor)


class Call(NamedTuple):
    """A call of a family on which an energy's value rests, see `Energy.call`.

    Attributes:
        family: without anchors. value: what follows from its energies (n,), the energy (batch,).
    Shape:
        c: (n, ...), a condition for each of x. x: (n, *event), points of the family; n is any number.
    """

    family: Conditional
    c: Tensor
    x: Tensor
    value: Callable[[Tensor], PerSample]


class Closed(Energy):
    """A member of a family, $E(x) = E(x; c)$; in a composition, members of one family are evaluated in one call.

    The condition and the anchor are in its `state_dict`; a condition that is an `nn.Parameter` is one of its
    parameters.

    Args:
        c: (D,) for all samples, or (batch, D); may require gradients. anchor: (batch, *event), for anchored families.
    Shape:
        x: (batch, *event), or several such batches one after the other: each gets the same conditions.
    Raises:
        ValueError: if there is an anchor where none is expected or none where one is, or if x has a batch that neither
            c nor the anchor fits.
    """

    remembers = False
    family: Conditional
    c: Tensor
    anchor: Tensor | None

    def __init__(self, family: Conditional, c: Tensor, anchor: Tensor | None = None) -> None:
        super().__init__()
        if family.anchored != (anchor is not None):
            kind = type(family).__name__
            raise ValueError(
                f"Closed: {kind} is anchored, pass the frame that a change starts from: family(c, anchor)."
                if family.anchored
                else f"Closed: {kind} is not anchored, its members would ignore the anchor; close it with c alone."
            )
        self.family = family
        keep(self, "c", c)
        self.register_buffer("anchor", anchor)
        self.temperature, self.log_z, self.one_scale = family.temperature, family.log_z, family.one_scale

    def forward(self, x: Batch) -> PerSample:
        """$E(x; c)$."""
        return self.family.bind(self.conditions(len(x)), self.anchors(len(x)))(x)

    def conditions(self, batch: int) -> Tensor:
        """One condition for each of a batch."""
        if self.c.ndim == self.family.condition_dims:
            return self.c.expand(batch, *self.c.shape)
        return tiled(self.c, batch, "Closed", "condition")

    def anchors(self, batch: int) -> Tensor | None:
        """One anchor for each of a batch."""
        return None if self.anchor is None else tiled(self.anchor, batch, "Closed", "anchor")

    def of(self, family: Conditional) -> "Closed":
        """The member of another family with the same condition, anchor and name."""
        return Closed(family, self.c, self.anchor).named(self.name)

    def at_noise(self, sigma: float) -> Energy:
        """The member of the family at that noise level."""
        return self.of(self.family.at_noise(sigma))
