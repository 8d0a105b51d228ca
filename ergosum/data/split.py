"""Which images or films are held out: of a folder, decided by what each file holds; of a file, by the number of a row.

No list need lie beside them.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

__all__ = ["content_digest", "split_files", "split_rows"]

_WHOLE, _END = 2**20, 2**16


def content_digest(path: Path) -> bytes:
    """sha256 of what a file holds; of a file above 1 MiB, of its size and its first and last 64 KiB.

    A file that cannot be opened has the digest of its name.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _WHOLE:
                return hashlib.sha256(file.read(_WHOLE)).digest()
            first = file.read(_END)
            file.seek(-_END, os.SEEK_END)
            return hashlib.sha256(b"%d" % size + first + file.read(_END)).digest()
    except OSError:
        return hashlib.sha256(os.fsencode(path.name)).digest()


def split_files(
    files: Sequence[Path], digest: Callable[[Path], bytes] = content_digest, what: str = "images"
) -> tuple[list[Path], list[Path]]:
    """Files to train on and files held out, each in the order given.

    A file is held out if the first 8 bytes of its digest, as a number, are divisible by ten: about a tenth are. Copies
    of a file are therefore on one side, whatever their names, and a file stays on its side when others are added,
    removed or renamed. Where no file falls to one side, the smallest digest (held out) or the largest (to train on) is
    taken. An image saved again in another format or size is another file: the split cannot know.

    Args:
        files: to be divided. digest: what tells one from another, 8 bytes or more. what: how an error calls them.
    Raises:
        ValueError: if all files are copies of one, or there is only one.
    """
    digests = {path: digest(path) for path in files}
    held = {value for value in digests.values() if int.from_bytes(value[:8], "big") % 10 == 0}
    if len(every := set(digests.values())) < 2:
        raise ValueError(f"Expected at least two different {what} to hold some out, got {len(every)}.")
    held = (held or {min(every)}) - ({max(every)} if held == every else set())
    sides = ([p for p in files if (digests[p] in held) == test] for test in (False, True))
    train, test = sides
    return train, test


def split_rows(count: int, split: str) -> np.ndarray:
    """Numbers of the rows of one part, in order: a tenth of them is held out, whatever their order means.

    A row is held out if its number, mixed as SplitMix64 mixes its counter (Steele, Lea, Flood 2014), is divisible by
    ten. A row stays on its side when others are added after it. Of rows none of which falls to a side, the one with the
    smallest mixed number is held out.

    Args:
        count: of rows, >= 2. split: `train`, or `test`, what is held out.
    Shape:
        Returns (rows of the part,), int64.
    Raises:
        ValueError: for less than two rows.
    """
    if count < 2:
        raise ValueError(f"Expected at least two images to hold some out, got {count}.")
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    held = z % np.uint64(10) == 0
    if not held.any():
        held[z.argmin()] = True
    return np.flatnonzero(held == (split == "test"))
