"""A part: a class and its arguments as data, built late with what the surrounding supplies.

A network, data set, objective, sampler or metric is an ordinary class whose settings are its constructor's arguments,
declared once, there. A recipe holds `Part`s, so that it can be printed, stored, changed and compared before anything is
built:

    >>> from ergosum.nets import Transport
    >>> energy = Part(Transport, width=16)
    >>> energy.to_dict()
    {'class': 'ergosum.nets.transport.Transport', 'width': 16}
    >>> energy.build(code=4, side=28, channels=3).body.stem.out_channels
    16

`build` hands on of what it is offered only what the constructor takes (`channels` is not, above), so a part asks for
what it needs by the names of its arguments. The rooms of the package whose public classes may be named by their short
names are listed in `ROOMS`; classes from elsewhere are named in full, and only modules that the user trusts are
imported.
"""

import functools
import importlib
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = [
    "ROOMS", "Part", "admits", "described", "exported", "fits", "hints", "kind_of", "parameters", "part_from",
    "resolve",
]  # fmt: skip

T = TypeVar("T")

ROOMS = (
    "ergosum.nets", "ergosum.data", "ergosum.energies", "ergosum.samplers", "ergosum.metrics", "ergosum.decomposer",
    "ergosum.temporal", "ergosum.temporal.discovery", "ergosum.decomposition",
    "ergosum.density", "ergosum.concepts",
)  # fmt: skip
"""Rooms whose public classes are parts; what a system needs alone lies in the system."""


class Part(Generic[T]):
    """A class (or function) and keyword arguments.

    Args:
        cls: what will be built. arguments: by name; values are plain data or parts.
    Raises:
        TypeError: if `cls` is neither class nor function. ValueError: if an argument has a name that it does not take.
    """

    __slots__ = ("arguments", "cls")

    def __init__(self, cls: Callable[..., T], /, **arguments: Any) -> None:
        if not callable(cls):
            raise TypeError(f"Part: expected a class or function, got {type(cls).__name__}.")
        self.cls = cls
        self.arguments = arguments
        known = parameters(cls)
        for name in arguments:
            if name not in known and not _takes_any(cls):
                near = get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"{cls.__name__} takes no {name!r}; {hint}it takes {', '.join(known) or 'nothing'}.")

    def build(self, **supplied: Any) -> T:
        """Make the object; of what is supplied it gets what it takes and what its own arguments do not say.

        Raises:
            ValueError: if an argument is missing, or has a value that the constructor refuses.
        """
        known = parameters(self.cls)
        given = {k: v for k, v in supplied.items() if k in known and k not in self.arguments} | self.arguments
        if inspect.isfunction(self.cls):
            return functools.partial(self.cls, **given)  # type: ignore[return-value]
        missing = [n for n, p in known.items() if p.default is inspect.Parameter.empty and n not in given]
        if missing:
            raise ValueError(f"{self.cls.__name__} needs {', '.join(missing)}; pass it.")
        return self.cls(**given)

    def but(self, **changes: Any) -> "Part[T]":
        """A copy with other arguments; a dict changes the arguments it names of a part within."""
        merged = dict(self.arguments)
        for name, value in changes.items():
            merged[name] = self.get(name).but(**value) if isinstance(value, dict) else value
        return Part(self.cls, **merged)

    def get(self, name: str) -> Any:
        """The value of an argument, or its default."""
        if name in self.arguments:
            return self.arguments[name]
        return parameters(self.cls)[name].default

    def settings(self) -> dict[str, Any]:
        """All arguments by name, defaults included; those that the surrounding supplies are left out."""
        given = {n: p.default for n, p in parameters(self.cls).items() if p.default is not inspect.Parameter.empty}
        return given | self.arguments

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the class by its full name, and the arguments."""
        return {"class": f"{self.cls.__module__}.{self.cls.__qualname__}"} | {
            k: _plain(v) for k, v in self.arguments.items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.cls)

    def __repr__(self) -> str:
        return f"Part({', '.join([self.cls.__name__, *(f'{k}={v!r}' for k, v in self.arguments.items())])})"


def part_from(value: Any, trust: tuple[str, ...] = (), kind: Any = None, where: str = "class") -> Part[Any]:
    """The part that `to_dict` described.

    Args:
        trust: modules outside of the package that may be imported. kind: what its class must be, see `fits`.
        where: its place in a recipe, for messages.
    Raises:
        ValueError: if the class is unknown, not trusted or of another kind, or an argument is none of its own.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("class"), str):
        raise ValueError(f"{where}: expected a part, {{'class': NAME, argument: value, ...}}, got {value!r}.")
    cls = resolve(value["class"], trust, kind, where)
    known = hints(cls)
    arguments = {
        name: valued(v, known.get(name), trust, f"{where}.{name}") for name, v in value.items() if name != "class"
    }
    return Part(cls, **arguments)


