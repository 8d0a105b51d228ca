r"""Read a film: which energies acted from frame to frame, how far, and where something else happened.

    reading = read_film_moves(bank, frames, model=calibrate(bank, data, generator))
    print(reading.timeline)                          # scale:3 colour+angle*0.5:-4
    frames = bank.play(frames[:1], reading.timeline)

Every pair of consecutive frames is weighed alone (`evidence`). A film is a row of segments, in each of which one set of
energies acts at constant speeds; what a segment says of its frames is

$$ p(\text{segment}, S) = p(S) \int N(z; 0, \tau^2 I) \prod_t p(b_t | a_t, S, z) dz, $$

with each factor a Gaussian around the moves read off that pair. Sums over all segmentations (forward and backward) give
the probability that an energy acts in a frame; the best segmentation is the timeline. A frame that no energy explains
stands alone: after it the film goes on from what it shows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from ergosum.data.record import Pairs
from ergosum.shapes import Images
from ergosum.temporal.control import Bank
from ergosum.temporal.evidence import ACTS, SPEED, ErrorModel, Fits, Weights, calibrated, fit_sets, weigh
from ergosum.temporal.reading import Act, blurred, descend_moves, looked_at
from ergosum.temporal.timeline import Segment, Timeline

__all__ = ["FilmReading", "Stretch", "calibrate", "pixel_noise", "read_film_moves", "read_films", "replay"]

CHANGES = 0.2
"""Probability that a segment ends with a frame, before anything is seen."""
FOREIGN = 0.01
"""Probability that no energy explains a frame, before anything is seen."""
LONGEST = 60
"""Frames of one segment, at most; longer ones are read as several and joined."""
BLUR = 1.0
_CHUNK = 64


class PairSource(Protocol):
    """What draws pairs of frames that the energies explain: any data set that they were trained on."""

    def pairs(self, n: int, generator: Generator) -> Pairs:
        """`n` pairs of frames."""
        ...


class Stretch(NamedTuple):
    """Frames from `first` to `last` (both counted from 0 = the first change), in which one set of energies acts.

    Args:
        factors: that act, in the order of the bank; empty where the frame stands still. moves: levels per frame of
            each. sd: standard deviation of each. probability: of this set of energies, mean over the frames.
        foreign: whether no energy explains the (single) frame.
    """

    first: int
    last: int
    factors: tuple[str, ...]
    moves: tuple[float, ...]
    sd: tuple[float, ...]
    probability: float
    foreign: bool

    @property
    def segment(self) -> Segment:
        """The part of the timeline, with speeds of as many digits as their uncertainty leaves."""
        told = [(f, round(z, _decimals(s))) for f, z, s in zip(self.factors, self.moves, self.sd, strict=True)]
        return Segment(tuple((f, z) for f, z in told if z), self.last - self.first + 1)


@dataclass(frozen=True)
class FilmReading:
    """What was read off a film of T frames.

    Args:
        factors: names of the K energies. stretches: the segments in time. moves: (T - 1, K), levels per frame, 0 where
            an energy does not act. sd: (T - 1, K), their standard deviations, 0 where it does not act. active:
            (T - 1, K), probability that an energy acts. foreign: (T - 1,), probability that no energy explains the
            frame. flagged: (T - 1,), whether the best segmentation says so. nats: (T - 1,), log of the evidence for
            something else over that of the energies, of each pair alone. score: (T - 1,), how many standard deviations
            the logarithm of the error lies above that of held-out pairs which the energies explain.
        frames: (T, 3, side, side), the film as it was read, hidden pixels filled in.
    """

    factors: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    moves: Tensor
    sd: Tensor
    active: Tensor
    foreign: Tensor
    flagged: Tensor
    nats: Tensor
    score: Tensor
    frames: Tensor

    @cached_property
    def timeline(self) -> Timeline:
        """What `Bank.play` makes the film from again; frames that no energy explains stand still in it."""
        joined: list[Segment] = []
        for part in (s.segment for s in self.stretches):
            if joined and joined[-1].moves == part.moves:
                joined[-1] = Segment(part.moves, joined[-1].frames + part.frames)
            else:
                joined.append(part)
        return Timeline(tuple(joined))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the timeline, its segments, and every frame from the second on."""
        rows = [
            {
                "frame": t + 1,
                "moves": dict(zip(self.factors, self.moves[t].tolist(), strict=True)),
                "sd": dict(zip(self.factors, self.sd[t].tolist(), strict=True)),
                "active": dict(zip(self.factors, self.active[t].tolist(), strict=True)),
                "unexplained": bool(self.flagged[t]),
                "nats": float(self.nats[t]),
                "z": float(self.score[t]),
            }
            for t in range(len(self.moves))
        ]
        return {
            "timeline": str(self.timeline),
            "segments": [s._asdict() for s in self.stretches],
            "frames": rows,
        }


