"""`ergosum data`: what a dataset looks like."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, add_trust, parser_for, trusted

__all__ = ["run"]

NAMES = (
    "sequences, tetrominoes, shapes, scenes, toy, lighting, still, digits, mnist, fashion, a folder of images, a class "
    "such as Glyphs or my_package.Stripes (with --trust my_package), or datasets joined by '+', such as digits+fashion"
)
"""Help text of the dataset's name."""


def run(arguments: list[str]) -> None:
    """Draw a contact sheet of a dataset."""
    parser = parser_for("data", "Draw a contact sheet of a dataset.")
    parser.add_argument("action", choices=["show"], help="show: draw a contact sheet")
    parser.add_argument("name", help=NAMES)
    parser.add_argument("--out", required=True, help="image to write (.png)")
    parser.add_argument("--source", default="digits", help=SOURCES + "; of LabelledImages, too")
    parser.add_argument("--seed", type=int, default=0, help="digits and trajectories to draw")
    parser.add_argument(
        "--canvas", type=int, default=0, help="side of an image in pixels; 0: 28, or of your own dataset its default"
    )
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.report.sheets import sheet_of

    draw = sheet_of(chosen.name, trusted(chosen.trust))
    save_strip(draw(chosen.source, chosen.seed, chosen.canvas), Path(chosen.out))
    print(chosen.out)
