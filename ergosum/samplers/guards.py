r"""What stops a chain: values that are not finite, energies that cannot be sampled, energies that fall without bound.

An energy that falls is no fault by itself: chains go down to where the density is, however far that is. So a large
fall is only a reason to look. The look follows the ray from a chain's start through where it is now, sixteen times
further each time: the energy of a proper density rises in the end, that of an improper one keeps falling until the
floating-point numbers end.
"""

from math import inf, isfinite, isnan

import torch
from torch import Tensor, nn

from ergosum.compose import Node, Not, leaves
from ergosum.energy import Energy

__all__ = [
    "FallGuard",
    "NonFiniteError",
    "TrainingModeWarning",
    "UnboundedError",
    "coupling",
    "expect_chains",
    "expect_finite",
    "expect_shape",
    "expect_value",
    "refuse_non_finite",
    "refuse_ungrounded",
]

FALL = 1e3
"""How many times the size of its start the energy may fall before the guard looks where it leads."""

STRIDE, REACH = 16.0, 16
"""The look takes 16 points, each 16 times as far as the one before: to 1e18 times the way of the chain."""


class NonFiniteError(ArithmeticError):
    """A chain or a training run left the finite numbers; the message names the step, the chain and the term."""


class UnboundedError(ArithmeticError):
    """The energy falls without bound along a chain, so that exp(-E) has no finite integral."""


class TrainingModeWarning(UserWarning):
    """An energy is sampled while layers in training mode couple its chains or change it at every call."""


def expect_shape(value: Tensor, x: Tensor) -> None:
    """Raise unless there is one energy per sample."""
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"Expected one energy per sample, shape ({len(x)},) for x of shape {tuple(x.shape)}; got shape "
            f"{tuple(value.shape)}. Sum over everything but the batch."
        )


def expect_chains(who: str, x: Tensor) -> None:
    """Raise unless x holds at least one chain."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(
            f"{who}: expected at least one chain, x of shape (batch, *event) with batch >= 1, got shape "
            f"{tuple(x.shape)}."
        )


def expect_value(who: str, energy: Energy) -> None:
    """Raise if an energy is known by its score alone."""
    if not getattr(energy, "has_value", True):
        raise ValueError(
            f"{who}: {energy} is known by its score alone, but an accept test and an importance weight need the "
            "energy itself. Sample it with Langevin, UnderdampedLangevin or Descent, which follow the score."
        )


def refuse_ungrounded(energy: Energy) -> None:
    """Raise if an energy is a negation without a positive term."""
    if not energy.grounded:
        raise ValueError(
            f"{energy}: a negation alone has no finite integral and cannot be sampled. Compose it with a positive "
            "energy that says where samples may be: positive & ~this."
        )


class FallGuard:
    """Looks whether an energy is bounded below once the chains of a run have fallen far.

    Args:
        x: where the chains start, (batch, *event).
        minimises: whether the chains only go downhill and draw from no density: a network's energy may have no minimum
            and its descent be meant to end after a few steps, so that only negations that outweigh the rest count.
    """

    def __init__(self, who: str, x: Tensor, minimises: bool = False) -> None:
        self.who, self.start, self.minimises = who, x.detach(), minimises
        self.floor: float | None = None

    def watch(self, energy: Energy, x: Tensor, value: Tensor, total: float, n: int) -> None:
        """Raise if the energies of chains at x, whose sum is `total`, fall without bound.

        Shape:
            x: (batch, *event). value: (batch,).
        """
        if self.floor is None:
            self.floor = total - FALL * (len(value) + value.abs().sum().item())
        if not total < self.floor:
            return
        chain = int(value.argmin().item())
        concerned = not self.minimises or _unbounded_negation(energy)
        if concerned and self._falls_on(energy, x, chain):
            raise UnboundedError(
                f"{self.who}: the energy of chain {chain} fell to {value[chain].item():.3g} at step {n} and keeps "
                f"falling beyond: {_reason(energy)}"
            )
        self.floor = 4 * total

    @torch.no_grad()
    def _falls_on(self, energy: Energy, x: Tensor, chain: int) -> bool:
        """Whether the energy falls as far as the numbers go, on the ray from the chain's start through x."""
        way, told = x.detach() - self.start, []
        for k in range(REACH):
            point = self.start + STRIDE**k * way
            try:
                value = energy(point)[chain].item() if torch.isfinite(point[chain]).all() else torch.nan
            except (RuntimeError, ValueError):  # an energy may refuse points so far away
                break
            if isnan(value):
                break
            told.append(value)
            if value == -inf:
                break
        return len(told) > 1 and told[-1] == min(told) and told[-1] < told[0] - FALL * (1 + abs(told[0]))


