"""All objects of two images put into one by adding energies: are they all there when the result is decomposed again?

How many slots the second decomposition gets is told to it: one for every object, and those of the background. A model
whose segments are all large therefore counts the right number of objects without having found one, and even random
weights may. So the count stands beside two things: whether each true object has a segment of its own (`count_matched`),
and what the same architecture reaches with random weights.
"""

from typing import Any, NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ergosum.data.record import ImageRecord
from ergosum.data.shadows import CastsShadows
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import combine, encode_best, masks_of, recompose
from ergosum.decomposition.shadows import masks_without_shadows, tells_shadows
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.metrics.counting import count_accuracy, object_count

__all__ = ["all_matched", "compatible", "composite_scores"]

SMALLEST = 9
"""Pixels of the smallest segment that counts as an object."""
UNTRAINED = (0, 1, 2)
"""Seeds of the random weights that stand beside a model: from one seed to the next their counts differ by far."""

Pairs = tuple[Tensor, Tensor]
"""Numbers of the images that are put together, (pairs,) twice."""


@torch.no_grad()
def composite_scores(
    task: OfImages, model: ImageDecomposer, n: int, generator: Generator, seed: int = 0
) -> dict[str, Any]:
    """Composites of held-out images, composed by adding energies and decomposed again.

    Keys: `composites`, how many; `composite_objects` in each, at most; `count_accuracy`, the share of composites with
    the right number of segments of 9 pixels or more beside the largest; `count_shown`, the same of the components that
    it was composed of; `count_matched`, the share in which every true object is covered by its own segment
    (`all_matched`); `count_random` and `matched_random`, means of two of these numbers over three models with random
    weights; `composite_rows`, both numbers of the model and of each of the three; of scenes with shadows also
    `count_accuracy_apart` and `count_matched_apart`, of masks without shadows (`masks_without_shadows`);
    `composite_by_objects`, the numbers by number of objects, where that differs, as in mixtures of datasets. Without
    places to start from, or without objects, there are no composites, and the numbers are None.

    Args:
        n: images to choose pairs from, and the most pairs. generator: of the images and of noise. seed: of the noise of
            the models with random weights.
    """
    each = min(4, max(1, task.dataset("test").objects))
    scenes = task.dataset("test", each)
    data = scenes.draw(n, generator)
    apart = isinstance(scenes, CastsShadows) and tells_shadows(model)
    nothing = torch.empty(0)
    none = data.masks.shape[1] == 1  # of images without true objects
    pairs = (nothing, nothing) if none else compatible(data.masks[:, 1:], n, generator)
    told: dict[str, Any] = {"composites": len(pairs[0]), "composite_objects": 2 * each}
    if not model.placed or not len(pairs[0]):
        return told | dict.fromkeys(
            ("count_accuracy", "count_shown", "count_matched", "count_random", "matched_random")
        )
    counts = _counted(model, data, pairs, generator, apart)
    own = _shares(counts)
    rows = [{"row": "ours", **own}]
    for k in UNTRAINED:
        noise = Generator().manual_seed(HELD_OUT + seed)
        counted = _counted(_untrained(task, k), data, pairs, noise, apart)
        rows.append({"row": f"random weights, seed {k}", **_shares(counted)})
    of_random = {key: sum(row[key] for row in rows[1:]) / len(UNTRAINED) for key in ("count_accuracy", "count_matched")}
    return told | own | {
        "count_random": of_random["count_accuracy"],
        "matched_random": of_random["count_matched"],
        "composite_rows": [{k: v for k, v in row.items() if k != "count_shown"} for row in rows],
        "composite_by_objects": _by_objects(counts),
    }  # fmt: skip


def compatible(objects: Tensor, most: int, generator: Generator) -> Pairs:
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


