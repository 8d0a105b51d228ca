"""Where downloads and rendered datasets are kept for the user; asked for only when a file is looked up or written."""

import os
import tempfile
import warnings
from pathlib import Path

__all__ = ["cache_folder", "cache_folders"]


def cache_folders(name: str) -> list[Path]:
    """The places where a file of the cache may lie, none of which need exist.

    They are `$XDG_CACHE_HOME/ergosum/NAME` (`~/.cache/ergosum/NAME`), left out where the user has no home, and then the
    folder for temporary files, which `cache_folder` falls back to.
    """
    places = [_temporary() / name] if _is_ours(_temporary()) else []
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:  # no HOME, and the user is not in the list of users: as in many containers
        return places
    return [home / "ergosum" / name, *places]


def cache_folder(name: str) -> Path:
    """The folder of that name in the cache, made if needed.

    Where the user has no home, or a home that cannot be written, it lies in the folder for temporary files, and a
    warning says so.

    Raises:
        OSError: if that cannot be written either.
    """
    reason = "there is no home folder"
    for place in cache_folders(name):
        if place.is_relative_to(_temporary()):
            break
        try:
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
            reason = f"{place} cannot be written"
        except OSError as error:
            reason = f"{place} cannot be made ({error.strerror})"
    root = _temporary()
    root.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(root):
        raise OSError(f"No place for a cache: {reason}, and {root} belongs to another user. Set XDG_CACHE_HOME.")
    (root / name).mkdir(exist_ok=True)
    warnings.warn(f"The cache is {root / name}, since {reason}. Set XDG_CACHE_HOME to keep it elsewhere.", stacklevel=2)
    return root / name


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"ergosum-{user}"


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there that no one else can have filled."""
    return folder.is_dir() and not folder.is_symlink() and (os.name == "nt" or folder.stat().st_uid == os.getuid())
