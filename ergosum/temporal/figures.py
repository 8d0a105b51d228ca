"""A run's report: strips of single energies, timelines against the truth, GIFs, scores."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ergosum import zoo
from ergosum.control import Bank, as_moves
from ergosum.data.sequences import SequenceData
from ergosum.evaluation.control import growth, sample_starts, timelines, true_frames
from ergosum.evaluation.score import as_predict, roll_out, test_set
from ergosum.report.animation import encode_animation
from ergosum.report.run_report import write_report
from ergosum.report.strips import sheet
from ergosum.runfolder import load_predictor
from ergosum.settings import FACTORS, DataSettings
from ergosum.timeline import Timeline

__all__ = ["tell", "timeline_pictures"]


def tell(
    folder: Path,
    out: Path,
    command: str,
    source: str,
    seed: int,
    scores: dict[str, Any],
    chosen: list[Timeline] | None = None,
) -> Path:
    """Draw and write `report.html` into `out`; returns its path.

    Args:
        folder: run or card. command: shown as the way to make this page. chosen: timelines to show; default: all pairs.
    """
    experiment, predictor = load_predictor(folder)
    held = [c for c in predictor.components if c in FACTORS]  # type: ignore[union-attr]
    strips: list[tuple[str, Image.Image]] = []
    played: list[tuple[str, Image.Image]] = []
    animations: list[tuple[str, bytes]] = []
    if held:
        steered = experiment.predictor == "decomposer" and experiment.model.moves
        for f in held:
            caption = f"The {f} energy alone: true sequence above, roll-out below"
            strips.append((caption, _rolled(predictor, f, source, seed)))
            if steered:
                caption = f"Descent of the {f} energy, step by step, forwards and backwards"
                strips.append((caption, _descent(predictor, f, source, seed)))
        companions = zoo.companions(tuple(held)) if predictor.canvas == 28 else {}
        bank = Bank([*companions.values(), predictor])
        played, animations = timeline_pictures(bank, source, seed, chosen or timelines(bank.factors))
    else:
        strips.append(
            ("All energies, then each alone, on lockstep sequences", _unsupervised(predictor, experiment.data, seed))
        )
    return write_report(folder, command, strips, animations, scores, timelines=played, out=out)


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


def timeline_pictures(
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


def _unsupervised(predictor: nn.Module, settings: DataSettings, seed: int) -> Image.Image:
    data = SequenceData(settings, "test")
    sequence = data.sequences(1, 8, torch.Generator().manual_seed(seed)).frames
    names = list(predictor.components)  # type: ignore[arg-type]
    rows = [("true", sequence[0])]
    for label, active in [("all", None), *((n, [k]) for k, n in enumerate(names))]:
        frames = [sequence[:, 4]]
        moves = torch.full((1, len(FACTORS)), float(settings.lag))
        for _ in range(4):
            frames.append(predictor.predict(frames[-1], moves=moves, active=active))  # type: ignore[operator]
        rows.append((label, torch.cat(frames)))
    return sheet(rows)
