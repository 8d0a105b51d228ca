"""What every reader of files says when a file is not there, or not what it should be."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ergosum.data.listing import shown

__all__ = ["UnreadableFile", "needed", "one_line", "present", "readable"]


class UnreadableFile(OSError):
    """A file that is not what a reader expects; `reason` says why in one line, without the name of the file."""

    def __init__(self, path: Path | str, what: str, reason: str) -> None:
        super().__init__(f"{shown(path)} could not be read as {what}: {reason}.")
        self.reason = reason


def present(path: Path | str, what: str, published: str, folder: bool = False) -> Path:
    """The path of a file, or of a folder, that is there.

    Args:
        what: the name of the data. published: where their owner publishes them.
    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    if path.is_dir() if folder else path.is_file():
        return path
    kind = "folder" if folder else "file"
    if path.exists():
        raise FileNotFoundError(f"{shown(path)}: expected a {kind} of {what}, got a {'file' if folder else 'folder'}.")
    raise FileNotFoundError(f"There is no {kind} {shown(path)}. {what} is published at {published}.")


@contextmanager
def readable(path: Path | str, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises of a damaged file into one line that names the file."""
    try:
        yield
    except (UnreadableFile, FileNotFoundError, KeyboardInterrupt):
        raise
    except Exception as error:  # for damaged files decoders raise nearly every exception that Python has
        raise UnreadableFile(path, what, one_line(error)) from error


def one_line(error: BaseException) -> str:
    """What an exception says, in one line without a full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def needed(module: str, extra: str, what: str) -> Any:
    """A module that comes with an extra of the package.

    Raises:
        ImportError: if it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{what} needs {module.partition('.')[0]}: pip install 'ergosum[{extra}]' ({error})"
        raise ImportError(message) from error
