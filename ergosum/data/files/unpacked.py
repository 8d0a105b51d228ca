"""Rows of packed files, read once and kept in the cache as memory maps, so that any row can be read at any time."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ergosum.data.cache import cache_folder

__all__ = ["unpacked"]

Blocks = Iterator[Mapping[str, np.ndarray]]
"""Some rows at a time, of arrays by name: as many rows of each; types and sizes of rows do not change."""


def unpacked(name: str, blocks: Callable[[], Blocks]) -> dict[str, np.ndarray]:
    """Arrays of rows, as memory maps: what an earlier call with this name kept, or what `blocks` gives.

    They appear under the name when they are complete: an interruption, or an exception of `blocks`, leaves nothing.

    Args:
        name: of a folder in `$XDG_CACHE_HOME/ergosum/unpacked`; has to change whenever the rows would.
    Raises:
        OSError: if the cache cannot be written. ValueError: if there is not one row.
    """
    folder = cache_folder("unpacked")
    final = folder / name
    if not final.is_dir():
        partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
        try:
            _write(partial, blocks())
            partial.rename(final)
        except OSError:
            if not final.is_dir():  # else another process has unpacked the same rows meanwhile
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(final.glob("*.npy"))}


def _write(folder: Path, blocks: Blocks) -> None:
    rows, kinds = 0, {}
    for block in blocks:
        for key, array in block.items():
            kinds.setdefault(key, (array.dtype, array.shape[1:]))
            with (folder / f"{key}.npy").open("ab") as file:
                if not rows:
                    file.write(_header(kinds[key], 0))
                file.write(np.ascontiguousarray(array).tobytes())
        rows += len(next(iter(block.values())))
    if not rows:
        raise ValueError("it holds not one image")
    for key, kind in kinds.items():  # the header has room for any number of rows
        with (folder / f"{key}.npy").open("r+b") as file:
            file.write(_header(kind, rows))


def _header(kind: tuple[np.dtype, tuple[int, ...]], rows: int) -> bytes:
    dtype, row = kind
    buffer = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows, *row)}
    np.lib.format.write_array_header_1_0(buffer, about)
    return buffer.getvalue()
