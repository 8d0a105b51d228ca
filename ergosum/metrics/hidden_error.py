"""Error of a recovery on the pixels that were hidden from it."""

from torch import Tensor

from ergosum.metrics.arrays import Values, image_pair, tensors

__all__ = ["hidden_error"]


def hidden_error(predicted: Values, true: Values, known: Values) -> Tensor:
    r"""Mean absolute error over hidden pixels alone, of each sample:
    $\sum_p (1 - m_p) |\hat x_p - x_p| / \sum_p (1 - m_p)$, in units of intensity.

    Known pixels do not count, whatever a recovery made of them: over all pixels a half-hidden image would look twice as
    good as it is.

    Args:
        known: m, Booleans, True where a pixel was known; of the images' shape, or with 1 for their channels.
    Shape:
        predicted, true: (batch, *event). Returns (batch,).
    Raises:
        TypeError: for whole numbers in the images. ValueError: for unequal or empty shapes, values that are not finite,
        a mask that does not fit, or a sample of which nothing is hidden.
    """
    predicted, true = image_pair(predicted, true, "hidden_error")
    (mask,) = tensors("hidden_error", known=known)
    try:
        hidden = (~mask.to(predicted.device).bool()).expand(predicted.shape).flatten(1)
    except RuntimeError as error:
        raise ValueError(
            f"hidden_error: expected a mask of the images' shape {tuple(predicted.shape)}, or with 1 for their "
            f"channels, got {tuple(mask.shape)}."
        ) from error
    count = hidden.sum(1)
    if (count == 0).any():
        raise ValueError(f"hidden_error: nothing is hidden in sample {int((count == 0).nonzero()[0])}.")
    gap = (predicted - true).abs().flatten(1)
    return (gap * hidden).sum(1) / count
