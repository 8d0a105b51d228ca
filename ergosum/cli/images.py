"""What `decompose` and `recombine` share: the model, the images, and which of these are unlike the training's."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.decomposition.model import ImageDecomposer
    from ergosum.decomposition.task import OfImages

__all__ = ["UNLIKE", "images_of", "recomposer", "scores_of", "unlike"]

UNLIKE = (
    "unlike what this model was trained on: the PSNR is below that of every held-out image, and the components mean "
    "little"
)
"""What is said of images that a model recomposes worse than any held-out image."""


def recomposer(name: str, trust: tuple[str, ...] = ()) -> "tuple[OfImages, ImageDecomposer]":
    """Task and model of a run or card that decomposes images.

    Raises:
        ValueError: if it was trained for something else.
    """
    from ergosum.decomposition.task import load_decomposer

    return load_decomposer(name, trust)


def images_of(start: str, task: "OfImages", seed: int) -> "Tensor":
    """An image file, a held-out image by its number, or eight held-out images of the data that the run learned from.

    Raises:
        ValueError: for a number that is none.
    """
    import torch

    from ergosum.data.folder import load_square
    from ergosum.decomposition.task import HELD_OUT

    kind, _, number = start.partition(":")
    if kind == "held-out":
        if not number.isdecimal() or int(number) > 9999:
            raise ValueError(f"--start {start}: expected held-out:N with a number from 0 to 9999.")
        return task.held_out_image(int(number))
    if start:
        return load_square(start, task.side).image
    return task.held_out(8, torch.Generator().manual_seed(HELD_OUT + seed)).images


def scores_of(name: str, source: str) -> dict[str, Any]:
    """The scores kept in a run folder, or by source in a card's; empty if there are none."""
    from ergosum.files import read_json
    from ergosum.training.runfolder import locate

    path = locate(name) / "scores.json"
    stored = read_json(path) if path.is_file() else {}
    return stored if "card" in stored else stored.get(source, {})


def unlike(name: str, task: "OfImages", model: "ImageDecomposer", path: str, seed: int) -> bool:
    """Whether a model recomposes an image file worse than any held-out image, by more than a decibel."""
    from torch import Generator

    from ergosum.decomposition.batch import least_psnr
    from ergosum.decomposition.recombination import encode_best, recompose
    from ergosum.metrics.error import mse, psnr

    least = least_psnr(task, model, scores_of(name, task.name))
    if least is None:
        return False
    image, generator = images_of(path, task, seed), Generator().manual_seed(seed)
    whole = recompose(model, encode_best(model, image, generator), generator)
    return psnr(mse(whole, image)).item() < least
