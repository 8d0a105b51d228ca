"""Counting: as many objects as were asked for, where they were asked for, and no other.

Places are random, so that no two windows overlap; of an object nothing is told but its place, or in the rows `told` its
other values too. `told` and `sum` are drawn for 1, 2, 4, 8 objects. What is in a draw is found by the data's own rules
(`found`).

| row | what is drawn |
|---|---|
| `lifts` | the background with an object in each window (`LocalLifts`) |
| `sum` | the plain sum of the same energies, each of an image with one object: the background counts K times |
| `true images` | the renderer's images of objects at such places: what the rules themselves get right |
"""

import collections.abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.compose import conjunction
from ergosum.concepts.local import LocalLifts, corners
from ergosum.concepts.scores import tables as told_tables
from ergosum.data.attributed import Attribute, columns
from ergosum.density.figures import film_of
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.sampling import Passing, decoded, draw, drawing, shown_levels
from ergosum.energy import Energy
from ergosum.nodes import leaves
from ergosum.report.page import figure
from ergosum.report.strips import captioned, sheet
from ergosum.report.tables import as_html, target, targets_html
from ergosum.samplers.chain import finished
from ergosum.training.task import Samples, Section, Table

__all__ = [
    "LEVELS", "TARGETS", "as_asked", "counted", "drawn_images", "sample_objects", "sampling_objects", "score_counts",
    "sections", "spaced", "tables",
]  # fmt: skip

TARGETS = {
    "count": ("exact count, the least of all numbers of objects", 0.90, True),
    "placed": ("objects found where they were asked for", 0.95, True),
    "extra": ("objects beyond those asked for, in an image", 0.05, False),
}  # fmt: skip
"""What counting is to reach."""
ROWS = {
    "lifts": "Lifts over the background", "told": "Lifts, with shape and colour told of each object",
    "sum": "Plain sum of the same energies", "true images": "Images of the renderer, read by the same rules",
}  # fmt: skip
"""What rows are called in tables."""
REACH = 0.1
"""Distance, in sides of an image, within which an object counts as the one at a place."""
TRIES = 64
"""Places that are tried for each object before all of an image's are drawn anew."""
LEVELS = 60
"""Noise levels of all draws that are scored: of K energies a plain sum is K times as steep, and coarser steps would
diverge."""
SHOWN = 64
"""Images of a picture, at most."""
Finder = Callable[[Tensor], list[Tensor]]


def spaced(n: int, k: int, window: int, side: int, generator: Generator) -> Tensor:
    """Random places (n, k, 2) around which windows lie in the image and do not overlap.

    Raises:
        ValueError: for k < 1, or more windows than surely find room: those that fill half of the image.
    """
    _expect_room(k, window, side)
    made, waiting = torch.zeros(n, k, 2), torch.arange(n)
    least = window / 2 / side
    while len(waiting):
        tries = least + (1 - 2 * least) * torch.rand(len(waiting), TRIES, k, 2, generator=generator)
        at, first = torch.zeros(len(waiting), k, 2), corners(tries, window, side)
        taken = torch.zeros(len(waiting), k, 2, dtype=torch.long)
        placed = torch.ones(len(waiting), dtype=torch.bool)
        rows = torch.arange(len(waiting))
        for j in range(k):
            free = ((first[:, :, j, None] - taken[:, None, :j]).abs().amax(-1) >= window).all(-1)
            placed &= free.any(1)
            chosen = free.byte().argmax(1)
            at[:, j], taken[:, j] = tries[rows, chosen, j], first[rows, chosen, j]
        made[waiting] = at
        waiting = waiting[~placed]
    return made


def _expect_room(k: int, window: int, side: int) -> None:
    if k < 1 or 2 * k * window**2 > side**2:
        raise ValueError(
            f"counts: expected 1 .. {side**2 // (2 * window**2)} objects, whose windows of {window} pixels fill half "
            f"of an image of {side} at most, got {k}."
        )


