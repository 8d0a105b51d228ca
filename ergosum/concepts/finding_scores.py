"""How well objects are found in images that nobody drew from the energies: how many, where, and what they are.

Images are of the test part, with `one` object or `two` each. Those of other variants, such as `other`, which has light
from another side and another floor, were made elsewhere, and are adapted to what the model knows (`elsewhere.py`).

Found objects are matched with true ones so that the distances add up to the least; pairs further apart than a tenth of
the image are no match.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ergosum.concepts.counting import REACH
from ergosum.concepts.elsewhere import LEAST, adapted, floor_of, left_out, restored
from ergosum.concepts.finding import FoundObject, find, log_shares
from ergosum.concepts.unlike import Of
from ergosum.data.attributed import columns
from ergosum.part import Part, parameters
from ergosum.training.task import Table

__all__ = ["compared", "finding_tables", "score_finding"]

ROWS = {"one": 1, "two": 2}
"""Objects in an image."""


def score_finding(model: Any, data: Part[Any], unlike: Of, n: int, seed: int) -> dict[str, Any]:
    """`finding`, rows of n images each (of those made elsewhere as many as a median needs), and `infer_elsewhere`, the
    least share of objects found and of values right in images made elsewhere; nothing of data that cannot be built with
    a number of `objects` and a `variant`.

    Args:
        model: `Objects`. data: whose images with several objects tell the values of all (`objects`); `elsewhere` of its
            class names the variants, of which those are left out, with a warning, that cannot be drawn here. unlike: as
            `adapted`.
    """
    if not {"objects", "variant", "count"} <= set(parameters(data.cls)):
        return {}
    made: dict[str, dict[str, float]] = {}
    least: list[float] = []
    for variant in ("", *getattr(data.cls, "elsewhere", ())):
        for name, objects in ROWS.items():
            generator = torch.Generator().manual_seed(2_000_000 + seed)
            settings, count = ({"variant": variant}, max(n, LEAST)) if variant else ({}, n)
            try:
                images_of = data.but(split="test", count=count, objects=objects, **settings).build()
                record = images_of.at(torch.arange(count))
            except (ImportError, RuntimeError) as error:
                if not variant:
                    raise
                left_out(variant, error)
                continue
            images, mirrored = record.images, False
            if variant:
                images, mirrored = adapted(images, floor_of(data), unlike, generator)
            found = [
                [one._replace(values=restored(one.values, model.attributes, mirrored)) for one in row]
                for row in find(model, model.encode(images), generator)
            ]
            row = made[f"{name}, {variant}" if variant else name] = compared(model, record.values, found)
            if variant:
                least += [row["found"], *(row[a.name] for a in model.attributes if a.name in row)]
    return {"finding": made} | ({"infer_elsewhere": min(least)} if least else {})


def compared(model: Any, wanted: Tensor, found: list[list[FoundObject]]) -> dict[str, float]:
    """Share of images with the right `number` of objects; of all true objects the share that is `found`, of those the
    `median` distance in pixels, the share `within` a pixel and that with the right value of each attribute that varies
    in training; objects found beyond those in an image (`extra`).

    Shape:
        wanted: (n, K, columns), NaN where there is no object.
    """
    from scipy.optimize import linear_sum_assignment

    spots = columns(model.attributes)
    place = next(c for a, c in zip(model.attributes, spots, strict=True) if a.numbers == 2)
    varied = [a.name for n, a in enumerate(model.attributes) if a.values and log_shares(model, n).exp().max() < 1]
    named = [(a.name, c) for a, c in zip(model.attributes, spots, strict=True) if a.name in varied]
    number, true, extra, gaps, right = 0, 0, 0, [], {name: 0 for name, _ in named}
    for rows, objects in zip(wanted, found, strict=True):
        rows = rows[~rows[:, place].isnan().any(1)]
        told = torch.stack([o.values for o in objects]) if objects else rows[:0]
        number, true = number + (len(rows) == len(told)), true + len(rows)
        distance = torch.cdist(rows[:, place], told[:, place])
        pairs = [(i, j) for i, j in zip(*linear_sum_assignment(distance.numpy()), strict=True)
                 if distance[i, j] <= REACH]  # fmt: skip
        extra += len(told) - len(pairs)
        gaps += [distance[i, j].item() * model.side for i, j in pairs]
        for name, column in named:
            right[name] += sum(bool((rows[i, column] == told[j, column]).all()) for i, j in pairs)
    n, matched = len(found), max(1, len(gaps))
    held = torch.tensor(gaps or [torch.nan])
    return {
        "number": number / n, "found": len(gaps) / true, "extra": extra / n, "median": held.median().item(),
        "within": (held <= 1).float().mean().item(), **{name: count / matched for name, count in right.items()},
    }  # fmt: skip


def finding_tables(scores: Mapping[str, Any]) -> list[Table]:
    """A row for each set of images."""
    rows = [{"images": name, **row} for name, row in scores.get("finding", {}).items()]
    if not rows:
        return []
    digits = {key: 2 if key == "median" else 3 for key in rows[0] if key != "images"}
    title = (
        "images: right number of objects, true objects found, objects beyond; of those found the median distance "
        "[pixels], within one pixel, and the right values"
    )
    return [Table(("images",), digits, rows, title)]
