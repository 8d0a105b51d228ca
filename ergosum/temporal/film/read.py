r"""Read a film: which energies acted from frame to frame, how far, and where something else happened.

    reading = read_film_moves(bank, frames, model=calibrate(bank, data, generator))
    print(reading.timeline)                          # scale:3 colour+angle*0.5:-4
    frames = bank.play(frames[:1], reading.timeline)

Every pair of consecutive frames is weighed alone (`evidence`); the film is then cut into segments, in each of which one
set of energies acts at constant speeds (`segments`). After a frame that no energy explains the film goes on from what
that frame shows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ergosum.data.images_given import as_images
from ergosum.part import Part
from ergosum.shapes import Frames, Images
from ergosum.temporal.control import Bank
from ergosum.temporal.film.evidence import ACTS, SPEED, ErrorModel, Fits, Weights, weigh
from ergosum.temporal.film.explained import act_of, calibrate, explained_by, fit_pairs
from ergosum.temporal.film.pixels import filled, pixel_noise
from ergosum.temporal.film.segments import Segmentation
from ergosum.temporal.reading import Act
from ergosum.temporal.timeline import Segment, Timeline

__all__ = ["FilmReading", "Stretch", "read_as", "read_film_moves", "read_films", "replay", "transferred"]


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


def read_as(
    bank: Bank,
    frames: Images,
    data: Sequence[Part[Any]],
    *,
    noise: float | None = None,
    seen: Tensor | None = None,
    most: int | None = None,
    pairs: int = 64,
    seed: int = 0,
    progress: Callable[[str, int, int], object] | None = None,
) -> FilmReading:
    """The moves of one film, with the error that the energies leave on their own held-out data as the yardstick.

    Args:
        frames: (time, 3, side, side). data: of the energies' recipes. noise: standard deviation of the pixels, None to
            estimate it. seen: as `read_films`. most: energies at once. pairs: of the data, >= 16, drawn with `seed`.
            progress: called with what is done, `calibrate` or `read`, the pairs done and all of them.
    Raises:
        ValueError: as `calibrate` and `read_films`.
    """
    noise = pixel_noise(frames, seen) if noise is None else noise

    def told(stage: str) -> Callable[[int, int], object]:
        return lambda done, of: None if progress is None else progress(stage, done, of)

    generator = torch.Generator().manual_seed(seed)
    model = calibrate(
        bank, explained_by(data), generator, pairs, noise=noise, seen=seen, most=most, progress=told("calibrate")
    )
    return read_film_moves(bank, frames, model, seen=seen, most=most, progress=told("read"))


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
        fits = fit_pairs(act, start, target, components, hidden, most, progress)
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


@torch.no_grad()
def transferred(bank: Bank, reading: FilmReading, start: Images) -> Frames:
    """Other frames moved as the film moves: (batch, T, 3, side, side), from `start` (batch, 3, side, side) on.

    Where no energy explains the film, they stand still.
    """
    frames = [as_images(start, bank.canvas)]
    for moves in reading.moves:
        frames.append(bank.advance(frames[-1], dict(zip(reading.factors, moves.tolist(), strict=True))))
    return torch.stack(frames, 1)


def _cut(record: Any, part: slice) -> Any:
    """A part of the batch of a record."""
    return type(record)(*(v if name == "sets" else v[part] for name, v in record._asdict().items()))


def _reading(
    factors: tuple[str, ...], frames: Images, fits: Fits, weights: Weights, model: ErrorModel, acts: float, speed: float
) -> FilmReading:
    steps, components = len(frames) - 1, len(factors)
    paths = Segmentation(fits, weights, model, acts, speed)
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
