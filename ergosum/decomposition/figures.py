"""Figures of images decomposed: contact sheets of components, masks and recombinations; the sections of a report."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor, nn

from ergosum.data.record import ImageRecord
from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import (
    Share,
    by_unit,
    combine,
    decompose,
    encode_best,
    energy_scale,
    masks_of,
    recombine,
    recompose,
    refuse_unlike,
)
from ergosum.decomposition.scores import tables
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.report.page import figure
from ergosum.report.sheets import overlay
from ergosum.report.strips import sheet
from ergosum.report.tables import as_html, targets_html
from ergosum.training.task import Section

__all__ = ["addition_sheet", "baseline_sheet", "components_sheet", "exchange_sheet", "maps_sheet", "masks_shown",
           "recombination_sheet", "sections", "shadows_shown", "union_sheet"]  # fmt: skip

SHOWN = 8
"""Images on a sheet."""
NOTHING = 0.3
"""Grey of a component where it does not count."""


def sections(task: OfImages, model: nn.Module, scores: Mapping[str, Any], seed: int) -> list[Section]:
    """What a report shows of held-out images: components, masks, recombinations, and the tables of the score."""
    generator = Generator().manual_seed(HELD_OUT + seed)
    one, two = task.held_out(2 * SHOWN, generator).images.chunk(2)
    if isinstance(model, ImageBaseline):
        shown = figure(baseline_sheet(model, one), "Held-out images, recomposed from their latents.")
        figures = [Section("Recomposed images", "Each image is coded as latents and drawn again.", shown)]
    else:
        figures = _decomposed(model, one, two, generator)  # type: ignore[arg-type]
    measured = "".join(as_html(table) for table in tables(scores))
    text = f"{scores['n']:,} held-out images, seed {scores['seed']}." if "n" in scores else ""
    return [
        Section("Targets", "", targets_html(scores.get("targets", ()))),
        *figures,
        Section("Scores", text, measured),
    ]


def _decomposed(model: ImageDecomposer, one: Tensor, two: Tensor, generator: Generator) -> list[Section]:
    components = components_sheet(model, one, generator)
    maps = maps_sheet(model, one, generator)
    exchanged = recombination_sheet(model, one, two, generator, most=SHOWN)
    return [
        Section("Components", "A component fades to grey where it does not count.",
                figure(components, "Held-out images, each recomposed and decomposed into its components.")),
        Section("Masks and gradients", "Which component each pixel belongs to, and where its energy has a gradient.",
                figure(maps, "Share of every pixel, and size of the gradient at the image, component by component.")),
        Section("Recombination", "Latents of one image exchanged for those of another, and descent from noise.",
                figure(exchanged, "Components of held-out images exchanged and added.")),
    ]  # fmt: skip


def baseline_sheet(model: ImageBaseline, images: Tensor) -> Image.Image:
    """Images in columns: as they are, recomposed, and segmented where the model has masks."""
    images = images[:SHOWN]
    with torch.no_grad():
        rows = [("image", images), ("recomposed", model.eval().recompose(model.encode(images)))]
        if hasattr(model, "masks"):
            rows.append(("masks", masks_shown(model.masks(images), images)))  # type: ignore[operator]
    return sheet(rows, boxed=())


def components_sheet(
    model: ImageDecomposer, images: Tensor, generator: Generator, shadows: bool = False
) -> Image.Image:
    """Images in columns: as they are, recomposed, masks, each component, and sums that grow by one.

    A component is shown where it counts: its own minimum, fading to grey where its share of the image ends.

    Args:
        shadows: give shadows to the ground, and show each in the colour of the object that casts it.
    """
    images = images[:SHOWN]
    shown = decompose(model, images, generator, shadows=shadows)
    count = shown.latents.shape[1]
    rows = [("image", images), ("recomposed", shown.whole), ("masks", masks_shown(shown.masks, images))]
    if shown.shadows is not None:
        rows.append(("shadows", shadows_shown(shown.shadows, images)))
    share = shown.masks[:, :, None]
    counts = shown.alone * share + NOTHING * (1 - share)
    rows += [(name, counts[:, k]) for k, name in enumerate(_names(model, count))]
    growing = [recompose(model, shown.latents, generator, list(range(k + 1))) for k in range(1, count)]
    rows += [(f"sum of the first {k + 2}", frames) for k, frames in enumerate(growing)]
    return sheet(rows, boxed=())


def maps_sheet(model: ImageDecomposer, images: Tensor, generator: Generator) -> Image.Image:
    """What each energy is about: its share of every pixel, and where its gradient gradients at the image.

    Gradients are summed in size over colours; white is the largest pull that any component has on the image.
    """
    images = images[:SHOWN]
    latents = encode_best(model, images, generator)
    masks = masks_of(model, latents, images)
    bound = [model.bind(latents, None, active=[k]) for k in range(latents.shape[1])]
    gradients = torch.stack([energy.gradient(images).abs().sum(1) for energy in bound], 1)
    gradients = gradients / gradients.amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradients.dtype).tiny)
    rows = [("image", images)]
    for k, name in enumerate(_names(model, latents.shape[1])):
        rows += [(f"share of {name}", _grey(masks[:, k])), (f"gradient of {name}", _grey(gradients[:, k]))]
    return sheet(rows, boxed=())


def recombination_sheet(
    model: ImageDecomposer, one: Tensor, two: Tensor, generator: Generator, most: int | None = None
) -> Image.Image:
    """Two rows of images and what becomes of them.

    One component exchanged, each in turn (of a single one, each of its numbers, or the first `most` of them); the first
    image with a component of every other; of several components, all of both.
    """
    one, two = one[:SHOWN], two[:SHOWN]
    a, b = (encode_best(model, p, generator) for p in (one, two))
    single = a.shape[1] == 1
    names = [f"number {k + 1}" for k in range(a.shape[2])][:most] if single else _names(model, a.shape[1])
    rows = [("image A", one), ("image B", two)]
    for k, name in enumerate(names):
        rows.append((f"A with B's {name}", recompose(model, _exchanged(a, b, k), generator)))
    first = a[:1].expand_as(a)
    for k, name in enumerate(names):
        rows.append((f"the first A, {name} from every B", recompose(model, _exchanged(first, b, k), generator)))
    return sheet(rows if single else [*rows, *_all_of_both(model, a, b, generator)], boxed=())


def addition_sheet(model: ImageDecomposer, one: Tensor, two: Tensor, generator: Generator) -> Image.Image:
    """Two rows of images, all objects of both in one image, and its masks."""
    a, b = (encode_best(model, p, generator) for p in (one, two))
    return sheet([("image A", one), ("image B", two), *_all_of_both(model, a, b, generator)], boxed=())


def exchange_sheet(model: ImageDecomposer, one: Tensor, two: Tensor, k: int, generator: Generator) -> Image.Image:
    """Two rows of images, the first with the second's component k, and the other way round."""
    a, b = (encode_best(model, p, generator) for p in (one, two))
    name = _names(model, a.shape[1])[k]
    rows = [("image A", one), ("image B", two)]
    for label, own, donor in ((f"A with B's {name}", a, b), (f"B with A's {name}", b, a)):
        rows.append((label, recompose(model, _exchanged(own, donor, k), generator)))
    return sheet(rows, boxed=())


