"""How well a model decomposes images: segments, recomposition, swaps and counts, beside what needs no model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import label as connected
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ergosum.decomposition.fidelity import Features, kid_rows
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import by_unit, combine, decompose, encode_best, masks_of, recompose
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.metrics.counting import count_accuracy, object_count
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.segmentation import ari, covering, foreground_ari, objects_shown
from ergosum.metrics.ssim import ssim
from ergosum.metrics.swap import swap_consistency
from ergosum.part import Part

__all__ = ["colour_patches", "compatible", "decomposition_scores", "own_metrics"]

SMALLEST = 9
"""Pixels of the smallest segment that counts as an object."""


@torch.no_grad()
def decomposition_scores(
    task: OfImages, model: ImageDecomposer, n: int, seed: int, features: Features | None = None
) -> dict[str, Any]:
    """Scores on n held-out images.

    Keys: `mse`, `psnr`, `ssim`, `mse_mean` (of the mean image) and `psnr_least` (of the worst image) of the
    recomposition; `fg_ari`, `ari`, `covering` of the images that show two objects or more (None if there is none, or
    one component); `swap_consistency` with `swap_share` and `swap_arrival`, means over what can be exchanged
    (components; of a single one its numbers; slots are matched); `count_accuracy` of `composites`; `rows`: the
    segmentation of what needs no model; with features, `kid` and `kid_recombined`, the kernel distance to other
    held-out images of what was recomposed and of images with one component exchanged, and `kid_rows`; and the means of
    the task's own metrics, which `metrics` lists.

    Composites: all objects of two images of `composite_objects` / 2 objects each, at most as many as n, of which
    none hides more than a fifth of another's. The composite is decomposed again and its segments are counted;
    `count_shown` counts the components that it was composed of and that can be seen in it.
    """
    if n < 2:
        raise ValueError(f"decomposition_scores: expected n >= 2 images, got {n}.")
    generator = Generator().manual_seed(HELD_OUT + seed)
    data = task.held_out(n, generator)
    chunks = [decompose(model, data.images[i : i + 64], generator) for i in range(0, n, 64)]
    whole, masks, latents = (torch.cat([getattr(c, k) for c in chunks]) for k in ("whole", "masks", "latents"))
    mean = data.images.mean(0, keepdim=True).expand_as(data.images)
    scored = (objects_shown(data.masks) >= 2) & (masks.shape[1] > 1)
    error = mse(whole, data.images)
    result: dict[str, Any] = {
        "mse": error.mean().item(),
        "mse_mean": mse(mean, data.images).mean().item(),
        "psnr": psnr(error).mean().item(),
        "psnr_least": psnr(error).min().item(),
        "ssim": ssim(whole, data.images).mean().item(),
        **_segmentation(masks[scored], data.masks[scored]),
        **own_metrics(task.metrics, whole, data.images),
    }
    result["rows"] = [{"row": "ours", **_segmentation(masks[scored], data.masks[scored])}]
    plain = {
        "connected patches of one colour": colour_patches(data.images[scored]),
        "one segment": torch.zeros_like(data.masks[scored][:, 0], dtype=torch.long),
        "vertical stripes": _stripes(data.images[scored], masks.shape[1]),
    }
    result["rows"] += [{"row": row, **_segmentation(labels, data.masks[scored])} for row, labels in plain.items()]
    if n < 4:
        return result
    swaps, swapped = _swaps(model, latents, masks, generator)
    result |= swaps | _composites(task, model, n, generator)
    if features is None:
        return result
    true, others = task.held_out(2 * n, generator).images.chunk(2)
    if (true != true[:1]).any():  # of one held-out image, drawn again and again, nothing has a distance
        chosen = torch.randperm(len(swapped), generator=generator)[:n]
        made = {"recomposed": whole, "one component exchanged": swapped[chosen]}
        rows = kid_rows(made, true, others, features, seed)
        result |= {"kid": rows[0]["kid"], "kid_recombined": rows[1]["kid"], "kid_rows": rows}
    return result


def own_metrics(metrics: Sequence[Part[Any]], made: Tensor, true: Tensor) -> dict[str, Any]:
    """Means of a task's own metrics over images, each under the name of its class or function; `metrics` lists them."""
    told = {part.cls.__name__: part.build()(made, true).mean().item() for part in metrics}
    return told | ({"metrics": list(told)} if told else {})


def _segmentation(predicted: Tensor, masks: Tensor) -> dict[str, float | None]:
    if not len(masks):  # no image shows two objects
        return dict.fromkeys(("fg_ari", "ari", "covering"))
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
    for k, image in enumerate(codes):
        known = 0
        for value in np.unique(image):
            patches, count = connected(image == value)  # type: ignore[misc]
            labels[k][patches > 0] = patches[patches > 0] + known
            known += count
    return torch.from_numpy(labels)


