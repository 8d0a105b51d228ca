"""Recipes for images, shrunk until three updates take a moment."""

import pytest

from ergosum.decomposition.recipes import recipes
from ergosum.training.loop import train


def merged(one, other):
    """Two nested dicts in one, the second's values where both have some."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return one | {key: merged(one.get(key), value) for key, value in other.items()}


@pytest.fixture(scope="session")
def small():
    """A shrunken recipe: small("tetrominoes", task={"model": {"descent": {"steps": 2}}}, run={"seed": 3})."""

    def make(recipe="tetrominoes", **changes):
        experiment = recipes()[recipe]()
        model = experiment.task.get("model")
        parts = ("encoder", "energy") if "encoder" in model.arguments else ()
        narrow = {name: {"width": 4} for name in parts} or {"width": 8, "latent": 4}
        shrunk = {
            "task": {"count": 32, "model": narrow} | ({} if parts else {"data": {"side": 16}}),
            "optimiser": {"batch": 4, "iterations": 3},
            "run": {"log_every": 1, "checkpoint_every": 100},
        }
        return experiment.but(**merged(shrunk, changes))

    return make


@pytest.fixture(scope="session")
def practise(small):
    """Train a shrunken recipe to its end, or for `stop` updates, and return its updates."""

    def run(folder, recipe="tetrominoes", resume=False, stop=None, **changes):
        updates = []
        running = train(small(recipe, **changes), folder, resume, "cpu")
        for update in running:
            updates.append(update)
            if len(updates) == stop:
                running.close()
        return updates

    return run
