"""How well a model decomposes images: segments, recomposition, swaps and counts, beside what needs no model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import label as connected
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ergosum.data.record import ImageRecord
from ergosum.data.shadows import CastsShadows, with_shadows
from ergosum.decomposition.composites import composite_scores
from ergosum.decomposition.fidelity import Features, kid_rows
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import by_unit, decompose, encode_best, recompose
from ergosum.decomposition.shadows import Unshaded, in_any_light, masks_without_shadows, tells_shadows
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.segmentation import ari, covering, foreground_ari, objects_shown
from ergosum.metrics.sharpness import sharpness
from ergosum.metrics.ssim import ssim
from ergosum.metrics.swap import swap_consistency
from ergosum.part import Part

__all__ = ["colour_patches", "decomposition_scores", "own_metrics", "patches", "shadow_scores"]

DEAD = 1e-3
"""Share of the largest mean squared distance between images below which a unit counts as dead."""


@torch.no_grad()
def decomposition_scores(
    task: OfImages, model: ImageDecomposer, n: int, seed: int, features: Features | None = None
) -> dict[str, Any]:
    """Scores on n held-out images.

    Keys: `mse`, `psnr`, `ssim`, `sharpness` (how much edge is left), `mse_mean` (of the mean image) and `psnr_least`
    (of the worst image) of the recomposition; `fg_ari`, `ari`, `covering` of the images that show two objects or more
    (None if there is none, or one component); `swap_consistency` with `swap_share` and `swap_arrival`, means over what
    can be exchanged (components; of a single one its numbers; slots are matched); counts of composites, see
    `composite_scores`; `rows`: the segmentation of what needs no model; of scenes with shadows those of
    `shadow_scores`; with features, `kid` and `kid_recombined`, the kernel distance to other held-out images of what was
    recomposed and of images with one component exchanged, and `kid_rows`; and the means of the task's own metrics,
    which `metrics` lists.
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
        "sharpness": sharpness(whole, data.images),
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
    scenes = task.dataset("test")
    if scored.any() and isinstance(scenes, CastsShadows):
        shadows = scenes.shadows(data.attributes[scored], data.factors[scored])
        shown = ImageRecord(*(v[scored] for v in data))
        result |= shadow_scores(model, latents[scored], masks[scored], shown, shadows, plain)
    if n < 4:
        return result
    swaps, swapped = _swaps(model, latents, masks, generator)
    result |= swaps | composite_scores(task, model, n, generator, seed)
    if features is None:
        return result
    true, others = task.held_out(2 * n, generator).images.chunk(2)
    if (true != true[:1]).any():  # of one held-out image, drawn again and again, nothing has a distance
        chosen = torch.randperm(len(swapped), generator=generator)[:n]
        made = {"recomposed": whole} | ({"one component exchanged": swapped[chosen]} if len(swapped) else {})
        rows = kid_rows(made, true, others, features, seed)
        result |= {"kid": rows[0]["kid"], "kid_recombined": rows[1]["kid"] if len(swapped) else None, "kid_rows": rows}
    return result


@torch.no_grad()
def shadow_scores(
    model: ImageDecomposer, latents: Tensor, masks: Tensor, data: ImageRecord, shadows: Tensor, plain: dict[str, Tensor]
) -> dict[str, Any]:
    """Segments of images with shadows against masks of solids alone, and of solids with the shadows that they cast.

    Keys: `ari_with_shadows`, `covering_with_shadows` of the model's masks; `fg_ari_apart`, `ari_apart`,
    `covering_apart` of its masks without shadows, `ari_apart_with_shadows`, `covering_apart_with_shadows` of these
    with the shadows given back, and `shadow_iou`, the overlap of all shadows with the true ones, where the model tells
    them (`tells_shadows`); `shadow_rows`: all of it, beside segments that need no model and the true masks.

    Shape:
        latents: (n, K, D). masks: (n, K, side, side). shadows: (n, objects, side, side), bool. plain: labels
        (n, side, side) by name.
    """
    true = with_shadows(data.masks, shadows)
    rows = [{"row": "ours", **_segmentation(masks, data.masks), **_with(masks, true)}]
    told: dict[str, Any] = _with(masks, true)
    if tells_shadows(model):
        parts = zip(latents.split(64), data.images.split(64), strict=True)
        made = Unshaded(*(torch.cat(v) for v in zip(*(masks_without_shadows(model, *p) for p in parts), strict=True)))
        apart = _segmentation(made.masks, data.masks) | _with(made.with_shadows, true)
        told |= {f"{k.removesuffix('_with_shadows')}_apart{'_with_shadows' * k.endswith('shadows')}": v
                 for k, v in apart.items()}  # fmt: skip
        cast, held = made.with_shadows.argmax(1) != made.masks.argmax(1), shadows.any(1)
        told["shadow_iou"] = ((cast & held).sum() / (cast | held).sum().clamp(min=1)).item()
        rows.append({"row": "ours, shadows told apart", **apart})
        plain = {"our floor, the rest in connected patches": patches(made.masks[:, 0] < 0.5)} | plain
    plain |= {
        "floor of one colour, the rest in connected patches": patches(~in_any_light(data.images)),
        "true masks of solids": data.masks, "true masks of solids with shadows": true,
    }  # fmt: skip
    rows += [{"row": row, **_segmentation(v, data.masks), **_with(v, true)} for row, v in plain.items()]
    return told | {"shadow_rows": rows}


