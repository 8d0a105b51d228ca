"""Sharpness: how much edge is left."""

from torch import Tensor

from ergosum.metrics.arrays import Values, image_pair, tensors

__all__ = ["gradient_energy", "sharpness"]


def gradient_energy(images: Values) -> Tensor:
    """Mean squared difference of neighbouring pixels, one number per image.

    Shape:
        images: (batch, channels, height, width), sides of 2 or more. Returns (batch,).
    """
    (images,) = tensors("gradient_energy", images=images)
    if images.ndim != 4 or not images.is_floating_point() or min(images.shape[2:]) < 2 or not images.numel():
        raise ValueError(
            "gradient_energy: expected floating-point (batch, channels, height, width) with sides of 2 or more, got "
            f"{images.dtype} {tuple(images.shape)}."
        )
    across = (images[..., 1:] - images[..., :-1]).square().flatten(1).mean(1)
    down = (images[..., 1:, :] - images[..., :-1, :]).square().flatten(1).mean(1)
    return across + down


def sharpness(predicted: Values, true: Values) -> float:
    """Gradient energy of the predicted images over that of the true ones: 1 as sharp, below 1 blurred, 0 blank.

    A ratio of means, so that nearly empty frames do not dominate. Noise is above 1: it says nothing of what is right.

    Raises:
        ValueError: if all true images are flat, so that there is no edge to be kept; for wrong shapes and values.
    """
    predicted, true = image_pair(predicted, true, "sharpness", 4)
    edges = gradient_energy(true).mean()
    if edges == 0:
        raise ValueError("sharpness: all true images are flat; there is no edge to be kept.")
    return (gradient_energy(predicted).mean() / edges).item()
