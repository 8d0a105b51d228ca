"""Modules that remember the arguments they were made with, so that a saved composition can make them again."""

import functools
import inspect
import sys
from collections.abc import Collection
from importlib import import_module
from typing import Any

from torch import nn

__all__ = ["arguments_of", "class_called", "path_of", "remembering"]

_KEY = "_made_with"


def remembering(cls: type[nn.Module]) -> None:
    """Let instances of a class keep the arguments of their constructor; called once for each class that has its own."""
    own = cls.__dict__.get("__init__")
    if own is None:
        return

    @functools.wraps(own)
    def constructed(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        # the outermost constructor runs first: what a subclass passes on to its parent is not what it was made with
        self.__dict__.setdefault(_KEY, (args, kwargs))
        own(self, *args, **kwargs)

    cls.__init__ = constructed  # type: ignore[method-assign]


def arguments_of(module: nn.Module) -> dict[str, Any] | None:
    """Arguments by name, those in `*args` under "*"; None if the module remembers nothing."""
    if _KEY not in module.__dict__:
        return {} if type(module).__init__ is nn.Module.__init__ else None
    args, kwargs = module.__dict__[_KEY]
    bound = inspect.signature(type(module).__init__).bind(module, *args, **kwargs)
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found["*"] = list(value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        else:
            found[name] = value
    return found


def path_of(cls: type) -> str | None:
    """Where a class is found again, "module:Name"; None if it is not, because it was made within a function."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    return path if _looked_up(path) is cls else None


def class_called(path: str, kinds: tuple[type, ...], trust: Collection[str]) -> type:
    """The class at a path that `path_of` gave.

    Args:
        kinds: what it must be a subclass of. trust: modules that may be imported, beside those of this package; others
            must have been imported already.
    Raises:
        ValueError: if the module is neither trusted nor imported, or holds no such class.
    """
    module = path.partition(":")[0]
    own = __name__.partition(".")[0]
    if any(module == name or module.startswith(f"{name}.") for name in (own, *trust)):
        try:
            import_module(module)
        except ImportError as error:
            raise ValueError(f"the module {module!r} cannot be imported: {error}") from None
    elif module not in sys.modules:
        root = module.partition(".")[0]
        raise ValueError(
            f"the class {path!r} is from a module that is not trusted; if you know it, import it before, or pass "
            f"trust=[{root!r}]"
        )
    found = _looked_up(path)
    if not (isinstance(found, type) and issubclass(found, kinds)):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"expected a class of {wanted} at {path!r}, got {'nothing' if found is None else found!r}")
    return found


def _looked_up(path: str) -> Any:
    """What an imported module holds under a name, without running any code of its own."""
    module, _, names = path.partition(":")
    found: Any = sys.modules.get(module)
    for name in names.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found
