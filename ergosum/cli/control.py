"""`ergosum control`: steer a digit along a timeline, into a strip or a film."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.start import start_frame

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Play a timeline from a start frame and write the image."""
    parser = parser_for("control", "Steer a digit with energies trained apart.")
    parser.add_argument("runs", nargs="*", help="runs or cards; default: the shipped colour, angle and scale")
    parser.add_argument("--timeline", required=True, help='such as "scale:3 colour:9" or "colour+angle:-4"')
    parser.add_argument("--start", default="digits:7", help="SOURCE:DIGIT[@N] or an image file")
    parser.add_argument("--scale", type=float, default=0.8, help="scale of a SOURCE:DIGIT start, 0.4 .. 1.8")
    parser.add_argument(
        "--how", choices=["split", "sum"], default="split", help="several factors at once: in turn, or as one sum"
    )
    parser.add_argument("--out", default="strip.png", help="image to write: .png strip or .gif animation")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.report.animation import save_animation, save_strip
    from ergosum.report.strips import strip
    from ergosum.temporal.control import Bank
    from ergosum.temporal.timeline import parse_timeline
    from ergosum.training.runfolder import load_predictor

    out = Path(chosen.out)
    if out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png or .gif.")
    runs = chosen.runs or ["digits-colour", "digits-angle", "digits-scale"]
    bank = Bank([load_predictor(zoo.find(r))[1] for r in runs])
    timeline = parse_timeline(chosen.timeline, bank.factors)
    frame = start_frame(chosen.start, chosen.scale, bank.canvas)
    frames = bank.play(frame, timeline, chosen.how)[0]
    if out.suffix == ".gif":
        save_animation(frames, out)
    else:
        save_strip(strip(frames, zoom=4), out)
    print(out)
