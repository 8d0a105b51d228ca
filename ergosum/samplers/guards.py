"""What stops a chain: values that are not finite, energies that cannot be sampled, compositions without a bottom."""

from math import isfinite

import torch
from torch import Tensor

from ergosum.compose import Node, Not, leaves
from ergosum.energy import Energy

__all__ = [
    "NonFiniteError",
    "UnboundedError",
    "expect_finite",
    "expect_shape",
    "lowest",
    "refuse_fall",
    "refuse_non_finite",
    "refuse_ungrounded",
]

FALL = 1e3
"""How many times the size of its start an energy with an unbounded negation may fall before it counts as bottomless."""


class NonFiniteError(ArithmeticError):
    """A chain or a training run left the finite numbers; the message names the step, the chain and the term."""


class UnboundedError(ArithmeticError):
    """The energy of a composition with a negation falls without bound along a chain."""


def expect_shape(value: Tensor, x: Tensor) -> None:
    """Raise unless there is one energy per sample."""
    if value.shape != x.shape[:1]:
        raise ValueError(
            f"Expected one energy per sample, shape ({len(x)},) for x of shape {tuple(x.shape)}; got shape "
            f"{tuple(value.shape)}. Sum over everything but the batch."
        )


def refuse_ungrounded(energy: Energy) -> None:
    """Raise if an energy is a negation without a positive term."""
    if not energy.grounded:
        raise ValueError(
            f"{energy}: a negation alone has no finite integral and cannot be sampled. Compose it with a positive "
            "energy that says where samples may be: positive & ~this."
        )


def lowest(energy: Energy, value: Tensor) -> float | None:
    """Below what an energy with an unbounded negation counts as bottomless, None where it has none.

    Shape:
        value: (batch,), the energies that chains start from.
    """
    return value.min().item() - FALL * (1 + value.abs().max().item()) if _bottomless(energy) else None


def refuse_fall(who: str, energy: Energy, value: Tensor, floor: float | None, n: int) -> None:
    """Raise if an energy has fallen below its floor, if it has one."""
    if floor is not None and value.min().item() < floor:
        raise UnboundedError(
            f"{who}: the energy of chain {value.argmin().item()} fell below {floor:.3g} at step {n}: in {energy} the "
            "negation outweighs the positive terms. Lower its alpha, or bound it: negation(term, alpha, margin=...)."
        )


def refuse_non_finite(who: str, energy: Energy, before: Tensor, x: Tensor, value: Tensor, n: int) -> None:
    """Raise if a step from `before` to x, with energies `value`, left the finite numbers."""
    if not isfinite(x.sum().item() + value.sum().item()):  # cheap; a sum that only overflows passes below
        expect_finite(who, x, n, energy, before)
        expect_finite(who, value, n, energy, before)


def expect_finite(who: str, value: Tensor, n: int, energy: Energy | None = None, before: Tensor | None = None) -> None:
    """Raise if a value that step n came to, or chains start from (n = 0), is not finite, and name chain and term."""
    if torch.isfinite(value).all():
        return
    chain = int((~torch.isfinite(value.reshape(len(value), -1)).all(1)).nonzero()[0].item())
    term = _culprit(energy, before, chain) if energy is not None and before is not None else ""
    where = f"at step {n}, chain {chain}{term}"
    if n == 0:
        raise NonFiniteError(f"{who}: the start is not finite {where}.")
    raise NonFiniteError(f"{who} left the finite numbers {where}; try a smaller step size.")


def _bottomless(energy: Energy) -> bool:
    """Whether the composition holds an unbounded negation."""
    if isinstance(energy, Not) and energy.margin is None:
        return True
    return isinstance(energy, Node) and any(_bottomless(part) for part in energy)


def _culprit(energy: Energy, x: Tensor, chain: int) -> str:
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
