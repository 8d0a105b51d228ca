"""Pictures of concepts: draws of every value and of formulas, and the sections of a report."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.concepts.elsewhere import elsewhere_tables
from ergosum.concepts.model import Concepts
from ergosum.concepts.scores import formulas, tables
from ergosum.concepts.unlike import unlike_tables
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.sampling import decoded, draw
from ergosum.report.page import figure
from ergosum.report.strips import sheet
from ergosum.report.tables import as_html, targets_html
from ergosum.training.task import Section

__all__ = ["formula_sheet", "sections", "value_sheet"]

OF_A_VALUE = 10
"""Draws of a value on a sheet."""


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


def sections(model: Concepts, scores: Mapping[str, Any], seed: int) -> list[Section]:
    """What a report shows: targets, draws of every value, and the tables of the score."""
    generator = torch.Generator().manual_seed(seed)
    draws = figure(value_sheet(model, generator), "Ten draws of every value alone, and of the prior, which has none.")
    joined = formula_sheet(model, generator)
    draws += figure(joined, "Ten draws of formulas, with the shares of alternatives.") if joined else ""
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
