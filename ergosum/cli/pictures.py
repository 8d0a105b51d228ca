"""What `decompose` and `recombine` share: the model and the pictures."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.decomposer import Decomposer
    from ergosum.settings import Experiment

__all__ = ["pictures_of", "recomposer"]


def recomposer(name: str) -> "tuple[Experiment, Decomposer]":
    """A run or card that takes pictures apart.

    Raises:
        ValueError: if it was trained for something else.
    """
    from ergosum import zoo
    from ergosum.runfolder import load_predictor
    from ergosum.settings import RIVALS

    experiment, model = load_predictor(zoo.find(name))
    if experiment.predictor in RIVALS:
        raise ValueError(f"{name} is a {experiment.predictor}, which is trained to be scored; expected a decomposer.")
    if experiment.task != "recomposition":
        raise ValueError(f"{name} predicts sequences; expected a run that takes pictures apart, such as tetrominoes.")
    return experiment, model  # type: ignore[return-value]


def pictures_of(start: str, experiment: "Experiment", seed: int) -> "Tensor":
    """An image file, or eight held-out pictures of the data that the run learned from."""
    import torch

    from ergosum.data.folder import load_square
    from ergosum.data.named import picture_set
    from ergosum.evaluation.decomposition import HELD_OUT

    if start:
        return load_square(start, experiment.pictures.side).image
    return picture_set(experiment.pictures, split="test").draw(8, torch.Generator().manual_seed(HELD_OUT + seed)).images
