"""Does a segmentation find the objects? Adjusted Rand index, covering, and overlap of matched segments.

Predicted segments are labels (batch, height, width), whole numbers, or soft masks (batch, segments, height, width), of
which the largest wins a pixel; their order and numbers do not matter. True masks are (batch, 1 + objects, height,
width), Boolean, the background first; each pixel is in exactly one, absent objects are all False. Every metric gives
one number per image, from exact counts of pixels. Images that show too few objects to be judged are refused, not
scored: drop them with `objects_shown`.
"""

import torch
from torch import Tensor

from ergosum.shapes import PerSample

__all__ = ["ari", "covering", "foreground_ari", "matched_iou", "objects_shown", "segment_labels"]


def ari(predicted: Tensor, true: Tensor) -> PerSample:
    r"""Adjusted Rand index over all pixels, $(R - \mathbb E R) / (\max R - \mathbb E R)$: R pairs are together in both.

    1 for the same partition, near 0 for a random one, 0 for a single segment over a scene of several. A single segment
    over a single true one is the same partition. Large backgrounds carry most of it.

    Args:
        predicted: labels or soft masks. true: labels or masks.
    Source: Hubert & Arabie 1985, eq. 5; equals `sklearn.metrics.adjusted_rand_score`.
    """
    labels, known = segment_labels(predicted, "ari"), segment_labels(true, "ari")
    return _adjusted(_counts(labels, known, "ari"))


def foreground_ari(predicted: Tensor, masks: Tensor) -> PerSample:
    """Adjusted Rand index over the pixels of true objects only (ARI-FG).

    Blind to where segments leak into the background: read it beside `covering` or `matched_iou`.

    Raises:
        ValueError: if an image shows fewer than two objects. On one object a single segment over everything would be
            perfect; released code counts it as 1.
    Source: Greff et al. 2019 (IODINE); Burgess et al. 2019 (MONet).
    """
    counts = _against(predicted, masks, "foreground_ari", 2)
    return _adjusted(counts[:, 1:])


def covering(predicted: Tensor, masks: Tensor, weighted: bool = False) -> PerSample:
    r"""Mean over true objects R of $\max_{R'} |R \cap R'| / |R \cup R'|$ over predicted segments R', in [0, 1].

    The union counts all pixels of R', those in the background too: a single segment over everything covers an object
    only by its share of the image.

    Args:
        weighted: weigh objects by their areas (SC) rather than alike (mSC).
    Source: Arbeláez et al. 2011 (weighted); Engelcke et al. 2020 (GENESIS; both, and as released without the
    background, which a single segment would cover well).
    """
    counts = _against(predicted, masks, "covering", 1)
    best, area = _overlap(counts).amax(2)[:, 1:], counts[:, 1:].sum(2)
    weight = area if weighted else (area > 0).double()
    return (weight * best).sum(1) / weight.sum(1)


def matched_iou(predicted: Tensor, masks: Tensor) -> PerSample:
    """Mean over true objects of the intersection over union with their own predicted segment, matched one to one.

    The matching (Hungarian) maximises the mean; objects without a segment count as 0. At most `covering`, which lets
    one segment cover several objects.
    """
    from scipy.optimize import linear_sum_assignment

    counts = _against(predicted, masks, "matched_iou", 1)
    overlap = _overlap(counts)[:, 1:].cpu().numpy()
    total = [table[linear_sum_assignment(table, maximize=True)].sum() for table in overlap]
    return torch.tensor(total, dtype=torch.float64, device=counts.device) / (counts[:, 1:].sum(2) > 0).sum(1)


def objects_shown(masks: Tensor) -> Tensor:
    """How many objects each image shows: (batch,). At least two for `foreground_ari`, one for the others."""
    return masks[:, 1:].flatten(2).any(2).sum(1)


def segment_labels(segments: Tensor, name: str = "segment_labels") -> Tensor:
    """Labels (batch, height, width) of labels or of masks (batch, segments, height, width), the largest winning.

    Raises:
        ValueError: for other shapes, labels that are not whole numbers from 0, or masks that are not finite.
    """
    if segments.ndim == 4 and segments.numel():
        if not torch.stack(segments.aminmax()).isfinite().all():
            raise ValueError(f"{name}: soft masks must be finite.")
        return _largest(segments)
    if segments.ndim != 3 or not segments.numel() or segments.is_floating_point() or segments.dtype == torch.bool:
        raise ValueError(
            f"{name}: expected whole labels (batch, height, width) or masks (batch, segments, height, width), got "
            f"{segments.dtype} {tuple(segments.shape)}."
        )
    if segments.min() < 0:
        raise ValueError(f"{name}: labels must not be negative.")
    labels = segments.long()
    return labels.unique(return_inverse=True)[1] if labels.max() > 255 else labels


def _largest(masks: Tensor) -> Tensor:
    """The first of the largest masks at each pixel, by two maxima: faster than argmax across planes."""
    count = masks.shape[1]
    rank = torch.arange(count, 0, -1, dtype=torch.int16, device=masks.device).view(-1, 1, 1)
    return count - ((masks == masks.amax(1, keepdim=True)) * rank).amax(1).long()


def _against(predicted: Tensor, masks: Tensor, name: str, least: int) -> Tensor:
    """Counts of pixels (batch, 1 + objects, segments) of each true mask in each predicted segment."""
    if masks.ndim != 4 or masks.dtype != torch.bool or masks.shape[1] < 2:
        raise ValueError(
            f"{name}: expected Boolean masks (batch, 1 + objects, height, width), background first, got {masks.dtype} "
            f"{tuple(masks.shape)}."
        )
    if not (masks.sum(1, dtype=torch.uint8) == 1).all():
        raise ValueError(f"{name}: every pixel must be in exactly one true mask, the background included.")
    counts = _counts(segment_labels(predicted, name), segment_labels(masks, name), name, masks.shape[1])
    few = (counts[:, 1:].sum(2) > 0).sum(1) < least
    if few.any():
        raise ValueError(
            f"{name}: {int(few.sum())} of {len(few)} images show fewer than {least} objects and cannot be judged; drop "
            "them with `objects_shown`."
        )
    return counts


def _counts(labels: Tensor, known: Tensor, name: str, true: int = 1) -> Tensor:
    if labels.shape != known.shape:
        raise ValueError(f"{name}: expected segments of one size, got {tuple(labels.shape)} and {tuple(known.shape)}.")
    batch, segments, true = len(labels), int(labels.max()) + 1, max(true, int(known.max()) + 1)
    image = torch.arange(batch, device=labels.device)[:, None, None]
    index = (image * true + known) * segments + labels
    return torch.bincount(index.flatten(), minlength=batch * true * segments).view(batch, true, segments).double()


def _adjusted(counts: Tensor) -> Tensor:
    joint, rows, columns, total = (
        (n * (n - 1) / 2) for n in (counts, counts.sum(2), counts.sum(1), counts.sum((1, 2)))
    )
    same, a, b = joint.sum((1, 2)), rows.sum(1), columns.sum(1)
    expected = a * b / total.clamp_min(1)
    spread = (a + b) / 2 - expected
    # no spread: both partitions are one segment, or both are single pixels; either way they are the same
    return torch.where(spread > 0, (same - expected) / torch.where(spread > 0, spread, 1.0), 1.0)


def _overlap(counts: Tensor) -> Tensor:
    """Intersection over union of every true mask with every predicted segment; 0 where both are empty."""
    union = counts.sum(2, keepdim=True) + counts.sum(1, keepdim=True) - counts
    return counts / union.clamp_min(1)
