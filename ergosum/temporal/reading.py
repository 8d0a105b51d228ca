r"""Read off two frames which energies moved one to the other, and how far: descent on the energy over moves.

$$ E(z) = 1/2 \| B (w \odot (b - T(a, z))) \|^2 $$

T(a, z) is where the energies lead from the frame a with the moves z, w the pixels that are seen, so that what is hidden
does not spill over, and B a Gaussian blur, which widens the basin. Gauss-Newton steps start from no move; then each set
of at most `most` moves gets the moves that minimise the quadratic model of E within it, the set with the lowest
relative error plus price per move stays, and more steps follow within it.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.shapes import Images

__all__ = ["Act", "Reading", "blurred", "descend_moves", "looked_at", "read_moves", "subsets"]

Act = Callable[[Images, Tensor], Images]
"""Frames (batch, 3, side, side) after moves (batch, K)."""

FLOOR = 1e-3
"""Mean squared change, per pixel and channel, that an error is at least held against: noise of about 0.03."""


class Reading(NamedTuple):
    """Moves read off pairs of frames.

    Shape:
        moves: (batch, K), 0 where an energy did not act. error: (batch,), mean squared error per seen pixel and channel
        that is left. change: (batch,), that of copying. curvature: (batch, K, K), second derivative of E in the moves:
        with pixel noise of standard deviation s, the moves' covariance is s^2 times its inverse (within the set that
        acts).
    """

    moves: Tensor
    error: Tensor
    change: Tensor
    curvature: Tensor


def blurred(images: Images, sigma: float) -> Images:
    """Gaussian blur with standard deviation `sigma` in pixels, black outside; 0 gives the images back."""
    if sigma == 0:
        return images
    from kornia.filters import gaussian_blur2d  # half a second, once

    size = 2 * int(3 * sigma + 0.5) + 1
    return gaussian_blur2d(images, (size, size), (sigma, sigma), border_type="constant")


def subsets(components: int, most: int | None = None) -> Iterator[list[int]]:
    """All non-empty sets of at most `most` of the components, small ones first."""
    for size in range(1, min(components, most or components) + 1):
        yield from map(list, combinations(range(components), size))


@torch.no_grad()
def read_moves(
    act: Act,
    start: Images,
    target: Images,
    components: int,
    *,
    price: float = 0.03,
    most: int | None = None,
    steps: tuple[int, int] = (4, 2),
    blur: float = 1.0,
    seen: Tensor | None = None,
    delta: float = 0.1,
    initial: Tensor | None = None,
) -> Reading:
    """The sparse moves that lead from `start` to `target`.

    Args:
        act: what the energies make of frames. components: K. price: relative error, 0 .. 1, that one more move must
            save. most: moves at once; None allows all. steps: Gauss-Newton steps with all moves, and with the chosen.
        blur: of both sides in pixels, >= 0. seen: (batch, 1, side, side) of 0 and 1, the pixels of the target that
            count; None: all. delta: step of the finite differences, in moves. initial: moves to start from, (batch, K);
            None: none at all.
    Shape:
        start, target: (batch, 3, side, side).
    """
    moves = start.new_zeros(len(start), components) if initial is None else initial
    free = torch.ones_like(moves, dtype=torch.bool)
    settings = {"blur": blur, "seen": seen, "delta": delta}
    moves, curvature = descend_moves(act, start, target, moves, free, steps[0], **settings)  # type: ignore[arg-type]
    moves = _best_subset(act, start, target, moves, curvature, price, most, seen)
    moves, curvature = descend_moves(act, start, target, moves, moves != 0, steps[1], **settings)  # type: ignore[arg-type]
    error, change = (_error(x, target, seen) for x in (act(start, moves), start))
    return Reading(moves, error, change, curvature)


def descend_moves(
    act: Act,
    start: Images,
    target: Images,
    moves: Tensor,
    free: Tensor,
    steps: int,
    *,
    blur: float = 1.0,
    seen: Tensor | None = None,
    delta: float = 0.1,
    longest: float = 1.0,
    ridge: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    """Gauss-Newton steps on the moves that are free, and the curvature at the last but one of them.

    Args:
        moves: to start from, (batch, K). free: (batch, K), bool; other moves stay. longest: that one step may change a
            move by. ridge: share of the mean curvature added to it.
    """
    components = moves.shape[1]
    on = free.to(moves.dtype)
    curvature = moves.new_zeros(len(moves), components, components)
    for _ in range(steps):
        here = act(start, moves)
        left = looked_at(target - here, blur, seen).flatten(1)
        slopes = []
        for k in range(components):
            chosen = free[:, k]
            slope = torch.zeros_like(left)
            if chosen.any():
                slope[chosen] = _slope(act, start[chosen], moves[chosen], here[chosen], k, delta, blur,
                                       None if seen is None else seen[chosen])  # fmt: skip
            slopes.append(slope)
        jacobian = torch.stack(slopes, 1)
        curvature = jacobian @ jacobian.mT
        damped = curvature + torch.diag_embed(
            (1 - on) + ridge * curvature.diagonal(dim1=1, dim2=2).mean(1, keepdim=True) + 1e-12
        )
        change = torch.linalg.solve(damped, (jacobian @ left[..., None]))[..., 0] * on
        moves = moves + change.clamp(-longest, longest)
    return moves, curvature


def _slope(
    act: Act, start: Images, moves: Tensor, here: Images, k: int, delta: float, blur: float, seen: Tensor | None
) -> Tensor:
    """Slope of the blurred frame in move k, (batch, values): outward from a move, where energies are smooth; from both
    sides where there is none, since there a bank leaves the frame as it is, which its energies only nearly do.
    """
    rest = moves[:, k] == 0
    away = torch.where(moves[:, k] < 0, -delta, delta)
    step = torch.zeros_like(moves)
    step[:, k] = away
    ahead, behind, length = act(start, moves + step), here, away
    if rest.any():
        behind = here.clone()
        behind[rest] = act(start[rest], (moves - step)[rest])
        length = torch.where(rest, 2 * away, away)
    return looked_at((ahead - behind) / length[:, None, None, None], blur, seen).flatten(1)


def _best_subset(
    act: Act, start: Images, target: Images, moves: Tensor, curvature: Tensor, price: float, most: int | None,
    seen: Tensor | None,
) -> Tensor:  # fmt: skip
    """Of all sets of moves, each at the minimum of the quadratic model within it, the cheapest; or none at all."""
    scale = _error(start, target, seen) + FLOOR
    best = (scale - FLOOR) / scale
    chosen = torch.zeros_like(moves)
    for active in subsets(moves.shape[1], most):
        within = torch.zeros_like(moves)
        block, across = curvature[:, active][:, :, active], curvature[:, active]
        block = block + 1e-6 * torch.diag_embed(block.diagonal(dim1=1, dim2=2) + 1e-12)
        within[:, active] = torch.linalg.solve(block, across @ moves[..., None])[..., 0]
        cost = _error(act(start, within), target, seen) / scale + price * len(active)
        better = cost < best
        best = torch.where(better, cost, best)
        chosen = torch.where(better[:, None], within, chosen)
    return chosen


def looked_at(difference: Images, blur: float, seen: Tensor | None) -> Images:
    """A difference of frames at the pixels that are seen, blurred."""
    return blurred(difference if seen is None else difference * seen, blur)


def _error(images: Images, target: Images, seen: Tensor | None) -> Tensor:
    """Mean squared error per seen pixel and channel, (batch,)."""
    squares = (images - target).square()
    if seen is None:
        return squares.mean((1, 2, 3))
    return (squares * seen).sum((1, 2, 3)) / (squares.shape[1] * seen.sum((1, 2, 3))).clamp_min(1)
