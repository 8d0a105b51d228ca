"""Pixel errors: mean squared error, peak signal-to-noise ratio, and skill against copying the input."""

import torch
from torch import Tensor

__all__ = ["mse", "psnr", "skill"]


def mse(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of each sample: (batch, *event) twice -> (batch,), in squared intensity (0 .. 1)."""
    if predicted.shape != true.shape:
        raise ValueError(f"mse: expected equal shapes, got {tuple(predicted.shape)} and {tuple(true.shape)}.")
    return (predicted - true).square().flatten(1).mean(1)


def psnr(error: Tensor) -> Tensor:
    """$-10 log_10 MSE$ in dB for intensities in [0, 1]; errors below 1e-10 count as 1e-10 (100 dB).

    Of a mean error it gives the dB that is quoted with an MSE; of errors per sample, averaged, it weighs easy samples
    more.
    """
    return -10 * torch.log10(error.clamp_min(1e-10))


def skill(error: float, copy_error: float) -> float:
    """$1 - MSE / MSE(copy)$: 1 is perfect, 0 is no better than giving back the input, negative is worse.

    Raises:
        ValueError: if copying makes no error, so that there is nothing to be skilled at.
    """
    if copy_error <= 0:
        raise ValueError("skill: copying the input makes no error on these samples; nothing changes in them.")
    return 1 - error / copy_error
