"""Recipes: named experiments. Each system has its own; here they meet, for `ergosum recipes` and `ergosum train`."""

from collections.abc import Callable
from difflib import get_close_matches

from ergosum.concepts import recipes as concepts
from ergosum.decomposition import recipes as decomposition
from ergosum.density import recipes as density
from ergosum.temporal import recipes as temporal
from ergosum.temporal.discovery import recipes as discovery
from ergosum.training.experiment import Experiment

__all__ = ["RECIPES", "SYSTEMS", "find"]

SYSTEMS = {
    "temporal": temporal, "discovery": discovery, "decomposition": decomposition, "density": density,
    "concepts": concepts,
}  # fmt: skip
"""Modules of recipes by system: `recipes()` gives all, `HEADLINES` names what a person would train."""
RECIPES: dict[str, Callable[[], Experiment]] = {
    name: make for system in SYSTEMS.values() for name, make in system.recipes().items()
}
"""Recipe functions by name."""


def find(name: str) -> Experiment:
    """The experiment of a recipe.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "see `ergosum recipes --all`."
        raise ValueError(f"There is no recipe {name!r}; {hint}")
    return RECIPES[name]()