def counted(attributes: Sequence[Attribute], wanted: Tensor, found: Sequence[Tensor]) -> dict[str, Tensor]:
    """What is found of what was asked for, image by image: `count` of objects, `placed` and `right`, those asked for
    that are there, and there with all that was told, and `extra`, those near no place that was asked for.

    Shape:
        wanted: (n, K, columns), NaN where nothing is told; an object without a place is none. found: n tables
        (objects, columns). All returned are (n,), int64.
    """
    place = next(c for a, c in zip(attributes, columns(attributes), strict=True) if a.numbers == 2)
    told: dict[str, list[int]] = {"count": [], "placed": [], "right": [], "extra": []}
    for asked, objects in zip(wanted, found, strict=True):
        asked = asked[~asked[:, place].isnan().any(1)]
        near = torch.cdist(asked[:, place], objects[:, place]) <= REACH
        gap = asked[:, None] - objects[None]
        gap[..., place] = 0
        same = near & (gap.isnan() | (gap == 0)).all(-1)
        numbers = len(objects), near.any(1).sum(), same.any(1).sum(), (~near.any(0)).sum()
        for row, number in zip(told.values(), numbers, strict=True):
            row.append(int(number))
    return {name: torch.tensor(row) for name, row in told.items()}


def as_asked(model: Any, energy: Energy, found: Sequence[Tensor]) -> Tensor | None:
    """Which images (n,) hold exactly the objects of one of the alternatives of an energy, with all that it tells of
    them; None of an energy that is no alternative of objects at places.
    """
    alternatives = leaves(energy)
    if not all(isinstance(leaf, LocalLifts) for leaf in alternatives):
        return None
    good = torch.zeros(len(found), dtype=torch.bool)
    for leaf in alternatives:
        rows = model.rows_of(leaf)
        told = counted(model.attributes, rows.expand(len(found), *rows.shape), found)
        good |= (told["count"] == len(rows)) & (told["right"] == len(rows))
    return good


def score_counts(name: str, model: Any, data: Any, n: int, seed: int, most: int) -> dict[str, Any]:
    """Counts in n draws of each number of objects from 1 to `most`.

    Args:
        model: `Objects`. data: the test part, which finds objects in images (`found`) and draws them (`drawn`).
    Raises:
        ValueError: for more objects than find room.
    """
    _expect_room(most, model.family.window, model.side)
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    rows: list[dict[str, Any]] = []
    for k in range(1, most + 1):
        values = _values(model, data, spaced(n, k, model.family.window, model.side, generator), generator)
        bare = values.clone()
        bare[..., model.family.others] = torch.nan
        images = {"lifts": drawn_images(model, model.family(bare), n, generator)}
        if k & (k - 1) == 0:
            plain = conjunction(*(model.family(bare[:, j : j + 1]) for j in range(k)))
            images["told"] = drawn_images(model, model.family(values), n, generator)
            images["sum"] = drawn_images(model, plain, n, generator)
        images["true images"] = data.drawn(values, generator)
        rows += [{"row": row, "asked": k, **_shares(model, values, bare, made, data.found, row)}
                 for row, made in images.items()]  # fmt: skip
    ours = [row for row in rows if row["row"] == "lifts"]
    told: dict[str, Any] = {"card": name, "n": n, "seed": seed, "counts": rows}
    told["count"] = min(row["exact"] for row in ours)
    told["placed"] = min(row["placed"] for row in ours)
    told["extra"] = max(row["extra"] for row in ours)
    told["right"] = min(row["right"] for row in rows if row["row"] == "told")
    told["targets"] = [target(what, told[key], wanted, more) for key, (what, wanted, more) in TARGETS.items()]
    return told


def _values(model: Any, data: Any, places: Tensor, generator: Generator) -> Tensor:
    """Values (n, K, columns) of objects of the data at other places."""
    n, k = places.shape[:2]
    values = data.attributed(n * k, generator).values.view(n, k, -1).clone()
    values[..., model.family.place] = places
    return values


def drawn_images(model: Any, energy: Energy, n: int, generator: Generator) -> Tensor:
    """Images of n draws as they are scored."""
    return decoded(model, draw([model], energy, n, generator, steps=LEVELS).x)


