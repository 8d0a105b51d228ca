"""What the commands' parsers have in common."""

from jsonargparse import ArgumentParser, set_parsing_settings

__all__ = ["SOURCES", "parser_for"]

SOURCES = "digits (bundled), mnist, fashion, or a folder of images; default: mnist where it is at hand, else digits"
"""Help text of `--source`."""


def parser_for(command: str, description: str) -> ArgumentParser:
    """The parser of a command ('' for the program itself): docstrings under fields are its help texts."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    return ArgumentParser(prog=f"ergosum {command}".strip(), description=description, exit_on_error=False)