def valued(value: Any, hint: Any, trust: tuple[str, ...], where: str) -> Any:
    """Plain data as what an argument of type `hint` takes: parts from their descriptions, tuples from lists.

    Raises:
        ValueError: if it is of another type.
    """
    if isinstance(value, Mapping) and "class" in value:
        value = part_from(value, trust, kind_of(hint), where)
    elif isinstance(value, list | tuple):
        value = tuple(valued(v, inner, trust, where) for v, inner in zip(value, _each(hint, len(value)), strict=True))
    if not admits(value, hint):
        raise ValueError(f"{where}: expected {described(hint)}, got {value!r}.")
    return value


def _each(hint: Any, count: int) -> Sequence[Any]:
    """The type of each of so many values of a list, where one may stand; None where nothing is known of it."""
    among = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    lists = [get_args(a) for a in among if get_origin(a) in (tuple, list, Sequence)]
    held = next((inner for inner in lists if inner[1:] not in ((), (...,)) and len(inner) == count), None)
    return held or [next((inner[0] for inner in lists), None)] * count


def admits(value: Any, hint: Any) -> bool:
    """Whether plain data are of a type; a type that is not plain admits anything."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner and isinstance(value, str) == any(isinstance(i, str) for i in inner)
    if origin in (Union, types.UnionType):
        return any(admits(value, i) for i in inner)
    if origin in (tuple, Sequence):
        any_length = isinstance(value, tuple) and (origin is Sequence or inner[1:] == (...,))
        each = inner[:1] * len(value) if any_length else inner
        return isinstance(value, tuple) and len(value) == len(each) and all(map(admits, value, each))
    if origin is Part or hint is Part:
        return isinstance(value, Part)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool, type(None)) else True


def described(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(described, inner))
    if origin in (tuple, Sequence):
        any_length = origin is Sequence or inner[1:] == (...,)
        return f"a list of {described(inner[0])}" if any_length else f"{len(inner)} values"
    if origin is Part or hint is Part:
        return "a part"
    words = {int: "an integer", float: "a number", str: "text", bool: "true or false", type(None): "nothing"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def resolve(name: str, trust: tuple[str, ...] = (), kind: Any = None, where: str = "class") -> Callable[..., Any]:
    """The class called `name`: short for one that a room of the package exports, in full for any other.

    Nothing outside the package is imported unless its module, or a package that holds it, is in `trust`; a module that
    the calling program has imported itself is trusted.

    Raises:
        ValueError: if there is no such class, its module is not trusted, or it is no part of the kind that fits here.
    """
    if not isinstance(name, str):
        raise ValueError(f"{where}: expected the name of a class, got {name!r}.")
    module, _, short = name.rpartition(".")
    if not module or module.split(".")[0] == "ergosum":
        found = _of_room(module, short) if module else next((c for c in exported() if c.__name__ == short), None)
        if found is None:
            fitting = [c.__name__ for c in exported() if kind is None or fits(c, kind)]
            near = get_close_matches(short, fitting, 3)
            known = "`ergosum parts` lists them" if kind is None else f"expected one of {', '.join(fitting)}"
            hint = f"did you mean {', '.join(near)}?" if near else f"{known}, or a class of your own, MODULE.CLASS."
            raise ValueError(f"{where}: {name!r} is no part of ergosum; {hint}")
    else:
        found = _foreign(name, module, short, trust, where)
    if kind is not None and found is not kind and not fits(found, kind):
        fitting = ", ".join(c.__name__ for c in exported() if fits(c, kind))
        raise ValueError(f"{where}: {name} is no {_called(kind)}; expected one such as {fitting}.")
    return found


def _of_room(module: str, short: str) -> Any:
    """What the room that a module of the package belongs to exports under a name; None if it is no part."""
    room = max((r for r in ROOMS if module == r or module.startswith(f"{r}.")), key=len, default=None)
    home = importlib.import_module(room) if room else None
    found = getattr(home, short) if short in getattr(home, "__all__", ()) else None
    return found if module in (room, getattr(found, "__module__", None)) else None


def _foreign(name: str, module: str, short: str, trust: tuple[str, ...], where: str) -> Callable[..., Any]:
    if module.split(".")[0] in sys.stdlib_module_names - {"__main__"}:
        raise ValueError(f"{where}: {name} is no part: {module} belongs to Python itself.")
    trusted = any(module == t or module.startswith(f"{t}.") for t in trust)
    if not trusted and (module not in sys.modules or not _from_user(module)):
        raise ValueError(
            f"{where}: {name} is from a module that is not trusted; if you know it, add --trust {module.split('.')[0]}."
        )
    try:
        found = getattr(importlib.import_module(module), short, None)
    except ImportError as error:
        raise ValueError(f"{where}: cannot import {module} ({error}); run where Python finds it.") from error
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        raise ValueError(f"{where}: {module} has no class {short!r}.")
    home = found.__module__
    if home.split(".")[0] not in (module.split(".")[0], "ergosum"):  # what a module imported is not its own
        raise ValueError(f"{where}: {name} is no part: {module} has it from {home}; name it there.")
    return found


def _from_user(module: str) -> bool:
    """Whether a loaded module is a program's own, rather than a library that something else imported."""
    path = getattr(sys.modules[module], "__file__", None)
    if path is None:  # a prompt's own; other modules without a file belong to libraries
        return module == "__main__"
    return not {"site-packages", "dist-packages"} & set(Path(path).parts)


