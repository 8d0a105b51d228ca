"""The command line: thin, lazy (torch is imported by the commands that need it), one line per error.

ergosum demo | recipes | parts | cards | train | discover | score | control | read | transfer | fill | inpaint | infer
| decompose | recombine | sample | compose | report | studio | data | card

A command is a file of this package with a function `run(arguments)`, and a row in `COMMANDS`. Results go to stdout,
progress, warnings and errors to stderr.
"""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from ergosum import __version__
from ergosum.cli.arguments import UsageError, parser_for

# idle threads sleep instead of spinning: on busy cores spinning makes two threads far slower than one
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "train one energy, steer with three, in 5 minutes",
    "recipes": "list what there is to train",
    "parts": "list the parts that recipes and formulas are made of",
    "cards": "list trained energies that ship, or runs of yours",
    "train": "train a recipe",
    "discover": "find what changes in clips, without labels",
    "score": "score a run or card on held-out data",
    "control": "steer a digit along a timeline",
    "read": "read off a film which energies act in it",
    "transfer": "move another image as a film moves",
    "fill": "fill missing frames and hidden pixels of a film",
    "inpaint": "fill hidden pixels of an image, drawn from a density",
    "infer": "tell which concepts are in images",
    "decompose": "decompose images into components",
    "recombine": "exchange and add components of two images",
    "sample": "draw from a formula of energies, planar or trained",
    "compose": "follow a formula of trained energies, frame by frame",
    "report": "write a page about a run",
    "studio": "play with energies in the browser",
    "data": "list datasets, or draw a contact sheet of one",
    "card": "write a card or run as the folder that a hub expects",
}
"""Commands, with what `--help` says of each; each is the module of that name."""

AFTER_INTERRUPT = {
    "decompose": "What is written stays: the same command goes on from there.",
}
"""How to go on with a command that was interrupted, unless it says so itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a failure, 2 for a usage error, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _print_anything()
    command = arguments[0] if arguments else ""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn_once(set())
            _dispatch(arguments)
    except KeyboardInterrupt as stopped:
        print(f"Interrupted. {str(stopped) or AFTER_INTERRUPT.get(command, '')}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except UsageError as error:
        print(f"ergosum: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    except (ValueError, OSError, ArithmeticError, RuntimeError, ImportError) as error:
        print(f"ergosum: {_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _print_anything() -> None:
    """Let characters that the terminal's encoding lacks be printed as escapes, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _warn_once(told: set[str]):  # noqa: ANN202
    """Show every warning once, as one line without a source line."""

    def show(message, category, filename, lineno, file=None, line=None) -> None:  # noqa: ANN001
        text = " ".join(str(message).split())
        if issubclass(category, UserWarning) and text not in told:
            told.add(text)
            print(f"ergosum: warning: {text}", file=sys.stderr)

    return show


def _one_line(error: BaseException) -> str:
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename} is a file, where a folder was expected. Choose another place."
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}. Choose a place that exists, is writable and has room."
    return " ".join(str(error).split()) or type(error).__name__


def _dispatch(arguments: list[str]) -> None:
    if arguments and arguments[0] in COMMANDS:
        import_module(f"ergosum.cli.{arguments[0]}").run(arguments[1:])
        return
    parser = parser_for("", "Compositional energy-based models: train small energies, add them up, steer the sum.")
    parser.add_argument("--version", action="version", version=f"ergosum {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="one of those below, with its arguments")
    listed = "\n".join(f"  {name:11s}{what}" for name, what in COMMANDS.items())
    parser.epilog = f"commands (`ergosum COMMAND --help` explains one):\n{listed}"
    if arguments:
        parser.parse_args(arguments)
    else:
        parser.print_help()