def union_sheet(
    one: ImageDecomposer, other: ImageDecomposer, images: tuple[Tensor, Tensor], generator: Generator
) -> Image.Image:
    """Components of two models that were trained apart in one image: all of the first, all objects of the second.

    Below, the same without calibration: the model with the larger energy scale decides alone.

    Raises:
        ValueError: if the models' canvases or kinds of energy differ.
    """
    models = (one, other)
    refuse_unlike(models)
    latents = [encode_best(m, p, generator) for m, p in zip(models, images, strict=True)]
    weights = [energy_scale(m, p, generator) for m, p in zip(models, images, strict=True)]
    objects = list(range(other.globals, latents[1].shape[1]))
    shares = [Share(one, latents[0][:SHOWN]), Share(other, latents[1][:SHOWN], objects)]
    weighted = [share._replace(weight=weight) for share, weight in zip(shares, weights, strict=True)]
    made, masks = recombine(weighted, generator)
    rows = [("image A", images[0][:SHOWN]), ("image B, of the other model", images[1][:SHOWN])]
    rows += [("all of A, objects of B", made), ("its masks", masks_shown(masks, made))]
    rows += [("uncalibrated", recombine(shares, generator)[0])]
    return sheet(rows, boxed=())


def _names(model: ImageDecomposer, count: int) -> tuple[str, ...]:
    """Names of components, or their numbers where there are others than in training."""
    return model.components if len(model.components) == count else tuple(str(k + 1) for k in range(count))


def _all_of_both(model: ImageDecomposer, a: Tensor, b: Tensor, generator: Generator) -> list[tuple[str, Tensor]]:
    both = combine(a, b, globals=model.globals)
    made = recompose(model, both, generator)
    return [("all of both", made), ("its masks", masks_shown(masks_of(model, both, made), made))]


def _exchanged(own: Tensor, donor: Tensor, k: int) -> Tensor:
    mixed = own.clone()
    by_unit(mixed)[:, k] = by_unit(donor)[:, k]
    return mixed


def _grey(maps: Tensor) -> Tensor:
    return maps[:, None].expand(-1, 3, -1, -1)


def shadows_shown(shadows: Tensor, images: Tensor) -> Tensor:
    """Shadows in the colours of the components that cast them, (batch, 3, side, side).

    Shape:
        shadows: (batch, K, side, side).
    """
    cast = shadows[:, 1:]
    return masks_shown(torch.cat([1 - cast.sum(1, keepdim=True), cast], 1), images)


def masks_shown(masks: Tensor, images: Tensor) -> Tensor:
    """The component that holds most of each pixel, in colours, (batch, 3, side, side)."""
    winner = masks.argmax(1, keepdim=True) == torch.arange(masks.shape[1])[:, None, None]
    none = images.new_zeros(len(images), 0)
    return overlay(ImageRecord(images, none, winner, none))
