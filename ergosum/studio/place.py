"""What a computation of the studio may see: the models under the root and those that ship, and one person's uploads."""

import json
import re
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ergosum

if TYPE_CHECKING:
    from torch import nn

    from ergosum.training.experiment import Experiment

__all__ = ["LARGEST", "Models", "NotHere", "Place", "Results", "Session", "Sessions", "Upload"]

LARGEST = 10 * 2**20
"""Bytes of an upload, at most."""
UPLOADS = 16
"""Uploads of a session that are kept; the one used longest ago goes first."""
RESULTS = 6
"""Results of a session that are kept for downloads."""
TOGETHER = 24
"""Results of all sessions that are kept; the one made or asked for longest ago goes first, and is computed anew."""
SESSIONS = 64
"""Sessions that are kept; the one used longest ago goes first."""
MODELS = 8
"""Models in memory, at most."""
DEPTH = 3
"""Folders below the root in which runs are looked for."""
RUNS = 400
"""Runs that are listed, at most."""
PARTS = ("recipe.json", "run.json", "metrics.jsonl", "model.safetensors", "scores.json", "report.html", ".lock")
"""What is read of a run folder."""
CARDS = Path(ergosum.__file__).parent / "zoo" / "cards"
"""Run folders that ship; `training.runfolder` has them too, and imports torch."""


class NotHere(ValueError):
    """A model, run or upload that there is none of in this place; the message says what to do."""


class Upload(NamedTuple):
    """A file that a person gave: where it lies, what they called it, and whether it is an image or a film."""

    id: str
    path: Path
    name: str
    kind: str


class Results:
    """Results that are kept for downloads, by whose they are and what they are called: few of each, and few in all."""

    def __init__(self) -> None:
        self.held: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self.lock = threading.Lock()

    def keep(self, owner: str, key: str, result: Any) -> None:
        """Keep a result, in the place of those used longest ago."""
        with self.lock:
            self.held[owner, key] = result
            self.held.move_to_end((owner, key))
            own = [name for name in self.held if name[0] == owner]
            for name in own[: max(0, len(own) - RESULTS)]:
                del self.held[name]
            while len(self.held) > TOGETHER:
                self.held.popitem(last=False)

    def of(self, owner: str, key: str) -> Any:
        """A result that is kept, or None."""
        with self.lock:
            if (owner, key) in self.held:
                self.held.move_to_end((owner, key))
            return self.held.get((owner, key))

    def drop(self, owner: str) -> None:
        """Drop all of one's results."""
        with self.lock:
            for name in [name for name in self.held if name[0] == owner]:
                del self.held[name]


