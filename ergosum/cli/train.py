"""`ergosum train`: every field of a recipe is an option, derived from the parts that the recipe names."""

import copy
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ergosum.cli.arguments import Parser, UsageError, add_trust, parser_for, trusted
from ergosum.cli.progress import is_main_process, train_with_progress

__all__ = ["run"]

SWITCHES = ("--help", "--resume", "--print_config")
"""Options without a value."""


def run(arguments: list[str]) -> None:
    """Train a recipe or a YAML file with what overrides it, or go on with a run."""
    parser = parser_for(
        "train", "Train a recipe, or a YAML file of fields; every field can be overridden: --FIELD VALUE."
    )
    parser.add_argument("recipe", help="name of a recipe (see `ergosum recipes`), or a YAML file of fields")
    parser.add_argument("--config", help="YAML file of fields that override the recipe")
    parser.add_argument("--out", default="", help="run folder; default: runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the run folder")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--print_config", action="store_true", help="print all fields as YAML and stop")
    add_trust(parser)
    name, arguments = _recipe_first(arguments)
    if {"-h", "--help"} & set(arguments):
        _help(parser, name, [a for a in arguments if a not in ("-h", "--help")])
        return
    chosen, rest = parser.parse_known_args(arguments)
    trust = trusted(chosen.trust)
    recipe = _base(chosen.recipe, trust)
    changes = list(_pairs(rest))
    config = _yaml(Path(chosen.config)) if chosen.config else {}
    folder = Path(chosen.out) if chosen.out else _folder({**recipe, **config, **dict(changes)}["name"])
    from ergosum.cli.fields import change, merge
    from ergosum.files import read_json
    from ergosum.training.experiment import from_dict, to_dict

    if chosen.resume and (folder / "recipe.json").is_file():  # go on with the run's own settings, not the recipe's
        recipe = to_dict(from_dict(read_json(folder / "recipe.json"), trust))
    recipe = merge(recipe, config, trust)
    for path, text in changes:
        change(recipe, path, text, trust)
    experiment = from_dict(recipe, trust)
    experiment.built()  # parts that do not go together are refused before anything is written
    if chosen.print_config:
        import yaml

        print(yaml.safe_dump(recipe, sort_keys=False), end="")
        return
    try:
        train_with_progress(experiment, folder, chosen.resume, chosen.accelerator)
    except KeyboardInterrupt:
        kept = (folder / "checkpoint.pt").exists()
        raise KeyboardInterrupt("The run keeps its checkpoint: go on with --resume." if kept else "") from None
    if is_main_process():
        added = "".join(f" --trust {module}" for module in chosen.trust)
        print(f"{folder}  (ergosum score {folder}{added}; ergosum report {folder}{added})")


def _help(parser: Parser, name: str, arguments: list[str]) -> None:
    """The options, and the fields of the recipe as the arguments change it."""
    if not name:
        parser.epilog = "`ergosum train RECIPE --help` lists that recipe's own fields"
    parser.print_help()
    if name:
        from ergosum.cli.fields import change

        chosen, rest = parser.parse_known_args(arguments)
        trust = trusted(chosen.trust)
        recipe = _base(name, trust)
        for path, text in _pairs(rest):
            change(recipe, path, text, trust)
        _print_fields(recipe, trust)


def _folder(name: Any) -> Path:
    """The folder of a run that has no `--out`, which the name of a recipe from elsewhere must not lead out of."""
    if Path(str(name)).name != str(name) or name == "..":
        raise ValueError(f"name: expected a name that a folder can have, got {name!r}; change it, or choose --out.")
    return Path("runs") / str(name)


def _base(name: str, trust: tuple[str, ...]) -> dict[str, Any]:
    """The recipe to start from: of that name, or a YAML file, whose `recipe` names the one that it changes."""
    from ergosum.cli.fields import merge
    from ergosum.recipes import find
    from ergosum.training.experiment import to_dict

    if Path(name).suffix not in (".yaml", ".yml", ".json"):
        return copy.deepcopy(to_dict(find(name)))
    if not Path(name).is_file():
        raise FileNotFoundError(f"No such recipe file: {name}.")
    fields = _yaml(Path(name))
    base = fields.pop("recipe", "")
    if not isinstance(base, str):
        raise ValueError(f"{name}: expected the name of one recipe under `recipe`, got {base!r}.")
    if base:
        return merge({**to_dict(find(base)), "name": Path(name).stem}, fields, trust)
    if not isinstance(fields.get("task"), dict) or "class" not in fields["task"]:
        raise ValueError(f"{name}: expected `recipe`, the name of one to start from, or a whole `task`.")
    empty = {"name": Path(name).stem, "shows": "", "cost": "", "task": fields["task"], "optimiser": {}, "run": {}}
    return merge(empty, fields, trust)


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        raise FileNotFoundError(f"No such file of fields: {path}.")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: expected fields by name, got {type(fields).__name__}.")
    other = [name for name in _names(fields) if not isinstance(name, str)]
    if other:
        raise ValueError(f"{path}: expected fields by name, got a field called {other[0]!r}.")
    return fields


def _names(value: Any) -> Iterator[Any]:
    """The names of all fields, those within others included."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(inner)


def _pairs(rest: list[str]) -> Any:
    """Fields and their text from `--a.b value` and `--a.b=value`."""
    waiting = list(rest)
    while waiting:
        option = waiting.pop(0)
        if not option.startswith("--"):
            raise UsageError(f"expected --FIELD VALUE, got {option!r}")
        path, equals, text = option[2:].partition("=")
        if not equals:
            if not waiting or (waiting[0].startswith("--") and not waiting[0][2:3].isdigit()):
                raise UsageError(f"--{path}: expected a value")
            text = waiting.pop(0)
        yield path, text


def _recipe_first(arguments: list[str]) -> tuple[str, list[str]]:
    """The recipe, the first word that is no option and no option's value, or ''; and the words with it in front."""
    for place, (before, word) in enumerate(pairwise(["", *arguments])):
        takes_value = before.startswith("--") and "=" not in before and before not in SWITCHES
        if not word.startswith("-") and not takes_value:
            return word, [word, *arguments[:place], *arguments[place + 1 :]]
    return "", arguments


def _print_fields(recipe: dict[str, Any], trust: tuple[str, ...]) -> None:
    """Every field of the recipe with its value and meaning; of a part also what else it may be, and what that takes."""
    from ergosum.cli.fields import SUPPLIED, first_line, listed, meanings
    from ergosum.part import parameters

    print(f"\nfields of {recipe['name']} ({recipe['shows']}):")
    for field in listed(recipe, trust):
        value = "" if field.value in ("", ()) else f" {field.value}"
        print(f"  --{field.path}{value}")
        print(textwrap.fill(field.meaning, 110, initial_indent=" " * 8, subsequent_indent=" " * 8))
        for choice in field.choices:
            if choice.__name__ == field.value:
                continue
            told = meanings(choice)
            takes = "; ".join(f"{n}: {told.get(n, '')}".rstrip(". ") for n in parameters(choice) if n not in SUPPLIED)
            text = f"or {choice.__name__}: {first_line(choice)}" + (f" ({takes})" if takes else "")
            print(textwrap.fill(text, 110, initial_indent=" " * 8, subsequent_indent=" " * 12))
