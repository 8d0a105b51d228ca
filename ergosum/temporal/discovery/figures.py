"""Pictures of discovered components: each one swept both ways, and what is read off a clip."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import source_at_hand
from ergosum.report.page import figure
from ergosum.report.strips import sheet
from ergosum.report.tables import as_html
from ergosum.shapes import Images
from ergosum.temporal.discovery.model import Discovered
from ergosum.temporal.discovery.tables import tables
from ergosum.training.task import Section

if TYPE_CHECKING:
    from ergosum.temporal.discovery.task import Discovery

__all__ = ["clip_sheet", "held_out_clips", "sections", "sweep", "sweep_sheet"]

HELD_OUT = 1_000_000
"""Seeds of held-out clips start here."""
REACH = 4
"""Typical moves that a sweep goes to either side."""


def held_out_clips(task: "Discovery", n: int, seed: int, steps: int = 8) -> Tensor:
    """Frames (n, steps + 1, 3, side, side) of clips that nothing was trained on; fewer where there are none as long. Of
    digits whose source is not at hand, those of the default one.
    """
    part = task.data
    if part.cls is DigitSequences:
        part = part.but(source=source_at_hand(str(part.get("source"))))
    data = part.build(split="test", device="cpu")
    try:
        return data.clips(n, steps, torch.Generator().manual_seed(HELD_OUT + seed)).frames
    except (ValueError, OSError):  # no clip is as long
        return data.clips(n, task.search.steps, torch.Generator().manual_seed(HELD_OUT + seed)).frames


@torch.no_grad()
def sweep(model: Discovered, start: Images, k: int, reach: int = REACH) -> Tensor:
    """Component k from `reach` moves back to `reach` ahead of each start: (batch, 2 reach + 1, 3, side, side).

    Each frame is made from its neighbour, so that errors add up as in any roll-out.
    """
    move = torch.zeros(len(start), len(model.components))
    move[:, k] = 1
    sides = []
    for sign in (-1, 1):
        frames = [start]
        for _ in range(reach):
            frames.append(model.act(frames[-1], sign * move))
        sides.append(frames)
    return torch.stack([*reversed(sides[0]), *sides[1][1:]], 1)


def sweep_sheet(model: Discovered, start: Images, reach: int = REACH) -> Image.Image:
    """Every component swept on every start; the start is boxed."""
    rows = []
    for k, name in enumerate(model.components):
        rows += [(name, film) for film in sweep(model, start, k, reach)]
    return sheet(rows, [f"{n:+d}" if n else "0" for n in range(-reach, reach + 1)], boxed=(reach,))


@torch.no_grad()
def clip_sheet(model: Discovered, clips: Tensor) -> Image.Image:
    """Clips, and below each what the moves read off its frames make of its first frame alone."""
    rows = []
    for clip in clips:
        moves = model.read(clip[:-1], clip[1:])
        made = [clip[:1]]
        for move in moves.split(1):
            made.append(model.act(made[-1], move))
        rows += [("clip", clip), ("from its moves", torch.cat(made))]
    return sheet(rows, [str(t) for t in range(clips.shape[1])])


def sections(task: "Discovery", model: Discovered, scores: Mapping[str, Any], seed: int) -> list[Section]:
    """What a report tells of discovered components, beside the numbers."""
    clips = held_out_clips(task, 3, seed)
    made = [
        Section("Components", "Nobody said what changes in the clips. Each component, swept by typical moves on frames "
                "that it has not seen; the red box is the start.", figure(sweep_sheet(model, clips[:, 0]), "")),
        Section("Clips read and played again", "Moves are read off a clip's frames; they move its first frame alone.",
                figure(clip_sheet(model, clips), "")),
    ]  # fmt: skip
    told = tables(scores) if "kept" in scores else []
    html = "".join(map(as_html, told))
    return [*made, Section("Against the true factors", "Which the training never saw.", html)] if told else made
