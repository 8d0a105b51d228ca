"""One HTML page in one file: text, tables, charts and images, embedded, that opens offline, in light and in dark.

The builders `image`, `animation`, `table`, `cards`, `chart`, `row`, `titled` and `fold` return HTML for
`training.task.Section.html`; every text given to them is escaped. `write_page` joins sections to a page.
"""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from ergosum.files import write_atomically
from ergosum.report import charts
from ergosum.report.numerals import decimals_for, is_number, number
from ergosum.training.task import Section

__all__ = ["Card", "Section", "animation", "cards", "chart", "figure", "fold", "row", "table", "titled", "write_page"]

_STYLE = """
:root { color-scheme: light dark; --paper: #faf9f6; --panel: #ffffff; --ink: #1d2025; --soft: #5c626c; --rule: #e2dfd8;
  --accent: #2458b8; --tint: #eef3fc; --good: #1f7a52; --bad: #b3361f;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Charter, Georgia,
    "Liberation Serif", serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; }
@media (prefers-color-scheme: dark) { :root { --paper: #131519; --panel: #1b1e23; --ink: #e6e7ea; --soft: #9aa0aa;
  --rule: #2c3037; --accent: #82aaff; --tint: #1d2738; --good: #6cc9a1; --bad: #f08a70; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans);
  -webkit-text-size-adjust: 100%; text-rendering: optimizeLegibility; }
main { max-width: 1080px; margin: 0 auto; padding: 56px 28px 96px; }
header p.from { margin: 0 0 10px; color: var(--accent); font-size: 13px; font-weight: 650; letter-spacing: .08em; }
h1, h2 { font-family: var(--serif); font-weight: 600; line-height: 1.15; text-wrap: balance; }
h3 { margin: 0 0 10px; font-size: 16px; font-weight: 650; }
h3::first-letter { text-transform: uppercase; }
h1 { margin: 0; font-size: 42px; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 0 0 6px; font-size: 25px; letter-spacing: -.005em; }
header .subtitle { margin: 12px 0 0; max-width: 62ch; color: var(--soft); font-size: 18px; text-wrap: pretty; }
section { margin-top: 44px; padding-top: 26px; border-top: 1px solid var(--rule); }
section.bare { margin-top: 28px; padding-top: 0; border-top: 0; }
section > p { margin: 0; max-width: 72ch; color: var(--soft); text-wrap: pretty; }
.command { position: relative; margin: 26px 0 0; }
.command pre { margin: 0; padding: 14px 84px 14px 18px; overflow-x: auto; border: 1px solid var(--rule);
  border-radius: 10px; background: var(--panel); font: 14px/1.6 var(--mono); }
.command code { user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; }
.command code::before { content: "$ "; color: var(--soft); user-select: none; }
.command button { position: absolute; top: 12px; right: 12px; padding: 5px 12px; border: 1px solid var(--rule);
  border-radius: 7px; background: var(--paper); color: var(--soft); font: 13px var(--sans); cursor: pointer; }
.command button:hover { color: var(--accent); border-color: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(186px, 1fr)); gap: 14px; }
.card { padding: 16px 18px 15px; border: 1px solid var(--rule); border-radius: 12px; background: var(--panel); }
.card b { display: block; margin: 3px 0 4px; font: 600 28px/1.15 var(--serif); font-variant-numeric: lining-nums; }
.card span { color: var(--soft); font-size: 13.5px; line-height: 1.4; display: block; }
.card .label { color: var(--ink); font-weight: 600; }
figure { margin: 0; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 8px; }
figcaption { margin-top: 8px; color: var(--soft); font-size: 14px; line-height: 1.4; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 22px 26px; align-items: flex-start; }
.row figure { max-width: 100%; }
.row figure.moving { max-width: min(100%, 260px); }
.chart-box { padding: 20px 21px 16px; border: 1px solid var(--rule); border-radius: 12px; background: var(--panel);
  overflow-x: auto; width: fit-content; max-width: 100%; }
.table { overflow-x: auto; border: 1px solid var(--rule); border-radius: 12px; background: var(--panel);
  background: linear-gradient(to right, transparent, var(--panel) 60%) right / 40px 100% no-repeat local,
    linear-gradient(to left, rgb(0 0 0 / .22), transparent) right / 16px 100% no-repeat scroll, var(--panel); }
.row > .titled { flex: 1 1 460px; min-width: min(100%, 460px); max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: 9px; text-align: right; white-space: nowrap; }
thead th { white-space: normal; vertical-align: bottom; line-height: 1.3; text-wrap: balance; }
th:first-child, td:first-child { padding-left: 18px; } th:last-child, td:last-child { padding-right: 18px; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--panel); }
.words { text-align: left; }
thead th { color: var(--soft); font-size: 13px; font-weight: 600; border-bottom: 1px solid var(--rule); }
tbody tr + tr td { border-top: 1px solid var(--rule); }
tbody tr.emphasis td { background: var(--tint); }
tbody tr.emphasis td:first-child { font-weight: 650; }
tbody tr.aside td { color: var(--soft); font-style: italic; }
td.best { color: var(--accent); font-weight: 700; }
.yes { color: var(--good); font-weight: 700; } .no { color: var(--bad); font-weight: 700; }
details { border: 1px solid var(--rule); border-radius: 12px; background: var(--panel); }
summary { padding: 12px 18px; cursor: pointer; font-weight: 600; }
details pre { margin: 0; padding: 4px 18px 18px; overflow-x: auto; font: 13px/1.55 var(--mono); }
section > h2 + *, section > p + * { margin-top: 16px; }
section > h2 + p { margin-top: 0; }
section > figure + *, .table + *, section > .row + *, section > .cards + *, .titled + .titled { margin-top: 26px; }
.row > .titled + .titled { margin-top: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (max-width: 640px) { main { padding: 32px 16px 64px; } h1 { font-size: 32px; } th, td { padding: 8px; }
  th:first-child, td:first-child { padding-left: 12px; white-space: normal; min-width: 7em; }
  th:last-child, td:last-child { padding-right: 10px; }
  .still { overflow-x: auto; } .still img { max-width: 860px; } }
@media print { main { max-width: none; padding: 0; } section { break-inside: avoid; }
  .command button { display: none; } }
"""

