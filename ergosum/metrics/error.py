"""Pixel errors: mean squared error, peak signal-to-noise ratio, and skill against copying the input."""

from math import isfinite

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, image_pair, tensors

__all__ = ["mse", "psnr", "skill"]


def mse(predicted: Values, true: Values) -> Tensor:
    """Mean squared error of each sample: (batch, *event) twice -> (batch,), in squared units of intensity.

    Raises:
        TypeError: for whole numbers. ValueError: for unequal or empty shapes and values that are not finite.
    """
    predicted, true = image_pair(predicted, true, "mse")
    return (predicted - true).square().flatten(1).mean(1)


def psnr(error: Values, peak: float = 1.0) -> Tensor:
    r"""Peak signal-to-noise ratio of mean squared errors, $10 \log_{10} L^2 / \mathrm{MSE}$ in dB; at most 100 dB.

    Of a mean error it gives the dB that is quoted with an MSE; of errors per sample, averaged, it weighs easy samples
    more.

    Args:
        error: mean squared errors (`mse`), of any shape. peak: L, the range of intensities.
    Raises:
        ValueError: for errors that are negative or not finite.
    """
    (error,) = tensors("psnr", error=error)
    if (error < 0).any():
        raise ValueError("psnr: expected mean squared errors, which are not negative; take `mse` of the images first.")
    return -10 * torch.log10((error / peak**2).clamp_min(1e-10))


def skill(error: float, copy_error: float) -> float:
    """$1 - MSE / MSE(copy)$: 1 is perfect, 0 is no better than giving back the input, negative is worse.

    Raises:
        ValueError: if copying makes no error, so that there is nothing to be skilled at, or an error is not finite.
    Source: Murphy 1988 (skill score, with the input itself as the reference).
    """
    if not (isfinite(error) and isfinite(copy_error)):
        raise ValueError(f"skill: expected finite errors, got {error} and {copy_error}.")
    if copy_error <= 0:
        raise ValueError("skill: copying the input makes no error on these samples; nothing changes in them.")
    return float(1 - error / copy_error)
