r"""Fill a film: the energy of a whole path of frames, minimised over everything that was not seen.

$$ E(x_1 .. x_T, z) = \sum_t 1/2 \| x_{t+1} - T(x_t, z_t) \|^2 + 1/2 \| x_t - T(x_{t+1}, -z_t) \|^2 $$

T(a, z) is where the energies lead from the frame a with the moves z. Pixels that were seen are fixed coordinates; free
are all others and, without a timeline, the moves. Three steps lead to the minimum:

1. *Moves* are read from each frame of which enough was seen to the next such frame (`gap.py`). Nothing that was seen
   tells how the way between the two was divided, so inside a gap every move is the same: one unknown per gap. Before
   the first and after the last such frame the speed of the nearest gap goes on. Where pixels are hidden, a film keeps
   one speed unless its energy speaks against it.
2. *Frames* are bridged: predictions run forwards and backwards through the film, each with the variance of every pixel
   (0 where it was seen, more by a constant after each move, moved along with the pixels), and are averaged by
   precision. Where T is linear and keeps lengths, this is the minimum of E over the frames.
3. *Descent* lowers E itself, in turns over the free pixels (with their anchors' gradients) and over the moves
   (Gauss-Newton); a step that would raise a film's energy is not taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ergosum.data.images_given import as_images
from ergosum.data.render import FACTORS
from ergosum.energy import Energy
from ergosum.samplers.descent import Descent
from ergosum.samplers.state import State
from ergosum.shapes import Frames, Images, PerSample
from ergosum.temporal.control import Bank, as_moves
from ergosum.temporal.gaps.gap import across, doubt, probed, read_gap
from ergosum.temporal.reading import Act, blurred, descend_moves, read_moves
from ergosum.temporal.timeline import Segment, Timeline, parse_timeline

__all__ = ["Filled", "PathEnergy", "PathSearch", "as_timeline", "differentiable_act", "fill", "fill_path", "spread"]

SPREAD = ((1.0, 0.2), (2.0, 0.5), (4.0, 0.8), (8.0, 1.0))
"""Blurs, in pixels, by which seen pixels spread into hidden ones, and the variance of what they tell there."""
SURE = 1e-4
"""Least variance of a prediction, relative to that of a pixel that nothing is known of."""


@dataclass(frozen=True, kw_only=True)
class PathSearch:
    """How a path's minimum is looked for."""

    enough: float = 0.25
    """Share of a frame's pixels, 0 .. 1, that must be seen for moves to be read off it."""
    most: int | None = 3
    """Energies that move at once, at most; None allows all of them."""
    fastest: float = 1.0
    """Longest move per frame that is looked for, > 0, in the energies' own levels."""
    price: float = 0.03
    """Relative error, 0 .. 1, that one more move must save."""
    blur: float = 1.0
    """Standard deviation, in pixels, of the blur under which moves are read, >= 0."""
    drift: float = 0.005
    """What one move adds to a pixel's variance, > 0; 1 is the variance of a pixel of which nothing is known."""
    rounds: int = 3
    """Turns of descent over frames and moves, >= 0."""
    steps: int = 2
    """Steps over the frames in each turn, >= 1."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("enough", 0, 1), ("fastest", 1e-6, torch.inf), ("price", 0, 1), ("blur", 0, torch.inf),
            ("drift", 1e-9, 1), ("rounds", 0, torch.inf), ("steps", 1, torch.inf),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}: expected a number in {low:g} .. {high:g}, got {getattr(self, name)!r}.")


class Filled(NamedTuple):
    """A film without gaps.

    Shape:
        frames: (batch, time, 3, side, side) in [0, 1]; pixels that were seen are as they were, to the bit.
        moves: (batch, time - 1, K), in levels, of the energies in the bank's order; those given, or those read.
        energy: (rounds + 1, batch), the path's energy after bridging and after each turn of descent; it never rises.
    """

    frames: Tensor
    moves: Tensor
    energy: Tensor


class PathEnergy(Energy):
    r"""$E(x_1 .. x_T) = \sum_t 1/2 \|x_{t+1} - T(x_t, z_t)\|^2 + 1/2 \|x_t - T(x_{t+1}, -z_t)\|^2$ at given moves.

    Its gradient goes through the anchors too, where `act` can be differentiated.

    Args:
        act: T, frames (batch, 3, side, side) after moves (batch, K). moves: z, (batch, time - 1, K).
    Shape:
        x: (batch, time, 3, side, side). Returns (batch,).
    """

    remembers = False

    def __init__(self, act: Act, moves: Tensor) -> None:
        super().__init__()
        self.act, self.moves = act, moves

    def forward(self, x: Frames) -> PerSample:
        """The energy of each path."""
        return self.parts(x).sum(1)

    def parts(self, x: Frames) -> Tensor:
        """What each move contributes, (batch, time - 1)."""
        starts, targets, moves = both_ways(x, self.moves)
        made = self.act(starts.flatten(0, 1), moves.flatten(0, 1)).unflatten(0, starts.shape[:2])
        return (made - targets).square().flatten(2).sum(2).view(len(x), 2, -1).sum(1) / 2


def both_ways(x: Frames, moves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Starts, targets and moves of all neighbours, forwards and then backwards, each (batch, 2 (time - 1), ...)."""
    before, after = x[:, :-1], x[:, 1:]
    return torch.cat([before, after], 1), torch.cat([after, before], 1), torch.cat([moves, -moves], 1)


