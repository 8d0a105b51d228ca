"""Sharpness: how much edge is left."""

from torch import Tensor

from ergosum.shapes import Images

__all__ = ["gradient_energy", "sharpness"]


def gradient_energy(images: Images) -> Tensor:
    """Mean squared difference of neighbouring pixels, one number per image."""
    across = (images[..., 1:] - images[..., :-1]).square().flatten(1).mean(1)
    down = (images[..., 1:, :] - images[..., :-1, :]).square().flatten(1).mean(1)
    return across + down


def sharpness(predicted: Images, true: Images) -> float:
    """Gradient energy of the predicted images over that of the true ones: 1 as sharp, below 1 blurred, 0 blank.

    A ratio of means, so that nearly empty frames do not dominate.
    """
    return (gradient_energy(predicted).mean() / gradient_energy(true).mean().clamp_min(1e-12)).item()