def refuse_non_finite(who: str, energy: Energy, before: Tensor, x: Tensor, value: Tensor, n: int) -> float:
    """Raise if a step from `before` to x, with energies `value`, left the finite numbers; the sum of the energies.

    The energies of an energy that is known by its score alone are not looked at.
    """
    total = value.sum().item()
    if not getattr(energy, "has_value", True):
        expect_finite(who, x, n, energy, before)
    elif not isfinite(x.sum().item() + total):  # cheap; a sum that only overflows passes below
        expect_finite(who, x, n, energy, before)
        expect_finite(who, value, n, energy, before)
    return total


def expect_finite(who: str, value: Tensor, n: int, energy: Energy | None = None, before: Tensor | None = None) -> None:
    """Raise if a value that step n came to, or chains start from (n = 0), is not finite, and name chain and term."""
    if torch.isfinite(value).all():
        return
    chain = int((~torch.isfinite(value.reshape(len(value), -1)).all(1)).nonzero()[0].item())
    term = _located(energy, before, chain) if energy is not None and before is not None else ""
    where = f"at step {n}, chain {chain}{term}"
    if n == 0:
        raise NonFiniteError(f"{who}: the start is not finite {where}.")
    raise NonFiniteError(f"{who} left the finite numbers {where}; try a smaller step size.")


def coupling(energy: nn.Module) -> str | None:
    """The first layer that makes chains depend on each other, or the energy on chance: its class, else None.

    Batch normalisation does so in training mode and without running statistics, dropout in training mode. Layers of a
    plain callable are found where the callable is a module or a method of one.
    """
    for module in energy.modules():
        owner = getattr(getattr(module, "function", None), "__self__", None)
        for layer in owner.modules() if isinstance(owner, nn.Module) else (module,):
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                found = layer.training or layer.running_mean is None
            else:
                found = layer.training and _random(layer)
            if found:
                return type(layer).__name__
    return None


def _random(layer: nn.Module) -> bool:
    """Whether a layer draws random numbers in training mode."""
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        return layer.p > 0
    if isinstance(layer, nn.MultiheadAttention):
        return layer.dropout > 0
    return isinstance(layer, nn.RReLU)


def _reason(energy: Energy) -> str:
    """Why an energy is not bounded below, and what to do."""
    if _unbounded_negation(energy):
        return (
            f"in {energy} the negation outweighs the positive terms. Lower its alpha, or bound it: "
            "negation(term, alpha, margin=...)."
        )
    return (
        f"exp(-E) of {energy} has no finite integral. Check its sign, or compose it with an energy that says where "
        "samples may be, such as a wide Gaussian."
    )


def _unbounded_negation(energy: Energy) -> bool:
    """Whether the composition holds a negation without a margin."""
    if isinstance(energy, Not) and energy.margin is None:
        return True
    return isinstance(energy, Node) and any(_unbounded_negation(part) for part in energy)


def _located(energy: Energy, x: Tensor, chain: int) -> str:
    """Which term first gives a value or gradient that is not finite in a chain."""
    for leaf in leaves(energy):
        try:
            value, gradient = leaf.value_and_gradient(x)
        except (RuntimeError, ValueError):
            continue
        row = chain % len(value)
        if not (torch.isfinite(value[row]).all() and torch.isfinite(gradient[row]).all()):
            return f", term {leaf}"
    return ""