def differentiable_act(bank: Bank) -> Act:
    """What a bank's energies make of frames, in turn, so that it can be differentiated with respect to the frames.

    Shape:
        The act takes frames (batch, 3, side, side) and moves (batch, K) in the order of `bank.factors`.
    Raises:
        ValueError: if an energy is not conditioned on the move of one factor.
    """
    for factor, (predictor, _) in bank.members.items():
        if not getattr(predictor, "knows_moves", True):
            raise ValueError(f"The {factor} energy is not conditioned on the move; filling needs energies that are.")
        if factor not in getattr(predictor, "factors", FACTORS):
            raise ValueError(
                f"The {factor} energy moves several factors at once; filling needs energies of one factor each."
            )

    def act(frames: Images, moves: Tensor) -> Images:
        for column, factor in enumerate(bank.factors):
            levels = moves[:, column]
            acting = levels != 0
            if not acting.any():
                continue
            predictor, k = bank.members[factor]
            made = _moved(predictor, k, frames[acting], factor, levels[acting])
            frames = frames.index_put((acting.nonzero()[:, 0],), made)
        return frames

    return act


def _moved(predictor: nn.Module, k: int, frames: Images, factor: str, levels: Tensor) -> Images:
    """Frames after one energy's move, as `predict` makes them; differentiable where one step is all there is to it."""
    named = getattr(predictor, "factors", FACTORS)
    moves = as_moves({factor: levels}, len(frames), frames.device, named)  # type: ignore[arg-type]
    if hasattr(predictor, "bind") and getattr(predictor, "one_step", True):
        energy = predictor.bind(predictor.encode(frames), frames, moves, 1.0, [k])  # type: ignore[operator]
        graph = torch.is_grad_enabled() and frames.requires_grad
        return Descent().step(energy, State(frames.detach()), create_graph=graph)[0].x.clamp(0, 1)
    return predictor.predict(frames, moves=moves, active=[k])  # type: ignore[operator]


