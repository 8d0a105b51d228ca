"""`ergosum recipes`: what there is to train."""

import json

from ergosum.cli.arguments import parser_for

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """List the recipes, as text or JSON."""
    parser = parser_for("recipes", "List the recipes: what each shows and costs.")
    parser.add_argument("--all", action="store_true", help="ablations and baselines of the tables as well")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    chosen = parser.parse_args(arguments)
    from ergosum.recipes import SYSTEMS

    told = []
    for system, module in SYSTEMS.items():
        found = module.recipes()
        names = found if chosen.all else module.HEADLINES
        told += [(system, found[name]()) for name in names]
    if chosen.json:
        rows = [{"name": e.name, "system": s, "shows": e.shows, "cost": e.cost} for s, e in told]
        print(json.dumps(rows, indent=1))
        return
    for system in SYSTEMS:
        print(f"{system}:")
        for e in (e for s, e in told if s == system):
            print(f"  {e.name:26s} {e.shows}  [{e.cost}]")
    if not chosen.all:
        print("`ergosum recipes --all` adds the ablations and baselines of the tables.")
