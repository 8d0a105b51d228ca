"""How many objects are there?"""

import torch
from torch import Tensor

from ergosum.metrics.segmentation import segment_labels

__all__ = ["connected_count", "count_accuracy", "object_count"]


def object_count(segments: Tensor, minimum: int = 1, background: int | None = None) -> Tensor:
    """How many segments other than the background have at least `minimum` pixels: (batch,).

    A single segment is background and counts 0 objects.

    Args:
        segments: labels (batch, height, width), or masks (batch, segments, height, width) of which the largest wins.
        minimum: pixels. background: its number (0 for true masks), or None for each image's largest segment.
    """
    labels = segment_labels(segments, "object_count")
    width = max(int(labels.max()), background or 0) + 1
    image = torch.arange(len(labels), device=labels.device)[:, None, None]
    size = torch.bincount((image * width + labels).flatten(), minlength=len(labels) * width).view(-1, width)
    ground = size.argmax(1) if background is None else torch.full_like(size[:, 0], background)
    return (size.scatter(1, ground[:, None], 0) >= max(minimum, 1)).sum(1)


def connected_count(foreground: Tensor, minimum: int = 1) -> Tensor:
    """How many connected patches of foreground have at least `minimum` pixels: (batch,).

    Pixels connect across edges and corners; objects that touch count as one.

    Args:
        foreground: (batch, height, width), Boolean.
    """
    if foreground.ndim != 3 or foreground.dtype != torch.bool or not foreground.numel():
        raise ValueError(
            f"connected_count: expected Boolean (batch, height, width), got {foreground.dtype} "
            f"{tuple(foreground.shape)}."
        )
    import numpy as np
    from scipy.ndimage import label

    within = np.zeros((3, 3, 3), dtype=bool)
    within[1] = True
    patches, count = label(foreground.cpu().numpy(), structure=within)  # type: ignore[misc]
    size = torch.bincount(torch.from_numpy(patches).long().flatten(), minlength=count + 1)
    first = torch.from_numpy(np.stack([np.bincount(p.ravel(), minlength=count + 1)[1:] > 0 for p in patches]))
    return (first & (size[1:] >= max(minimum, 1))).sum(1).to(foreground.device)


def count_accuracy(predicted: Tensor, true: Tensor) -> float:
    """Share of images whose number of objects is right: (batch,) whole numbers twice.

    Compare with the share of the commonest number, which a constant answer reaches.
    """
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ValueError(f"count_accuracy: expected (batch,) twice, got {tuple(predicted.shape)}, {tuple(true.shape)}.")
    return (predicted == true).double().mean().item()
