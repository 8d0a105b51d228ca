"""`ergosum control`: steer a digit along a timeline, into a strip or a film."""

from pathlib import Path

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.start import DEFAULTS, add_start, bank_of, beside_of, start_frame

__all__ = ["run"]

MOST = 2000
"""Frames of a strip or film."""


def run(arguments: list[str]) -> None:
    """Play a timeline from a start frame and write the image."""
    parser = parser_for("control", "Steer a digit with energies trained apart.")
    parser.add_argument("runs", nargs="*", help="runs or cards; without any, the shipped colour, angle and scale")
    parser.add_argument("--timeline", required=True, help='such as "scale:3 colour:9" or "colour+angle:-4"')
    add_start(parser, "seed of a noise start, and of what --with draws")
    parser.add_argument(
        "--how", choices=["split", "sum"], default="split", help="several factors at once: in turn, or as one sum"
    )
    parser.add_argument(
        "--with", dest="beside", default="", metavar="[CLASS=]RUN:WEIGHT[@NOISE]",
        help="an energy of frames that acts beside every change, such as frames-density:0.1@0.025, and its noise level",
    )  # fmt: skip
    parser.add_argument("--out", default="strip.png", help="image to write: .png strip or .gif animation")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_frames
    from ergosum.report.strips import resized
    from ergosum.temporal.timeline import parse_timeline

    out = Path(chosen.out)
    if out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png or .gif.")
    trust = trusted(chosen.trust)
    beside = beside_of(chosen.beside, trust, chosen.seed) if chosen.beside else None
    bank = bank_of(chosen.runs or list(DEFAULTS), trust, beside)
    timeline = parse_timeline(chosen.timeline, bank.factors)
    if timeline.frames > MOST:
        raise ValueError(
            f"--timeline {chosen.timeline}: expected at most {MOST} frames, got {timeline.frames}; play it in parts."
        )
    start = start_frame(chosen.start, chosen.scale, bank.canvas, chosen.seed, chosen.invert, chosen.colour)
    frames = resized(bank.play(start.frame, timeline, chosen.how)[0], start.side)
    save_frames(frames, out)
    print(out)
