"""Files that are written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["read_json", "write_atomically", "write_json"]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: `path` is old or new, never half.

    The file gets the permissions that the process's umask leaves it.

    Raises:
        OSError: if the folder is read-only or the disk is full; the message says which file, and `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch and safetensors report a full disk as RuntimeError or their own
        raise OSError(f"Could not write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """What the process takes away from the permissions of new files; it can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically."""
    write_atomically(path, lambda p: p.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: if the file is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from error
