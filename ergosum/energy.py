"""What an energy is: one number per sample, low where a property holds.

An `Energy` is minus a log-density up to a constant. A `Conditional` is a family of energies; `bind` closes it with a
latent `z` and an anchor `a`, and returns an ordinary `Energy` of `x` alone, $E(x) = E(x; a, z)$.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ergosum.shapes import Batch, PerSample

__all__ = ["Conditional", "Energy", "as_energy"]


class Energy(nn.Module):
    """One number per sample, $E: R^S -> R$.

    Subclasses implement `forward`. A leaf class is final: to vary an energy, wrap it.

    Shape:
        x: (batch, *event), real. Returns (batch,).
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        parents = [b.__name__ for b in cls.__bases__ if b not in (Energy, nn.Module) and issubclass(b, Energy)]
        if parents:
            raise TypeError(f"{cls.__name__} subclasses {parents[0]}, which is final; wrap it instead.")

    def forward(self, x: Batch) -> PerSample:
        """$E(x)$, shape (batch,)."""
        raise NotImplementedError

    def gradient(self, x: Batch, create_graph: bool = False) -> Batch:
        """$grad_x E(x)$, same shape as `x`.

        With `create_graph` the result can itself be differentiated, with respect to weights and conditions.
        """
        return self.value_and_gradient(x, create_graph)[1]

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """$E(x)$ and $grad_x E(x)$ from one evaluation."""
        with torch.enable_grad():
            point = x if x.requires_grad else x.detach().requires_grad_()
            value = self(point)
            (gradient,) = torch.autograd.grad(value.sum(), point, create_graph=create_graph)
        return (value, gradient) if create_graph else (value.detach(), gradient)


class _Callable(Energy):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Batch) -> PerSample:
        return self.function(x)


def as_energy(function: Callable[[Tensor], Tensor]) -> Energy:
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


class Conditional(nn.Module):
    """A family of energies $E(x; a, z)$ with shared weights; `bind` picks a member for each sample of a batch."""

    anchored: bool
    """Whether members depend on an anchor."""
    folds: bool = False
    """Whether `bind` takes K codes per sample, (batch K, D) sample by sample, and gives energies (batch K,) of frames
    (batch,): what does not depend on the code is then computed once for all K."""

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy $x -> E(x; a, z)$.

        Shape:
            z: (batch, D). anchor: (batch, channels, height, width), or None for a family without anchor.
        """
        raise NotImplementedError
