"""Values of the energies that a composition is made of, with one network call for the members of a family."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ergosum.energy import Call, Closed, Conditional, Energy, per_sample, summed

__all__ = ["leaf_values"]


def leaf_values(
    held: Sequence[Energy], points: Sequence[Tensor], stand_in: bool = False, create_graph: bool = False
) -> dict[Energy, Tensor]:
    """Values of energies, each at its own point; members of one family in one call, and what others ask one family too.

    Args:
        stand_in: whether an energy without a value counts as 0 with its own gradient, which is as good where only the
            gradient of a weighted sum is asked for. create_graph: whether that gradient can be differentiated.
    """
    values: dict[Energy, Tensor] = {}
    families: dict[Conditional, list[tuple[Closed, Tensor]]] = {}
    calls: dict[Conditional, list[tuple[Energy, Tensor, Call]]] = {}
    for leaf, x in zip(held, points, strict=True):
        if x.numel() == 0 and len(x) == 0:
            values[leaf] = summed(x)
        elif isinstance(leaf, Closed):
            families.setdefault(leaf.family, []).append((leaf, x))
        elif stand_in and not leaf.has_value:
            values[leaf] = _StandIn.apply(x, leaf.gradient(x, create_graph))  # type: ignore[assignment]
        elif (call := leaf.call(x)) is not None:
            calls.setdefault(call.family, []).append((leaf, x, call))
        else:
            value = values[leaf] = per_sample(leaf(x), x, leaf)
            told = type(leaf).value_and_gradient is not Energy.value_and_gradient
            if told and x.requires_grad and torch.is_grad_enabled() and not value.requires_grad:
                raise ValueError(
                    f"{leaf} knows its gradient, but a composition differentiates its forward, which torch cannot; "
                    "write forward with torch's operations."
                )
    for family, closed in families.items():
        members, xs = zip(*closed, strict=True)
        for member, x, value in zip(members, xs, _folded(family, members, xs), strict=True):
            values[member] = per_sample(value, x, member)
    for family, asked in calls.items():
        made = [call for _, _, call in asked]
        answers = family(torch.cat([m.c for m in made]))(torch.cat([m.x for m in made])).split([len(m.x) for m in made])
        for (leaf, x, call), answer in zip(asked, answers, strict=True):
            values[leaf] = per_sample(call.value(answer), x, leaf)
    return values


def _folded(family: Conditional, members: Sequence[Closed], points: Sequence[Tensor]) -> Sequence[Tensor]:
    if len(members) == 1:
        return [members[0](points[0])]
    first, batch, n = members[0], len(points[0]), len(members)
    conditions = [m.conditions(batch) for m in members]
    if family.folds and all(p is points[0] for p in points) and all(m.anchor is first.anchor for m in members):
        bound = family.bind(torch.stack(conditions, 1).flatten(0, 1), first.anchors(batch))
        return bound(points[0]).unflatten(0, (batch, n)).unbind(1)
    anchors = [a for a in (m.anchors(batch) for m in members) if a is not None]
    bound = family.bind(torch.cat(conditions), torch.cat(anchors) if anchors else None)
    return bound(torch.cat(list(points))).unflatten(0, (n, batch)).unbind(0)


class _StandIn(torch.autograd.Function):
    """Zero for each sample, with a given gradient in x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return x.new_zeros(len(x))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return grads[0].reshape(-1, *[1] * (gradient.ndim - 1)) * gradient, None
