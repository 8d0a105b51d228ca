"""The command line: thin, lazy (torch is imported by the commands that need it), one line per error.

ergosum demo | recipes | train | score | control | decompose | recombine | sample | compose | report | data show

A command is a file of this package with a function `run(arguments)`, and a row in `COMMANDS`.
"""

import os
import sys
from argparse import ArgumentError
from collections.abc import Sequence
from importlib import import_module

from ergosum import __version__

# idle threads sleep instead of spinning: on busy cores spinning makes two threads far slower than one
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__all__ = ["COMMANDS", "main"]

COMMANDS = (
    "demo", "recipes", "train", "score", "control", "decompose", "recombine", "sample", "compose", "report", "data"
)  # fmt: skip
"""Commands in the order in which `--help` lists them; each is the module of that name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a failure, 2 for a usage error, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _dispatch(arguments)
    except KeyboardInterrupt:
        print("Interrupted; a run in progress keeps its checkpoint: go on with --resume.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except ArgumentError as error:
        print(f"ergosum: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    except (ValueError, OSError, ArithmeticError, RuntimeError) as error:
        print(f"ergosum: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}. Choose a place that exists, is writable and has room."
    return " ".join(str(error).split()) or type(error).__name__


def _dispatch(arguments: list[str]) -> None:
    if arguments and arguments[0] in COMMANDS:
        import_module(f"ergosum.cli.{arguments[0]}").run(arguments[1:])
        return
    from ergosum.cli.arguments import parser_for

    parser = parser_for("", "Compositional energy-based models: train small energies, add them up, steer the sum.")
    parser.add_argument("--version", action="version", version=f"ergosum {__version__}")
    parser.add_argument("command", choices=list(COMMANDS), help="`ergosum COMMAND --help` tells more")
    parser.epilog = "demo: the whole story in 5 minutes"
    if arguments:
        parser.parse_args(arguments)
    else:
        parser.print_help()