def _shares(model: Any, values: Tensor, bare: Tensor, images: Tensor, found: Finder, row: str) -> dict[str, float]:
    """Of a row: exact counts, objects at their places and right ones, objects beyond, and the mean count."""
    told = counted(model.attributes, bare if row in ("lifts", "sum") else values, found(images))
    k = values.shape[1]
    shares = {
        "exact": (told["count"] == k).float().mean().item(), "mean": told["count"].float().mean().item(),
        "placed": told["placed"].float().mean().item() / k, "extra": told["extra"].float().mean().item(),
    }  # fmt: skip
    return shares if row in ("lifts", "sum") else {**shares, "right": told["right"].float().mean().item() / k}


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """Counts by number of objects, a table for each row."""
    title = (
        "{}: share of draws with exactly the number asked for (exact), mean number found, of the objects asked for "
        "those that are there (placed) and right in all that was told (right), objects beyond them per image (extra)"
    )
    digits = {"exact": 3, "mean": 2, "placed": 3, "right": 3, "extra": 3}
    kinds = dict.fromkeys(row["row"] for row in scores.get("counts", ()))
    made = [
        Table(("asked",), digits, [r for r in scores["counts"] if r["row"] == kind], title.format(ROWS.get(kind, kind)))
        for kind in kinds
    ]
    return [*told_tables(dict(scores)), *made]


def sections(model: Any, scores: Mapping[str, Any], seed: int, most: int) -> list[Section]:
    """What a report shows: targets, draws of each number of objects, and the tables of the score."""
    generator, rows = torch.Generator().manual_seed(seed), []
    for k in range(1, most + 1):
        places = spaced(8, k, model.family.window, model.side, generator)
        values = torch.full((8, k, model.family.width), torch.nan)
        values[..., model.family.place] = places
        rows.append((str(k), _rgb(drawn_images(model, model.family(values), 8, generator))))
    draws = figure(sheet(rows, boxed=()), "Eight draws of each number of objects, at random places.")
    told = "".join(as_html(table) for table in tables(scores))
    text = f"{scores['n']:,} draws of each number, seed {scores['seed']}." if "n" in scores else ""
    return [
        Section("Targets", "", targets_html(scores.get("targets", ()))),
        Section("Draws", "Energies saw single objects alone.", draws),
        Section("Scores", text, told),
    ]


def sample_objects(
    models: Sequence[nn.Module],
    formula: str,
    find: Finder | None,
    *,
    n: int,
    shares: Sequence[float] | None,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
) -> Samples:
    """What `ergosum sample` shows of objects at places: how many are found in each draw, and in how many draws are
    exactly those that were asked for.

    Args:
        formula: empty for the background. find: the data's own rules, tables (objects, columns) of images, or None.
            Others: as `density.sampling.draw` and `meaning`.
    """
    return finished(
        sampling_objects(
            models, formula, find, n=n, shares=shares, steps=steps, sigma=sigma, corrections=corrections,
            particles=particles, seed=seed, runs=runs,
        )
    )  # fmt: skip


def sampling_objects(
    models: Sequence[nn.Module],
    formula: str,
    find: Finder | None,
    *,
    n: int,
    shares: Sequence[float] | None,
    steps: int,
    sigma: float,
    corrections: int | None,
    particles: int,
    seed: int,
    runs: Sequence[str] = (),
) -> collections.abc.Generator[Passing, None, Samples]:
    """What `sample_objects` does, level by level: yields the draws at each level."""
    held: list[Any] = list(models)
    text = formula or "prior"
    energy = meaning(text, vocabulary(held, runs), shares)
    settings = {"steps": steps, "sigma": sigma, "corrections": corrections, "particles": particles}
    generator = torch.Generator().manual_seed(seed)
    drawn = yield from drawing(held, energy, n, generator, **settings, film=True)  # type: ignore[arg-type]
    first = held[0]
    images, some = decoded(first, drawn.x), min(n, SHOWN)
    numbers: dict[str, Any] = {"formula": str(energy), "n": n, "seed": seed, "levels": list(drawn.levels)}
    captions, good, listed = [""] * some, [None] * some, []
    title = text
    if find is not None:
        found = find(images)
        counts = torch.tensor([len(objects) for objects in found])
        numbers["counts"] = counts.bincount().tolist()
        listed = [Table(("objects",), {"share": 3}, [
            {"objects": k, "share": count / n} for k, count in enumerate(numbers["counts"]) if count
        ], f"{text}: objects found in {n} draws")]  # fmt: skip
        captions = [f"{k} found" for k in counts[:some].tolist()]
        asked = as_asked(first, energy, found)
        if asked is not None:
            numbers["satisfied"] = asked.float().mean().item()
            title = f"{text}: {numbers['satisfied']:.3f} of {n} draws hold exactly what was asked for"
            good = asked[:some].tolist()
            listed = [listed[0]._replace(title=title)]
    image = captioned(images[:some], captions, good, [title])
    return Samples(image, numbers, listed, film_of(shown_levels(first, drawn)), images[:some], captions, good)


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
