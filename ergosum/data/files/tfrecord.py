"""TFRecord files, record by record, and the `tf.train.Example` in each, without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC-32C of the length, its bytes, and their masked CRC-32C
(https://www.tensorflow.org/tutorials/load_data/tfrecord). An Example is a map from names to lists of bytes, floats or
integers in the encoding of protocol buffers (https://protobuf.dev/programming-guides/encoding).
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["crc32c", "example", "records"]

POLYNOMIAL = 0x82F63B78
"""Of CRC-32C (Castagnoli), lowest power first."""
LANE = 64
"""Bytes of a lane: long contents are cut into lanes, which are taken together."""
MOST = 2**28
"""Bytes of a record, at most: a damaged length is not believed."""
Value = bytes | list[bytes] | np.ndarray
"""Of a feature: bytes where all values are single bytes, else a list of bytes; or an array of float32 or int64."""


def records(path: Path) -> Iterator[bytes]:
    """The records of a file, compressed with gzip or not, each tested by its checksums.

    Raises:
        ValueError: if the file is truncated, a checksum differs, or it is no TFRecord file.
    """
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        number = 0
        while True:
            try:
                head = file.read(12)
                if not head:
                    return
                length, check = struct.unpack("<QI", head) if len(head) == 12 else (0, 0)
                if len(head) == 12 and _masked(head[:8]) != check:
                    where = "it is no TFRecord file" if not number else f"record {number} is damaged"
                    raise ValueError(f"{where}: the checksum of its length differs")
                if length > MOST:
                    raise ValueError(f"record {number} has {length:,} bytes; at most {MOST:,} are read")
                content = file.read(length + 4) if len(head) == 12 else b""
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ValueError(f"it is truncated or damaged within record {number}: {error}") from error
            if len(head) < 12 or len(content) < length + 4:
                raise ValueError(f"it is truncated: it ends within record {number}")
            if _masked(content[:length]) != struct.unpack("<I", content[length:])[0]:
                raise ValueError(f"record {number} is damaged: its checksum differs")
            yield content[:length]
            number += 1


def example(record: bytes) -> dict[str, Value]:
    """The features of an Example.

    Raises:
        ValueError: if the bytes are none.
    """
    features: dict[str, Value] = {}
    for _, inner in _fields(record, 1):
        for _, entry in _fields(inner, 1):
            told = dict(_fields(entry))
            if not isinstance(told.get(1), bytes) or not isinstance(told.get(2, b""), bytes):
                raise ValueError("it holds no tf.train.Example: a feature has no name")
            features[told[1].decode("utf-8", "replace")] = _feature(told.get(2, b""))
    return features


def crc32c(content: bytes) -> int:
    """CRC-32C of bytes.

    Of long contents lanes of 64 bytes are taken side by side, and their remainders put together pairwise: that of two
    lanes is that of the first, moved past the second, plus that of the second.
    """
    table, whole = _table(), len(content) // LANE
    state = 0xFFFFFFFF
    if whole > 1:
        lanes = np.frombuffer(content, np.uint8, whole * LANE).reshape(whole, LANE)
        found = np.zeros(whole, np.uint32)
        found[0] = state
        for column in lanes.T:
            found = table[(found ^ column) & 0xFF] ^ (found >> np.uint32(8))
        width = 0
        while len(found) > 1:
            odd = len(found) % 2  # a lane of zeros in front changes nothing
            found = np.concatenate([np.zeros(odd, np.uint32), found]) if odd else found
            found = _past(found[::2], width) ^ found[1::2]
            width += 1
        state, content = int(found[0]), content[whole * LANE :]
    steps: Any = table
    for byte in content:
        state = int(steps[(state ^ byte) & 0xFF]) ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _masked(content: bytes) -> int:
    value = crc32c(content)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> np.ndarray:
    """What each byte adds."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


@cache
def _moves(width: int) -> np.ndarray:
    """What each byte of a state becomes that 2 ** width lanes of zeros follow, (4, 256); moving is linear."""
    states = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    if width:
        return _past(_past(states, width - 1), width - 1)
    for _ in range(LANE):
        states = _table()[states & 0xFF] ^ (states >> np.uint32(8))
    return states


def _past(states: np.ndarray, width: int) -> np.ndarray:
    """States moved past 2 ** width lanes of zeros."""
    moves = _moves(width)
    parts = (moves[k][states >> np.uint32(8 * k) & np.uint32(0xFF)] for k in range(4))
    return np.bitwise_xor.reduce(list(parts))


def _fields(content: bytes, only: int = 0) -> Iterator[tuple[int, Any]]:
    """Number and value of every field of a message: bytes of those with a length, else an integer."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = content[at : at + size], at + size
        elif kind == 2:
            length, at = _varint(content, at)
            value, at = content[at : at + length], at + length
        else:
            raise ValueError(f"it holds no tf.train.Example: a field has the unknown kind {kind}")
        if at > len(content) or not number:
            raise ValueError("it holds no tf.train.Example: a field ends beyond its message")
        if only and number == only and kind != 2:
            raise ValueError("it holds no tf.train.Example: a message is a number")
        if not only or number == only:
            yield number, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("it holds no tf.train.Example: a number does not end")


def _feature(content: bytes) -> Value:
    """The one list that a feature holds: bytes (1), floats (2) or integers (3)."""
    for number, inner in _fields(content):
        if number == 1:
            return _bytes(inner)
        if number == 2:
            packed = [v for _, v in _fields(inner, 0)]
            return np.frombuffer(b"".join(packed), "<f4").astype(np.float32)
        if number == 3:
            return _integers(inner)
    return np.zeros(0, np.float32)


def _bytes(content: bytes) -> Value:
    """A list of bytes; where every value is a single byte, as arrays are written, all of them in one."""
    whole = np.frombuffer(content, np.uint8)
    if len(whole) and len(whole) % 3 == 0 and (whole[::3] == 0x0A).all() and (whole[1::3] == 1).all():
        return whole[2::3].tobytes()
    return [value for _, value in _fields(content, 1)]


def _integers(content: bytes) -> np.ndarray:
    found: list[int] = []
    for _, value in _fields(content):
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return np.array(found, np.uint64).astype(np.int64)