def _with(predicted: Tensor, true: Tensor) -> dict[str, float]:
    return {
        "ari_with_shadows": ari(predicted, true).mean().item(),
        "covering_with_shadows": covering(predicted, true).mean().item(),
    }


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


def patches(foreground: Tensor) -> Tensor:
    """Connected patches of a foreground (n, side, side), bool, as labels from 1; 0 elsewhere."""
    return torch.from_numpy(np.stack([connected(image)[0] for image in foreground.numpy()])).long()  # type: ignore[index]


def _stripes(images: Tensor, segments: int) -> Tensor:
    side = images.shape[-1]
    return (torch.arange(side) * segments // side).expand(len(images), side, side)


def _swaps(
    model: ImageDecomposer, latents: Tensor, masks: Tensor, generator: Generator
) -> tuple[dict[str, Any], Tensor]:
    """Each unit in turn is replaced by that of a donor and the result is encoded again; scores, and the results.

    Units that are the same in all images, or differ by less than a thousandth of what the others do (in square), are
    dead: they exchange nothing, and what moves in them is noise. They are left out, and `swap_dead` counts them. Where
    less than two are left, the scores are 0. A model with a single unit to exchange has none (None): what is exchanged
    is all that it tells.

    Of slots only those with a place are exchanged, and the donor is the image whose component hides least of the
    others: two solid objects in one place are no image that could be read again. Otherwise it is the next image.
    """
    placed = model.placed
    hard = (masks.argmax(1, keepdim=True) == torch.arange(masks.shape[1])[:, None, None]).flatten(2).float()
    told, made, count = [], [], by_unit(latents).shape[1]
    if count - model.globals < 2:
        return dict.fromkeys(("swap_share", "swap_arrival", "swap_consistency")) | {"swap_dead": 0}, torch.empty(0)
    for k in range(model.globals, count):
        donors = _unobtrusive(hard, k, model.globals) if placed else torch.arange(len(latents)).roll(1)
        donor, mixed = latents[donors], latents.clone()
        by_unit(mixed)[:, k] = by_unit(donor)[:, k]
        own, other = by_unit(latents), by_unit(donor)
        apart = (own.double() - other.double()).square().sum(2).mean(0)
        living = apart > DEAD * apart.max()
        if not living[k] or living.sum() < 2:
            continue
        images = [recompose(model, part, generator) for part in mixed.split(64)]
        again = torch.cat([encode_best(model, part, generator, latents.shape[1]) for part in images])
        made += images
        again = _matched(again, mixed) if placed else again
        swapped = torch.arange(count) == k
        own, other, again = own[:, living], other[:, living], by_unit(again)[:, living]
        told.append(swap_consistency(own, other, again, swapped[living]))
    mean = torch.tensor(told or [(0.0, 0.0, 0.0)]).double().mean(0).tolist()
    scores = {"swap_share": mean[0], "swap_arrival": mean[1], "swap_consistency": mean[2]}
    dead = count - model.globals - len(told)
    return scores | {"swap_dead": dead}, torch.cat(made) if made else torch.empty(0)


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
