"""`ergosum recipes`: what there is to train."""

import json

from ergosum.cli.arguments import parser_for

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """List the recipes, as text or JSON."""
    parser = parser_for("recipes", "List the recipes: what each shows and costs.")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    chosen = parser.parse_args(arguments)
    from ergosum.recipes import RECIPES

    rows = [make() for make in RECIPES.values()]
    if chosen.json:
        print(json.dumps([{"name": e.name, "shows": e.shows, "cost": e.cost} for e in rows], indent=1))
        return
    for e in rows:
        print(f"{e.name:28s} {e.shows}  [{e.cost}]")
