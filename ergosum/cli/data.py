"""`ergosum data`: what a data set looks like."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, parser_for

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Draw a sheet of a data set."""
    parser = parser_for("data", "Look at a data set.")
    parser.add_argument("action", choices=["show"], help="show: draw a sheet")
    parser.add_argument("name", type=str, help="sequences, tetrominoes, shapes, scenes, toy, lighting or still")
    parser.add_argument("--out", type=str, required=True, help="picture to write (.png)")
    parser.add_argument("--source", type=str, default="digits", help=SOURCES)
    parser.add_argument("--seed", type=int, default=0, help="digits and trajectories to draw")
    parser.add_argument("--canvas", type=int, default=28, help="side of a frame in pixels, a multiple of 4")
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.stories.sheets import SHEETS

    if chosen.name not in SHEETS:
        raise ValueError(f"There is no data set {chosen.name!r} to show; expected one of {', '.join(SHEETS)}.")
    save_strip(SHEETS[chosen.name](chosen.source, chosen.seed, chosen.canvas), Path(chosen.out))
    print(chosen.out)
