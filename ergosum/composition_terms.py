"""A composition explained at some x: every term, what it weighs and how it pulls."""

from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.energy import Energy
from ergosum.leaves import leaf_values
from ergosum.nodes import Named, Node, leaves
from ergosum.shapes import Batch, PerSample

__all__ = ["Terms", "terms", "titles"]


class Terms(NamedTuple):
    """A composition explained at some x, from one pass.

    $grad E = sum_l w_l grad E_l$ with $w_l = dE / dE_l$: 1 in a sum, a responsibility in a disjunction, negative under
    a negation.

    Shape:
        names: L. values, weights: (L, batch). gradients: (L, batch, *event). value: (batch,).
        gradient: (batch, *event).
    """

    names: list[str]
    values: Tensor
    gradients: Tensor
    weights: Tensor
    value: PerSample
    gradient: Batch


def terms(energy: Energy, x: Batch) -> Terms:
    """Every term's energy and gradient at x, what each weighs, and what they come to: the composition explained.

    Values of energies that are given by their scores are nan, and so is the whole then; the rest is known.
    """
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            return terms(energy, x.clone())
    held = leaves(energy)
    with torch.enable_grad():
        points = [x.detach().clone().requires_grad_() for _ in held]
        values = leaf_values(held, points, stand_in=True)
        total = torch.stack([values[leaf].sum() for leaf in held]).sum()
        gradients = torch.stack(torch.autograd.grad(total, points, materialize_grads=True))
        known = [values[leaf].detach().requires_grad_() for leaf in held]
        value = energy.joined(dict(zip(held, known, strict=True))) if isinstance(energy, Node) else known[0]
        weights = torch.stack(torch.autograd.grad(value.sum(), known))
    along = weights.reshape(*weights.shape, *[1] * (x.ndim - 1))
    told = titles(energy)
    return Terms(
        names=[told[leaf] for leaf in held],
        values=torch.stack([v.detach() if e.has_value else v.detach() * nan for e, v in zip(held, known, strict=True)]),
        gradients=gradients,
        weights=weights.detach(),
        value=value.detach() if energy.has_value else value.detach() * nan,
        gradient=(along * gradients).sum(0).detach(),
    )


def titles(energy: Energy) -> dict[Energy, str]:
    """What each leaf is called: its name in the formula that it was read from, or else its own."""
    if not isinstance(energy, Node):
        return {energy: str(energy)}
    found: dict[Energy, str] = {}
    for part in energy:
        found |= {leaf: title for leaf, title in titles(part).items() if leaf not in found}
    if isinstance(energy, Named) and energy.leaves == (energy.term,):
        found = {energy.term: energy.name}
    return found
