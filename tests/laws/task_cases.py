"""One row for every public task: what it takes to stand before the laws of `test_tasks.py`, small."""

from collections.abc import Callable

from shrink import shrunk

from ergosum.decomposition import BetaVae, Coding
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.temporal import Prediction, PredictionLoss
from ergosum.training.task import Task


def small(part: Part[Task], **changes: object) -> Callable[[], Task]:
    return lambda: shrunk(part).but(**changes).build()


def of(recipe: str, **changes: object) -> Callable[[], Task]:
    """The task of a recipe."""
    task = find(recipe).task
    assert isinstance(task, Part)
    return small(task, **changes)


TASKS: dict[str, Callable[[], Task]] = {
    "Prediction": small(Part(Prediction)),
    "Prediction, persistent": small(Part(Prediction), persistent=0.7),
    "Prediction, feed-forward": of("feedforward-unet-colour"),
    "Prediction, decorrelated": of("unsupervised", objective=Part(PredictionLoss, decorrelation=0.1)),
    "Prediction, at right angles": of(
        "unsupervised", objective=Part(PredictionLoss, orthogonality=0.1), model={"latent": 2}
    ),
    "Prediction, noisy": small(Part(Prediction), model={"descent": {"noise": 0.1}}),
    "Discovery": of("discovered"),
    "Discovery, several at once": of("discovered-sparse"),
    "Densities": of("density"),
    "Densities, in pixels": of("mnist-density-pixels"),
    "Recomposition": of("modalities"),
    "Recomposition, COMET": of("comet-tetrominoes-recurrent"),
    "Recomposition, slots": of("tetrominoes"),
    "Recomposition, stochastic": of("scenes-global-two", count=16),
    "Coding": small(Part(Coding, model=Part(BetaVae, latent=4))),
}
"""Tasks by name; a law that is not of all of them says so by the task's own word, `undivided`."""
