"""Charts as inline SVG: drawn by hand, coloured by `STYLE`, which follows the reader's light or dark scheme.

A chart is a string to put into a page that holds `STYLE`. What cannot be drawn (no finite value at all) is the empty
string, so that a page can leave its section out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ergosum.report.numerals import decimals_for, is_number, number

__all__ = ["STYLE", "compare_training", "heat_map", "lines", "training_curve"]

STYLE = """
.chart { --c0: #2458b8; --c1: #c2571a; --c2: #23835f; --c3: #8a4fa8; --c4: #8c7420; --c5: #b83a6b; --c6: #5d6673;
  --chart-ink: #24272c; --chart-faint: #6b7079; --chart-grid: #e4e2dc; --chart-paper: #ffffff;
  display: block; max-width: 100%; height: auto; font: 13px var(--sans, system-ui, sans-serif);
  font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) {
  .chart { --c0: #82aaff; --c1: #f0a067; --c2: #6cc9a1; --c3: #c99be4; --c4: #d3bd68; --c5: #f08bb1; --c6: #a4acb8;
    --chart-ink: #e6e7ea; --chart-faint: #9aa0aa; --chart-grid: #30343b; --chart-paper: #1b1e23; }
}
.chart text { fill: var(--chart-ink); }
.chart .faint, .chart .tick { fill: var(--chart-faint); }
.chart .strong { font-weight: 650; }
.chart .grid { stroke: var(--chart-grid); stroke-width: 1; }
.chart .axis { stroke: var(--chart-faint); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; }
.chart .bold { stroke-width: 2.75; }
.chart .dashed { stroke-dasharray: 5 4; }
.chart .lead { fill: none; stroke: var(--chart-grid); stroke-width: 1; }
.chart .dot { stroke: var(--chart-paper); stroke-width: 1; }
.chart .negative { fill: var(--c1); }
.chart .positive { fill: var(--c0); }
.chart .reversed { fill: var(--chart-paper); }
""" + "".join(f".chart .s{n} {{ stroke: var(--c{n}); }} .chart .f{n} {{ fill: var(--c{n}); }}\n" for n in range(7))
"""Style sheet of all charts."""

COLOURS = 7
MOST_POINTS = 500
"""Longer curves are thinned to this many points: more than a chart has room for."""


def training_curve(
    updates: Sequence[Mapping[str, float]], width: int = 980, height: int = 340, beside: str = "copying"
) -> str:
    """Error of the prediction falling below that of what learns nothing, on a logarithmic axis.

    Args:
        updates: lines of `metrics.jsonl` with `iteration`, `error` and `copy_error` (mean squared errors); values that
        are missing or cannot stand on a logarithmic axis are left out. width, height: of the image, in pixels.
        beside: what `copy_error` is the error of.
    """
    curves = {
        name: [(float(u["iteration"]), float(u[key])) for u in updates if is_number(u.get(key)) and u[key] > 0]
        for name, key in ((beside, "copy_error"), ("prediction", "error"))
    }
    curves = {name: _thin(points) for name, points in curves.items() if points}
    if "prediction" not in curves:
        return ""
    plot = _Plot.around(curves.values(), width, height, right=110, logarithmic=True)
    parts = [plot.axes("updates", "mean squared error (logarithmic)")]
    if beside in curves:
        outline = curves[beside] + curves["prediction"][::-1]
        parts.append(f'<polygon class="f0" fill-opacity="0.08" points="{plot.path(outline)}"/>')
        parts.append(f'<polyline class="line dashed s6" points="{plot.path(curves[beside])}"/>')
    parts.append(f'<polyline class="line bold s0" points="{plot.path(curves["prediction"])}"/>')
    ends = [(name, points[-1], 6 if name == beside else 0) for name, points in curves.items()]
    parts.append(plot.end_labels(ends, "prediction"))
    return _svg(width, height, f"Training: error of the prediction and of {beside}", parts)


def compare_training(runs: Mapping[str, Sequence[Mapping[str, float]]], width: int = 980, height: int = 340) -> str:
    """The errors of several runs, falling, on a logarithmic axis, each labelled at its end.

    Args:
        runs: name -> lines of `metrics.jsonl` with `iteration` and `error`; runs without an error that can stand on a
        logarithmic axis are left out. width, height: of the image, in pixels.
    """
    curves = {
        name: [(float(u["iteration"]), float(u["error"])) for u in log if is_number(u.get("error")) and u["error"] > 0]
        for name, log in runs.items()
    }
    curves = {name: _thin(points) for name, points in curves.items() if points}
    if not curves:
        return ""
    longest = max(map(_text_width, curves))
    plot = _Plot.around(curves.values(), width, height, right=min(260, 34 + longest), logarithmic=True)
    parts = [plot.axes("updates", "error (logarithmic)")]
    for colour, points in zip(_cycled(curves), curves.values(), strict=True):
        parts.append(f'<polyline class="line bold s{colour}" points="{plot.path(points)}"/>')
    ends = [(name, curves[name][-1], colour) for colour, name in zip(_cycled(curves), curves, strict=True)]
    parts.append(plot.end_labels(ends, ""))
    return _svg(width, height, f"Training: errors of {', '.join(curves)}", parts)


def lines(
    series: Mapping[str, Sequence[float | None]],
    x_label: str,
    y_label: str,
    emphasis: str = "ours",
    width: int = 980,
    height: int = 360,
) -> str:
    """One line per series over 1, 2, ..., labelled at its end; values that are None or not finite leave a hole.

    Args:
        series: name -> values at 1, 2, ...; each series may have its own length. emphasis: the series drawn bold, if
        there is one of that name. width, height: of the image, in pixels.
    """
    runs = {name: _runs(values) for name, values in series.items()}
    runs = {name: pieces for name, pieces in runs.items() if pieces}
    if not runs:
        return ""
    longest = max(_text_width(name) for name in runs)
    pieces = [piece for each in runs.values() for piece in each]
    plot = _Plot.around(pieces, width, height, right=min(220, 34 + longest), logarithmic=False)
    colours = _assign_colours(list(runs), emphasis)
    parts = [plot.axes(x_label, y_label)]
    for name, each in sorted(runs.items(), key=lambda item: item[0] == emphasis):
        parts.extend(_draw_series(plot, name, each, colours[name], name == emphasis))
    parts.append(plot.end_labels([(n, each[-1][-1], colours[n]) for n, each in runs.items()], emphasis))
    return _svg(width, height, f"{y_label} over {x_label}", parts)


def heat_map(
    matrix: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str], title: str = ""
) -> str:
    """A matrix as coloured cells with their values; positive cells take one colour, negative ones another.

    Args:
        matrix: rows of values, any sign; None and NaN stay empty. rows, columns: their labels. title: shown above.
    Raises:
        ValueError: if labels and matrix do not have the same numbers of rows and columns.
    """
    if len(matrix) != len(rows) or any(len(values) != len(columns) for values in matrix):
        shape = f"{len(matrix)} rows of {sorted({len(v) for v in matrix})} values"
        raise ValueError(f"heat_map: expected {len(rows)} rows of {len(columns)} values, got {shape}.")
    flat = [v for values in matrix for v in values]
    largest = max((abs(v) for v in flat if is_number(v)), default=0.0)
    if largest == 0.0 and not any(is_number(v) for v in flat):
        return ""
    cell, tall = max(84, 24 + max(map(_text_width, columns))), 46
    left, top = 16 + max(map(_text_width, rows)), 28 + (26 if title else 0)
    parts = [f'<text class="strong" x="0" y="14">{escape(title)}</text>'] if title else []
    for j, name in enumerate(columns):
        parts.append(_text(left + (j + 0.5) * cell, top - 10, name, "faint", "middle"))
    for i, name in enumerate(rows):
        parts.append(_text(left - 12, top + i * tall + 28, name, "", "end"))
        for j, value in enumerate(matrix[i]):
            parts.append(_cell(left + j * cell, top + i * tall, cell, tall, value, largest))
    return _svg(left + cell * len(columns), top + tall * len(rows), title or "Matrix", parts)


Point = tuple[float, float]


@dataclass(frozen=True)
class _Plot:
    """Where values stand on the image."""

    width: int
    height: int
    right: int
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    logarithmic: bool
    left: int = 58
    top: int = 34
    bottom: int = 46

    @classmethod
    def around(
        cls, curves: Iterable[Sequence[Point]], width: int, height: int, right: int, logarithmic: bool
    ) -> "_Plot":
        """The plot that holds all points with a little air."""
        points = [p for curve in curves for p in curve]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        x_low, x_high = min(xs), max(xs)
        if logarithmic:
            low, high, x_low = min(ys) / 1.25, max(ys) * 1.25, 0.0
        else:
            air = 0.06 * (max(ys) - min(ys)) or 0.5
            low, high = min(ys) - air, max(ys) + air
        return cls(width, height, right, (x_low, max(x_high, x_low + 1)), (low, high), logarithmic)

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        low, high = self.y_range
        share = math.log(value / low) / math.log(high / low) if self.logarithmic else (value - low) / (high - low)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def path(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)

    def axes(self, x_label: str, y_label: str) -> str:
        end, floor = self.width - self.right, self.height - self.bottom
        parts = [_text(0, 14, y_label, "faint", "start")]
        for value, text in _log_ticks(*self.y_range) if self.logarithmic else _ticks(*self.y_range):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{self.left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(self.left - 9, y + 4.5, text, "tick", "end"))
        parts.append(f'<line class="axis" x1="{self.left}" x2="{end}" y1="{floor}" y2="{floor}"/>')
        for value, text in _ticks(*self.x_range, most=12, whole=True):
            x = self.x(value)
            parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 5}"/>')
            parts.append(_text(x, floor + 20, text, "tick", "middle"))
        parts.append(_text((self.left + end) / 2, floor + 40, x_label, "faint", "middle"))
        return "".join(parts)

    def end_labels(self, ends: Sequence[tuple[str, Point, int]], emphasis: str) -> str:
        """Names at the right end of each line, pushed apart where they would overlap."""
        ordered = sorted(ends, key=lambda end: self.y(end[1][1]))
        wanted = [self.y(point[1]) for _, point, _ in ordered]
        parts = []
        for (name, point, colour), y, wish in zip(
            ordered, _spread(wanted, 17, self.top, self.height - self.bottom), wanted, strict=True
        ):
            edge, x = self.x(point[0]), self.width - self.right
            parts.append(f'<polyline class="lead" points="{edge + 5:.1f},{wish:.1f} {x + 14},{y:.1f}"/>')
            weight = " strong" if name == emphasis else ""
            kind = f"label f{colour}{weight}"
            parts.append(f'<text class="{kind}" x="{x + 18}" y="{y + 4.5:.1f}">{escape(name)}</text>')
        return "".join(parts)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    size += f' style="min-width: {min(width, 560):.0f}px"'  # on a phone, scroll rather than shrink to illegible
    return f'<svg class="chart" role="img" aria-label="{escape(label)}" {size}>{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _cycled(curves: Iterable[str]) -> list[int]:
    """A colour for each curve."""
    return [place % COLOURS for place, _ in enumerate(curves)]


def _text_width(text: str) -> int:
    """A generous guess: fonts differ from reader to reader."""
    return math.ceil(7.3 * len(text))


def _draw_series(plot: _Plot, name: str, pieces: Sequence[Sequence[Point]], colour: int, bold: bool) -> list[str]:
    parts = []
    for piece in pieces:
        kind = "line bold" if bold else "line"
        parts.append(f'<polyline class="{kind} s{colour}" points="{plot.path(piece)}"/>')
        for x, y in piece:
            hint = f"<title>{escape(name)}, {x:g}: {number(y)}</title>"
            radius = 3.5 if bold else 2.75
            where = f'cx="{plot.x(x):.1f}" cy="{plot.y(y):.1f}" r="{radius}"'
            parts.append(f'<circle class="dot f{colour}" {where}>{hint}</circle>')
    return parts


def _cell(x: float, y: float, width: float, height: float, value: float | None, largest: float) -> str:
    strength = abs(value) / largest if is_number(value) and largest else 0.0
    sign = "negative" if is_number(value) and value < 0 else "positive"
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}" rx="4"'
    ink = "reversed strong" if strength > 0.5 else ""
    return (
        f'<rect class="{sign}" fill-opacity="{0.06 + 0.94 * strength:.3f}" {box}/>'
        f"{_text(x + width / 2, y + height / 2 + 4.5, number(value, 2), ink, 'middle')}"
    )


def _assign_colours(names: Sequence[str], emphasis: str) -> dict[str, int]:
    """Colour 0 for the emphasised series, the others in turn, grey for all that are too many."""
    others = [name for name in names if name != emphasis]
    colours = {name: min(n + 1, COLOURS - 1) for n, name in enumerate(others)}
    return colours | ({emphasis: 0} if emphasis in names else {})


def _runs(values: Sequence[float | None]) -> list[list[Point]]:
    """Unbroken stretches of finite values, each point with its place counted from 1."""
    pieces: list[list[Point]] = [[]]
    for place, value in enumerate(values, 1):
        if is_number(value):
            pieces[-1].append((float(place), float(value)))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _thin(points: list[Point]) -> list[Point]:
    stride = math.ceil(len(points) / MOST_POINTS)
    return points[::stride] + ([points[-1]] if (len(points) - 1) % stride else [])


def _ticks(low: float, high: float, most: int = 7, whole: bool = False) -> list[tuple[float, str]]:
    """Round values inside the range with their labels, at most `most` or so."""
    rough = (high - low) / most
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * 0.999)
    step = max(1.0, step) if whole else step
    values = [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(v, number(v, decimals)) for v in values]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten inside the range; between them 2 and 5 where the range is short."""
    digits = (1, 2, 5) if high / low < 200 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [(d * 10.0**e, d, e) for e in exponents for d in digits if low <= d * 10.0**e <= high]
    return [(v, number(v, decimals_for([v]) if e >= 0 else -e) if e >= -4 else _power(d, e)) for v, d, e in values]


def _power(digit: int, exponent: int) -> str:
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digit == 1 else f"{digit}·10{raised}"


def _spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Increasing positions moved as little as needed to lie `apart`, ending by `high` where there is room."""
    placed: list[float] = []
    for y in wanted:
        placed.append(max(y, low, placed[-1] + apart) if placed else max(y, low))
    limit = high
    for n in reversed(range(len(placed))):
        placed[n] = min(placed[n], limit)
        limit = placed[n] - apart
    return placed
