"""The image files of a folder, in one order everywhere, and their names as text that can be printed."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["SUFFIXES", "folders", "image_files", "shown"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""How the names of image files end, in any case."""


def image_files(folder: Path | str, report: Callable[[Path, str], object] | None = None) -> Iterator[Path]:
    """Image files of a folder and its sub-folders, sorted by the parts of their names.

    Only files are listed: a folder or a pipe called `x.png` is passed over. So is what systems and archives leave
    behind: names that begin with a dot (`._x.png` among them) and `__MACOSX`. Links to folders are followed, and every
    folder is listed once, so that a link to a folder above ends nowhere else. A name may hold any bytes.

    Args:
        folder: where to look. report: called with the path and the reason for each folder that cannot be listed and
            each link that leads nowhere.
    """
    waiting, seen = [Path(folder)], set()
    while waiting:
        path = waiting.pop()
        try:
            about = path.stat()
            if stat.S_ISREG(about.st_mode) and path.suffix.lower() in SUFFIXES:
                yield path
            if not stat.S_ISDIR(about.st_mode) or (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            waiting += [path / name for name in sorted(_names(path), reverse=True)]
        except OSError as error:
            if report is not None:
                report(path, f"it cannot be looked into: {error.strerror or error}")


def folders(
    root: Path, report: Callable[[Path, str], object] | None, key: Callable[[Path], Any]
) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder from `root` downwards, each once, and the files that lie in it, whatever they are called.

    What is passed over is what `image_files` passes over; folders and files are in the order of `key`.

    Args:
        report: called with the path and the reason for each folder that cannot be listed and each link that leads
            nowhere. key: what paths are sorted by.
    """
    waiting, seen = [root], set()
    while waiting:
        folder = waiting.pop()
        files, inner = [], []
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            names = _names(folder)
        except OSError as error:
            if report is not None:
                report(folder, f"it cannot be looked into: {error.strerror or error}")
            continue
        for path in sorted((folder / name for name in names), key=key):
            try:
                mode = path.stat().st_mode
            except OSError as error:
                if report is not None:
                    report(path, f"it cannot be looked into: {error.strerror or error}")
                continue
            if stat.S_ISDIR(mode):
                inner.append(path)
            elif stat.S_ISREG(mode):
                files.append(path)
        waiting += reversed(inner)
        yield folder, files


def _names(folder: Path) -> list[str]:
    """What lies in a folder, without what systems and archives leave behind."""
    return [name for name in os.listdir(folder) if not name.startswith(".") and name != "__MACOSX"]


def shown(path: Path | str) -> str:
    r"""A file name as text that can be printed on one line and encoded as UTF-8.

    Bytes that are no UTF-8 and characters that do not print are escaped: `\xe9.png`, `two\nlines.png`.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