@functools.cache
def exported() -> tuple[Callable[..., Any], ...]:
    """All public classes and functions of the rooms, each once."""
    found: dict[Callable[..., Any], None] = {}
    for room in ROOMS:
        home = importlib.import_module(room)
        for name in getattr(home, "__all__", ()):
            thing = getattr(home, name)
            if inspect.isfunction(thing) or (inspect.isclass(thing) and not issubclass(thing, BaseException)):
                found[thing] = None
    return tuple(found)


def fits(cls: Any, kind: Any) -> bool:
    """Whether a class is of a kind: a subclass of it, or for a protocol, one with all of its methods.

    Where a method of the protocol gives a record, one that says it gives something else is another method.
    """
    if cls is kind:
        return False
    if getattr(kind, "_is_protocol", False):
        if not inspect.isclass(cls) or getattr(cls, "_is_protocol", False):
            return False
        asked = {n: m for n, m in vars(kind).items() if callable(m) and not n.startswith("_")}
        own = {n: getattr(cls, n, None) for n in asked}
        return bool(asked) and all(callable(own[n]) and _gives_alike(own[n], asked[n]) for n in asked)
    return inspect.isclass(cls) and inspect.isclass(kind) and issubclass(cls, kind)


def _gives_alike(own: Any, asked: Any) -> bool:
    wanted, given = _return_of(asked), _return_of(own)
    record, plain = hasattr(wanted, "_fields"), inspect.isclass(given) and not hasattr(given, "_fields")
    return not (record and plain)


def _return_of(method: Any) -> Any:
    try:
        return get_type_hints(method).get("return")
    except (NameError, TypeError):
        return None


def kind_of(hint: Any) -> Any:
    """K of an argument's type Part[K], tuple[Part[K], ...] or Part[K] | None; None where it names no kind."""
    if get_origin(hint) is Part:
        (kind,) = get_args(hint)
        return None if isinstance(kind, TypeVar) or kind is Any else kind
    return next((k for k in map(kind_of, get_args(hint)) if k is not None), None)


@functools.cache
def parameters(cls: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a constructor takes by name."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = {n: p for n, p in inspect.signature(cls).parameters.items() if p.kind in named}
    made = (
        {f.name: f.default_factory() for f in fields(cls) if callable(f.default_factory)} if is_dataclass(cls) else {}
    )
    return found | {n: found[n].replace(default=value) for n, value in made.items() if n in found}


@functools.cache
def hints(cls: Callable[..., Any]) -> dict[str, Any]:
    """Types of a constructor's arguments; without those that cannot be told."""
    function = cls.__init__ if inspect.isclass(cls) else cls
    try:
        return {k: v for k, v in get_type_hints(function).items() if k != "return"}
    except (NameError, TypeError):
        return {}


def within(value: Any) -> Iterator[Part[Any]]:
    """All parts that a value holds, itself first."""
    if isinstance(value, Part):
        yield value
        for argument in value.arguments.values():
            yield from within(argument)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from within(item)


def _takes_any(cls: Callable[..., Any]) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())


def _called(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
