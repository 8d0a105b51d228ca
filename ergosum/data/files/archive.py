"""Arrays of NumPy's files, `.npy` and `.npz`, as memory maps: no more of a file is in memory than is looked at.

An array that an archive stores as it is is mapped where it lies. A compressed one is unpacked once into the cache, a
block of rows at a time, which also tests the archive's own checksum of it.
"""

import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ergosum.data.files.unpacked import unpacked
from ergosum.data.listing import shown
from ergosum.data.split import content_digest

__all__ = ["array", "as_bits", "names_in", "shape", "state"]

BLOCK = 2**21
"""Bytes that are unpacked at a time, about."""


class _Header(NamedTuple):
    """What an array's header says: shape, order, type; and the place in the file where it ends."""

    shape: Sequence[int]
    fortran: bool
    dtype: np.dtype
    end: int


def array(path: Path, name: str = "") -> np.ndarray:
    """An array of a file, mapped for reading.

    Args:
        path: of an `.npy` file, or an `.npz` archive. name: of the array in an archive.
    Raises:
        ValueError: if there is no such array, it holds Python objects, or less than its header says. OSError,
        zipfile.BadZipFile, zlib.error: if the file is damaged.
    """
    if path.suffix.lower() != ".npz":
        with path.open("rb") as file:
            header = _header(file)
        return _mapped(path, header)
    with zipfile.ZipFile(path) as packed:
        entry = _entry(packed, name)
        if entry.compress_type == zipfile.ZIP_STORED:
            with path.open("rb") as file:
                file.seek(entry.header_offset)
                local = file.read(30)
                file.seek(entry.header_offset + 30 + sum(struct.unpack("<HH", local[26:30])))
                header = _header(file)
            return _mapped(path, header)
    return unpacked(f"{state(path)}-{name}", lambda: ({"rows": rows} for rows in _blocks(path, name)))["rows"]


def as_bits(path: Path, name: str) -> np.ndarray:
    """An array of bytes 0 and 1 of an archive, each row as bits in the order of `np.packbits`, mapped for reading.

    Shape:
        Returns (rows, bytes), uint8.
    Raises:
        ValueError: as `array`, and if it holds anything but bytes 0 and 1. OSError and others: as `array`.
    """

    def packed() -> Iterator[dict[str, np.ndarray]]:
        for rows in _blocks(path, name):
            if rows.dtype != np.uint8 or rows.max(initial=0) > 1:
                got = f"bytes up to {rows.max()}" if rows.dtype == np.uint8 else rows.dtype
                raise ValueError(f"expected {name!r} in bytes (uint8) 0 and 1, got {got}")
            yield {"rows": np.packbits(rows.reshape(len(rows), -1), axis=1)}

    return unpacked(f"{state(path)}-{name}-bits", packed)["rows"]


def shape(path: Path, name: str) -> Sequence[int]:
    """The shape of an array of an archive, by its header alone.

    Raises:
        ValueError, OSError and others: as `array`.
    """
    with zipfile.ZipFile(path) as packed, packed.open(_entry(packed, name)) as file:
        return _header(file).shape


def names_in(path: Path) -> list[str]:
    """Names of the arrays of an archive."""
    with zipfile.ZipFile(path) as packed:
        return _names(packed)


def state(path: Path) -> str:
    """A name that tells what a file holds from what others hold, and begins with its own."""
    clean = "".join(c if c.isalnum() or c in "-_." else "_" for c in shown(path.name))
    return f"{clean[:60]}-{content_digest(path).hex()[:16]}"


def _names(packed: zipfile.ZipFile) -> list[str]:
    return [e.filename.removesuffix(".npy") for e in packed.infolist() if e.filename.endswith(".npy")]


def _entry(packed: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return packed.getinfo(f"{name}.npy")
    except KeyError:
        held = ", ".join(_names(packed)) or "none"
        raise ValueError(f"it has no array {name!r}; it holds {held}") from None


def _blocks(path: Path, name: str) -> Iterator[np.ndarray]:
    """An array of an archive, some rows at a time, in its order."""
    with zipfile.ZipFile(path) as packed, packed.open(_entry(packed, name)) as file:
        header = _header(file)
        if header.fortran and len(header.shape) > 1:
            raise ValueError(f"its array {name!r} is stored column by column; save np.ascontiguousarray of it")
        row = int(np.prod(header.shape[1:])) * header.dtype.itemsize
        each = max(1, BLOCK // max(1, row))
        for first in range(0, header.shape[0], each):
            rows = min(each, header.shape[0] - first)
            content = file.read(rows * row)
            if len(content) < rows * row:
                raise ValueError(f"its array {name!r} ends at row {first + len(content) // row} of {header.shape[0]}")
            yield np.frombuffer(content, header.dtype).reshape(rows, *header.shape[1:])


def _header(file: Any) -> _Header:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"its array has format {version[0]}.{version[1]} of NumPy; expected 1.0 or 2.0")
    dims, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded; expected an array of numbers")
    if not dims:
        raise ValueError("it holds a single number; expected an array of rows")
    return _Header(dims, fortran, dtype, file.tell())


def _mapped(path: Path, header: _Header) -> np.ndarray:
    """The array whose numbers follow its header."""
    order = "F" if header.fortran else "C"
    expected = int(np.prod(header.shape)) * header.dtype.itemsize
    if (held := path.stat().st_size - header.end) < expected:
        raise ValueError(f"it is truncated: {expected:,} bytes of numbers are announced, {max(held, 0):,} are there")
    if not expected:
        raise ValueError(f"it holds not one image; its shape is {header.shape}")
    return np.memmap(path, header.dtype, "r", header.end, tuple(header.shape), order)