def fill(
    bank: Bank,
    frames: Frames,
    seen: Tensor | None = None,
    timeline: Timeline | str | Tensor | None = None,
    search: PathSearch = PathSearch(),
) -> Filled:
    """Films without gaps: hidden pixels and missing frames, and without a timeline also the moves, by the energies.

    Args:
        bank: the energies that act. frames: a tensor or an array; what stands at hidden pixels does not matter, and may
            be NaN. seen: True where a pixel was seen: (batch, time) for whole frames, or (batch, time, 1, side, side);
            None: all pixels that are not NaN. timeline: of all films, or moves (batch, time - 1, K) in the order of
            `bank.factors`; None reads them off the films. search: how the minimum is looked for.
    Shape:
        frames: (batch, time >= 2, 3, side, side), floats in [0, 1] or bytes.
    Raises:
        ValueError: if shapes do not fit, nothing was seen, the timeline has another length or another energy than the
            bank, or there is no timeline and only one frame to read it off.
    """
    hidden = None
    frames = torch.as_tensor(frames)
    if frames.is_floating_point():
        hidden = frames.isnan()
        frames = frames.masked_fill(hidden, 0)
    if frames.ndim != 5 or frames.shape[1] < 2:
        raise ValueError(
            f"fill: expected films (batch, time >= 2, 3, side, side), got {tuple(frames.shape)}; of one film, x[None]."
        )
    x = as_images(frames.flatten(0, 1), bank.canvas).unflatten(0, frames.shape[:2])
    shown = _as_seen(seen, x)
    if hidden is not None:
        shown = shown & ~hidden.any(2, keepdim=True)
    moves = None if timeline is None else _as_given(bank, timeline, x)
    return fill_path(differentiable_act(bank), x, shown, len(bank.factors), moves, search)


def _as_seen(seen: Tensor | None, x: Frames) -> Tensor:
    whole, pixels = tuple(x.shape[:2]), (*x.shape[:2], 1, *x.shape[3:])
    if seen is None:
        return torch.ones(pixels, dtype=torch.bool, device=x.device)
    seen = torch.as_tensor(seen)
    if tuple(seen.shape) not in (whole, pixels):
        raise ValueError(
            f"seen: expected a mask {whole} of whole frames or {pixels} of pixels, got {tuple(seen.shape)}."
        )
    seen = seen.to(x.device) != 0
    return seen if seen.ndim == 5 else seen[:, :, None, None, None].expand(pixels)


def _as_given(bank: Bank, timeline: Timeline | str | Tensor, x: Frames) -> Tensor:
    expected = (len(x), x.shape[1] - 1, len(bank.factors))
    if torch.is_tensor(timeline):
        if tuple(timeline.shape) != expected:
            raise ValueError(f"timeline: expected moves {expected}, got {tuple(timeline.shape)}.")
        return timeline.to(x)
    timeline = parse_timeline(timeline, bank.factors) if isinstance(timeline, str) else timeline
    if unknown := [f for f in timeline.factors if f not in bank.members]:
        raise ValueError(f"No energy for {', '.join(unknown)}; this bank holds {', '.join(bank.factors)}.")
    if timeline.frames != expected[1]:
        raise ValueError(
            f"timeline: expected {expected[1]} moves for a film of {x.shape[1]} frames, got {timeline.frames} in "
            f"{str(timeline)!r}."
        )
    levels = torch.tensor([[moves.get(f, 0.0) for f in bank.factors] for moves in timeline])
    return levels.to(x).expand(expected).clone()


@torch.no_grad()
def fill_path(
    act: Act,
    frames: Frames,
    seen: Tensor,
    components: int,
    moves: Tensor | None = None,
    search: PathSearch = PathSearch(),
) -> Filled:
    """`fill` for any way of moving frames, and moves that are known or None.

    Args:
        act: frames (batch, 3, side, side) after moves (batch, K); frames are made better where it can be
            differentiated. components: K.
    Shape:
        frames: (batch, time, 3, side, side) in [0, 1]. seen: (batch, time, 1, side, side), bool. moves: (batch,
        time - 1, K).
    Raises:
        ValueError: if nothing of a film was seen, or there are no moves and less than two frames to read them off.
    """
    usable = seen.flatten(2).float().mean(2) >= search.enough
    for film in range(len(frames)):
        if not seen[film].any():
            raise ValueError(f"film {film + 1}: every frame is missing; expected one at least that can be seen.")
        if moves is None and usable[film].sum() < 2:
            raise ValueError(
                f"film {film + 1}: expected two frames or more of which {search.enough:.0%} can be seen, to read the "
                f"moves off them, got {int(usable[film].sum())}; give a timeline."
            )
    patterns, which = usable.unique(dim=0, return_inverse=True)
    parts, order = [], []
    for number, pattern in enumerate(patterns):
        rows = (which == number).nonzero()[:, 0]
        given = None if moves is None else moves[rows]
        parts.append(_fill_alike(act, frames[rows], seen[rows], components, pattern, given, search))
        order.append(rows)
    back = torch.cat(order).argsort()
    made, found, energy = (list(v) for v in zip(*parts, strict=True))
    return Filled(torch.cat(made)[back], torch.cat(found)[back], torch.cat(energy, 1)[:, back])


