"""Films as users have them: a folder of frames, an animated image, an array, or a video, read within a bound of memory.

    film = read_film("walk.gif", 28)
    film.frames                          # (time, 3, 28, 28) in [0, 1]

Every frame becomes its middle square, resized, as single images are (`image_file`). What no model of change can learn
from or read is refused in one line that says why: one frame only, frames of different sizes, no change at all.
"""

import importlib
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ergosum.data.image_file import (
    LEAST_SIDE,
    MOST_PIXELS,
    Square,
    UnreadableImage,
    as_square,
    is_animated,
    read_square,
    read_squares,
)
from ergosum.data.listing import SUFFIXES, folders, shown
from ergosum.data.placement import Placement

__all__ = ["ARRAYS", "MOST_FRAMES", "VIDEOS", "Film", "UnreadableFilm", "films_in", "frame_files", "read_film"]

MOST_FRAMES = 20_000
"""Frames of a film that are read, at most; fewer where they would hold more than `_MOST_VALUES` numbers."""
ARRAYS = (".npy", ".npz")
VIDEOS = {".avi": "avi", ".m4v": "mov", ".mkv": "matroska", ".mov": "mov", ".mp4": "mov", ".webm": "matroska"}
"""How the names of videos end, and the format that each is read as, whatever it holds: a list of addresses named x.mp4
would have other files opened."""
_ANIMATED = (".apng", ".gif", ".png", ".tif", ".tiff", ".webp")
"""Images that may have several frames."""
_MOST_VALUES = 2**28
"""Numbers of a film in memory, at most (1 GiB)."""
_MOST_UNPACKED = 2**30
"""Bytes that a packed array may hold."""
_SLACK = 1e-3
"""How far beyond [0, 1] floats may be, which are then cut."""
_SEEN = 0.5 / 255
"""The least change that a frame of 8 bits shows."""


class UnreadableFilm(OSError):
    """What is no film that can be read; `reason` says why in one line, without the name of the file."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{shown(path)} could not be read as a film: {reason}.")
        self.reason = reason


class Film(NamedTuple):
    """The frames of a film on square canvases.

    Args:
        frames: in the order of time. placement: where the canvas lies on each frame of the film, for the way back to
            its own pixels. seconds: how long each frame stands, NaN where the film does not say.
    Shape:
        frames: (time, 3, side, side), float32 in [0, 1], time >= 2. seconds: (time,).
    """

    frames: Tensor
    placement: Placement
    seconds: Tensor


class _Shot(NamedTuple):
    """One frame as it was read: pixels (side, side, 3), bytes or floats."""

    pixels: np.ndarray
    placement: Placement
    seconds: float


def read_film(path: Path | str, side: int, *, background: float = 0.0, most: int | None = None) -> Film:
    """The frames of a film: the middle square of each, resized to `side` pixels (Lanczos).

    A film is one of these, told apart by its name:

    - a folder of images, one for each frame, in natural order (frame2 before frame10); sub-folders, animated images and
      names that begin with a dot are passed over;
    - an animated GIF, PNG or WebP, or a TIFF of several pages, with every frame that is stored (equal ones are often
      stored once, standing longer: see `Film.seconds`);
    - a NumPy array of frames, `.npy`, or `.npz` with one array or one called `frames`: (time, H, W), (time, H, W, 1),
      (time, H, W, 3), (time, 1, H, W) or (time, 3, H, W), bytes 0 .. 255 or floats 0 .. 1. Frames that are squares of
      `side` pixels keep their values exactly;
    - a video (MP4, MOV, WebM, MKV, AVI), where PyAV is installed: `pip install 'ergosum[video]'`.

    Args:
        side: pixels of the result, >= 4. background: the grey in [0, 1] on which transparent frames are laid. most:
            frames beyond which a film is refused, >= 2.
    Raises:
        FileNotFoundError: if there is no such file or folder. ValueError: if `side`, `background` or `most` is out of
        range. UnreadableFilm, an OSError: if it cannot be read; one of its frames cannot; it has one frame only, or
        more than `most` or a GiB of them; frames differ in size; no frame differs from the next; or it holds NaN.
    """
    if side < LEAST_SIDE:
        raise ValueError(f"side: expected at least {LEAST_SIDE} pixels, got {side!r}.")
    if not 0 <= background <= 1:
        raise ValueError(f"background: expected a grey in 0 .. 1, got {background!r}.")
    most = MOST_FRAMES if most is None else most
    if most < 2:
        raise ValueError(f"most: expected at least 2 frames, got {most!r}.")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"No such film: {shown(path)}.")
    try:
        return _film(_shots(path, side, background), side, most)
    except UnreadableImage as error:
        raise UnreadableFilm(path, error.reason) from error
    except (OSError, ValueError) as error:
        raise UnreadableFilm(path, _line(error)) from error
    except Exception as error:  # for damaged files decoders raise nearly every exception that Python has
        raise UnreadableFilm(path, f"it is damaged: {_line(error)}") from error


def films_in(folder: Path | str, report: Callable[[Path, str], object] | None = None) -> Iterator[Path]:
    """Every film of a folder and its sub-folders: film files, and folders that hold frames, in natural order.

    A folder of still images is one film; the folder itself is one too if it holds two still images or more. A GIF that
    cannot be read counts as a film, so that it is told of when it is read. What is passed over elsewhere is passed over
    here, see `image_files`.

    Args:
        folder: where to look. report: called with the path and the reason for each folder that cannot be listed.
    Raises:
        FileNotFoundError: if there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"No such folder of films: {shown(root)}.")
    for path, files in folders(root, report, key=_natural):
        films = [file for file in files if _is_film(file)]
        frames = [file for file in files if file.suffix.lower() in SUFFIXES and file not in films]
        if len(frames) > (path == root):
            yield path
        yield from films


