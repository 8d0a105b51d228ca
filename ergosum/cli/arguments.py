"""What the commands' parsers have in common."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["SOURCES", "Parser", "UsageError", "add_trust", "named_by", "parser_for", "trusted"]

SOURCES = (
    "digits or mnist-1000 (bundled), mnist, fashion, or a folder of images; default: mnist where it is at hand, else "
    "digits"
)
"""Help text of `--source`."""


class UsageError(Exception):
    """The command line cannot be understood; the message says why."""


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help with defaults where there are some that the text does not tell; the epilog as it is written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        nothing = default is None or default is False or default in ("", [], argparse.SUPPRESS)
        if nothing or "default:" in (action.help or ""):
            return action.help
        if isinstance(default, list | tuple):
            return f"{action.help} (default: {' '.join(map(str, default))})"
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError`."""
        raise UsageError(message)


def parser_for(command: str, description: str) -> Parser:
    """The parser of a command ('' for the program itself)."""
    return Parser(f"ergosum {command}".strip(), description=description, formatter_class=_Help, allow_abbrev=False)


def add_trust(parser: Parser) -> None:
    """The option that lets a recipe name classes of the user's own."""
    parser.add_argument(
        "--trust", action="append", default=[], metavar="MODULE",
        help="a module or package of your own whose classes a recipe may name; may be given several times",
    )  # fmt: skip


def trusted(modules: list[str]) -> tuple[str, ...]:
    """The trusted modules; those in the present folder can then be imported."""
    if modules and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return tuple(modules)


@contextmanager
def named_by(runs: Sequence[str]) -> Iterator[None]:
    """Say of names in a formula that stand for nothing where names come from.

    Args:
        runs: whose energies the formula names; none for the plane.
    """
    from ergosum.formula import UnknownNameError

    try:
        yield
    except UnknownNameError as error:
        names, known = ", ".join(map(repr, error.names)), ", ".join(error.known)
        if runs:
            whose = f"{', '.join(runs)} {'has' if len(runs) == 1 else 'have'} {known}"
            others = "names of other runs or cards come with --model RUN ..."
        else:
            whose = f"the plane has {known}"
            others = "names of trained energies come with --model RUN ..., a run folder or card"
        raise ValueError(f"Formula: no energy is called {names}; {whose}; {others}.") from error
