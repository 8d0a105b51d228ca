"""What an energy is: one number per sample, low where a property holds.

An `Energy` is minus a log-density up to a constant: $p(x) = exp(-E(x)) / Z$. A `Conditional` is a family of energies;
`family(c)` closes it with a condition and returns an ordinary `Energy` of `x` alone. Energies compose with `&`, `|`,
`~` and numbers, see `compose.py`.
"""

from collections.abc import Callable
from math import isfinite
from typing import Self, Union

import torch
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward

from ergosum.shapes import Batch, PerSample

__all__ = ["Closed", "Conditional", "Energy", "Term", "as_energy", "summed"]

Term = Union["Energy", Callable[[Tensor], Tensor]]
"""What composes: an energy, or any callable (batch, *event) -> (batch,)."""


class Energy(nn.Module):
    """One number per sample, $E: R^S -> R$.

    Subclasses implement `forward`, and override `value_and_gradient` where they know their gradient in closed form. A
    leaf class is final: to vary an energy, wrap it.

    Attributes:
        name: how it is called in a formula; its class's name, in lower case, if empty.
        temperature: T > 0 at which it was trained, so that $exp(-E / T)$ was its model; 1 for a closed form.
        log_z: $log Z = log int exp(-E(x) / T) dx$ where it is known, else None.
        grounded: whether $exp(-E)$ can have a finite integral by itself; a lone negation has not.
    Shape:
        x: (batch, *event), real. Returns (batch,).
    """

    name: str = ""
    temperature: float = 1.0
    log_z: float | None = None
    grounded: bool = True
    __array_ufunc__ = None  # else a number of numpy times a sum would be an array of energies

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        parents = [b.__name__ for b in cls.__bases__ if b not in (Energy, nn.Module) and issubclass(b, Energy)]
        if parents:
            raise TypeError(f"{cls.__name__} subclasses {parents[0]}, which is final; wrap it instead.")

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
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return self.value_and_gradient(x.clone(), create_graph)
        with torch.enable_grad():
            point = x if x.requires_grad else x.detach().requires_grad_()
            value = per_sample(self(point), point, self)
            if not value.requires_grad:
                raise ValueError(
                    f"{self}: the value does not depend on x through operations that torch differentiates."
                )
            # what torch.autograd.grad calls, without its checks: they take longer than a step on a small energy should
            (gradient,) = _engine_run_backward(
                (value,), (torch.ones_like(value),), create_graph, create_graph, (point,), False, accumulate_grad=False
            )
        return (value, gradient) if create_graph else (value.detach(), gradient)

    def named(self, name: str) -> Self:
        """The same energy, called `name` in formulas and messages."""
        self.name = name
        return self

    def at(self, temperature: float) -> "Energy":
        """$E / T$: the density to the power 1/T, flatter for T > 1, sharper for T < 1."""
        if not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"at: expected a finite temperature > 0, got {temperature}.")
        return compose.scaled(1 / temperature, self)

    def at_temperature(self, temperature: float) -> "Energy":
        """$E / T$, the same as `energy / T`."""
        return self.at(temperature)

    def at_noise(self, sigma: float) -> "Energy":
        """The energy of the data with noise of standard deviation sigma added.

        Raises:
            ValueError: if the energy knows one noise level only.
        """
        raise ValueError(f"{self}: the energy knows one noise level only and cannot be taken at sigma = {sigma:g}.")

    def in_units(self) -> "Energy":
        """$E / T$ with the temperature it was trained at: minus a log-density, comparable with others in units."""
        return compose.rescaled(1 / self.temperature, self, 1.0)

    def __and__(self, other: Term) -> "Energy":
        return compose.conjunction(self, other)

    def __rand__(self, other: Term) -> "Energy":
        return compose.conjunction(other, self)

    def __or__(self, other: Term) -> "Energy":
        return compose.disjunction(self, other)

    def __ror__(self, other: Term) -> "Energy":
        return compose.disjunction(other, self)

    def __invert__(self) -> "Energy":
        return compose.negation(self)

    def __mul__(self, weight: float) -> "Energy":
        return compose.scaled(weight, self)

    __rmul__ = __mul__

    def __truediv__(self, temperature: float) -> "Energy":
        return self.at(temperature)

    def __str__(self) -> str:
        return formula.show(self)


class _Callable(Energy):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        own = getattr(function, "__name__", type(function).__name__)
        self.name = own.lower() if own.isidentifier() else ""

    def forward(self, x: Batch) -> PerSample:
        return self.function(x)


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
    return x.reshape(len(x), -1).sum(1)


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


class Closed(Energy):
    """A member of a family, $E(x) = E(x; c)$; in a composition, members of one family are evaluated in one call.

    Args:
        c: (D,) for all samples, or (batch, D); may require gradients. anchor: (batch, *event), for anchored families.
    Shape:
        x: (batch, *event), or several such batches one after the other: each gets the same conditions.
    Raises:
        ValueError: if there is an anchor where none is expected or none where one is, or if x has a batch that neither
            c nor the anchor fits.
    """

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
        self.register_buffer("c", c, persistent=False)
        self.register_buffer("anchor", anchor, persistent=False)
        self.temperature = family.temperature

    def forward(self, x: Batch) -> PerSample:
        """$E(x; c)$."""
        return self.family.bind(self.conditions(len(x)), self.anchors(len(x)))(x)

    def conditions(self, batch: int) -> Tensor:
        """One condition for each of a batch."""
        if self.c.ndim == self.family.condition_dims:
            return self.c.expand(batch, *self.c.shape)
        return _tiled(self.c, batch, "condition")

    def anchors(self, batch: int) -> Tensor | None:
        """One anchor for each of a batch."""
        return None if self.anchor is None else _tiled(self.anchor, batch, "anchor")


def _tiled(held: Tensor, batch: int, what: str) -> Tensor:
    if len(held) == batch:
        return held
    if len(held) == 0 or batch % len(held):
        raise ValueError(
            f"Closed: the energy holds one {what} for each of {len(held)} samples, but x has {batch}; pass as many "
            f"samples, a multiple of them, or one {what} for all."
        )
    return held.repeat(batch // len(held), *[1] * (held.ndim - 1))


from ergosum import compose, formula  # noqa: E402  # the operators build nodes, and nodes are energies
