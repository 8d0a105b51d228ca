"""What a table of the studio is: a state that can be checked, a computation in steps, and the same in words."""

import json
import math
import re
import shlex
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ergosum.studio.place import Place

__all__ = ["Event", "Fields", "Refused", "Table", "command_line", "number_text", "written"]


class Event(NamedTuple):
    """Something for the page to show: what it is, and plain data for JSON."""

    kind: str
    told: Mapping[str, Any]


class Refused(ValueError):
    """A setting that cannot be; the page shows the message beside the `field` that caused it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Table(Protocol):
    """One table.

    Attributes:
        name: in addresses. formats: suffixes of downloads. slow: whether a step may take many seconds, so that the work
            belongs beside the queue of quick ones.
    """

    @property
    def name(self) -> str: ...

    @property
    def formats(self) -> Sequence[str]: ...

    @property
    def slow(self) -> bool: ...

    def options(self, place: Place) -> dict[str, Any]:
        """What there is to choose, and the state to begin with; quick, for the page asks for it as it opens."""
        ...

    def state(self, told: Mapping[str, Any]) -> Any:
        """The checked state; equal states give equal results.

        Raises:
            Refused: naming the field.
        """
        ...

    def run(self, state: Any, place: Place) -> Generator[Event, None, Any]:
        """Events as they come about; returns the result. Errors are told to the page in their own words."""
        ...

    def encode(self, result: Any, suffix: str) -> bytes:
        """A result as a file."""
        ...

    def python(self, state: Any, place: Place) -> str:
        """A script that writes the picture of the state."""
        ...

    def command(self, state: Any, place: Place) -> str:
        """The command that writes the picture of the state."""
        ...


class Fields:
    """Settings of a state that came as JSON, read one by one; `done` refuses what was not asked for."""

    def __init__(self, told: Any) -> None:
        if not isinstance(told, Mapping):
            raise Refused(f"Expected settings by name, got {_kind(told)}.")
        self.told, self.read = told, set[str]()

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A finite number within bounds."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Refused(f"{name}: expected a number from {low:g} to {high:g}, got {_shown(value)}.", name)
        if not low <= value <= high:
            raise Refused(f"{name}: expected a number from {low:g} to {high:g}, got {value:g}.", name)
        return float(value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise Refused(f"{name}: expected a whole number from {low} to {high}, got {value:g}.", name)
        return int(value)

    def text(self, name: str, default: str, longest: int = 400) -> str:
        """A text of one line."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise Refused(f"{name}: expected a text, got {_shown(value)}.", name)
        if len(value) > longest:
            raise Refused(f"{name}: expected at most {longest} characters, got {len(value)}.", name)
        if not value.isprintable():
            raise Refused(f"{name}: expected one line of characters that print.", name)
        return value.strip()

    def choice(self, name: str, default: str, among: Sequence[str]) -> str:
        """One of several."""
        value = self.text(name, default)
        if value not in among:
            raise Refused(f"{name}: expected one of {', '.join(among)}, got {_shown(value)}.", name)
        return value

    def names(self, name: str, default: Sequence[str], most: int = 8) -> tuple[str, ...]:
        """Several texts, at least one, each once."""
        value = self._value(name, list(default))
        if not isinstance(value, list) or not all(isinstance(v, str) and len(v) <= 400 for v in value):
            raise Refused(f"{name}: expected a list of names, got {_shown(value)}.", name)
        if not 1 <= len(value) <= most:
            raise Refused(f"{name}: expected one to {most} names, got {len(value)}.", name)
        return tuple(dict.fromkeys(value))

    def done(self) -> None:
        """Refuse settings that are none of those that were read."""
        if unknown := sorted(set(map(str, self.told)) - self.read):
            raise Refused(f"There is no setting {_shown(unknown[0])} here; there are {', '.join(sorted(self.read))}.")

    def _value(self, name: str, default: Any) -> Any:
        self.read.add(name)
        return self.told.get(name, default)


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "a text"}.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def number_text(value: float) -> str:
    """A number as short as it can be written without loss: 3 for 3.0."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def command_line(*words: str) -> str:
    """A command of the shell, quoted where it has to be."""
    return " ".join(word if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII) else shlex.quote(word) for word in words)


def written(save: Callable[[Path], object], suffix: str) -> bytes:
    """What a function writes to a file of a suffix."""
    with tempfile.TemporaryDirectory(prefix="ergosum-") as folder:
        path = Path(folder) / f"picture{suffix}"
        save(path)
        return path.read_bytes()