def _fill_alike(
    act: Act, frames: Frames, seen: Tensor, components: int, usable: Tensor, moves: Tensor | None, search: PathSearch
) -> Filled:
    """Films whose usable frames are the same ones."""
    gaps = list(pairwise(usable.nonzero()[:, 0].tolist()))
    guess, doubts = spread(frames, seen)
    read = moves is None
    if moves is None:
        moves = _read(act, guess, doubts, components, gaps, search)
        if not seen[:, usable].all() and len(gaps) > 1:
            moves = _steadied(act, guess, doubts, seen, moves, gaps, search)
    x = _bridge(act, guess, seen, moves, search.drift)[0]
    step_size = x.new_full((len(x), 1, 1, 1, 1), 0.15)
    energies = [PathEnergy(act, moves)(x)]
    for _ in range(search.rounds):
        x, step_size = _descend(PathEnergy(act, moves), x, seen, step_size, search.steps)
        if read:
            moves = _tuned(act, x, moves, gaps)
        energies.append(PathEnergy(act, moves)(x))
    return Filled(x, moves, torch.stack(energies))


def spread(frames: Frames, seen: Tensor) -> tuple[Frames, Tensor]:
    """A first guess of hidden pixels, the mean of the nearest seen ones, black where none is near; and its variance
    (batch, time, 1, side, side), which grows with their distance.
    """
    known = seen.flatten(0, 1).to(frames)
    images = frames.flatten(0, 1) * known
    made, done, variance = images, known, 1 - known
    for sigma, doubtful in SPREAD:
        weight = blurred(known, sigma)
        new = (weight > 0.02) & (done == 0)
        made = torch.where(new, blurred(images, sigma) / weight.clamp_min(1e-6), made)
        variance = torch.where(new, doubtful, variance)
        done = done + new.to(done)
    made = torch.where(seen, frames, made.clamp(0, 1).view_as(frames))
    return made, variance.view(seen.shape)


def _read(
    act: Act, x: Frames, doubts: Tensor, components: int, gaps: Sequence[tuple[int, int]], search: PathSearch
) -> Tensor:
    """Moves from each usable frame to the next, evenly divided; gaps of one length are read as one batch."""
    speeds: dict[tuple[int, int], Tensor] = {}
    for length in {j - i for i, j in gaps}:
        alike = [(i, j) for i, j in gaps if j - i == length]
        (starts, targets), (a, b) = (
            tuple(torch.cat([v[:, gap[side]] for gap in alike]) for side in (0, 1)) for v in (x, doubts)
        )
        total = read_gap(
            act, starts, targets, components, length, most=search.most, fastest=search.fastest, price=search.price,
            blur=search.blur, hidden=(a, b), tries=1 if length == 1 else 2,
        )  # fmt: skip
        speeds |= dict(zip(alike, (total / length).chunk(len(alike)), strict=True))
    owner = [next((g for g in gaps if t < g[1]), gaps[-1]) for t in range(x.shape[1] - 1)]
    return torch.stack([speeds[gap] for gap in owner], 1)


