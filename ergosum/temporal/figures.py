"""A run's report: strips of single energies, timelines against the truth, animations, scores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import source_at_hand
from ergosum.report.animation import encode_animation
from ergosum.report.numerals import enumeration, is_number, number, percent
from ergosum.report.page import animation, figure, row
from ergosum.report.strips import sheet
from ergosum.report.tables import targets_html
from ergosum.temporal.control import Bank, as_moves
from ergosum.temporal.moves import as_predict, roll_out, test_set
from ergosum.temporal.scores import SIDE, companions
from ergosum.temporal.steering import growth, sample_starts, timelines, true_frames
from ergosum.temporal.tables import comparison, compositions, response, timeline_errors
from ergosum.temporal.timeline import Timeline
from ergosum.training.task import Section, Shelf

if TYPE_CHECKING:
    from ergosum.temporal.task import Prediction

__all__ = ["sections", "timeline_strips"]

Scores = Mapping[str, Any]


def sections(
    task: "Prediction",
    model: nn.Module,
    scores: Scores,
    seed: int,
    shelf: Shelf | None,
    chosen: list[Timeline] | None = None,
) -> list[Section]:
    """What a report tells of a model of sequences, between its headline numbers and its training curve.

    Args:
        scores: what was scored; its `source` is drawn from. shelf: of the cards that complete the factors.
        chosen: timelines to show; default: all pairs.
    """
    if not issubclass(task.data.cls, DigitSequences):  # type: ignore[arg-type]
        return [Section("Predictions", "Held-out pairs of frames.", figure(_pairs(task, model, seed), ""))]
    source = source_at_hand(scores.get("source") or "")
    held = [c for c in model.components if c in FACTORS]  # type: ignore[union-attr]
    strips: list[tuple[str, Image.Image]] = []
    played: list[tuple[str, Image.Image]] = []
    animations: list[tuple[str, bytes]] = []
    for f in held:
        strips.append((f"The {f} energy alone: true sequence above, roll-out below", _rolled(model, f, source, seed)))
        if hasattr(model, "bind") and model.knows_moves:
            caption = f"Descent of the {f} energy, step by step, forwards and backwards"
            strips.append((caption, _descent(model, f, source, seed)))
    if held:
        beside = companions(tuple(held), shelf) if task.canvas == SIDE else {}
        bank = Bank([*beside.values(), model])
        if getattr(model, "knows_moves", True):
            played, animations = timeline_strips(bank, source, seed, chosen or timelines(bank.factors))
    else:
        strips.append(("All energies, then each alone, on its own sequences", _unlabelled(task, model, seed)))
    return [
        Section("Targets", "", targets_html(scores.get("targets") or ())),
        Section("Strips", "The red box is the input. A generated frame is made from the generated one before it.",
                "".join(figure(image, caption) for caption, image in strips)),
        Section("In motion", "", row(*(animation(content, caption) for caption, content in animations))),
        Section("Comparison", _protocol(scores), comparison(scores)),
        Section("Response", _response_text(scores), response(scores)),
        Section("Timelines", _timelines_text(scores),
                "".join(figure(image, caption) for caption, image in played) + timeline_errors(scores)),
        Section("Composition", "Energies trained apart, acting together on moves that nobody trained for.",
                compositions(scores)),
    ]  # fmt: skip


def _rolled(predictor: nn.Module, factor: str, source: str, seed: int, digits: int = 3) -> Image.Image:
    k = list(predictor.components).index(factor)  # type: ignore[arg-type]
    tests = test_set(factor, source, digits, seed, "alone", predictor.canvas)  # type: ignore[arg-type]
    made = roll_out(as_predict(predictor, [k]), tests.main)
    rows = []
    for i in range(digits):
        rows += [("true", tests.main.frames[i]), (factor, made[i])]
    return sheet(rows, [str(t) for t in range(made.shape[1])])


def _descent(predictor: nn.Module, factor: str, source: str, seed: int, moves: int = 3) -> Image.Image:
    """Every descent step of a few moves: the frames between the frames."""
    k = list(predictor.components).index(factor)  # type: ignore[arg-type]
    digits, start = sample_starts(source, 2, seed, 0.0, predictor.canvas)  # type: ignore[arg-type]
    start[:, 2] = 1.0
    rows = []
    for sign in (1.0, -1.0):
        truth = true_frames(digits, start, timelines((factor,), 1)[0])
        frame = truth.frames[:, 0]
        shown = [frame]
        for _ in range(moves):
            path = predictor(frame, moves=as_moves({factor: sign}, len(frame)), active=[k])
            shown += [x.clamp(0, 1) for x in path.frames[1:]]
            frame = shown[-1]
        film = torch.stack(shown, 1)
        rows += [("forwards" if sign > 0 else "backwards", film[i]) for i in range(len(film))]
    n = (film.shape[1] - 1) // moves
    captions = ["0"] + [f"{t // n}" if t % n == 0 else "" for t in range(1, film.shape[1])]
    return sheet(rows, captions)


def timeline_strips(
    bank: Bank, source: str, seed: int, chosen: list[Timeline]
) -> tuple[list[tuple[str, Image.Image]], list[tuple[str, bytes]]]:
    """Strips (the true sequence above the generated one) and a GIF for each timeline."""
    strips, animations = [], []
    for i, timeline in enumerate(chosen):
        digits, start = sample_starts(source, 2, seed + i, growth(timeline), bank.canvas)
        start[:, :2] = 0.0
        truth = true_frames(digits, start, timeline)
        made = bank.play(truth.frames[:, 0], timeline)
        rows = []
        for j in range(len(made)):
            rows += [("ordered", truth.frames[j]), ("obeyed", made[j])]
        strips.append((f"Timeline {timeline}", sheet(rows, [str(t) for t in range(made.shape[1])])))
        animations.append((str(timeline), encode_animation(_side_by_side(truth.frames[0], made[0]), ".png")))
    return strips, animations


def _side_by_side(true: Tensor, made: Tensor) -> Tensor:
    gap = torch.full((*true.shape[:-1], 2), 0.25)
    return torch.cat([true, gap, made], -1)


def _unlabelled(task: "Prediction", model: nn.Module, seed: int) -> Image.Image:
    data = task.data.but(source=source_at_hand(str(task.data.get("source")))).build(split="test")
    sequence = data.sequences(1, 8, torch.Generator().manual_seed(seed)).frames  # type: ignore[attr-defined]
    names = list(model.components)  # type: ignore[arg-type]
    rows = [("true", sequence[0])]
    for label, active in [("all", None), *((n, [k]) for k, n in enumerate(names))]:
        frames = [sequence[:, 4]]
        moves = torch.full((1, len(FACTORS)), float(task.data.get("lag")))
        for _ in range(4):
            frames.append(model.predict(frames[-1], moves=moves, active=active))  # type: ignore[operator]
        rows.append((label, torch.cat(frames)))
    return sheet(rows)


def _pairs(task: "Prediction", model: nn.Module, seed: int, shown: int = 8) -> Image.Image:
    """Frames, the frames that follow, and what the model makes of the first."""
    pairs = task.data.build(split="test", device="cpu").pairs(shown, torch.Generator().manual_seed(seed))
    made = model.predict(pairs.start, pairs.target, pairs.moves)  # type: ignore[operator]
    return sheet([("frame", pairs.start), ("true next", pairs.target), ("predicted", made)], boxed=())


def _protocol(scores: Scores) -> str:
    parts = []
    if is_number(scores.get("n")):
        parts.append(f"{number(scores['n'], 0)} held-out sequences")
    if scores.get("source"):
        parts.append(f"of {scores['source']}")
    if scores.get("factor"):
        parts.append(f"moving in {enumeration(scores['factor'].split('+'))}")
    if is_number(scores.get("seed")):
        parts.append(f"(seed {scores['seed']})")
    sample = " ".join(parts)
    meaning = "Skill is the share of copying’s squared error that is gone. Rows in italics are references, not models."
    return f"{sample[:1].upper()}{sample[1:]}. {meaning}" if sample else meaning


def _response_text(scores: Scores) -> str:
    question = "One energy acts: how many levels does each true factor move?"
    if is_number(scores.get("diagonal_share")):
        return f"{question} {percent(scores['diagonal_share'])} of it is the energy’s own factor."
    if is_number(scores.get("assigned_share")):
        share = percent(scores["assigned_share"])
        return f"{question} Under the best assignment, {share} of it is the energy’s own factor."
    return question


def _timelines_text(scores: Scores) -> str:
    asked = "Which energies act on which frames."
    if not scores.get("timeline_error"):
        return asked
    return f"{asked} Hue, angle and scale are read off every generated frame; errors are mean absolute ones."
