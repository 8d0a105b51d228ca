"""How well objects are found in images that nobody drew from the energies: how many, where, and what they are.

| row | images |
|---|---|
| `one`, `two` | of the test part, with one and two objects each |
| `one, other`, `two, other` | the same under another light and on another floor; the background is that of those images, their median (`background_of`), nothing else is told |

Found objects are matched with true ones so that the distances add up to the least; pairs further apart than a tenth of
the image are no match.
"""  # fmt: skip # noqa: E501

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ergosum.concepts.counting import REACH
from ergosum.concepts.finding import FoundObject, find
from ergosum.concepts.local import background_of
from ergosum.data.attributed import columns
from ergosum.energies.gaussian import Gaussian
from ergosum.part import Part, parameters
from ergosum.training.task import Table

__all__ = ["compared", "finding_tables", "score_finding"]

ROWS: dict[str, dict[str, Any]] = {
    "one": {"objects": 1}, "two": {"objects": 2},
    "one, other": {"objects": 1, "variant": "other"}, "two, other": {"objects": 2, "variant": "other"},
}  # fmt: skip


def score_finding(model: Any, data: Part[Any], n: int, seed: int) -> dict[str, dict[str, float]]:
    """Rows of n images each; none of data that cannot be built with a number of `objects` and a `variant`.

    Args:
        model: `Objects`. data: whose images with several objects tell the values of all (`objects`).
    """
    if not {"objects", "variant", "count"} <= set(parameters(data.cls)):
        return {}
    made: dict[str, dict[str, float]] = {}
    for name, settings in ROWS.items():
        record = data.but(split="test", count=n, **settings).build().at(torch.arange(n))
        x = model.encode(record.images)
        own = None if "variant" not in settings else Gaussian(*background_of(x))
        found = find(model, x, torch.Generator().manual_seed(2_000_000 + seed), own)
        made[name] = compared(model, record.values, found)
    return made


def compared(model: Any, wanted: Tensor, found: list[list[FoundObject]]) -> dict[str, float]:
    """Share of images with the right `number` of objects; of all true objects the share that is `found`, of those the
    `median` distance in pixels, the share `within` a pixel and with the right value of each attribute; objects found
    beyond those in an image (`extra`).

    Shape:
        wanted: (n, K, columns), NaN where there is no object.
    """
    from scipy.optimize import linear_sum_assignment

    spots = columns(model.attributes)
    place = next(c for a, c in zip(model.attributes, spots, strict=True) if a.numbers == 2)
    named = [(a.name, c) for a, c in zip(model.attributes, spots, strict=True) if len(a.values) > 1]
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
