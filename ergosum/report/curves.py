"""Training curves of several runs as a picture, to compare them; `charts.compare_training` draws them for a page."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from ergosum.report.numerals import is_number

__all__ = ["draw_training"]

Updates = Sequence[Mapping[str, float]]

COLOURS = ("#2458b8", "#c2571a", "#23835f", "#8a4fa8", "#8c7420", "#b83a6b")
INK, FAINT = "#24272c", "#6b7079"


def draw_training(runs: Mapping[str, Updates]) -> Image.Image:
    """The error of each run, falling, on a logarithmic axis; what learns nothing is dashed.

    Args:
        runs: name -> lines of `metrics.jsonl` with `iteration`, `error` and perhaps `copy_error`.
    Raises:
        ValueError: if no run has an error that can stand on a logarithmic axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.8, 4.2), dpi=100, facecolor="#ffffff", layout="constrained")
    axis = figure.subplots()
    drawn = 0
    for number, (name, updates) in enumerate(runs.items()):
        colour = COLOURS[number % len(COLOURS)]
        for key, style, width, label in (("copy_error", "--", 1.0, None), ("error", "-", 1.75, name)):
            told = [(u["iteration"], u[key]) for u in updates if is_number(u.get(key)) and u[key] > 0]
            if told:
                axis.plot(*zip(*told, strict=True), style, color=colour, linewidth=width, label=label)
                drawn += key == "error"
    if not drawn:
        raise ValueError(f"{', '.join(runs)}: no line of metrics.jsonl has an error > 0 to draw.")
    axis.set_yscale("log")
    axis.set_xlabel("updates", color=FAINT)
    axis.set_ylabel("error", color=FAINT)
    axis.grid(True, color="#e4e2dc", linewidth=0.8)
    axis.tick_params(colors=FAINT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.legend(frameon=False, labelcolor=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return Image.open(buffer).convert("RGB").quantize(128).convert("RGB")
