r"""Read the moves across a gap: from one frame to another that is several moves later, with none in between.

Over n frames a digit may turn half way round, and descent from no move at all stops in the nearest valley. So the
search meets in the middle first: with $T_k^i$ for i moves of energy k, every cell of the grid

$$ E(i, j, l) = 1/2 \| B(T_q^j T_p^i a) - B(T_r^{-l} b) \|^2,   -n <= i, j, l <= n $$

is compared at the cost of the frames on its two sides alone, (2n+1)^2 + (2n+1) instead of (2n+1)^3; B is a Gaussian
blur. Descent on the energy (`reading.read_moves`) goes on from the best cells of different sets of moves, and the one
that ends with the lowest relative error plus price per move stays.
"""

import torch
from torch import Tensor

from ergosum.shapes import Images
from ergosum.temporal.reading import Act, blurred, read_moves, subsets

__all__ = ["across", "read_gap"]

FLOOR = 1e-3
"""Mean squared change, per pixel and channel, that an error is at least held against, as in `reading.py`."""
AT_ONCE = 256
"""Frames that are moved at once, which bounds memory."""


def across(act: Act, frames: Images, moves: Tensor, longest: float = 1.0) -> Images:
    """Frames after moves of any length, (batch, K), in as few equal steps of at most `longest` as they need."""
    steps = (moves.abs().amax(1) / longest - 1e-4).ceil().clamp_min(1)
    for n in range(int(steps.max()) if len(steps) else 0):
        going = steps > n
        if going.all():
            frames = act(frames, moves / steps[:, None])
        else:
            frames = frames.clone()
            frames[going] = act(frames[going], moves[going] / steps[going, None])
    return frames


@torch.no_grad()
def read_gap(
    act: Act,
    start: Images,
    target: Images,
    components: int,
    frames: int,
    *,
    most: int | None = 3,
    fastest: float = 1.0,
    price: float = 0.03,
    blur: float = 1.0,
    seen: Tensor | None = None,
    tries: int = 2,
) -> Tensor:
    """The moves in all that lead from `start` to `target`, (batch, K), sparse.

    Args:
        act: what the energies make of frames. components: K. frames: n >= 1, how many moves `target` is later. most:
            moves at once; None allows all, but the grid holds at most three. fastest: the longest move per frame that is
            looked for, and the longest that `act` is asked to make at once. price: relative error, 0 .. 1, that one more
            move must save. blur: of both sides in pixels. seen: (batch, 1, side, side), pixels of the target that count
            in the descent. tries: cells to descend from, >= 1.
    Shape:
        start, target: (batch, 3, side, side).
    """
    cells = _best_cells(act, start, target, components, frames, most, fastest, price, blur, tries)
    best = start.new_full((len(start),), torch.inf)
    chosen = torch.zeros_like(cells[0])
    for cell in cells:
        reading = read_moves(
            lambda x, z: across(act, x, z, fastest), start, target, components,
            price=price, most=most, blur=blur, seen=seen, initial=cell,
        )  # fmt: skip
        cost = reading.error / (reading.change + FLOOR) + price * (reading.moves != 0).sum(1)
        better = cost < best
        best, chosen = torch.where(better, cost, best), torch.where(better[:, None], reading.moves, chosen)
    return chosen


def _best_cells(
    act: Act, start: Images, target: Images, components: int, frames: int, most: int | None, fastest: float,
    price: float, blur: float, tries: int,
) -> list[Tensor]:  # fmt: skip
    """The cheapest cells of different sets of moves, `tries` of (batch, K) moves."""
    size = min(components, most or components, 3)
    levels = fastest * torch.arange(-frames, frames + 1, dtype=start.dtype, device=start.device)
    scale = (start - target).square().flatten(1).mean(1) + FLOOR
    costs, moves = [], []
    orbits = {k: _orbit(act, start, k, components, frames, fastest) for k in range(components - size + 1 or 1)}
    for group in (g for g in subsets(components, size) if len(g) == size):
        left = orbits[group[0]] if size > 1 else start[:, None]
        if size == 3:
            left = _orbit(act, left.flatten(0, 1), group[1], components, frames, fastest)
            left = left.unflatten(0, (len(start), -1)).flatten(1, 2)
        right = _orbit(act, target, group[-1], components, frames, fastest).flip(1)
        error = _distances(left, right, blur) / scale[:, None, None]
        grid = torch.cartesian_prod(*[levels] * size).view(-1, size)
        cost = error.flatten(1) + price * (grid != 0).sum(1)
        for active in [[], *subsets(size)]:
            apart = torch.tensor([i in active for i in range(size)], device=start.device)
            inside = ((grid != 0) == apart).all(1).nonzero()[:, 0]
            lowest, place = cost[:, inside].min(1)
            cell = start.new_zeros(len(start), components)
            cell[:, group] = grid[inside[place]]
            costs.append(lowest)
            moves.append(cell)
    order = torch.stack(costs, 1).argsort(1)[:, :tries]
    stacked = torch.stack(moves, 1)
    rows = torch.arange(len(start), device=start.device)
    return [stacked[rows, order[:, i]] for i in range(order.shape[1])]


def _orbit(act: Act, frames: Images, k: int, components: int, n: int, step: float) -> Tensor:
    """Frames moved by -n .. n steps of energy k, (batch, 2n + 1, 3, side, side)."""
    move = frames.new_zeros(components)
    move[k] = step
    both, ways = torch.cat([frames, frames]), torch.tensor([-1.0, 1.0], device=frames.device, dtype=frames.dtype)
    signed = ways.repeat_interleave(len(frames))[:, None] * move
    back, ahead = [], []
    for _ in range(n):
        both = torch.cat([act(x, z) for x, z in zip(both.split(AT_ONCE), signed.split(AT_ONCE), strict=True)])
        before, after = both.chunk(2)
        back.append(before)
        ahead.append(after)
    return torch.stack([*back[::-1], frames, *ahead], 1)


def _distances(left: Tensor, right: Tensor, blur: float) -> Tensor:
    """Mean squared differences of all of `left` (batch, L, ...) and all of `right` (batch, R, ...): (batch, L, R)."""
    a, b = (blurred(v.flatten(0, 1), blur).view(*v.shape[:2], -1) for v in (left, right))
    return torch.cdist(a, b).square() / a.shape[2]