_COPY = (
    "navigator.clipboard.writeText(this.parentNode.querySelector('code').textContent)"
    ".then(() => { this.textContent = 'Copied'; setTimeout(() => { this.textContent = 'Copy'; }, 1500); })"
)


@dataclass(frozen=True)
class Card:
    """A number to see first: what it is, its value as text, and one line that explains it."""

    label: str
    value: str
    note: str = ""


def write_page(path: Path, title: str, subtitle: str, command: str, sections: Sequence[Section]) -> None:
    """Write a page as one HTML file, atomically.

    Args:
        title, subtitle, command: plain text; an empty subtitle or command (the exact command line that made the page)
        is left out, as are sections without a body.
    Raises:
        OSError: if the file cannot be written; an earlier page is then untouched.
    """
    below = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    body = "\n".join(_section(s) for s in sections if s.html)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · ergosum</title>\n<style>{_STYLE}{charts.STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="from">ergosum</p><h1>{escape(title)}</h1>{below}{_command(command)}</header>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    )
    write_atomically(Path(path), lambda p: p.write_text(page, encoding="utf-8"))


def figure(image: Image.Image, caption: str) -> str:
    """A figure with an image, embedded as PNG, and its caption."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return _figure(buffer.getvalue(), "image/png", image.size, caption, "still")


def animation(source: bytes | Path, caption: str) -> str:
    """A figure with an animation, embedded as it is, and its caption.

    Args:
        source: the content or the path of a GIF or a PNG.
    Raises:
        ValueError: if it is neither. FileNotFoundError: if there is no such file.
    """
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    if content.startswith(b"GIF8"):
        kind = "image/gif"
    elif content.startswith(b"\x89PNG"):
        kind = "image/png"
    else:
        raise ValueError(f"animation: expected a GIF or PNG, got something that starts with {content[:8]!r}.")
    with Image.open(io.BytesIO(content)) as image:
        return _figure(content, kind, image.size, caption, "moving")


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | Mapping[str, str],
    best: Mapping[str, Literal["max", "min"]] | None = None,
    emphasis: str = "",
    aside: Collection[str] = (),
    decimals: Mapping[str, int] | None = None,
) -> str:
    """A table; numbers share their decimals down a column, and what is missing, None or NaN is an en dash.

    Args:
        rows: one mapping per row. columns: keys in order, or key -> heading; the first names the row. best: columns in
        which the largest or smallest of several values is set in bold. emphasis: name of the row to tint. aside: names
        of rows that only serve as reference, set in italics and never best. decimals: digits after the point of
        columns; the others show three significant digits of their largest value, two of their smallest.
    """
    headings = dict(columns) if isinstance(columns, Mapping) else {c: c for c in columns}
    if not rows or not headings:
        return ""
    wanted, name = best or {}, next(iter(headings))
    models = [r for r in rows if r.get(name) not in aside]
    winners = {key: _winner([r.get(key) for r in models], how) for key, how in wanted.items()}
    places = {key: decimals_for(r.get(key) for r in rows) for key in headings} | dict(decimals or {})
    kinds = {key: _alignment([r.get(key) for r in rows]) for key in headings}
    head = "".join(f"<th{kinds[k]}>{escape(text)}{_arrow(wanted.get(k))}</th>" for k, text in headings.items())
    lines = []
    for r in rows:
        kind = " class=aside" if r.get(name) in aside else " class=emphasis" if r.get(name) == emphasis else ""
        cells = []
        for key in headings:
            value = r.get(key)
            wins = r.get(name) not in aside and is_number(value) and winners.get(key) == value
            cells.append(f"<td{' class=best' if wins else kinds[key]}>{_cell(value, places[key])}</td>")
        lines.append(f"<tr{kind}>{''.join(cells)}</tr>")
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def cards(items: Sequence[Card]) -> str:
    """Cards side by side; none give the empty string."""
    made = (
        f'<div class="card"><span class="label">{escape(c.label)}</span><b>{escape(c.value)}</b>'
        f"<span>{escape(c.note)}</span></div>"
        for c in items
    )
    return f'<div class="cards">{"".join(made)}</div>' if items else ""


def chart(svg: str, caption: str = "") -> str:
    """A figure with a chart of `ergosum.report.charts`; an empty chart gives the empty string."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="chart-box">{svg}{below}</figure>' if svg else ""


