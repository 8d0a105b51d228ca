"""Does a segmentation find the objects? Adjusted Rand index, covering, and overlap of matched segments.

All of them take a segmentation in either of two forms, predicted ones and true ones alike:

- labels (batch, height, width), whole numbers from 0;
- masks (batch, segments, height, width): Boolean, one-hot or soft. The largest wins a pixel, the first of equals.

The order and the numbers of predicted segments do not matter. Of true ones, label 0 or mask 0 is the background, all
others are objects; true masks are one-hot (each pixel is in exactly one), and masks of absent objects are empty.
`as_masks` and `segment_labels` go from one form to the other, `with_background` adds the background's mask to masks of
objects alone. Every metric gives one number per image, from exact counts of pixels. Images that show too few objects to
be judged are refused, not scored, since one segment over everything would be perfect: drop them with `objects_shown`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.metrics.arrays import Values, tensors
from ergosum.shapes import PerSample

__all__ = [
    "ari",
    "as_masks",
    "covering",
    "foreground_ari",
    "matched_iou",
    "objects_shown",
    "segment_labels",
    "with_background",
]


def ari(predicted: Values, true: Values) -> PerSample:
    r"""Adjusted Rand index over all pixels, $(R - \mathbb E R) / (\max R - \mathbb E R)$: R pairs are together in both.

    1 for the same partition, near 0 for a random one, 0 for a single segment over a scene of several. Large backgrounds
    carry most of it.

    Args:
        predicted, true: labels or masks; the background counts like any segment.
    Raises:
        ValueError: if an image has a single true segment, so that a single predicted one would be perfect; for wrong
            shapes and values.
    Source: Hubert & Arabie 1985, eq. 5; equals `sklearn.metrics.adjusted_rand_score`.
    """
    counts = _counts(predicted, true, "ari")
    _refuse((counts.sum(2) > 0).sum(1) < 2, "ari", "fewer than 2 true segments")
    return _adjusted(counts)


def foreground_ari(predicted: Values, true: Values) -> PerSample:
    """Adjusted Rand index over the pixels of true objects only (ARI-FG).

    Blind to where segments leak into the background: read it beside `covering` or `matched_iou`.

    Args:
        predicted, true: labels or masks.
    Raises:
        ValueError: if an image shows fewer than two objects. On one object a single segment over everything would be
            perfect; released code counts it as 1. For wrong shapes and values.
    Source: Greff et al. 2019 (IODINE); Burgess et al. 2019 (MONet).
    """
    counts = _against(predicted, true, "foreground_ari", 2)
    return _adjusted(counts[:, 1:])


def covering(predicted: Values, true: Values, weighted: bool = False) -> PerSample:
    r"""Mean over true objects R of $\max_{R'} |R \cap R'| / |R \cup R'|$ over predicted segments R', in [0, 1].

    The union counts all pixels of R', those in the background too: a single segment over everything covers an object
    only by its share of the image.

    Args:
        predicted, true: labels or masks.
        weighted: weigh objects by their areas (SC) rather than alike (mSC).
    Raises:
        ValueError: if an image shows no object; for wrong shapes and values.
    Source: Arbeláez et al. 2011 (weighted); Engelcke et al. 2020 (GENESIS; both, and as released without the
    background, which a single segment would cover well).
    """
    counts = _against(predicted, true, "covering", 1)
    best, area = _overlap(counts).amax(2)[:, 1:], counts[:, 1:].sum(2)
    weight = area if weighted else (area > 0).double()
    return (weight * best).sum(1) / weight.sum(1)


def matched_iou(predicted: Values, true: Values) -> PerSample:
    """Mean over true objects of the intersection over union with their own predicted segment, matched one to one.

    The matching (Hungarian) maximises the mean; objects without a segment count as 0. At most `covering`, which lets
    one segment cover several objects.

    Args:
        predicted, true: labels or masks.
    Raises:
        ValueError: if an image shows no object; for wrong shapes and values.
    Source: Kuhn 1955 (the matching); Jaccard 1912 (the overlap).
    """
    from scipy.optimize import linear_sum_assignment

    counts = _against(predicted, true, "matched_iou", 1)
    overlap = _overlap(counts)[:, 1:].cpu().numpy()
    total = [table[linear_sum_assignment(table, maximize=True)].sum() for table in overlap]
    return torch.tensor(total, dtype=torch.float64, device=counts.device) / (counts[:, 1:].sum(2) > 0).sum(1)


def objects_shown(true: Values) -> Tensor:
    """How many objects each image shows: (batch,). At least two for `foreground_ari`, one for the others.

    Args:
        true: labels or masks, the background first.
    """
    true = _truth(true, "objects_shown")
    if true.ndim == 4:
        return true[:, 1:].flatten(2).any(2).sum(1)
    labels = true.flatten(1).sort(1).values
    return (labels.diff(dim=1) != 0).sum(1) + (labels[:, 0] != 0).long()


def segment_labels(segments: Values, name: str = "segment_labels") -> Tensor:
    """Labels (batch, height, width) of labels or of masks (batch, segments, height, width), the largest winning.

    Raises:
        ValueError: for other shapes, labels that are not whole numbers from 0, or masks that are not finite.
    """
    (segments,) = tensors(name, segments=segments)
    if segments.ndim == 4 and segments.numel():
        return _largest(segments)
    if segments.ndim != 3 or not segments.numel() or segments.is_floating_point() or segments.dtype == torch.bool:
        raise ValueError(
            f"{name}: expected whole labels (batch, height, width) or masks (batch, segments, height, width), got "
            f"{segments.dtype} {tuple(segments.shape)}."
        )
    if segments.min() < 0:
        raise ValueError(f"{name}: labels must not be negative.")
    return segments.long()


def as_masks(segments: Values, count: int | None = None) -> Tensor:
    """Boolean one-hot masks (batch, segments, height, width) of labels or of soft masks, the largest winning.

    Args:
        count: how many masks to give; as many as the largest label, or as the given masks, asks for if None.
    Raises:
        ValueError: for other shapes or numbers, and if there are more segments than `count`.
    """
    (segments,) = tensors("as_masks", segments=segments)
    labels = segment_labels(segments, "as_masks")
    least = int(labels.max()) + 1
    if count is not None and count < least:
        raise ValueError(f"as_masks: the largest label asks for {least} masks, got count={count}.")
    return F.one_hot(labels, count or (segments.shape[1] if segments.ndim == 4 else least)).movedim(3, 1).bool()


def with_background(objects: Values) -> Tensor:
    """Masks of objects alone, (batch, objects, height, width), with the mask of all other pixels put first.

    Args:
        objects: Boolean, or numbers that are 0 or 1; no pixel is in two.
    Raises:
        ValueError: for other shapes or numbers, and where objects overlap.
    """
    (objects,) = tensors("with_background", objects=objects)
    if objects.ndim != 4 or not objects.numel() or ((objects != 0) & (objects != 1)).any():
        raise ValueError(
            "with_background: expected masks (batch, objects, height, width) of 0 and 1, got "
            f"{objects.dtype} {tuple(objects.shape)}."
        )
    inside = objects.bool()
    if (inside.sum(1) > 1).any():
        raise ValueError("with_background: a pixel is in two objects; give each pixel to the one in front.")
    return torch.cat([~inside.any(1, keepdim=True), inside], 1)


def _largest(masks: Tensor) -> Tensor:
    """The first of the largest masks at each pixel, by two maxima: faster than argmax across planes."""
    count = masks.shape[1]
    rank = torch.arange(count, 0, -1, dtype=torch.int16, device=masks.device).view(-1, 1, 1)
    return count - ((masks == masks.amax(1, keepdim=True)) * rank).amax(1).long()


def _truth(true: Values, name: str) -> Tensor:
    """A true segmentation, labels or Boolean masks, of which 0 is the background; masks must be one-hot."""
    (true,) = tensors(name, true=true)
    if true.ndim != 4:
        return segment_labels(true, name)
    inside = true.bool()
    if (true is not inside and (true != inside).any()) or (inside.sum(1, dtype=torch.int16) != 1).any():
        raise ValueError(
            f"{name}: every pixel must be in exactly one true mask, the background (the first) included. "
            "`with_background` adds it to masks of objects, `as_masks` makes soft masks one-hot."
        )
    return inside


def _against(predicted: Values, true: Values, name: str, least: int) -> Tensor:
    """Counts of pixels (batch, 1 + objects, segments) of each true segment in each predicted one."""
    counts = _counts(predicted, true, name)
    _refuse((counts[:, 1:].sum(2) > 0).sum(1) < least, name, f"fewer than {least} objects")
    return counts


def _refuse(few: Tensor, name: str, what: str) -> None:
    if few.any():
        raise ValueError(
            f"{name}: {int(few.sum())} of {len(few)} images show {what} and cannot be judged; drop them with "
            "`objects_shown`."
        )


def _counts(predicted: Values, true: Values, name: str) -> Tensor:
    """Counts of pixels (batch, true segments, predicted segments)."""
    labels, known = segment_labels(predicted, name), segment_labels(_truth(true, name), name)
    if labels.shape != known.shape:
        raise ValueError(f"{name}: expected segments of one size, got {tuple(labels.shape)} and {tuple(known.shape)}.")
    labels, known = _few(labels), _few(known).to(labels.device)
    batch, segments, rows = len(labels), int(labels.max()) + 1, int(known.max()) + 1
    image = torch.arange(batch, device=labels.device)[:, None, None]
    index = (image * rows + known) * segments + labels
    return torch.bincount(index.flatten(), minlength=batch * rows * segments).view(batch, rows, segments).double()


def _few(labels: Tensor) -> Tensor:
    """Large numbers replaced by small ones, so that tables of counts stay small; 0 stays 0."""
    if labels.max() <= 255:
        return labels
    return torch.cat([labels.new_zeros(1), labels.flatten()]).unique(return_inverse=True)[1][1:].view_as(labels)


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
