"""Structural similarity."""

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, image_pair
from ergosum.shapes import PerSample

__all__ = ["ssim"]


def ssim(predicted: Values, true: Values, peak: float = 1.0) -> PerSample:
    r"""Mean over windows and channels of the product of likeness in brightness and likeness in structure:

    $$ \frac{2\mu_x\mu_y + c_1}{\mu_x^2 + \mu_y^2 + c_1}
       \cdot \frac{2\sigma_{xy} + c_2}{\sigma_x^2 + \sigma_y^2 + c_2} $$

    Local means, variances and covariance are taken under a Gaussian window of 11 x 11 pixels, sigma 1.5, wherever it
    lies within the image; $c_1 = (0.01 L)^2, c_2 = (0.03 L)^2$. 1 is identical, in [-1, 1]. A weak signal on dark
    images: windows that are black in both count as perfect, so that a blank scores 0.4 against MNIST's digits. Always
    give a blank's value beside it.

    Args:
        peak: L, the range of intensities.
    Shape:
        predicted, true: (batch, channels, height, width), sides of 11 or more. Returns (batch,).
    Raises:
        TypeError: for whole numbers. ValueError: for other shapes, values that are not finite, and true intensities
            outside of [0, peak].
    Source: Wang, Bovik, Sheikh & Simoncelli 2004; equals scikit-image with `gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False`. Colour is the mean of its channels (the paper knows luminance only).
    """
    predicted, true = image_pair(predicted, true, "ssim", 4)
    if min(true.shape[2:]) < 11:
        raise ValueError(f"ssim: expected sides of 11 or more, as wide as its window, got {tuple(true.shape)}.")
    low, high = (v.item() for v in true.aminmax())
    if low < -1e-3 * peak or high > 1.001 * peak:
        raise ValueError(
            f"ssim: expected true intensities in [0, {peak:g}], got [{low:.3g}, {high:.3g}]. Set `peak` to their "
            "range, and shift them to begin at 0."
        )
    x, y = (images.double().flatten(0, 1) for images in (predicted, true))
    down, across = (_windows(side).to(x) for side in true.shape[2:])

    def local(values: Tensor) -> Tensor:
        return down @ values @ across.T

    mean_x, mean_y = local(x), local(y)
    variance = local(x * x + y * y) - mean_x.square() - mean_y.square()
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness = likeness / ((mean_x.square() + mean_y.square() + c1) * (variance + c2))
    return likeness.view(len(predicted), -1).mean(1)


def _windows(side: int) -> Tensor:
    """The window at each place where it fits, one a row: (side - 10, side). Products with it beat convolutions here."""
    offset = torch.arange(side) - torch.arange(5, side - 5)[:, None]
    weight = torch.exp(-offset.double().square() / (2 * 1.5**2)) * (offset.abs() <= 5)
    return weight / weight.sum(1, keepdim=True)