def act_of(bank: Bank) -> Act:
    """What a bank's energies make of frames, with moves in the order of `bank.factors`."""
    return lambda frames, moves: bank.advance(frames, dict(zip(bank.factors, moves.unbind(1), strict=True)))


@torch.no_grad()
def calibrate(
    bank: Bank,
    data: PairSource,
    generator: Generator,
    n: int = 96,
    *,
    noise: float = 0.0,
    seen: Tensor | None = None,
    most: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ErrorModel:
    """How well the energies explain pairs that they should explain, with the noise and the hidden pixels of a film.

    Neither labels nor the names of factors are used, so told and discovered energies are calibrated alike. How exact
    the speeds are is measured by reading each pair backwards too, which should give the same moves with the other sign.

    Args:
        data: draws pairs that the energies explain. n: of them, >= 16. noise: standard deviation of the pixels of the
            film, >= 0. seen: (time, 1, side, side), 0 for hidden pixels; masks are drawn from its frames.
        most: energies at once. progress: called with the pairs done and all of them.
    Raises:
        ValueError: if n < 16, or too few pairs change.
    """
    if n < 16:
        raise ValueError(f"calibrate: expected at least 16 pairs, got {n}.")
    act, components = act_of(bank), len(bank.factors)
    pairs = data.pairs(n, generator)
    start, target = pairs.start, pairs.target
    noisy = [noised(frames, noise, generator) for frames in (start, target)]
    left = sum(looked_at(a - b, BLUR, None).square().mean() for a, b in zip(noisy, (start, target), strict=True))
    start, target = noisy
    masks = None
    if seen is not None:
        before, masks = (seen[torch.randint(len(seen), (n,), generator=generator)].to(start) for _ in range(2))
        start, target = filled(start, before), target * masks
    fits = _fits(act, start, target, components, masks, most, progress)
    model = calibrated(fits, float(left), _power())
    best = weigh(fits, model).explained.argmax(1)
    moves, on = fits.moves[torch.arange(n), best], fits.sets[best]
    some = on.any(1)
    back, _ = descend_moves(act, target[some], start[some], -moves[some], on[some], 2, blur=BLUR)
    there, back, on = moves[some], back, on[some]
    units = []
    for k in range(components):
        clear = on[:, k] & (there[:, k].abs() > 0.2)
        off = ((there + back)[clear, k] / there[clear, k]).abs()
        units.append(1.4826 * float(off.median()) / math.sqrt(2) if len(off) >= 5 else 0.1)
    return calibrated(fits, float(left), _power(), units=tuple(units))


def read_film_moves(bank: Bank, frames: Images, model: ErrorModel, **settings: Any) -> FilmReading:
    """The moves of one film, (time, 3, side, side); settings as in `read_films`.

    Raises:
        ValueError: as `read_films`.
    """
    masks = settings.pop("seen", None)
    return read_films(bank, [frames], model, seen=None if masks is None else [masks], **settings)[0]


@torch.no_grad()
def read_films(
    bank: Bank,
    films: Sequence[Images],
    model: ErrorModel,
    *,
    seen: Sequence[Tensor] | None = None,
    most: int | None = None,
    acts: float = ACTS,
    speed: float = SPEED,
    progress: Callable[[int, int], object] | None = None,
) -> list[FilmReading]:
    """The moves of several films, all pairs of frames weighed together.

    Args:
        films: each (time >= 2, 3, side, side) in [0, 1]. model: how well the energies explain what they should explain,
            see `calibrate`. seen: for each film (time or 1, 1, side, side), 0 for pixels that are hidden; they are
            filled in from the frames beside as these are read. most: energies at once; None allows all.
        acts: probability that an energy acts, before anything is seen, 0 < q < 1. speed: standard deviation of moves
            before anything is seen, in levels. progress: called with the pairs done and all of them.
    Raises:
        ValueError: if a film has one frame, another shape, or values that are not finite; or masks do not fit.
    """
    for film in films:
        _refuse(film, bank.canvas)
    if not 0 < acts < 1 or speed <= 0:
        raise ValueError(f"read_films: expected 0 < acts < 1 and speed > 0, got {acts} and {speed}.")
    act, components = act_of(bank), len(bank.factors)
    masks = None
    if seen is not None:
        masks = [_mask(mask, film) for mask, film in zip(seen, films, strict=True)]
        films = [filled(film, mask) for film, mask in zip(films, masks, strict=True)]
    lengths = [len(film) - 1 for film in films]
    readings: list[FilmReading] = []
    for turn in range(1 if masks is None else 2):  # once more where hidden pixels can be filled in by what was read
        if turn and masks is not None:
            films = [_refilled(act, r, film, mask) for r, film, mask in zip(readings, films, masks, strict=True)]
        start, target = (torch.cat([film[part] for film in films]) for part in (slice(-1), slice(1, None)))
        hidden = None if masks is None else torch.cat([mask[1:] for mask in masks])
        fits = _fits(act, start, target, components, hidden, most, progress)
        weights = weigh(fits, model, acts, speed)
        readings, first = [], 0
        for film, length in zip(films, lengths, strict=True):
            part = slice(first, first + length)
            readings.append(_reading(bank.factors, film, _cut(fits, part), _cut(weights, part), model, acts, speed))
            first += length
    return readings


@torch.no_grad()
def replay(bank: Bank, reading: FilmReading) -> Tensor:
    """The film played from its first frame, and from each frame that no energy explains: (time, 3, side, side)."""
    made, moves = [reading.frames[0]], list(reading.timeline)
    for t, each in enumerate(moves):
        made.append(reading.frames[t + 1] if reading.flagged[t] else bank.advance(made[-1][None], each)[0])
    return torch.stack(made)


def pixel_noise(frames: Images, seen: Tensor | None = None) -> float:
    """Standard deviation of white noise on frames, from what smooth images do not have: second differences both ways.

    Half the noise on black is lost where values are cut to [0, 1]; where many are cut, the estimate is raised
    accordingly. Pixels beside hidden ones do not count.

    Shape:
        frames: (time, 3, side, side). seen: (time or 1, 1, side, side).
    Source: the mask is that of Immerkaer 1996, "Fast noise variance estimation"; here the median absolute deviation of
        what it gives stands for its mean absolute value.
    """
    kernel = frames.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    flat = frames.flatten(0, 1)[:, None]
    rough = torch.nn.functional.conv2d(flat, kernel).abs()
    cut = (frames == 0) | (frames == 1)
    if seen is not None:
        whole = seen.to(frames).expand(len(frames), 3, -1, -1)
        hidden = torch.nn.functional.conv2d(1 - whole.flatten(0, 1)[:, None], kernel.abs())
        rough = rough[hidden == 0]
        cut = cut[whole > 0]
    if rough.numel() == 0:
        return 0.0
    sd = 1.4826 * float(rough.median()) / 6.0
    return sd / 0.584 if float(cut.float().mean()) > 0.2 else sd


def noised(frames: Images, noise: float, generator: Generator) -> Images:
    """Frames with white noise, cut to [0, 1] as a file would be."""
    if noise == 0:
        return frames
    grains = torch.randn(frames.shape, generator=generator).to(frames)
    return (frames + noise * grains).clamp(0, 1)


def filled(frames: Images, seen: Tensor) -> Images:
    """Frames whose hidden pixels are a weighted mean of seen ones nearby."""
    values, known = frames * seen, seen.expand(len(frames), 1, -1, -1)
    result, left = values, known
    for sigma in (0.7, 1.5, 3.0, 6.0, 12.0):
        weight = blurred(known, sigma)
        near = (weight > 0.1) & (left == 0)
        result = torch.where(near, blurred(values, sigma) / weight.clamp_min(1e-6), result)
        left = torch.maximum(left, near.to(left))
    return result.clamp(0, 1)


def _fits(
    act: Act, start: Images, target: Images, components: int, seen: Tensor | None, most: int | None,
    progress: Callable[[int, int], object] | None,
) -> Fits:  # fmt: skip
    """`fit_sets` in batches that stay small."""
    parts = []
    for first in range(0, len(start), _CHUNK):
        part = slice(first, first + _CHUNK)
        masks = None if seen is None else seen[part]
        parts.append(fit_sets(act, start[part], target[part], components, most=most, blur=BLUR, seen=masks))
        if progress:
            progress(min(first + _CHUNK, len(start)), len(start))
    return Fits(parts[0].sets, *(torch.cat(v) for v in list(zip(*parts, strict=True))[1:]))


def _cut(record: Any, part: slice) -> Any:
    """A part of the batch of a record."""
    return type(record)(*(v if name == "sets" else v[part] for name, v in record._asdict().items()))


def _reading(
    factors: tuple[str, ...], frames: Images, fits: Fits, weights: Weights, model: ErrorModel, acts: float, speed: float
) -> FilmReading:
    steps, components = len(frames) - 1, len(factors)
    paths = _Paths(fits, weights, model, acts, speed)
    active, foreign = paths.probabilities()
    moves, sd = torch.zeros(steps, components), torch.zeros(steps, components)
    flagged = torch.zeros(steps, dtype=torch.bool)
    stretches = []
    for first, last, row in paths.best():
        on = [] if row < 0 else fits.sets[row].nonzero()[:, 0].tolist()
        mean, spread = paths.pooled(first, last, row) if on else (moves[0], sd[0])
        part = slice(first, last)
        if on:
            moves[part], sd[part] = mean, spread
        flagged[part] = row < 0
        sure = 1 - foreign[part] if row >= 0 else foreign[part]
        for k in range(components) if row >= 0 else ():
            sure = sure.minimum(active[part, k] if k in on else 1 - active[part, k])
        stretches.append(
            Stretch(
                first, last - 1, tuple(factors[k] for k in on), tuple(float(mean[k]) for k in on),
                tuple(float(spread[k]) for k in on), float(sure.mean()), row < 0,
            )
        )  # fmt: skip
    return FilmReading(
        factors, tuple(stretches), moves, sd, active, foreign, flagged, weights.nats.float(), weights.score.float(),
        frames,
    )  # fmt: skip


class _Paths:
    """All ways to cut a film into segments, each of one set of energies, or of one frame that none explains.

    Speeds are known to a relative standard deviation `units` at best, each frame anew: a frame's likelihood over moves
    is widened by it, its mass kept.
    """

    def __init__(self, fits: Fits, weights: Weights, model: ErrorModel, acts: float, speed: float) -> None:
        self.sets, self.moves, self.speed = fits.sets, fits.moves.double(), speed
        self.steps, self.rows = self.moves.shape[:2]
        components = self.moves.shape[2]
        self.units = torch.tensor(model.units or (0.0,) * components, dtype=torch.float64)
        sharp, on = weights.precision, fits.sets.double()
        padded = sharp + torch.diag_embed((1 - on).expand_as(self.moves) + 1e-9)
        wide = torch.diag_embed((self.units * self.moves).square() * on)
        blunt = torch.linalg.inv(torch.linalg.inv(padded) + wide)
        self.precision = blunt * (on[:, :, None] * on[:, None])
        peak = weights.peak + 0.5 * (torch.linalg.slogdet(blunt)[1] - torch.linalg.slogdet(padded)[1])
        pulled = (self.precision @ self.moves[..., None])[..., 0]
        start = lambda v: torch.cat([torch.zeros_like(v[:1]), v.cumsum(0)])  # noqa: E731
        self.peaks, self.precisions, self.pulls = start(peak), start(self.precision), start(pulled)
        self.squares, self.sharp = start((pulled * self.moves).sum(2)), start(sharp)
        size = on.sum(1)
        chance = size * math.log(acts) + (components - size) * math.log(1 - acts)
        self.chance = chance - chance.logsumexp(0)
        self.foreign = weights.foreign + math.log(FOREIGN) + math.log(CHANGES)
        self.spans = [self._spans(end) for end in range(1, self.steps + 1)]

    def _spans(self, end: int) -> Tensor:
        """Log-evidence of the segments that end before `end` and begin at each earlier frame: (begins, sets + 1)."""
        begin = torch.arange(max(0, end - LONGEST), end)
        total = lambda v: v[end] - v[begin]  # noqa: E731
        posterior = total(self.precisions) + self._prior()
        pull = total(self.pulls)
        mean = torch.linalg.solve(posterior, pull[..., None])[..., 0]
        fit = total(self.peaks) - 0.5 * (total(self.squares) - (pull * mean).sum(2))
        occam = -0.5 * torch.linalg.slogdet(posterior)[1] - self.sets.sum(1) * math.log(self.speed)
        length = (end - begin).double()[:, None]
        prior = (length - 1) * math.log(1 - CHANGES) + math.log(CHANGES) + length * math.log(1 - FOREIGN)
        explained = fit + occam + prior + self.chance
        alone = torch.full((len(begin), 1), -torch.inf, dtype=torch.float64)
        alone[-1] = self.foreign[end - 1]
        return torch.cat([explained, alone], 1)

    def _prior(self) -> Tensor:
        return torch.diag_embed(torch.where(self.sets, 1 / self.speed**2, 1.0).double())

    def pooled(self, first: int, last: int, row: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the moves of a set from `first` to before `last`.

        What speeds are uncertain by relatively is the same for all frames of an object: it does not shrink.
        """
        posterior = (self.precisions[last] - self.precisions[first])[row] + self._prior()[row]
        mean = torch.linalg.solve(posterior, (self.pulls[last] - self.pulls[first])[row])
        sharp = torch.linalg.inv((self.sharp[last] - self.sharp[first])[row] + self._prior()[row])
        sd = (sharp.diagonal() + (self.units * mean).square()).sqrt()
        on = self.sets[row]
        return (mean * on).float(), (sd * on).float()

    def best(self) -> list[tuple[int, int, int]]:
        """The best segmentation: begin, end (exclusive) and row of the set, -1 where none explains the frame."""
        score, chosen = [0.0], []
        for end, spans in enumerate(self.spans, 1):
            first = end - len(spans)
            whole = spans + torch.tensor(score[first:end], dtype=torch.float64)[:, None]
            value, place = whole.flatten().max(0)
            begin, row = divmod(int(place), self.rows + 1)
            score.append(float(value))
            chosen.append((first + begin, end, row if row < self.rows else -1))
        path, end = [], self.steps
        while end > 0:
            path.append(chosen[end - 1])
            end = path[-1][0]
        return path[::-1]

    def probabilities(self) -> tuple[Tensor, Tensor]:
        """Probability that each energy acts (steps, K), and that none explains the frame (steps,)."""
        ahead = torch.zeros(self.steps + 1, dtype=torch.float64)
        for end, spans in enumerate(self.spans, 1):
            ahead[end] = (spans.logsumexp(1) + ahead[end - len(spans) : end]).logsumexp(0)
        behind = torch.full((self.steps + 1,), -torch.inf, dtype=torch.float64)
        behind[-1] = 0.0
        for end in range(self.steps, 0, -1):
            spans = self.spans[end - 1]
            part = slice(end - len(spans), end)
            behind[part] = torch.logaddexp(behind[part], spans.logsumexp(1) + behind[end])
        change = torch.zeros(self.steps + 1, self.rows + 1, dtype=torch.float64)
        for end, spans in enumerate(self.spans, 1):
            part = slice(end - len(spans), end)
            mass = (spans + (ahead[part] + behind[end] - ahead[-1])[:, None]).exp()
            change[part] += mass
            change[end] -= mass.sum(0)
        inside = change.cumsum(0)[:-1].clamp(0, 1)
        return (inside[:, :-1] @ self.sets.double()).clamp(0, 1).float(), inside[:, -1].float()


def _refilled(act: Act, reading: FilmReading, film: Images, seen: Tensor) -> Images:
    """Hidden pixels as the moves that were read make them from the frame before; of the first, from the one after."""
    frames = list(film)
    if not reading.flagged[0]:
        first = act(film[1][None], -reading.moves[:1])[0]
        frames[0] = torch.where(seen[0] > 0, film[0], first)
    for t in range(len(film) - 1):
        if not reading.flagged[t]:
            made = act(frames[t][None], reading.moves[t : t + 1])[0]
            frames[t + 1] = torch.where(seen[t + 1] > 0, film[t + 1], made)
    return torch.stack(frames)


def _power() -> float:
    """Share of white noise's power that the blur lets pass."""
    spot = torch.zeros(1, 1, 15, 15)
    spot[..., 7, 7] = 1.0
    return float(blurred(spot, BLUR).square().sum())


def _decimals(sd: float) -> int:
    """Digits after the point of a number whose standard deviation is `sd`: a third of it is told apart."""
    return min(4, max(1, math.ceil(-math.log10(max(sd, 1e-4) / 3))))


def _mask(seen: Tensor, film: Images) -> Tensor:
    wanted = (len(film), 1, *film.shape[2:])
    if seen.ndim != 4 or tuple(seen.shape[1:]) != wanted[1:] or len(seen) not in (1, len(film)):
        raise ValueError(f"seen: expected {wanted} or one mask for all frames, got {tuple(seen.shape)}.")
    if not (seen > 0).flatten(1).any(1).all():
        raise ValueError("seen: expected some seen pixels (1) in every frame, got a mask that hides all of one.")
    return (seen > 0).to(film).expand(wanted)


def _refuse(film: Images, side: int) -> None:
    if film.ndim != 4 or film.shape[1] != 3 or tuple(film.shape[2:]) != (side, side):
        raise ValueError(f"A film for these energies has shape (time, 3, {side}, {side}); got {tuple(film.shape)}.")
    if len(film) < 2:
        raise ValueError("A film needs two frames or more, between which something can move; got one.")
    if not torch.isfinite(film).all():
        raise ValueError("The film holds values that are not finite; expected 0 .. 1.")