class Session:
    """What one browser gave and was given; no other one sees it.

    Args:
        root: folder in which it has one for its uploads. results: where those of all sessions are kept.
    """

    def __init__(self, root: Path, results: Results) -> None:
        self.folder = root / secrets.token_hex(8)
        self.uploads: OrderedDict[str, Upload] = OrderedDict()
        self.results = results
        self.lock = threading.Lock()

    def keep(self, content: bytes, name: str, suffix: str, kind: str) -> Upload:
        """Keep an upload; the same content and name again is the same upload."""
        key = sha256(name.encode() + b"\0" + content).hexdigest()[:16]
        with self.lock:
            if key not in self.uploads:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / f"{key}{suffix}"
                path.write_bytes(content)
                self.uploads[key] = Upload(key, path, name, kind)
            self.uploads.move_to_end(key)
            while len(self.uploads) > UPLOADS:
                self.uploads.popitem(last=False)[1].path.unlink(missing_ok=True)
            return self.uploads[key]

    def forget(self, upload: Upload) -> None:
        """Drop an upload."""
        with self.lock:
            if self.uploads.pop(upload.id, None):
                upload.path.unlink(missing_ok=True)

    def upload(self, key: str) -> Upload:
        """An upload by its id.

        Raises:
            NotHere: if this session has none of that id.
        """
        with self.lock:
            if key not in self.uploads:
                raise NotHere("This file was uploaded in another session, or is no longer kept; upload it again.")
            self.uploads.move_to_end(key)
            return self.uploads[key]

    def remember(self, key: str, result: Any) -> None:
        """Keep a result for downloads."""
        self.results.keep(self.folder.name, key, result)

    def result(self, key: str) -> Any:
        """A result that is kept, or None."""
        return self.results.of(self.folder.name, key)

    def end(self) -> None:
        """Delete what was uploaded, and drop the results."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.results.drop(self.folder.name)


class Sessions:
    """The sessions that there are, by the random name that a browser's cookie holds."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ergosum-studio-"))
        self.results = Results()
        self.held: OrderedDict[str, Session] = OrderedDict()

    def of(self, cookie: str) -> tuple[str, Session]:
        """The session of a cookie, or a new one, with its name."""
        if cookie not in self.held:
            cookie = secrets.token_urlsafe(24)
            self.held[cookie] = Session(self.folder, self.results)
        self.held.move_to_end(cookie)
        while len(self.held) > SESSIONS:
            self.held.popitem(last=False)[1].end()
        return cookie, self.held[cookie]

    def end(self) -> None:
        """Delete what all of them uploaded."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Models:
    """Runs below a root and cards that ship, found by name and loaded once.

    Args:
        root: folder of runs, as the user named it; names of runs are paths relative to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loaded: OrderedDict[tuple[str, int], tuple[Experiment, nn.Module]] = OrderedDict()
        self.lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """The folder of a card or run.

        Raises:
            NotHere: if there is none of that name below the root.
        """
        if re.fullmatch(r"[\w-]+", name) and (CARDS / name / "recipe.json").is_file():
            return CARDS / name
        if "\0" not in name and self._holds(self.root / name):
            return self.root / name
        raise NotHere(f"There is no card, and no run under {self.root}, called {name[:80]!r}.")

    def _holds(self, folder: Path) -> bool:
        """Whether a folder is a run below the root, with nothing in it that leads elsewhere."""
        root = self.root.resolve()
        try:
            inside = folder.resolve().is_relative_to(root) and (folder / "recipe.json").is_file()
            return inside and all((folder / part).resolve().is_relative_to(root) for part in PARTS)
        except OSError:
            return False

    def load(self, name: str) -> "tuple[Experiment, nn.Module]":
        """Experiment and model, whose weights ask for no gradient; classes from outside of the package are refused."""
        from ergosum.training.runfolder import load_predictor

        folder = self.folder(name)
        weights = folder / "model.safetensors"
        key = name, weights.stat().st_mtime_ns if weights.is_file() else 0
        with self.lock:
            if key not in self.loaded:
                experiment, model = load_predictor(folder)
                self.loaded[key] = experiment, model.requires_grad_(False)
            self.loaded.move_to_end(key)
            while len(self.loaded) > MODELS:
                self.loaded.popitem(last=False)
            return self.loaded[key]

    def told(self, name: str) -> str:
        """What a command calls it: the name of a card, or the path of a run."""
        folder = self.folder(name)
        return name if folder.parent == CARDS else str(folder)

    def cards(self) -> list[str]:
        """Names of all cards."""
        return sorted(path.parent.name for path in CARDS.glob("*/recipe.json"))

    def runs(self) -> list[str]:
        """Names of all runs below the root, at most `RUNS`."""
        found: list[str] = []
        waiting = [(self.root, 0)]
        while waiting and len(found) < RUNS:
            folder, depth = waiting.pop(0)
            try:
                inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
            except OSError:
                continue
            for path in inner:
                if (path / "recipe.json").is_file():
                    if self._holds(path):
                        found.append(path.relative_to(self.root).as_posix())
                elif depth + 1 < DEPTH:
                    waiting.append((path, depth + 1))
        return sorted(found)[:RUNS]

    def of_system(self, fits: Callable[[str, Mapping[str, Any]], bool], trained: bool = True) -> list[str]:
        """Cards and runs whose recipe fits: called with the task's class and the task's settings as they are written.

        Args:
            trained: whether weights have to be there.
        """
        found = []
        for name in [*self.cards(), *self.runs()]:
            folder = self.folder(name)
            if trained and not (folder / "model.safetensors").is_file():
                continue
            try:
                task = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["task"]
                if fits(str(task["class"]), task):
                    found.append(name)
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found


class Place(NamedTuple):
    """Where a computation takes place.

    Attributes:
        models: of everyone. session: of the person who asked. tell: shows an event at once, for what cannot be done in
            steps; raises if the person is gone.
    """

    models: Models
    session: Session
    tell: Callable[[str, Mapping[str, Any]], None] = lambda kind, told: None
