"""Pictures of concepts: draws of every value and of formulas, and the sections of a report."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.concepts.elsewhere import elsewhere_tables
from ergosum.concepts.likeness import nearest_true, shows, where_read
from ergosum.concepts.model import Concepts
from ergosum.concepts.scores import SHOWN, Reader, conjunction, formulas, shown_together, tables
from ergosum.concepts.unlike import unlike_tables
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.sampling import decoded, draw
from ergosum.report.page import figure
from ergosum.report.strips import sheet
from ergosum.report.tables import as_html, targets_html
from ergosum.training.task import Section

__all__ = ["formula_sheet", "likeness_sheet", "sections", "value_sheet"]

OF_A_VALUE = 10
"""Draws of a value on a sheet."""
CANDIDATES = 200
"""Random values, of which the first of every kind are drawn beside true images."""


def value_sheet(model: Concepts, generator: Generator) -> Image.Image:
    """Ten draws of every named value, a row each, and of the prior."""
    rows = []
    for name, energy in model.energies().items():
        images = decoded(model, draw([model], energy, OF_A_VALUE, generator).x)
        rows.append((name, _rgb(images)))
    return sheet(rows, boxed=())


def formula_sheet(model: Concepts, generator: Generator) -> Image.Image | None:
    """Ten draws of a value of every attribute at once, and of each formula that is scored, a row each; None of concepts
    that have no formula.
    """
    known = vocabulary([model])
    first = [a.values[0] for a in model.attributes if a.values]
    asked = [(" & ".join(first), None)] if len(first) > 1 else []
    asked += [(one.formula, one.shares) for ones in formulas(model.attributes).values() for one in ones]
    rows = []
    for formula, shares in asked:
        told = f"{formula}  ({', '.join(f'{s:g}' for s in shares)})" if shares else formula
        images = decoded(model, draw([model], meaning(formula, known, shares), OF_A_VALUE, generator).x)
        rows.append((told, _rgb(images)))
    return sheet(rows, boxed=()) if rows else None


def likeness_sheet(model: Concepts, data: Any, read: Reader | None, generator: Generator) -> Image.Image | None:
    """Ten draws of all attributes at once of combinations that training shows, and of each kind that it does not, and
    under each the nearest true image of the same values, at the place that is read; None of data that make no image of
    given values, or without a reader.
    """
    if read is None or not shows(data):
        return None
    values, rows = data.attributed(CANDIDATES, generator).values, []
    values = values[~values.isnan().any(1)]
    for key, chosen in shown_together(data, values).items():
        asked = values[chosen][:OF_A_VALUE]
        if len(asked):
            images = decoded(model, draw([model], conjunction(model, asked), len(asked), generator).x)
            rows.append((f"{SHOWN[key]}: draws", _rgb(images)))
            at = where_read(model.attributes, asked, read(images))
            rows.append(("nearest true images", _rgb(nearest_true(data, at, images, generator))))
    return sheet(rows, boxed=()) if rows else None


def sections(
    model: Concepts, scores: Mapping[str, Any], seed: int, data: Any = None, read: Reader | None = None
) -> list[Section]:
    """What a report shows: targets, draws of every value, and the tables of the score.

    Args:
        data: the test part, and read: what reads its images; without, no true images stand beside the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = figure(value_sheet(model, generator), "Ten draws of every value alone, and of the prior, which has none.")
    joined = formula_sheet(model, generator)
    draws += figure(joined, "Ten draws of formulas, with the shares of alternatives.") if joined else ""
    beside = likeness_sheet(model, data, read, generator)
    draws += figure(beside, "Draws of all attributes at once, and the true images that are nearest.") if beside else ""
    told = "".join(
        as_html(table) for table in [*tables(dict(scores)), *unlike_tables(scores), *elsewhere_tables(scores)]
    )
    text = f"{scores['n']:,} draws of each kind, seed {scores['seed']}." if "n" in scores else ""
    return [
        Section("Targets", "", targets_html(scores.get("targets", ()))),
        Section("Draws", "Each goes down the levels of noise.", draws),
        Section("Scores", text, told),
    ]


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