def row(*parts: str) -> str:
    """Parts side by side as far as there is room; empty ones are left out, and none give the empty string."""
    kept = [part for part in parts if part]
    return f'<div class="row">{"".join(kept)}</div>' if kept else ""


def titled(title: str, html: str) -> str:
    """HTML under a small heading; without a title the HTML alone, without HTML the empty string."""
    return f'<div class="titled"><h3>{escape(title)}</h3>{html}</div>' if title and html else html


def fold(summary: str, text: str) -> str:
    """Preformatted text behind a line that opens it."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.heading)}</h2>" if section.heading else ""
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    return f"<section{'' if section.heading else ' class=bare'}>{heading}{text}{section.html}</section>"


def _command(command: str) -> str:
    if not command:
        return ""
    button = f'<button type="button" onclick="{escape(_COPY)}">Copy</button>'
    return f'<div class="command"><pre><code>{escape(command)}</code></pre>{button}</div>'


def _figure(content: bytes, kind: str, size: tuple[int, int], caption: str, style: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    image = f'<img src="data:{kind};base64,{data}" width="{size[0]}" height="{size[1]}" alt="{escape(caption)}">'
    return f'<figure class="{style}">{image}{below}</figure>'


def _winner(values: Sequence[Any], how: str) -> float | None:
    numbers = [v for v in values if is_number(v)]
    return (max if how == "max" else min)(numbers) if len(numbers) > 1 else None


def _alignment(values: Sequence[Any]) -> str:
    return " class=words" if any(isinstance(v, str | bool) for v in values) else ""


def _arrow(how: str | None) -> str:
    return {"max": "\u00a0↑", "min": "\u00a0↓"}.get(how or "", "")


def _cell(value: Any, decimals: int) -> str:
    if isinstance(value, bool):
        return '<span class="yes">✓ yes</span>' if value else '<span class="no">✗ no</span>'
    if value is None or isinstance(value, int | float):
        return number(value, decimals)
    return escape(str(value))
