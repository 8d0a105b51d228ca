"""`ergosum compose`: what a formula of trained energies makes of an image, and how each term pulls."""

from pathlib import Path

from ergosum.cli.arguments import add_trust, named_by, parser_for, trusted
from ergosum.cli.start import DEFAULTS, add_start, bank_of, start_frame

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Follow a formula from a start frame and write the sheet."""
    parser = parser_for("compose", "Follow a formula of trained energies; draw the frames and every term's pull.")
    parser.add_argument(
        "formula", help='such as "colour & (angle_back | scale)"; a factor moves forwards, FACTOR_back back'
    )
    parser.add_argument("--model", nargs="+", default=list(DEFAULTS), help="runs or cards")
    add_start(parser)
    parser.add_argument("--frames", type=int, default=8, help="frames to make, >= 1")
    parser.add_argument("--substeps", type=int, default=4, help="steps per frame, each anchored anew, >= 1")
    parser.add_argument("--out", default="strip.png", help="image to write (.png)")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.temporal.composition import compose_images

    bank = bank_of(chosen.model, trusted(chosen.trust))
    start = start_frame(chosen.start, chosen.scale, bank.canvas, chosen.seed, chosen.invert, chosen.colour)
    with named_by(chosen.model):
        sheet = compose_images(bank, chosen.formula, start.frame, chosen.frames, chosen.substeps)
    save_strip(sheet, Path(chosen.out))
    print(chosen.out)
