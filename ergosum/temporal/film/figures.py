"""A film that was read, as one image: its frames, a track for every energy, and the frames made from the reading."""

import io
import math

import torch
from PIL import Image
from torch import Tensor

from ergosum.report.strips import pixels
from ergosum.temporal.film.read import FilmReading

__all__ = ["draw_reading"]

INK, PAPER, FAINT, ALARM = "#24272c", "#ffffff", "#b9bec7", "#c8322b"
TRACKS = ("#2458b8", "#c2571a", "#23835f", "#7a3fa0", "#8a6d1d", "#1d7f8a")
MOST_SHOWN = 24
"""Frames of a strip; of longer films every second, third, ... is shown."""


def draw_reading(reading: FilmReading, replayed: Tensor, title: str = "") -> Image.Image:
    """Film strip, one track per energy over time with error bars of two standard deviations, and the replayed strip.

    A point lies between the two frames that it moves one to the other, and is the fainter the less probable it is that
    the energy acts there. Frames that no energy explains are marked in red, with the evidence in nats.

    Args:
        replayed: (T, 3, side, side), what `replay` makes of the reading. title: shown above.
    """
    from matplotlib.figure import Figure

    count, tracks = len(reading.frames), len(reading.factors)
    width = max(6.0, min(16.0, 0.62 * count + 1.2))
    step = math.ceil(count / MOST_SHOWN)
    tall = (width - 1.2) / max(1, count) * step
    figure = Figure(figsize=(width, 2 * tall + 1.15 * tracks + 1.1), dpi=100, facecolor=PAPER, layout="constrained")
    rows = figure.subplots(tracks + 2, 1, sharex=True, height_ratios=[tall, *[1.15] * tracks, tall], squeeze=False)[
        :, 0
    ]
    _strip(rows[0], reading.frames, step, "film")
    _strip(rows[-1], replayed, step, "replayed")
    time = torch.arange(count - 1) + 0.5
    for k, (axis, factor) in enumerate(zip(rows[1:-1], reading.factors, strict=True)):
        _track(axis, reading, k, time, TRACKS[k % len(TRACKS)])
        axis.set_ylabel(factor, color=TRACKS[k % len(TRACKS)], fontsize=10)
    for t in reading.flagged.nonzero()[:, 0].tolist():
        for axis in rows:
            axis.axvline(t + 0.5, color=ALARM, linewidth=1.6, alpha=0.8)
        told = f"{float(reading.nats[t]):.0f} nats"
        rows[1].annotate(told, (t + 0.5, 1), (3, -9), xycoords=("data", "axes fraction"), textcoords="offset points",
                         color=ALARM, fontsize=7.5)  # fmt: skip
    rows[-1].set_xlabel("frame", color=INK, fontsize=9)
    rows[-1].set_xlim(-0.5, count - 0.5)
    rows[-1].tick_params(bottom=True, labelbottom=True, labelsize=8, colors=INK)
    rows[-1].xaxis.get_major_locator().set_params(integer=True)
    if title:
        figure.suptitle(title, fontsize=10, color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


def _strip(axis, frames: Tensor, step: int, name: str) -> None:  # noqa: ANN001  # a matplotlib axis
    """Frames side by side, each `step` wide."""
    for t, image in enumerate(pixels(frames)):
        if t % step == 0:
            axis.imshow(image, extent=(t - 0.48, t - 0.48 + 0.96 * step, 0, 1), aspect="auto", interpolation="nearest")
    axis.set(ylim=(0, 1), yticks=[])
    axis.set_ylabel(name, color=INK, fontsize=9)
    axis.tick_params(bottom=False, labelbottom=False)
    for side in axis.spines.values():
        side.set_visible(False)


def _track(axis, reading: FilmReading, k: int, time: Tensor, colour: str) -> None:  # noqa: ANN001  # a matplotlib axis
    """Moves of one energy: points with error bars where it acts, the zero line elsewhere."""
    moves, sd, sure = reading.moves[:, k], reading.sd[:, k], reading.active[:, k]
    axis.axhline(0, color=FAINT, linewidth=0.8)
    start = 0
    for stretch in reading.stretches:  # a line for every segment, so that the eye sees what was merged
        stop = stretch.last + 1
        if moves[start] != 0:
            level = float(moves[start])
            axis.plot([start, stop], [level, level], color=colour, linewidth=2.2, alpha=0.35, solid_capstyle="butt")
        start = stop
    for t in range(len(moves)):
        if moves[t] != 0:
            alpha = 0.25 + 0.75 * float(sure[t])
            axis.errorbar(float(time[t]), float(moves[t]), 2 * float(sd[t]), fmt="o", color=colour, markersize=4,
                          linewidth=1.2, capsize=2.5, alpha=alpha)  # fmt: skip
        elif float(sure[t]) > 0.05:
            axis.plot(float(time[t]), 0, "o", color=colour, markersize=3, alpha=float(sure[t]))
    reach = max(1.0, float((moves.abs() + 2 * sd).max()) * 1.08)
    axis.set_ylim(-reach * 1.1, reach * 1.1)
    axis.tick_params(bottom=False, labelbottom=False, labelsize=8, colors=INK)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
