"""How many objects are there?"""

import numpy as np
import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors
from ergosum.metrics.segmentation import segment_labels

__all__ = ["connected_count", "count_accuracy", "object_count"]


def object_count(segments: Values, minimum: int = 1, background: int | None = None) -> Tensor:
    """How many segments other than the background have at least `minimum` pixels: (batch,).

    A single segment is background and counts 0 objects.

    Args:
        segments: labels (batch, height, width), or masks (batch, segments, height, width) of which the largest wins.
        minimum: pixels. background: its number (0 for true masks), or None for each image's largest segment.
    Raises:
        ValueError: for other shapes or numbers, see `segment_labels`.
    """
    labels = segment_labels(segments, "object_count")
    width = int(labels.max()) + 1
    image = torch.arange(len(labels), device=labels.device)[:, None, None]
    segment, size = (image * width + labels).unique(return_counts=True)
    seen = size >= max(minimum, 1)
    if background is not None:
        seen &= segment % width != background
    count = torch.bincount((segment // width)[seen], minlength=len(labels))
    # where any segment is large enough, the largest is, and that one is the background
    return count if background is not None else (count - 1).clamp_min(0)


def connected_count(foreground: Values, minimum: int = 1) -> Tensor:
    """How many connected patches of foreground have at least `minimum` pixels: (batch,).

    Pixels connect across edges and corners; objects that touch count as one.

    Args:
        foreground: (batch, height, width), Boolean.
    Raises:
        ValueError: for other shapes or types.
    """
    (foreground,) = tensors("connected_count", foreground=foreground)
    if foreground.ndim != 3 or foreground.dtype != torch.bool or not foreground.numel():
        raise ValueError(
            f"connected_count: expected Boolean (batch, height, width), got {foreground.dtype} "
            f"{tuple(foreground.shape)}."
        )
    from scipy.ndimage import label

    within = np.zeros((3, 3, 3), dtype=bool)
    within[1] = True
    patches, count = label(foreground.cpu().numpy(), structure=within)  # type: ignore[misc]
    size = torch.bincount(torch.from_numpy(patches).long().flatten(), minlength=count + 1)
    first = torch.from_numpy(np.stack([np.bincount(p.ravel(), minlength=count + 1)[1:] > 0 for p in patches]))
    return (first & (size[1:] >= max(minimum, 1))).sum(1).to(foreground.device)


def count_accuracy(predicted: Values, true: Values) -> float:
    """Share of images whose number of objects is right: (batch,) whole numbers twice.

    Compare with the share of the commonest number, which a constant answer reaches.

    Raises:
        ValueError: for other shapes and numbers that are not finite.
    """
    predicted, true = tensors("count_accuracy", predicted=predicted, true=true)
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ValueError(f"count_accuracy: expected (batch,) twice, got {tuple(predicted.shape)}, {tuple(true.shape)}.")
    return (predicted == true).double().mean().item()
