"""Equivariance error of the flow-factorised protocol."""

from ergosum.metrics.arrays import Values, image_pair
from ergosum.shapes import PerSample

__all__ = ["equivariance_error"]


def equivariance_error(predicted: Values, true: Values) -> PerSample:
    r"""$E = \sum_{t \ge 1} \sum_{\text{pixels, channels}} |\hat x_t - x_t|$ per sequence, the first frame being given.

    Source: Song, Keller, Sebe, Welling 2023 (flow factorised representation learning), released code. Differs: means
    are taken per factor, which the released code does not reset between factors.

    Shape:
        predicted, true: (batch, time, 3, side, side), two frames or more. Returns (batch,).
    Raises:
        TypeError: for whole numbers. ValueError: for other shapes and values that are not finite.
    """
    predicted, true = image_pair(predicted, true, "equivariance_error", 5)
    if true.shape[1] < 2:
        raise ValueError("equivariance_error: expected two frames or more, of which the first is given; got one.")
    return (predicted[:, 1:] - true[:, 1:]).abs().flatten(1).sum(1)
