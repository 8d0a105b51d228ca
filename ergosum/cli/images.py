"""What `decompose` and `recombine` share: the model and the images."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.decomposition.model import ImageDecomposer
    from ergosum.decomposition.task import OfImages

__all__ = ["images_of", "recomposer"]


def recomposer(name: str, trust: tuple[str, ...] = ()) -> "tuple[OfImages, ImageDecomposer]":
    """Task and model of a run or card that decomposes images.

    Raises:
        ValueError: if it was trained for something else.
    """
    from ergosum.decomposition.baselines.baseline import ImageBaseline
    from ergosum.decomposition.model import ImageDecomposer
    from ergosum.decomposition.task import OfImages
    from ergosum.training.runfolder import load_predictor

    experiment, model = load_predictor(name, trust)
    task = experiment.built()
    if isinstance(model, ImageBaseline):
        raise ValueError(
            f"{name} is a {type(model).__name__}, a baseline that is only trained and scored; expected a decomposer."
        )
    if not isinstance(task, OfImages) or not isinstance(model, ImageDecomposer):
        raise ValueError(f"{name} does not decompose images; expected a run such as tetrominoes.")
    return task, model


def images_of(start: str, task: "OfImages", seed: int) -> "Tensor":
    """An image file, or eight held-out images of the data that the run learned from."""
    import torch

    from ergosum.data.folder import load_square
    from ergosum.decomposition.task import HELD_OUT

    if start:
        return load_square(start, task.side).image
    return task.held_out(8, torch.Generator().manual_seed(HELD_OUT + seed)).images
