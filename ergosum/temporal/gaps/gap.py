r"""Read the moves across a gap: from one frame to another that is several moves later, with none in between.

Over n frames a digit may turn half way round, and descent from no move at all stops in the nearest valley. So the
search meets in the middle first: with $T_k^i$ for i moves of energy k, every cell of the grid

$$ E(i, j, l) = 1/2 \| B(T_q^j T_p^i a) - B(T_r^{-l} b) \|^2,   -n <= i, j, l <= n $$

is compared at the cost of the frames on its two sides alone, (2n+1)^2 + (2n+1) instead of (2n+1)^3; B is a Gaussian
blur. Descent on the energy (`reading.read_moves`) goes on from the best cells of different sets of moves, and the one
that ends with the lowest relative error plus price per move stays.

Hidden pixels move along with the others. How much of a moved pixel comes from hidden ones, its doubt, is asked of the
energies themselves: by how much it follows when the hidden ones are changed. Errors count as far as both sides are free
of doubt.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ergosum.shapes import Images
from ergosum.temporal.reading import Act, blurred, read_moves, subsets

__all__ = ["across", "doubt", "read_gap"]

FLOOR = 1e-3
"""Mean squared change, per pixel and channel, that an error is at least held against, as in `reading.py`."""
MARGIN = 0.1
"""A cell that costs more than this above the cheapest is not descended from."""
AT_ONCE = 256
"""Frames that are moved at once, which bounds memory."""
PROBE = 0.1
"""Change of a hidden pixel, in units of intensity, with which is asked where moved pixels depend on it."""
_Sides = tuple[Images, Tensor | None]
"""Frames, and the same ones with their hidden pixels changed; None where nothing is hidden."""


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


def probed(frames: Images, hidden: Tensor) -> Images:
    """The frames with hidden pixels (batch, 1, side, side) changed, by `PROBE` where hidden is 1, towards grey."""
    return frames + PROBE * torch.where(frames < 0.5, 1, -1) * hidden


def doubt(moved: Tensor, moved_probed: Tensor) -> Tensor:
    """How much of each pixel comes from hidden ones, 0 .. 1, (batch, ..., 1, side, side)."""
    return ((moved_probed - moved).abs().amax(-3, keepdim=True) / PROBE).clamp(0, 1)


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
    hidden: tuple[Tensor, Tensor] | None = None,
    tries: int = 2,
) -> Tensor:
    """The moves in all that lead from `start` to `target`, (batch, K), sparse.

    Args:
        act: what the energies make of frames. components: K. frames: n >= 1, how many moves `target` is later. most:
            moves at once; None allows all, but the grid holds at most three. fastest: the longest move per frame that
            is sought, and the longest that `act` is asked to make at once. price: relative error, 0 .. 1, that one more
            move must save. blur: of both sides in pixels. hidden: how doubtful the pixels of start and target are,
            (batch, 1, side, side) each, 0 .. 1; None: not at all. tries: cells to descend from, >= 1.
    Shape:
        start, target: (batch, 3, side, side).
    """
    hidden = hidden if hidden is not None and any(bool(h.any()) for h in hidden) else None
    before: _Sides = (start, None if hidden is None else probed(start, hidden[0]))
    after: _Sides = (target, None if hidden is None else probed(target, hidden[1]))
    grid = _Grid(act, components, frames, fastest, blur)
    costs, cells = grid.best(before, after, min(components, most or components, 3), price, tries)

    def moved(x: Images, z: Tensor) -> Images:
        return across(act, x, z, fastest)

    best = start.new_full((len(start),), torch.inf)
    chosen = cells[:, 0]
    for i in range(cells.shape[1]):
        worth = costs[:, i] <= costs[:, 0] + MARGIN
        a, b, cell = start[worth], target[worth], cells[worth, i]
        clear = None
        if hidden is not None:
            clear = 1 - hidden[1][worth]
            clear = clear * (1 - doubt(moved(a, cell), moved(probed(a, hidden[0][worth]), cell)))
        reading = read_moves(
            moved, a, b, components, price=price, most=most, steps=(2, 1), blur=blur, seen=clear, initial=cell
        )
        cost, moves = torch.full_like(best, torch.inf), torch.zeros_like(chosen)
        off = (reading.moves.abs() > 1.25 * frames * fastest).any(1)  # where descent left what energies know
        price_paid = reading.error / (reading.change + FLOOR) + price * (reading.moves != 0).sum(1)
        cost[worth] = price_paid.masked_fill(off, torch.inf)
        moves[worth] = reading.moves
        better = cost < best
        best, chosen = torch.where(better, cost, best), torch.where(better[:, None], moves, chosen)
    return chosen


class _Grid:
    """All moves of -n .. n steps of up to three energies, compared from both ends."""

    def __init__(self, act: Act, components: int, n: int, step: float, blur: float) -> None:
        self.act, self.components, self.n, self.step, self.blur = act, components, n, step, blur

    def best(self, start: _Sides, target: _Sides, size: int, price: float, tries: int) -> tuple[Tensor, Tensor]:
        """Costs (batch, tries), lowest first, and moves (batch, tries, K) of the cheapest cells of different sets."""
        x = start[0]
        levels = self.step * torch.arange(-self.n, self.n + 1, dtype=x.dtype, device=x.device)
        grid = torch.cartesian_prod(*[levels] * size).view(-1, size)
        costs, moves = [], []
        for group in (g for g in subsets(self.components, size) if len(g) == size):
            left = _each(start, lambda v: v[:, None])
            for k in group[:-1]:
                left = _each(left, lambda v, k=k: self._orbits(v, k))
            right = _each(target, lambda v, k=group[-1]: self._orbits(v[:, None], k).flip(1))
            cost = self._relative(left, right).flatten(1) + price * (grid != 0).sum(1)
            for active in [[], *subsets(size)]:
                apart = torch.tensor([i in active for i in range(size)], device=x.device)
                inside = ((grid != 0) == apart).all(1).nonzero()[:, 0]
                lowest, place = cost[:, inside].min(1)
                cell = x.new_zeros(len(x), self.components)
                cell[:, group] = grid[inside[place]]
                costs.append(lowest)
                moves.append(cell)
        cost, order = torch.stack(costs, 1).sort(1)
        cells = torch.stack(moves, 1).gather(1, order[:, :tries, None].expand(-1, -1, self.components))
        return cost[:, :tries], cells

    def _orbits(self, frames: Tensor, k: int) -> Tensor:
        """Each of `frames` (batch, L, ...) moved by -n .. n steps of energy k, (batch, L (2n + 1), ...)."""
        batch, count = frames.shape[:2]
        return self._orbit(frames.flatten(0, 1), k).unflatten(0, (batch, count)).flatten(1, 2)

    def _orbit(self, frames: Images, k: int) -> Tensor:
        both = torch.cat([frames, frames])
        signed = frames.new_zeros(len(both), self.components)
        signed[: len(frames), k], signed[len(frames) :, k] = -self.step, self.step
        back, ahead = [], []
        for _ in range(self.n):
            both = torch.cat([self.act(x, z) for x, z in zip(both.split(AT_ONCE), signed.split(AT_ONCE), strict=True)])
            before, after = both.chunk(2)
            back.append(before)
            ahead.append(after)
        return torch.stack([*back[::-1], frames, *ahead], 1)

    def _relative(self, left: _Sides, right: _Sides) -> Tensor:
        """Errors between all of `left` (batch, L, ...) and all of `right` (batch, R, ...), relative to no move at all:
        (batch, L, R).
        """
        (a, wa), (b, wb) = (self._weighed(*side) for side in (left, right))
        square = (wa * a.square()) @ wb.mT - 2 * (wa * a) @ (wb * b).mT + wa @ (wb * b.square()).mT
        error = square / (wa @ wb.mT).clamp_min(1e-6)
        still = error[:, error.shape[1] // 2, error.shape[2] // 2]
        return error / (still + FLOOR)[:, None, None]

    def _weighed(self, frames: Tensor, changed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Blurred pixels and how free of doubt they are, (batch, L, pixels) each."""
        flat = frames.flatten(0, 1)
        clear = torch.ones_like(flat) if changed is None else 1 - doubt(flat, changed.flatten(0, 1)).expand_as(flat)
        shape = (*frames.shape[:2], -1)
        return blurred(flat, self.blur).reshape(shape), clear.reshape(shape)


def _each(sides: _Sides, change: Callable[[Tensor], Tensor]) -> _Sides:
    """The same done to frames and to the frames with changed pixels."""
    frames, changed = sides
    return change(frames), None if changed is None else change(changed)
