"""How well a model takes pictures apart: segments, recomposition, swaps and counts, beside what needs no model."""

from typing import Any

import numpy as np
import torch
from scipy.ndimage import label as connected
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ergosum.data.named import picture_set
from ergosum.data.record import Pictures
from ergosum.decomposer import Decomposer
from ergosum.decomposition import combine, masks_of, recompose, take_apart
from ergosum.metrics.counting import count_accuracy, object_count
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.segmentation import ari, covering, foreground_ari, objects_shown
from ergosum.metrics.ssim import ssim
from ergosum.metrics.swap import swap_consistency
from ergosum.settings import Experiment

__all__ = ["colour_patches", "decomposition_scores"]

HELD_OUT = 1_000_000
"""Seeds of held-out pictures start here; training pictures are drawn with smaller ones."""
SMALLEST = 25
"""Pixels of the smallest segment that counts as an object: one cell of a Tetris piece."""


@torch.no_grad()
def decomposition_scores(experiment: Experiment, model: Decomposer, n: int, seed: int) -> dict[str, Any]:
    """Scores on n held-out pictures.

    Keys: `mse`, `psnr`, `ssim`, `mse_mean` (of the mean picture) of the recomposition; `fg_ari`, `ari`, `covering`;
    `swap_consistency` with `swap_share` and `swap_arrival`, where slots are matched; `count_accuracy` of composites
    of two pictures whose objects do not overlap; `rows`: the segmentation of what needs no model.
    """
    if n < 2:
        raise ValueError(f"decomposition_scores: expected n >= 2 pictures, got {n}.")
    generator = Generator().manual_seed(HELD_OUT + seed)
    data = picture_set(experiment.pictures).draw(n, generator)
    chunks = [take_apart(model, data.images[i : i + 64], generator) for i in range(0, n, 64)]
    whole, masks, latents = (torch.cat([getattr(c, k) for c in chunks]) for k in ("whole", "masks", "latents"))
    mean = data.images.mean(0, keepdim=True).expand_as(data.images)
    judged = objects_shown(data.masks) >= 2
    error = mse(whole, data.images)
    result: dict[str, Any] = {
        "mse": error.mean().item(),
        "mse_mean": mse(mean, data.images).mean().item(),
        "psnr": psnr(error).mean().item(),
        "ssim": ssim(whole, data.images).mean().item(),
        **_segmentation(masks[judged], data.masks[judged]),
    }
    result["rows"] = [{"row": "ours", **_segmentation(masks[judged], data.masks[judged])}]
    plain = {
        "connected patches of one colour": colour_patches(data.images[judged]),
        "one segment": torch.zeros_like(data.masks[judged][:, 0], dtype=torch.long),
        "vertical stripes": _stripes(data.images[judged], masks.shape[1]),
    }
    result["rows"] += [{"row": row, **_segmentation(labels, data.masks[judged])} for row, labels in plain.items()]
    if n >= 4:
        result |= _swaps(model, latents, generator)
        result |= _composites(experiment, model, data, latents)
    return result


def _segmentation(predicted: Tensor, masks: Tensor) -> dict[str, float]:
    return {
        "fg_ari": foreground_ari(predicted, masks).mean().item(),
        "ari": ari(predicted, masks).mean().item(),
        "covering": covering(predicted, masks).mean().item(),
    }


def colour_patches(images: Tensor) -> Tensor:
    """Segments that need no learning: connected patches of one colour (8 levels per channel), (n, side, side)."""
    code = (images * 7.999).long()
    codes = (64 * code[:, 0] + 8 * code[:, 1] + code[:, 2]).numpy()
    labels = np.zeros(codes.shape, dtype=np.int64)
    for k, picture in enumerate(codes):
        known = 0
        for value in np.unique(picture):
            patches, count = connected(picture == value)  # type: ignore[misc]
            labels[k][patches > 0] = patches[patches > 0] + known
            known += count
    return torch.from_numpy(labels)


def _stripes(images: Tensor, segments: int) -> Tensor:
    side = images.shape[-1]
    return (torch.arange(side) * segments // side).expand(len(images), side, side)


def _swaps(model: Decomposer, latents: Tensor, generator: Generator) -> dict[str, float]:
    """One component of each picture is replaced by its neighbour's, the result is encoded again."""
    donor = latents.roll(1, 0)
    k = latents.shape[1] - 1
    mixed = latents.clone()
    mixed[:, k] = donor[:, k]
    again = torch.cat([
        model.encode(recompose(model, part, generator), components=latents.shape[1]) for part in mixed.split(64)
    ])  # fmt: skip
    swapped = torch.zeros(latents.shape[1], dtype=torch.bool)
    swapped[k] = True
    told = swap_consistency(latents, donor, _matched(again, mixed), swapped)
    return {"swap_consistency": told.consistency, "swap_share": told.share, "swap_arrival": told.arrival}


def _matched(found: Tensor, expected: Tensor) -> Tensor:
    """Slots in the order of the expected ones that they are nearest to."""
    order = [linear_sum_assignment(cost)[1] for cost in torch.cdist(expected.double(), found.double()).numpy()]
    index = torch.from_numpy(np.stack(order))[..., None].expand_as(found)
    return found.gather(1, index)


def _composites(experiment: Experiment, model: Decomposer, data: Pictures, latents: Tensor) -> dict[str, Any]:
    """All objects of two pictures in one: is every component somewhere?"""
    half = len(latents) // 2
    first, second = slice(0, half), slice(half, 2 * half)
    apart = ~((~data.masks[first][:, 0]) & (~data.masks[second][:, 0])).flatten(1).any(1)
    if not apart.any():
        return {"count_accuracy": None, "composites": 0}
    both = combine(latents[first][apart], latents[second][apart], globals=experiment.model.globals)
    counted = object_count(masks_of(model, both, data.images[first][apart]), SMALLEST)
    expected = objects_shown(data.masks[first][apart]) + objects_shown(data.masks[second][apart])
    return {"count_accuracy": count_accuracy(counted, expected), "composites": int(apart.sum())}