def all_matched(masks: Tensor, objects: Tensor) -> Tensor:
    """Whether every true object has a segment of its own, with an intersection over union above 1/2.

    Segments and objects are matched one to one. Objects may overlap, since it is not said which of two is in front
    where images are put together; an object without a pixel asks for no segment.

    Shape:
        masks: shares (batch, segments, side, side), of which the largest wins a pixel. objects: Boolean masks without
        the background, (batch, objects, side, side). Returns (batch,), bool.
    """
    won = masks.argmax(1, keepdim=True) == torch.arange(masks.shape[1], device=masks.device)[:, None, None]
    segment, true = won.flatten(2).double(), objects.flatten(2).double()
    common = true @ segment.transpose(1, 2)
    union = true.sum(2)[:, :, None] + segment.sum(2)[:, None] - common
    fits = (common / union.clamp(min=1) > 0.5).cpu().numpy()
    matched = [table[linear_sum_assignment(table, maximize=True)].sum() for table in fits]
    return torch.tensor(matched, device=masks.device) == (true.sum(2) > 0).sum(1)


class _Counts(NamedTuple):
    """Of each composite: objects with a pixel, segments it was composed of, segments that were found and whether all
    objects are matched, of the masks as they are ("") and, where that was asked for, without shadows ("_apart").
    """

    true: Tensor
    shown: Tensor
    found: dict[str, Tensor]
    matched: dict[str, Tensor]

    def of(self, chosen: Tensor) -> "_Counts":
        """Those of some composites."""
        found, matched = ({kind: v[chosen] for kind, v in own.items()} for own in (self.found, self.matched))
        return _Counts(self.true[chosen], self.shown[chosen], found, matched)


def _counted(model: ImageDecomposer, data: ImageRecord, pairs: Pairs, generator: Generator, apart: bool) -> _Counts:
    """Composites of the pairs, counted as they were composed and as they are decomposed again, with a slot for every
    object that has a pixel; composites of as many objects are decomposed together.

    Args:
        apart: count masks without shadows, too.
    """
    one, two = pairs
    latents = torch.cat([encode_best(model, part, generator) for part in data.images.split(64)])
    both = combine(latents[one], latents[two], globals=model.globals)
    objects = torch.cat([data.masks[one, 1:], data.masks[two, 1:]], 1)
    wanted = objects.flatten(2).any(2).sum(1)
    kinds, none = ("", "_apart") if apart else ("",), torch.zeros_like(wanted)
    told = _Counts(wanted, none.clone(), {k: none.clone() for k in kinds}, {k: none.bool() for k in kinds})
    for count in wanted.unique():
        for rows in (wanted == count).nonzero()[:, 0].split(64):
            image = recompose(model, both[rows], generator)
            again = encode_best(model, image, generator, model.globals + int(count))
            told.shown[rows] = object_count(masks_of(model, both[rows], image), SMALLEST)
            for kind in kinds:
                found = masks_without_shadows(model, again, image).masks if kind else masks_of(model, again, image)
                told.found[kind][rows] = object_count(found, SMALLEST)
                told.matched[kind][rows] = all_matched(found, objects[rows])
    return told


def _shares(counts: _Counts) -> dict[str, float]:
    told = {"count_shown": count_accuracy(counts.shown, counts.true)}
    for kind, found in counts.found.items():
        told[f"count_accuracy{kind}"] = count_accuracy(found, counts.true)
        told[f"count_matched{kind}"] = counts.matched[kind].double().mean().item()
    return told


def _by_objects(counts: _Counts) -> list[dict[str, float]]:
    """A row for each number of objects; none where all composites have the same."""
    rows = []
    for count in counts.true.unique() if len(counts.true.unique()) > 1 else ():
        own = counts.true == count
        shares = _shares(counts.of(own))
        rows.append({"objects": int(count), "composites": int(own.sum()),
                     **{key: value for key, value in shares.items() if key != "count_shown"}})  # fmt: skip
    return rows


def _untrained(task: OfImages, seed: int) -> ImageDecomposer:
    """The task's model with random weights; the caller's random numbers are left as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(Generator().manual_seed(seed).get_state())
        return task.build().eval()  # type: ignore[return-value]
