"""A folder of films as a dataset of clips: what a user recorded, where nobody knows what changes in it.

Films are read when a clip of theirs is asked for, and the last ones are kept within a bound of memory. A film that
cannot be used is passed over, counted and named with its reason, so that one broken film among many neither stops a
training nor goes unnoticed.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ergosum.data.film_file import UnreadableFilm, films_in, frame_files, read_film
from ergosum.data.image_file import LEAST_SIDE
from ergosum.data.listing import shown
from ergosum.data.record import Clips
from ergosum.data.split import content_digest, split_files

__all__ = ["ClipFolder"]

_KEPT = 2**28
"""Bytes of films that are kept for the next clip (256 MiB)."""


class ClipFolder:
    """Clips of the films of a folder and its sub-folders (`films_in`), or of one film.

    Every film is its middle square, resized (`read_film`). A clip is a random window of a film with one frame more than
    it has steps; films are taken in random order, none twice before all have been taken. Nobody knows the factors:
    `Clips.speeds` has no column.

    About a tenth of the films may be held out, chosen by what each holds (`split_files`); copies of a film are on one
    side. Two films cut from one recording are different films: the split cannot know.

    Args:
        path: where the films lie, or one film.
        canvas: side of a frame in pixels, >= 4.
        steps: moves of a clip, >= 1: films with fewer than `steps` + 1 frames are passed over.
        split: `all`, or one part of the films: `train` or `test`.
        background: the grey in [0, 1] that transparent frames are laid on.
        device: where clips are put.
    Raises:
        FileNotFoundError: if there is no such folder, or no film in it. ValueError: if an argument is out of range, or
        nothing is left for a part.
    """

    factors: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __init__(
        self,
        path: Path | str,
        canvas: int = 28,
        *,
        steps: int = 4,
        split: Literal["all", "train", "test"] = "all",
        background: float = 0.0,
        device: str = "cpu",
    ) -> None:
        if split not in ("all", "train", "test"):
            raise ValueError(f"split: expected 'all', 'train' or 'test', got {split!r}.")
        if canvas < LEAST_SIDE:
            raise ValueError(f"canvas: expected at least {LEAST_SIDE} pixels, got {canvas!r}.")
        if steps < 1:
            raise ValueError(f"steps: expected an integer >= 1, got {steps!r}.")
        if not 0 <= background <= 1:
            raise ValueError(f"background: expected a grey in 0 .. 1, got {background!r}.")
        self.path, self.canvas, self.steps, self.split = Path(path), canvas, steps, split
        self.background, self.device = background, torch.device(device)
        self.skipped: dict[Path, str] = {}
        """Films of this part that cannot be used, as far as they have been looked at, and why."""
        self.source = shown(self.path)
        self._kept: OrderedDict[Path, Tensor] = OrderedDict()
        self._lengths: dict[Path, int] = {}
        self.films = self._listed()
        """The films of this part in natural order, those in `skipped` too."""

    @property
    def side(self) -> int:
        """Side of a frame in pixels, the `canvas`."""
        return self.canvas

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what is drawn, as plain values."""
        return {"path": self.source, "canvas": self.canvas, "steps": self.steps, "split": self.split,
                "background": self.background, "sha256": self.digest()}  # fmt: skip

    def __len__(self) -> int:
        return len(self.films)

    def digest(self) -> str:
        """Tells these films from others: the first 16 hexadecimal digits of the SHA-256 of what they hold."""
        return hashlib.sha256(b"".join(_digest(path) for path in self.films)).hexdigest()[:16]

    def check(self) -> int:
        """Read every film once, so that `skipped` tells of all that cannot be used; the number of those that can."""
        return sum(self._length(path) > 0 for path in self.films)

    def clips(self, n: int, steps: int, generator: Generator) -> Clips:
        """`n` random clips of `steps` moves (`steps` + 1 frames).

        The same generator gives the same clips, whatever was read before. Every film is equally likely, however long it
        is, and so is every window of a film.

        Args:
            steps: films that are too short for more steps than the dataset was made for are passed over, too.
        Shape:
            frames: (n, steps + 1, 3, canvas, canvas). speeds: (n, steps, 0).
        Raises:
            ValueError: if `n` or `steps` < 1, or no film is long enough. OSError: if not one film can be used.
        """
        if n < 1 or steps < 1:
            raise ValueError(f"clips: expected n >= 1 clips of steps >= 1, got n = {n!r}, steps = {steps!r}.")
        order: list[Path] = []
        while len(order) < n:
            shuffled = torch.randperm(len(self), generator=generator, device=generator.device).tolist()
            usable = [self.films[i] for i in shuffled if self._length(self.films[i]) > steps]
            if not usable:
                raise self._none_usable(steps)
            order += usable
        place = torch.rand(n, generator=generator, device=generator.device).tolist()
        frames = torch.empty(n, steps + 1, 3, self.canvas, self.canvas)
        for path in dict.fromkeys(order[:n]):  # one film after another, however small the store is
            film = self._frames(path)
            if film is None:
                raise OSError(f"{shown(path)} was read before and cannot be now: {self.skipped[path]}.")
            for row in (i for i in range(n) if order[i] == path):
                first = int(place[row] * (len(film) - steps))
                frames[row] = film[first : first + steps + 1]
        return Clips(frames.to(self.device), torch.zeros(n, steps, 0, device=self.device))

    def _listed(self) -> list[Path]:
        if not self.path.exists():
            raise FileNotFoundError(f"No such folder of films: {shown(self.path)}.")
        found = list(films_in(self.path, self.skipped.__setitem__)) if self.path.is_dir() else [self.path]
        if not found:
            raise FileNotFoundError(
                f"No films in {shown(self.path)}: expected sub-folders of frames, animated images, arrays (.npy, .npz) "
                "or videos."
            )
        if self.split == "all":
            return found
        train, test = split_files(found, _digest, "films")
        return train if self.split == "train" else test

    def _none_usable(self, steps: int) -> Exception:
        if self._lengths:
            longest = max(self._lengths.values())
            return ValueError(f"steps: no film in {self.source} has {steps + 1} frames; the longest has {longest}.")
        path = next(path for path in self.films if path in self.skipped)
        return OSError(
            f"Not one of the {len(self)} films in {self.source} could be used; the first: {shown(path)}: "
            f"{self.skipped[path]}."
        )

    def _length(self, path: Path) -> int:
        """Frames of a film, 0 if it cannot be used."""
        if path not in self._lengths:
            self._frames(path)
        return self._lengths.get(path, 0)

    def _frames(self, path: Path) -> Tensor | None:
        """The frames of a film, or None, and the reason in `skipped`."""
        if path in self.skipped:
            return None
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        try:
            frames = read_film(path, self.canvas, background=self.background).frames
        except UnreadableFilm as error:
            self.skipped[path] = error.reason
            return None
        except OSError as error:  # gone since the folder was listed
            self.skipped[path] = str(error).rstrip(".")
            self._lengths.pop(path, None)
            return None
        if len(frames) <= self.steps:
            self.skipped[path] = f"it has {len(frames)} frames; clips of {self.steps} steps need {self.steps + 1}"
            return None
        self._lengths[path] = len(frames)
        self._kept[path] = frames
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > _KEPT:
            self._kept.popitem(last=False)
        return frames


def _digest(path: Path) -> bytes:
    """What a film holds, whatever it is called: of a folder, what its frames hold, in their order."""
    held: Sequence[Path] = frame_files(path) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(content_digest(file) for file in held)).digest()