def _stripes(images: Tensor, segments: int) -> Tensor:
    side = images.shape[-1]
    return (torch.arange(side) * segments // side).expand(len(images), side, side)


def _swaps(
    model: ImageDecomposer, latents: Tensor, masks: Tensor, generator: Generator
) -> tuple[dict[str, float], Tensor]:
    """Each unit in turn is replaced by that of a donor and the result is encoded again; scores, and the results.

    Of slots only those with a place are exchanged, and the donor is the image whose component hides least of the
    others: two solid objects in one place are no image that could be read again. Otherwise it is the next image.
    """
    placed = model.placed
    hard = (masks.argmax(1, keepdim=True) == torch.arange(masks.shape[1])[:, None, None]).flatten(2).float()
    told, made, count = [], [], by_unit(latents).shape[1]
    for k in range(model.globals, count):
        donors = _unobtrusive(hard, k, model.globals) if placed else torch.arange(len(latents)).roll(1)
        donor, mixed = latents[donors], latents.clone()
        by_unit(mixed)[:, k] = by_unit(donor)[:, k]
        images = [recompose(model, part, generator) for part in mixed.split(64)]
        again = torch.cat([encode_best(model, part, generator, latents.shape[1]) for part in images])
        made += images
        again = _matched(again, mixed) if placed else again
        swapped = torch.arange(count) == k
        own, other = by_unit(latents), by_unit(donor)
        alike = torch.equal(own[:, k], other[:, k])  # a unit that is the same in all images exchanges nothing
        told.append((0.0, 0.0, 0.0) if alike else swap_consistency(own, other, by_unit(again), swapped))
    mean = torch.tensor(told).double().mean(0).tolist()
    return {"swap_share": mean[0], "swap_arrival": mean[1], "swap_consistency": mean[2]}, torch.cat(made)


def _unobtrusive(hard: Tensor, k: int, globals: int) -> Tensor:
    """For each image the other one whose component k covers least of its own other objects."""
    others = hard[:, globals:].sum(1) - hard[:, k]
    hidden = others @ hard[:, k].T - 1e3 * (hard[:, k].sum(1) > 0)  # an empty component is no donor if there is another
    return hidden.fill_diagonal_(torch.inf).argmin(1)


def _matched(found: Tensor, expected: Tensor) -> Tensor:
    """Slots in the order of the expected ones that they are nearest to."""
    order = [linear_sum_assignment(cost)[1] for cost in torch.cdist(expected.double(), found.double()).numpy()]
    index = torch.from_numpy(np.stack(order))[..., None].expand_as(found)
    return found.gather(1, index)


def _composites(task: OfImages, model: ImageDecomposer, n: int, generator: Generator) -> dict[str, Any]:
    """All objects of two images in one: are they all there?"""
    each = min(4, max(1, task.dataset("test").objects))
    data = task.dataset("test", each).draw(n, generator)
    none = data.masks.shape[1] == 1  # of images without true objects
    one, two = (torch.empty(0),) * 2 if none else compatible(data.masks[:, 1:], n, generator)
    told: dict[str, Any] = {"composites": len(one), "composite_objects": 2 * each}
    if not model.placed or not len(one):
        return told | {"count_accuracy": None, "count_shown": None}
    latents = torch.cat([encode_best(model, part, generator) for part in data.images.split(64)])
    both = combine(latents[one], latents[two], globals=model.globals)
    counted, shown = [], []
    for part in both.split(64):
        image = recompose(model, part, generator)
        again = encode_best(model, image, generator, model.globals + 2 * each)
        shown.append(object_count(masks_of(model, part, image), SMALLEST))
        counted.append(object_count(masks_of(model, again, image), SMALLEST))
    expected = torch.full((len(one),), 2 * each)
    return told | {
        "count_accuracy": count_accuracy(torch.cat(counted), expected),
        "count_shown": count_accuracy(torch.cat(shown), expected),
    }


def compatible(objects: Tensor, most: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Up to `most` random pairs of images of which no object hides more than a fifth of one of the other's.

    Shape:
        objects: Boolean masks (n, objects, side, side). Returns numbers of images (pairs,), twice.
    """
    flat = objects.flatten(2).float()
    size, any_object = flat.sum(2), flat.sum(1)
    hidden = (torch.einsum("nop,mp->nmo", flat, any_object) / size.clamp(min=1)[:, None]).amax(2)
    one, two = torch.triu_indices(len(objects), len(objects), 1)
    free = (torch.maximum(hidden, hidden.T)[one, two] <= 0.2).nonzero()[:, 0]
    free = free[torch.randperm(len(free), generator=generator)[:most]]
    return one[free], two[free]
