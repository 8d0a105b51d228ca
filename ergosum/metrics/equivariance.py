"""Equivariance error of the flow-factorised protocol."""

from torch import Tensor

from ergosum.shapes import Frames, PerSample

__all__ = ["equivariance_error"]


def equivariance_error(predicted: Frames, true: Frames) -> PerSample:
    """$E = sum_{t>=1} sum_{pixels, channels} |x^_t - x_t|$ per sequence, the first frame being given.

    Source: Song, Keller, Sebe, Welling 2023 (flow factorised representation learning), released code. Differs: means
    are taken per factor, which the released code does not reset between factors.

    Shape:
        predicted, true: (batch, time, 3, side, side). Returns (batch,).
    """
    if predicted.shape != true.shape:
        raise ValueError(
            f"equivariance_error: expected equal shapes, got {tuple(predicted.shape)} and {tuple(true.shape)}."
        )
    difference: Tensor = (predicted[:, 1:] - true[:, 1:]).abs()
    return difference.flatten(1).sum(1)
