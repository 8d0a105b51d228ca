"""`ergosum data`: what a dataset looks like."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, parser_for

__all__ = ["run"]

NAMES = (
    "sequences, tetrominoes, shapes, scenes, toy, lighting, still, digits, mnist, fashion, or datasets joined "
    "by '+', such as digits+fashion"
)
"""Help text of the dataset's name."""


def run(arguments: list[str]) -> None:
    """Draw a contact sheet of a dataset."""
    parser = parser_for("data", "Draw a contact sheet of a dataset.")
    parser.add_argument("action", choices=["show"], help="show: draw a contact sheet")
    parser.add_argument("name", help=NAMES)
    parser.add_argument("--out", required=True, help="image to write (.png)")
    parser.add_argument("--source", default="digits", help=SOURCES)
    parser.add_argument("--seed", type=int, default=0, help="digits and trajectories to draw")
    parser.add_argument("--canvas", type=int, default=28, help="side of a frame in pixels, a multiple of 4")
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.report.sheets import sheet_of

    save_strip(sheet_of(chosen.name)(chosen.source, chosen.seed, chosen.canvas), Path(chosen.out))
    print(chosen.out)
