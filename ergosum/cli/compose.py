"""`ergosum compose`: what a formula of trained energies makes of an image, and how each term pulls."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.start import start_frame

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Follow a formula from a start frame and write the sheet."""
    parser = parser_for("compose", "Follow a formula of trained energies; draw the frames and every term's pull.")
    parser.add_argument(
        "formula", help='such as "colour & (angle_back | scale)"; a factor moves forwards, FACTOR_back back'
    )
    parser.add_argument(
        "--model", nargs="+", default=["digits-colour", "digits-angle", "digits-scale"], help="runs or cards"
    )
    parser.add_argument("--start", default="digits:7", help="noise, SOURCE:DIGIT[@N] or an image file")
    parser.add_argument("--scale", type=float, default=0.8, help="scale of a SOURCE:DIGIT start, 0.4 .. 1.8")
    parser.add_argument("--frames", type=int, default=8, help="frames to make, >= 1")
    parser.add_argument("--substeps", type=int, default=4, help="steps per frame, each anchored anew, >= 1")
    parser.add_argument("--seed", type=int, default=0, help="seed of a noise start")
    parser.add_argument("--out", default="strip.png", help="image to write (.png)")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.temporal.control import Bank
    from ergosum.report.animation import save_strip
    from ergosum.temporal.composition import compose_images
    from ergosum.training.runfolder import load_predictor

    bank = Bank([load_predictor(zoo.find(run))[1] for run in chosen.model])
    frame = start_frame(chosen.start, chosen.scale, bank.canvas, chosen.seed)
    save_strip(compose_images(bank, chosen.formula, frame, chosen.frames, chosen.substeps), Path(chosen.out))
    print(chosen.out)
