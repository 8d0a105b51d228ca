"""Score the hand on the energies: response matrix, timelines, composition, all read off the frames by the factor
reader.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from ergosum.data.record import Digits, Sequences
from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.identity import identity_kept
from ergosum.metrics.reader import factor_errors, read_factors
from ergosum.metrics.response import diagonal_share, levels_moved
from ergosum.temporal.control import Bank, as_moves
from ergosum.temporal.timeline import Timeline, parse_timeline

__all__ = ["composition", "growth", "response", "sample_starts", "score_timelines", "timelines", "true_frames"]

ERRORS = ("hue_deg", "angle_deg", "log_scale")


def timelines(factors: tuple[str, ...], steps: int = 12) -> list[Timeline]:
    """Timelines of 12 frames: all pairs as 3+9, 6+6 and 9+3, in the report's order; three factors 4+4+4, both ways."""
    order = [f for f in ("scale", "colour", "angle") if f in factors]
    if len(order) == 1:
        return [parse_timeline(f"{order[0]}:{steps}")]
    found = [parse_timeline(f"{a}:{n} {b}:{steps - n}") for a, b in combinations(order, 2) for n in (3, 6, 9)]
    if len(order) == 3:
        found += [parse_timeline(" ".join(f"{f}:{sign}{steps // 3}" for f in order)) for sign in ("", "-")]
    return found


def sample_starts(source: str, n: int, seed: int, growth: float, canvas: int = 28) -> tuple[Digits, Tensor]:
    """Held-out digits and random start factors (n, 3) that leave room for `growth` (levels of scale, signed)."""
    data = DigitSequences(source=source, canvas=canvas, continuous=False, split="test")
    generator = torch.Generator().manual_seed(seed)
    moves = torch.tensor([[0.0, 0.0, growth]]).expand(n, -1)
    start, _ = data.draw_start(moves, 1, generator)
    return data.draw_digits(n, generator), start


def true_frames(digits: Digits, start: Tensor, timeline: Timeline) -> Sequences:
    """What a timeline would do if it were obeyed exactly."""
    factors = [start]
    for moves in timeline:
        step = torch.tensor([moves.get(f, 0.0) for f in FACTORS]) * SPACING
        factors.append(factors[-1] + step)
    factors_in_time = torch.stack(factors, 1)
    n, time = factors_in_time.shape[:2]
    images = digits.images[:, None].expand(-1, time, -1, -1, -1).flatten(0, 1)
    frames = render(images, factors_in_time.flatten(0, 1)).unflatten(0, (n, time))
    return Sequences(frames, factors_in_time, *digits)


def growth(timeline: Timeline) -> float:
    """Levels of scale that a timeline adds in all, signed."""
    return sum(dict(s.moves).get("scale", 0.0) * s.frames for s in timeline.segments)


def _errors(frames: Tensor, truth: Sequences) -> Tensor:
    """Reader errors (batch, time, 3) of frames against the factors of `truth`."""
    n, time = frames.shape[:2]
    digits = truth.digits[:, None].expand(-1, time, -1, -1, -1).flatten(0, 1)
    read = read_factors(frames.flatten(0, 1), digits, render).factors
    return factor_errors(read, truth.factors.flatten(0, 1)).unflatten(0, (n, time))


def _named(errors: Tensor) -> dict[str, float]:
    return dict(zip(ERRORS, errors.flatten(0, -2).mean(0).tolist(), strict=True))


@torch.no_grad()
def response(bank: Bank, source: str, n: int, seed: int, frames: int = 4) -> dict[str, Any]:
    """The response matrix: mean absolute levels per frame that each factor moves while one energy acts, over `frames`.

    Returns:
        `response` (energies x factors), `response_signed` (means with sign: 1 on the diagonal is what was ordered),
        `response_rows`, `response_factors`, `diagonal_share` (None for energies that
        are not named after factors), and the reader's own error on true frames as `reader_error`.
    """
    rows, names = [], [f for f in FACTORS if f in bank.members]
    reader: list[Tensor] = []
    signed: list[Tensor] = []
    for factor in names:
        timeline = parse_timeline(f"{factor}:{frames}")
        digits, start = sample_starts(source, n, seed, growth(timeline), bank.canvas)
        truth = true_frames(digits, start, timeline)
        last = bank.play(truth.frames[:, 0], timeline)[:, -1]
        read = read_factors(last, digits.images, render).factors
        moved = levels_moved(start, read, SPACING) / frames
        rows.append(moved.abs().mean(0))
        signed.append(moved.mean(0))
        reader.append(_errors(truth.frames[:, -1:], Sequences(truth.frames, truth.factors[:, -1:], *digits)))
    matrix = torch.stack(rows)
    square = matrix[:, [FACTORS.index(f) for f in names]]
    own = [(matrix[i, FACTORS.index(f)] / matrix[i].sum()).item() for i, f in enumerate(names)]
    return {
        "response": matrix.tolist(),
        "response_signed": torch.stack(signed).tolist(),
        "response_rows": names,
        "response_factors": list(FACTORS),
        "diagonal_share": diagonal_share(square) if len(names) == len(FACTORS) else sum(own) / len(own),
        "reader_error": _named(torch.cat(reader)),
    }


