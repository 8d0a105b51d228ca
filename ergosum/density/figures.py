"""Pictures of densities: draws as a grid, the levels of noise as a film, and the sections of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.density.chains import Recipe, chain_recipe
from ergosum.density.model import Density
from ergosum.report.page import figure
from ergosum.report.strips import sheet
from ergosum.report.tables import as_html, targets_html
from ergosum.training.task import Section

__all__ = ["class_sheet", "film_of", "grid", "level_sheet", "sections"]

FRAMES = 40
"""Frames of a film, at most: levels in between are left out."""
SHOWN = 64
"""Images of a frame, at most."""
OF_A_CLASS = 10
"""Draws of a class on a sheet."""
COLUMNS = 12
"""Levels on a sheet."""


def grid(images: Tensor, zoom: int = 3) -> Image.Image:
    """Images in rows of about as many as there are rows.

    Shape:
        images: (n, channels, side, side) in [0, 1].
    """
    columns = max(1, round(len(images) ** 0.5))
    return sheet([("", row) for row in _rgb(images).split(columns)], zoom=zoom, boxed=())


def film_of(levels: Sequence[Tensor], zoom: int = 3) -> list[Image.Image]:
    """Grids of the same draws from the highest level of noise to none.

    Shape:
        of each level: (n, channels, side, side) in [0, 1].
    """
    chosen = torch.linspace(0, len(levels) - 1, min(FRAMES, len(levels))).round().long().tolist()
    return [grid(levels[i][:SHOWN], zoom) for i in chosen]


def class_sheet(model: Density, generator: Generator, recipe: Recipe | None = None) -> Image.Image:
    """Ten draws of every class, a row each, and of the prior."""
    from ergosum.density.sampling import decoded, draw_classes

    c = torch.tensor([*range(len(model.names)), -1]).repeat_interleave(OF_A_CLASS)
    images = _rgb(decoded(model, draw_classes(model, c, generator, recipe=recipe).x))
    return sheet(list(zip((*model.names, "prior"), images.split(OF_A_CLASS), strict=True)), boxed=())


def level_sheet(model: Density, generator: Generator, recipe: Recipe | None = None) -> Image.Image:
    """A draw of every class, a row each, from the highest level of noise to none, or along its chain."""
    from ergosum.density.sampling import draw_classes, shown_levels

    c = torch.tensor([*range(len(model.names)), -1])[:OF_A_CLASS]
    frames = torch.stack(shown_levels(model, draw_classes(model, c, generator, True, recipe)), 1)
    chosen = torch.linspace(0, frames.shape[1] - 1, min(COLUMNS, frames.shape[1])).round().long()
    rows = zip((*model.names, "prior")[:OF_A_CLASS], frames[:, chosen], strict=True)
    return sheet([(name, _rgb(row)) for name, row in rows], boxed=())


def sections(task: Any, model: Density, scores: Mapping[str, Any], seed: int) -> list[Section]:
    """What a report shows: draws of every class, how they come about, targets, and the tables of the score."""
    from ergosum.density.tables import tables

    made = [Section("Targets", "", targets_html(scores.get("targets", ())))]
    recipe, levelled = chain_recipe(task.objective), hasattr(model.family, "lowest")
    if levelled or recipe is not None:
        generator = torch.Generator().manual_seed(seed)
        draws = figure(class_sheet(model, generator, recipe), "Draws of every class, and of the prior, which has none.")
        way = "from the highest level of noise to none" if levelled else "along its chain, from noise"
        steps = figure(level_sheet(model, generator, recipe), f"One draw of each, {way}.")
        how = (
            "Each goes down the levels of noise, with one step of a chain at each."
            if levelled
            else "Ends of the recipe's chains."
        )
        told = "What Gaussian data would be on average, given the draw at its level." if levelled else ""
        made += [Section("Draws", how, draws), Section("Levels" if levelled else "Chains", told, steps)]
    text = f"{scores['tested']:,} held-out images, seed {scores['seed']}." if "tested" in scores else ""
    made.append(Section("Scores", text, "".join(as_html(table) for table in tables(scores))))
    return made


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
