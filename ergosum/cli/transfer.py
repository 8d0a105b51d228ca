"""`ergosum transfer`: move another image as a film moves."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.read import add_reading, read_with
from ergosum.cli.start import start_frame

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Read a film, and play what was read from another start frame."""
    parser = parser_for(
        "transfer", "Read off a film which energies move it, and let them move another image in the same way."
    )
    add_reading(parser)
    parser.add_argument("--start", required=True, help="SOURCE:DIGIT[@N], or an image file of one digit")
    parser.add_argument("--scale", type=float, default=0.8, help="scale of a SOURCE:DIGIT start, 0.1 .. 1.8")
    parser.add_argument(
        "--invert", choices=["auto", "yes", "no"], default="auto",
        help="of an image file: whether the digit is dark on a light ground",
    )  # fmt: skip
    parser.add_argument(
        "--colour", choices=["auto", "keep", "red"], default="auto",
        help="of an image file: keep its colours, take its brightness as red, or see whether it has a hue",
    )  # fmt: skip
    parser.add_argument(
        "--out", default="transfer.gif", help="what to write: .gif animation, or .png strip below that of the film"
    )
    chosen = parser.parse_args(arguments)
    out = Path(chosen.out)
    if out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png or .gif.")
    from ergosum.cli.start import bank_of
    from ergosum.report.animation import save_animation, save_strip
    from ergosum.report.strips import resized, sheet
    from ergosum.temporal.film import transferred

    start = start_frame(
        chosen.start, chosen.scale, bank_of(chosen.runs[:1], ()).canvas, 0, chosen.invert, chosen.colour
    )
    read = read_with(chosen)
    frames = resized(transferred(read.bank, read.reading, start.frame)[0], start.side)
    if out.suffix == ".gif":
        save_animation(frames, out, zoom=max(1, 168 // start.side))
    else:
        film = resized(read.film.frames, start.side)
        save_strip(sheet([("film", film), ("transferred", frames)], zoom=max(1, 112 // start.side)), out)
    print(out)