@torch.no_grad()
def score_timelines(
    bank: Bank,
    source: str,
    n: int,
    seed: int,
    chosen: list[Timeline] | None = None,
    classify: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Any]:
    """Play timelines from random starts and compare every generated frame with what was ordered.

    Returns:
        `timeline_error` (hue and angle in degrees, natural log of scale; mean over timelines, digits and frames 1..12),
        `timeline_psnr`, `identity`, and `timelines`, one row each.
    """
    rows, errors, kept = [], [], []
    for i, timeline in enumerate(chosen or timelines(bank.factors)):
        digits, start = sample_starts(source, n, seed + 1000 * i, growth(timeline), bank.canvas)
        truth = true_frames(digits, start, timeline)
        made = bank.play(truth.frames[:, 0], timeline)
        error = _errors(made[:, 1:], truth._replace(factors=truth.factors[:, 1:]))
        errors.append(error.flatten(0, 1))
        pixels = mse(made[:, 1:].flatten(0, 1), truth.frames[:, 1:].flatten(0, 1)).mean()
        row = {"timeline": str(timeline), **_named(error), "psnr": psnr(pixels).item()}
        if classify:
            labels = digits.labels.repeat_interleave(timeline.frames)
            flat = [v[:, 1:].flatten(0, 1) for v in (made, truth.frames)]
            row["identity"] = identity_kept(classify, flat[0], flat[1], labels)
            kept.append(row["identity"])
        rows.append(row)
    result: dict[str, Any] = {
        "timeline_error": _named(torch.cat(errors)),
        "timeline_psnr": sum(r["psnr"] for r in rows) / len(rows),
        "timelines": rows,
    }
    if kept:
        result["identity"] = sum(kept) / len(kept)
    return result


@torch.no_grad()
def composition(
    bank: Bank, source: str, n: int, seed: int, frames: int = 4, reference: Bank | None = None
) -> list[dict[str, Any]]:
    """Several factors at once for `frames` frames: PSNR of the last frame against the true joint change, and errors.

    Rows: energies acting in turn (`split`), their gradients added (`sum`, where they can be), copying the start, and,
    if given, the reference trained on joint changes.
    """
    rows = []
    factors = [f for f in FACTORS if f in bank.members]
    groups = [g for size in (2, 3) for g in combinations(factors, size)]
    for i, group in enumerate(groups):
        timeline = parse_timeline(f"{'+'.join(group)}:{frames}")
        digits, start = sample_starts(source, n, seed + 77 * i, growth(timeline), bank.canvas)
        truth = true_frames(digits, start, timeline)
        ways: dict[str, Tensor] = {"copy": truth.frames[:, :1].expand_as(truth.frames)}
        for how in ("split", "sum") if bank.can_add(group) else ("split",):
            ways[how] = bank.play(truth.frames[:, 0], timeline, how)  # type: ignore[arg-type]
        if reference is not None:
            ways["trained jointly"] = _play_jointly(reference, truth.frames[:, 0], timeline)
        for name, made in ways.items():
            pixels = mse(made[:, -1], truth.frames[:, -1]).mean()
            error = _errors(made[:, -1:], truth._replace(factors=truth.factors[:, -1:]))
            rows.append({"factors": "+".join(group), "row": name, "psnr": psnr(pixels).item(), **_named(error)})
    return rows


def _play_jointly(reference: Bank, start: Tensor, timeline: Timeline) -> Tensor:
    (predictor, k), *_ = reference.members.values()
    frames = [start]
    for moves in timeline:
        frames.append(predictor.predict(frames[-1], moves=as_moves(moves, len(start)), active=[k]))
    return torch.stack(frames, 1)
