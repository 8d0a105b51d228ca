"""Recipes: named experiments. The dictionary `RECIPES` is what `ergosum recipes` prints and `ergosum train` takes."""

from collections.abc import Callable
from functools import partial

from ergosum.recipes import decomposition, rivals, seqmnist
from ergosum.settings import FACTORS, Experiment

__all__ = ["RECIPES", "find"]


def _named() -> dict[str, Callable[[], Experiment]]:
    made: list[Callable[[], Experiment]] = []
    made += [partial(seqmnist.single, f) for f in FACTORS]
    made += [partial(seqmnist.shared, f) for f in ("colour", "scale", "angle")]
    made += [partial(seqmnist.unsupervised, n) for n in ("ours", "report")]
    made += [seqmnist.joint]
    made += [partial(seqmnist.feedforward, f, n) for n in ("unet", "transport") for f in FACTORS]
    made += [partial(seqmnist.report, f) for f in FACTORS]
    made += [partial(seqmnist.ablation, a, f) for a in ("none", "start", "step") for f in FACTORS]
    made += [partial(seqmnist.loss, o) for o in ("last", "all", "path")]
    made += [decomposition.tetrominoes, decomposition.scenes_objects, decomposition.modalities, decomposition.refined]
    made += [decomposition.shapes]
    made += [partial(decomposition.scenes_global, name) for name in decomposition.GLOBALS]
    made += [partial(decomposition.other_scenes, p) for p in ("lighting", "toy")]
    made += [partial(decomposition.comet, "paper"), partial(decomposition.comet, "code")]
    made += [partial(decomposition.biases, p, b) for p in ("tetrominoes", "scenes") for b in decomposition.BIASES]
    made += [partial(decomposition.biases, "tetrominoes", "position", "paper")]
    made += [partial(rivals.rival, p, row) for p in rivals.SETS for row in rivals.ROWS]
    return {make().name: make for make in made}


RECIPES = _named()
"""Recipe functions by name."""


def find(name: str) -> Experiment:
    """The experiment of a recipe.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    if name not in RECIPES:
        from difflib import get_close_matches

        near = get_close_matches(name, RECIPES, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "see `ergosum recipes`."
        raise ValueError(f"There is no recipe {name!r}; {hint}")
    return RECIPES[name]()
