"""The fields of a recipe as a user sees them: names, values, meanings, and how text becomes a value.

A recipe is nested plain data (`experiment.to_dict`). On the command line a field is called by its path; fields of the
task and of `run` go without their section's name: `--model.energy`, `--seed`.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, get_type_hints

import yaml

from ergosum.part import Part, admits, described, exported, fits, hints, kind_of, parameters, resolve
from ergosum.training.experiment import Experiment, Optimiser, Run

__all__ = ["Field", "change", "first_line", "listed", "meanings", "merge"]

SECTIONS = {"optimiser": Optimiser, "run": Run}
PLAIN = ("name", "shows", "cost")
SUPPLIED = {"side", "code", "outputs", "split", "device", "anchored"}
"""Arguments that the surrounding usually supplies; listed only where a recipe sets them."""
BY_DESCENT = {"step_size", "noise"}
"""Arguments that an inner descent supplies to its sampler."""


class Field(NamedTuple):
    """A field of a recipe: its path, present value (a class's name for a part), meaning, and what it may be."""

    path: str
    value: Any
    meaning: str
    choices: tuple[Callable[..., Any], ...]


def listed(recipe: dict[str, Any], trust: tuple[str, ...] = ()) -> Iterator[Field]:
    """All fields of a recipe, in order: the task's first, then optimiser and run."""
    task = resolve(recipe["task"]["class"], trust)
    yield from _of_part("", recipe["task"], task, trust)
    for name, kind in SECTIONS.items():
        told, values = meanings(kind), {f.name: f.default for f in fields(kind)} | recipe[name]
        prefix = "" if name == "run" else f"{name}."
        yield from (Field(prefix + key, value, told.get(key, ""), ()) for key, value in values.items())


def _of_part(prefix: str, given: dict[str, Any], cls: Callable[..., Any], trust: tuple[str, ...]) -> Iterator[Field]:
    told, types = meanings(cls), hints(cls)
    for name, parameter in parameters(cls).items():
        empty = parameter.default is inspect.Parameter.empty
        supplied = prefix and (name in SUPPLIED or (prefix.endswith("sampler.") and name in BY_DESCENT))
        if name not in given and (empty or supplied):
            continue
        value = given.get(name, parameter.default)
        value = value.to_dict() if isinstance(value, Part) else value
        path = f"{prefix}{name}"
        if isinstance(value, dict) and "class" in value:
            inner, kind = resolve(value["class"], trust), kind_of(types.get(name))
            choices = () if kind is None else tuple(c for c in exported() if fits(c, kind))
            yield Field(path, inner.__name__, told.get(name, ""), choices)
            yield from _of_part(f"{path}.", value, inner, trust)
        else:
            yield Field(path, value, told.get(name, ""), ())


def change(recipe: dict[str, Any], path: str, text: str, trust: tuple[str, ...] = ()) -> None:
    """Set a field of a recipe from text.

    Raises:
        ValueError: if there is no such field, or the text is none of its values.
    """
    first, _, rest = path.partition(".")
    cls = resolve(recipe["task"]["class"], trust)
    if first in PLAIN and not rest:
        recipe[first] = text
    elif first in SECTIONS and rest:
        _change_section(recipe[first], SECTIONS[first], path, rest, text)
    elif first == "task" and rest:
        _change_part(recipe["task"], cls, path, rest, text, trust)
    elif first not in parameters(cls) and path in get_type_hints(Run):
        _change_section(recipe["run"], Run, path, path, text)
    else:
        near = get_close_matches(first, [*SECTIONS, "task"], 1)
        if near and rest and first not in parameters(cls):
            raise ValueError(f"There is no field --{path}; did you mean --{near[0]}.{rest}?")
        deeper = [f"--{f.path}" for f in listed(recipe, trust) if f.path.endswith(f".{path}")]
        if first not in parameters(cls) and deeper:
            raise ValueError(f"There is no field --{path}; did you mean {' or '.join(deeper)}?")
        _change_part(recipe["task"], cls, path, path, text, trust)


def _change_section(values: dict[str, Any], kind: type, path: str, name: str, text: str) -> None:
    known = get_type_hints(kind)
    if name not in known:
        raise ValueError(_unknown(path, name, list(known)))
    values[name] = _value(text, known[name], path)


def _change_part(
    part: dict[str, Any], cls: Callable[..., Any], path: str, rest: str, text: str, trust: tuple[str, ...]
) -> None:
    name, _, deeper = rest.partition(".")
    known = parameters(cls)
    if name not in known:
        more = ["optimiser.iterations", *get_type_hints(Run)] if rest == path else []
        raise ValueError(_unknown(path, name, [*known, *more]))
    hint = hints(cls).get(name)
    value = part.get(name, known[name].default)
    value = value.to_dict() if isinstance(value, Part) else value
    if deeper:
        if not (isinstance(value, dict) and "class" in value):
            raise ValueError(f"--{path}: {name} is no part, so it has no fields of its own.")
        part[name] = dict(value)
        _change_part(part[name], resolve(value["class"], trust, None, f"--{path}"), path, deeper, text, trust)
    elif _holds_parts(hint, value):
        part[name] = [_named(n, hint, path, trust) for n in re.split(r"[,\s]+", text.strip("[] ")) if n]
    elif kind_of(hint) is not None or (isinstance(value, dict) and "class" in value):
        made = _named(text, hint, path, trust)
        same = isinstance(value, dict) and value.get("class") == made["class"]
        part[name] = value if same else made  # the same class again keeps its arguments
    else:
        part[name] = _value(text, hint, f"--{path}")


def _holds_parts(hint: Any, value: Any) -> bool:
    return isinstance(value, tuple | list) and "Part" in str(hint)


def _named(text: str, hint: Any, path: str, trust: tuple[str, ...]) -> dict[str, Any]:
    cls = resolve(text, trust, kind_of(hint), f"--{path}")
    return {"class": f"{cls.__module__}.{cls.__qualname__}"}


def _value(text: str, hint: Any, path: str) -> Any:
    """Text as a value of a type: as YAML reads it, or as it stands; lists may be written a,b."""
    if hint is str:
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    candidates = [tuple(value) if isinstance(value, list) else value, text]
    if "tuple" in str(hint):
        items = [v for v in re.split(r"[,\s]+", text.strip("[]() ")) if v]
        candidates += [tuple(map(yaml.safe_load, items)), tuple(items)]
    if re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", text):  # which YAML takes for text
        candidates.append(float(text))
    for candidate in candidates:
        if admits(candidate, hint):
            return candidate
    raise ValueError(f"{path}: expected {described(hint)}, got {text!r}.")


def _unknown(path: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}."
    return f"There is no field --{path}; {hint}"


def merge(recipe: dict[str, Any], changes: dict[str, Any], trust: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recipe with the fields of a YAML file: sections and parts are merged, another class replaces a part whole.

    The file may name the task's fields at its top, as the command line does.

    Raises:
        ValueError: if the file holds no fields by name.
    """
    if not isinstance(changes, dict):
        raise ValueError(f"Expected fields by name, got {type(changes).__name__}.")
    top = {*PLAIN, "task", *SECTIONS}
    task = {k: v for k, v in changes.items() if k not in top and k not in get_type_hints(Run)}
    run = {k: v for k, v in changes.items() if k not in top and k in get_type_hints(Run)}
    ordered = {k: v for k, v in changes.items() if k in top}
    if task:
        ordered["task"] = {**ordered.get("task", {}), **task}
    if run:
        ordered["run"] = {**ordered.get("run", {}), **run}
    return _merged(recipe, ordered, Experiment, trust)


def _merged(old: Any, new: Any, cls: Any, trust: tuple[str, ...]) -> Any:
    if not isinstance(new, dict) or not isinstance(old, dict):
        return new
    if "class" in new and "class" in old and _full(new["class"], trust) != old["class"]:
        return {**new, "class": _full(new["class"], trust)}
    made = dict(old)
    inner = resolve(old["class"], trust) if "class" in old else cls
    defaults = {} if inner is Experiment else parameters(inner) if inner else {}
    for key, value in new.items():
        if key == "class":
            continue
        before = made.get(key)
        if before is None and key in defaults and isinstance(defaults[key].default, Part):
            before = defaults[key].default.to_dict()
        made[key] = _merged(before, value, None, trust)
    return made


def _full(name: str, trust: tuple[str, ...]) -> str:
    cls = resolve(name, trust)
    return f"{cls.__module__}.{cls.__qualname__}"


@cache
def meanings(cls: Callable[..., Any]) -> dict[str, str]:
    """What every argument of a class means: from `Args:` of its docstring and those of its bases, and from the strings
    under a dataclass's fields.
    """
    found: dict[str, str] = {}
    for base in reversed(inspect.getmro(cls)) if inspect.isclass(cls) else (cls,):
        found |= _under_args(base, list(parameters(cls))) | (_under_fields(base) if is_dataclass(base) else {})
    return found


def _under_args(cls: Any, known: list[str]) -> dict[str, str]:
    text = inspect.cleandoc(vars(cls).get("__doc__") or "") if inspect.isclass(cls) else inspect.getdoc(cls) or ""
    block = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", text, re.M)
    if block is None:
        return {}
    prose = " ".join(block[1].split())
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    starts = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{names})(?:, (?:{names}))*): ", prose)) if names else []
    found: dict[str, str] = {}
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        meaning = prose[match.end() : None if following is None else following.start()].strip()
        found |= dict.fromkeys(match[1].split(", "), meaning)
    return found


def _under_fields(cls: Any) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made at a prompt
        return {}
    body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    return {
        field.target.id: " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
        for field, after in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr)
    }


def first_line(thing: Callable[..., Any]) -> str:
    """The first sentence of a docstring, its formulas as a terminal can show them: `\\log p_\\sigma` as log p_sigma."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    told = re.split(r"(?<=[a-z)\]$`])\. ", text)[0].rstrip(".")
    return re.sub(r"\$([^$]+)\$", lambda found: _plain(found[1]), told)


def _plain(formula: str) -> str:
    """A formula of TeX without its marks: `\\sqrt{2 h}\\,z` as sqrt(2 h) z."""
    spaced = re.sub(r"\\[,;!]\s*", " ", formula)
    return re.sub(r"\\(?=[a-zA-Z|])", "", re.sub(r"(?<=[a-z])\{([^{}]*)\}", r"(\1)", spaced))
