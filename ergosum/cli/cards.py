"""`ergosum cards`: the trained energies that ship, and runs."""

import json
import sys
from typing import TYPE_CHECKING

from ergosum.cli.arguments import parser_for

if TYPE_CHECKING:
    from ergosum.zoo.catalogue import Entry

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """List cards and run folders, as text or JSON."""
    parser = parser_for(
        "cards", "List the cards, trained energies that ship: what each shows, its size, and how it was trained."
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN",
        help="run folders (such as runs/*), cards or hf://USER/NAME, to be listed instead of all cards",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.recipes import SYSTEMS
    from ergosum.zoo.catalogue import OTHER, entry

    told: list[Entry] = []
    for name in chosen.runs or zoo.names():
        try:
            told.append(entry(name, zoo.find(name)))
        except (OSError, ValueError) as error:
            if len(chosen.runs) == 1:
                raise
            print(error, file=sys.stderr)
    if not told:
        raise ValueError(f"None of the {len(chosen.runs)} folders is a run folder.")
    if chosen.json:
        print(json.dumps([each._asdict() for each in told], indent=1))
        return
    width = max(26, *(len(each.name) for each in told))
    for system in (*SYSTEMS, OTHER):
        own = [each for each in told if each.system == system]
        if own:
            print(f"{system}:")
        for each in own:
            print(f"  {each.name:{width}s} {each.shows or each.name}\n  {'':{width}s} {_size(each)}; {_made(each)}")


def _size(entry: "Entry") -> str:
    if entry.bytes is None:
        return "no weights yet"
    stored = f"{entry.bytes / 1e6:.1f} MB"
    return stored if entry.weights is None else f"{entry.weights:,} weights, {stored}"


def _made(entry: "Entry") -> str:
    """The recipes, what they cost and what they learned from."""
    if not entry.runs:
        return "not finished"
    recipes = ", ".join(r["recipe"] + (f" (seed {r['seed']})" if r["seed"] else "") for r in entry.runs)
    updates, cost = (sum(r[key] for r in entry.runs) for key in ("updates", "cpu_seconds"))
    after = f" after {entry.start}, which is not there" if entry.start else ""
    which = "recipe" if len(entry.runs) == 1 else "recipes"
    data = ", ".join(dict.fromkeys(r["data"] for r in entry.runs))
    return f"{which} {recipes}{after}: {updates:,} updates, {cost / 60:.0f} CPU minutes, {data}"
