"""`ergosum demo`: the whole story in minutes."""

from pathlib import Path

from ergosum.cli.arguments import parser_for
from ergosum.cli.progress import train_with_progress

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Learn colour live, steer it together with what is on the shelf, and write the report."""
    parser = parser_for("demo", "Train the colour energy live, add scale and angle from the shelf, steer, report.")
    parser.add_argument("--out", type=str, default="runs/demo", help="folder for the run and its report")
    parser.add_argument("--seconds", type=float, default=85.0, help="longest training time")
    chosen = parser.parse_args(arguments)
    from ergosum.stories.demo import demo

    demo(Path(chosen.out), chosen.seconds, train_with_progress)