def _steadied(
    act: Act, guess: Frames, doubts: Tensor, seen: Tensor, moves: Tensor, gaps: Sequence[tuple[int, int]],
    search: PathSearch,
) -> Tensor:  # fmt: skip
    """Moves of films with hidden pixels: one speed for the whole film where that explains it as well, else gap by gap.

    A frame with holes says little by itself. One speed is read off all gaps at once, and kept where it raises the
    path's energy by less than the price of one move, relative to the energy of a film that stands still.
    """
    x, variance = _bridge(act, guess, seen, moves, search.drift)
    speed = _read_steady(act, x, variance, moves, gaps, search)
    steady = speed[:, None].expand_as(moves)
    apart = PathEnergy(act, moves)(x)
    together = PathEnergy(act, steady)(_bridge(act, guess, seen, steady, search.drift)[0])
    still = PathEnergy(act, torch.zeros_like(moves))(x)
    kept = together <= apart + search.price * still
    moves = torch.where(kept[:, None, None], steady, moves)
    if not kept.all():
        moves = moves.index_put(
            ((~kept).nonzero()[:, 0],), _read(act, x[~kept], variance[~kept], moves.shape[2], gaps, search)
        )
    return moves


def _read_steady(
    act: Act, x: Frames, variance: Tensor, moves: Tensor, gaps: Sequence[tuple[int, int]], search: PathSearch
) -> Tensor:
    """One speed (batch, K) read off all gaps at once: their frames are stacked to one tall image."""
    lengths = torch.tensor([j - i for i, j in gaps], dtype=x.dtype, device=x.device)
    first, last = ([gap[end] for gap in gaps] for end in (0, 1))

    def moved(images: Images, speed: Tensor) -> Images:
        totals = (speed[:, None] * lengths[None, :, None]).flatten(0, 1)
        made = across(act, _apart(images).flatten(0, 1), totals, search.fastest)
        return _tall(made.unflatten(0, (-1, len(gaps))))

    start, target, hidden = _tall(x[:, first]), _tall(x[:, last]), _tall(variance[:, first])
    speed = moves[:, first].median(1).values
    clear = (1 - _tall(variance[:, last])) * (1 - doubt(moved(start, speed), moved(probed(start, hidden), speed)))
    reading = read_moves(
        moved, start, target, moves.shape[2], price=search.price, most=search.most, steps=(2, 1), blur=search.blur,
        seen=clear, initial=speed,
    )  # fmt: skip
    return reading.moves.clamp(-search.fastest, search.fastest)


def _tall(frames: Frames) -> Images:
    """All frames of a film below each other as one image, (batch, 3, time * side, side)."""
    return frames.transpose(1, 2).flatten(2, 3)


def _apart(images: Images) -> Frames:
    """The frames of a tall image, (batch, time, 3, side, side)."""
    return images.unflatten(2, (-1, images.shape[-1])).transpose(1, 2)


def _bridge(act: Act, guess: Frames, seen: Tensor, moves: Tensor, drift: float) -> tuple[Frames, Tensor]:
    """Hidden pixels as the precision-weighted mean of predictions from before and from after, and their variance."""
    ahead, variance = _run(act, guess, seen, moves, drift)
    behind, variance_behind = (v.flip(1) for v in _run(act, guess.flip(1), seen.flip(1), -moves.flip(1), drift))
    # what is known beyond nothing, so that the side that knows nothing has no say
    precision, precision_behind = (1 / v.clamp(SURE, 1) - 1 + 1e-6 for v in (variance, variance_behind))
    mean = (precision * ahead + precision_behind * behind) / (precision + precision_behind)
    variance = 1 / (1 + precision + precision_behind)
    return torch.where(seen, guess, mean), torch.where(seen, 0, variance)