def frame_files(folder: Path | str) -> list[Path]:
    """The still images that lie in a folder itself, in natural order: frame2 before frame10."""
    _, files = next(folders(Path(folder), None, key=_natural), (None, []))
    return [path for path in files if path.suffix.lower() in SUFFIXES and not _is_film(path)]


def _is_film(path: Path) -> bool:
    """Whether a file is a film by itself, and not a frame of one."""
    suffix = path.suffix.lower()
    if suffix in ARRAYS or suffix in VIDEOS or suffix == ".apng":
        return True
    return suffix in _ANIMATED and (is_animated(path) or (suffix == ".gif" and not _is_image(path)))


def _is_image(path: Path) -> bool:
    try:
        read_square(path, LEAST_SIDE)
    except OSError:
        return False
    return True


def _shots(path: Path, side: int, background: float) -> Iterator[_Shot]:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _from_folder(path, side, background)
    if suffix in ARRAYS:
        return _from_array(path, side)
    if suffix in VIDEOS:
        return _from_video(path, side, VIDEOS[suffix])
    return (_Shot(*square, seconds) for square, seconds in read_squares(path, side, background))


def _film(shots: Iterator[_Shot], side: int, most: int) -> Film:
    """The film of what was read, checked; as soon as something is wrong, no more is read."""
    most = min(most, _MOST_VALUES // (3 * side * side))
    first = next(shots, None)
    if first is None:
        raise ValueError("it has no frames")
    taken: list[_Shot] = []
    for shot in chain([first], shots):
        if shot.placement.size != first.placement.size:
            (a, b), (c, d) = first.placement.size, shot.placement.size
            raise ValueError(f"frames differ in size: the first has {a}x{b} pixels, frame {len(taken) + 1} {c}x{d}")
        if len(taken) == most:
            raise ValueError(f"it has more than {most:,} frames, the most that are read at {side} pixels; cut it")
        taken.append(shot)
    if len(taken) == 1:
        raise ValueError("it has one frame only; expected two or more")
    frames = torch.from_numpy(np.stack([shot.pixels for shot in taken])).permute(0, 3, 1, 2).contiguous()
    frames = frames.float().div_(255) if frames.dtype == torch.uint8 else frames
    _refuse_unchanging(frames)
    return Film(frames, first.placement, torch.tensor([shot.seconds for shot in taken]))


def _refuse_unchanging(frames: Tensor) -> None:
    low, high = frames.amin((0, 2, 3)), frames.amax((0, 2, 3))
    if (high - low).max() < _SEEN:
        what = "black" if high.max() < _SEEN else "one colour"
        raise ValueError(f"every frame is {what}")
    if all((b - a).abs().max() < _SEEN for a, b in pairwise(frames)):
        raise ValueError("no frame differs from the next; expected some change")


def _from_folder(path: Path, side: int, background: float) -> Iterator[_Shot]:
    for file in frame_files(path):
        try:
            yield _Shot(*read_square(file, side, background), math.nan)
        except UnreadableImage as error:
            raise ValueError(f"its frame {shown(file.name)}: {error.reason}") from error


def _from_array(path: Path, side: int) -> Iterator[_Shot]:
    frames = _layout(_array(path))
    if frames.dtype == np.bool_:
        frames = frames.astype(np.uint8) * np.uint8(255)
    if frames.dtype != np.uint8 and not np.issubdtype(frames.dtype, np.floating):
        raise ValueError(f"its numbers are {frames.dtype}; expected bytes (uint8) 0 .. 255 or floats 0 .. 1")
    highest = 0
    for number, frame in enumerate(frames):
        yield _Shot(*_array_square(np.asarray(frame), number, side), math.nan)
        highest = max(highest, frame.max())
    if frames.dtype == np.uint8 and highest == 1:
        raise ValueError("it holds bytes 0 and 1 alone, which would be almost black; save x.astype('float32')")


def _array(path: Path) -> np.ndarray:
    """The array of a file; a packed one is unpacked only within `_MOST_UNPACKED`."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with zipfile.ZipFile(path) as packed:
            names = [entry for entry in packed.infolist() if entry.filename.endswith(".npy")]
        chosen = [entry for entry in names if len(names) == 1 or entry.filename == "frames.npy"]
        if not chosen:
            held = ", ".join(entry.filename.removesuffix(".npy") for entry in names) or "none"
            raise ValueError(f"expected one array, or one called frames; it holds {held}")
        if chosen[0].file_size > _MOST_UNPACKED:
            raise ValueError(f"its array unpacks to {chosen[0].file_size:,} bytes; at most {_MOST_UNPACKED:,} are read")
        with np.load(path, allow_pickle=False) as archive:
            return archive[chosen[0].filename.removesuffix(".npy")]
    except ValueError as error:
        if "Python objects" in str(error) or "pickle" in str(error):
            raise ValueError("it holds Python objects; expected one array of numbers (time, H, W, 3)") from error
        raise
    except (EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"it is no array of NumPy: {error}") from error


def _layout(array: Any) -> np.ndarray:
    """Frames as (time, H, W) or (time, H, W, 1 or 3)."""
    shape = getattr(array, "shape", ())
    if len(shape) == 4 and shape[-1] not in (1, 3) and shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    elif not (len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))):
        raise ValueError(f"its shape is {shape}; expected (time, H, W), (time, H, W, 3) or (time, 3, H, W)")
    height, width = array.shape[1:3]
    if min(height, width) < LEAST_SIDE:
        raise ValueError(f"its frames have {width}x{height} pixels; expected at least {LEAST_SIDE}x{LEAST_SIDE}")
    if height * width > MOST_PIXELS:
        raise ValueError(f"its frames have {width}x{height} pixels; at most {MOST_PIXELS:,} are read")
    return array


def _array_square(frame: np.ndarray, number: int, side: int) -> Square:
    """Bytes become bytes, as images do; floats stay floats."""
    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[..., 0]
    if frame.dtype == np.uint8:
        return as_square(Image.fromarray(np.ascontiguousarray(frame)), side)
    values = np.stack([frame] * 3, 2) if frame.ndim == 2 else frame
    values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"frame {number + 1} holds NaN or infinity")
    low, high = values.min(), values.max()
    if low < -_SLACK or high > 1 + _SLACK:
        raise ValueError(f"frame {number + 1} holds floats from {low:g} to {high:g}; expected 0 .. 1")
    height, width = values.shape[:2]
    shorter = min(height, width)
    left, top = (width - shorter) // 2, (height - shorter) // 2
    values = values[top : top + shorter, left : left + shorter]
    if shorter != side:
        planes = (Image.fromarray(np.ascontiguousarray(values[..., c])) for c in range(3))
        values = np.stack([np.asarray(p.resize((side, side), Image.Resampling.LANCZOS)) for p in planes], 2)
    return Square(values.clip(0, 1), Placement((width, height), (left, top, left + shorter, top + shorter)))


def _from_video(path: Path, side: int, kind: str) -> Iterator[_Shot]:
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise ValueError(f"it is a video, which needs PyAV: pip install 'ergosum[video]' ({error})") from error
    try:
        with av.open(str(path), format=kind) as container:
            if not container.streams.video:
                raise ValueError("it holds no images")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise ValueError("its images are damaged, or coded in a way that PyAV does not know")
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width}x{height} pixels; at most {MOST_PIXELS:,} are decoded; save it smaller")
            seconds = float(1 / stream.average_rate) if stream.average_rate else math.nan
            for frame in container.decode(stream):
                pixels = frame.to_ndarray(format="rgb24")
                turned = np.rot90(pixels, round(frame.rotation / 90))  # a telephone stores how it was held
                if min(turned.shape[:2]) < LEAST_SIDE:
                    raise ValueError(f"{width}x{height} pixels; expected at least {LEAST_SIDE}x{LEAST_SIDE}")
                yield _Shot(*as_square(Image.fromarray(np.ascontiguousarray(turned)), side), seconds)
    except av.FFmpegError as error:
        raise ValueError(f"it is no video that can be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """A key that sorts numbers within names by their value."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts if p], path.name