def _run(act: Act, guess: Frames, seen: Tensor, moves: Tensor, drift: float) -> tuple[Frames, Tensor]:
    """Each frame as the past predicts it, and the variance (batch, time, 1, side, side) of its pixels."""
    made, variances = [guess[:, 0]], [torch.ones_like(seen[:, 0], dtype=guess.dtype)]
    for t in range(guess.shape[1] - 1):
        x = torch.where(seen[:, t], guess[:, t], made[-1])
        variance = torch.where(seen[:, t], 0, variances[-1])
        if seen[:, t + 1].all():
            made.append(guess[:, t + 1])
            variances.append(torch.full_like(variance, drift))
            continue
        made.append(act(x, moves[:, t]))
        if variance.any():
            variance = doubt(made[-1], act(probed(x, variance), moves[:, t]))
        variances.append((variance + drift).clamp(max=1))
    return torch.stack(made, 1), torch.stack(variances, 1)


def _descend(energy: PathEnergy, x: Frames, seen: Tensor, step_size: Tensor, steps: int) -> tuple[Frames, Tensor]:
    """Descent on the hidden pixels within [0, 1]; a film whose energy would rise stays, and takes shorter steps."""
    for _ in range(steps):
        state, info = Descent(step_size=step_size, mask=~seen).step(energy, State(x))
        proposed = torch.where(seen, x, state.x.clamp(0, 1))
        fell = (energy(proposed) <= info.energy).view(-1, 1, 1, 1, 1)
        x = torch.where(fell, proposed, x)
        step_size = torch.where(fell, 1.2 * step_size, 0.4 * step_size)
    return x, step_size


def _tuned(act: Act, x: Frames, moves: Tensor, gaps: Sequence[tuple[int, int]]) -> Tensor:
    """The moves after a Gauss-Newton step of each speed on the path's energy, where that lowers it."""
    inner = [j for _, j in gaps[:-1]]
    spans = list(pairwise([0, *inner, moves.shape[1]]))
    steady = (moves == moves[:, :1]).flatten(1).all(1)
    tuned = moves.clone()
    for films, parts in ((steady, [(0, moves.shape[1])]), (~steady, spans)):
        if films.any():
            tuned[films] = _tuned_alike(act, x[films], moves[films], parts)
    return tuned


def _tuned_alike(act: Act, x: Frames, moves: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """`_tuned` of films with one speed in each span."""

    def along(starts: Tensor, speed: Tensor) -> Tensor:
        frames = _apart(starts)
        count = frames.shape[1] // 2
        signed = torch.cat([speed[:, None].expand(-1, count, -1), -speed[:, None].expand(-1, count, -1)], 1)
        return _tall(act(frames.flatten(0, 1), signed.flatten(0, 1)).unflatten(0, frames.shape[:2]))

    proposed = moves.clone()
    for i, j in spans:
        starts, targets, _ = both_ways(x[:, i : j + 1], moves[:, i:j])
        speed, _ = descend_moves(along, _tall(starts), _tall(targets), moves[:, i], moves[:, i] != 0, 1, blur=0)
        proposed[:, i:j] = speed[:, None]
    before, after = PathEnergy(act, moves).parts(x), PathEnergy(act, proposed).parts(x)
    kept = moves.clone()
    for i, j in spans:
        fell = after[:, i:j].sum(1) <= before[:, i:j].sum(1)
        kept[fell, i:j] = proposed[fell, i:j]
    return kept


def as_timeline(moves: Tensor, names: Sequence[str], tolerance: float = 0.05) -> Timeline:
    """Moves of one film as a timeline; neighbours that differ by at most `tolerance` become one segment, at their mean.

    Moves of at most `tolerance` are left out; where none remains, the film stands still.

    Shape:
        moves: (time - 1, K), in levels.
    """
    segments: list[Tensor] = []
    for move in moves:
        mean = segments[-1].mean(0) if segments else None
        if mean is not None and (move - mean).abs().max() <= tolerance:
            segments[-1] = torch.cat([segments[-1], move[None]])
        else:
            segments.append(move[None])
    return Timeline(tuple(_segment(s, names, tolerance) for s in segments))


def _segment(moves: Tensor, names: Sequence[str], tolerance: float) -> Segment:
    mean = moves.mean(0).tolist()
    acting = tuple((n, round(v, 2)) for n, v in zip(names, mean, strict=True) if abs(v) > tolerance)
    return Segment(acting, len(moves))
