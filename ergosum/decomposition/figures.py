"""Pictures taken apart, as sheets, and as a batch job over folders of any size."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.data.folder import ImageFolder
from ergosum.data.record import Pictures
from ergosum.decomposer import Decomposer
from ergosum.decomposition import (
    Parts,
    Share,
    by_unit,
    combine,
    loudness,
    masks_of,
    read,
    recompose,
    refuse_unlike,
    take_apart,
    together,
)
from ergosum.report.strips import sheet
from ergosum.runfolder import write_atomically
from ergosum.stories.sheets import overlay

__all__ = ["Done", "addition_sheet", "decompose_folder", "exchange_sheet", "maps_sheet", "parts_sheet",
           "recombination_sheet", "union_sheet"]  # fmt: skip

SHOWN = 8
"""Pictures on a sheet."""
NOTHING = 0.3
"""Grey of a component where it does not count."""


class Done(NamedTuple):
    """How far a batch job is: files written, found done before, and skipped with the reason."""

    written: int
    before: int
    skipped: dict[Path, str]


def parts_sheet(model: Decomposer, pictures: Tensor, generator: Generator) -> Image.Image:
    """Pictures in columns: as they are, recomposed, masks, each component, and sums that grow by one.

    A component is shown where it counts: its own minimum, fading to grey where its share of the picture ends.
    """
    pictures = pictures[:SHOWN]
    parts = take_apart(model, pictures, generator)
    count = parts.latents.shape[1]
    rows = [("picture", pictures), ("recomposed", parts.whole), ("masks", _flat(parts.masks, pictures))]
    share = parts.masks[:, :, None]
    counts = parts.alone * share + NOTHING * (1 - share)
    rows += [(name, counts[:, k]) for k, name in enumerate(_names(model, count))]
    growing = [recompose(model, parts.latents, generator, list(range(k + 1))) for k in range(1, count)]
    rows += [(f"sum of the first {k + 2}", frames) for k, frames in enumerate(growing)]
    return sheet(rows, boxed=())


def maps_sheet(model: Decomposer, pictures: Tensor, generator: Generator) -> Image.Image:
    """What each energy is about: its share of every pixel, and where its gradient pulls at the picture.

    Gradients are summed in size over colours; white is the largest pull that any component has on the picture.
    """
    pictures = pictures[:SHOWN]
    latents = read(model, pictures, generator)
    masks = masks_of(model, latents, pictures)
    bound = [model.bind(latents, None, active=[k]) for k in range(latents.shape[1])]
    pulls = torch.stack([energy.gradient(pictures).abs().sum(1) for energy in bound], 1)
    pulls = pulls / pulls.amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(pulls.dtype).tiny)
    rows = [("picture", pictures)]
    for k, name in enumerate(_names(model, latents.shape[1])):
        rows += [(f"share of {name}", _grey(masks[:, k])), (f"pull of {name}", _grey(pulls[:, k]))]
    return sheet(rows, boxed=())


def recombination_sheet(model: Decomposer, one: Tensor, two: Tensor, generator: Generator) -> Image.Image:
    """Two rows of pictures and what becomes of them.

    One component exchanged, each in turn (of a single one, each of its numbers); the first picture with a component of
    every other; of several components, all of both.
    """
    one, two = one[:SHOWN], two[:SHOWN]
    a, b = (read(model, p, generator) for p in (one, two))
    single = a.shape[1] == 1
    names = [f"number {k + 1}" for k in range(a.shape[2])] if single else _names(model, a.shape[1])
    rows = [("picture A", one), ("picture B", two)]
    for k, name in enumerate(names):
        rows.append((f"A with B's {name}", recompose(model, _exchanged(a, b, k), generator)))
    first = a[:1].expand_as(a)
    for k, name in enumerate(names):
        rows.append((f"the first A, {name} from every B", recompose(model, _exchanged(first, b, k), generator)))
    return sheet(rows if single else [*rows, *_all_of_both(model, a, b, generator)], boxed=())


def addition_sheet(model: Decomposer, one: Tensor, two: Tensor, generator: Generator) -> Image.Image:
    """Two rows of pictures, all objects of both in one picture, and its masks."""
    a, b = (read(model, p, generator) for p in (one, two))
    return sheet([("picture A", one), ("picture B", two), *_all_of_both(model, a, b, generator)], boxed=())


def exchange_sheet(model: Decomposer, one: Tensor, two: Tensor, k: int, generator: Generator) -> Image.Image:
    """Two rows of pictures, the first with the second's component k, and the other way round."""
    a, b = (read(model, p, generator) for p in (one, two))
    name = _names(model, a.shape[1])[k]
    rows = [("picture A", one), ("picture B", two)]
    for label, own, donor in ((f"A with B's {name}", a, b), (f"B with A's {name}", b, a)):
        rows.append((label, recompose(model, _exchanged(own, donor, k), generator)))
    return sheet(rows, boxed=())


def union_sheet(
    one: Decomposer, other: Decomposer, pictures: tuple[Tensor, Tensor], generator: Generator
) -> Image.Image:
    """Components of two models that were trained apart in one picture: all of the first, all objects of the second.

    Below, the same without calibration: the louder model wins.

    Raises:
        ValueError: if the models' canvases or kinds of energy differ.
    """
    models = (one, other)
    refuse_unlike(models)
    latents = [read(m, p, generator) for m, p in zip(models, pictures, strict=True)]
    weights = [loudness(m, p, generator) for m, p in zip(models, pictures, strict=True)]
    objects = list(range(other.globals, latents[1].shape[1]))
    shares = [Share(one, latents[0][:SHOWN]), Share(other, latents[1][:SHOWN], objects)]
    weighted = [share._replace(weight=weight) for share, weight in zip(shares, weights, strict=True)]
    made, masks = together(weighted, generator)
    rows = [("picture A", pictures[0][:SHOWN]), ("picture B, of the other model", pictures[1][:SHOWN])]
    rows += [("all of A, objects of B", made), ("its masks", _flat(masks, made))]
    rows += [("uncalibrated", together(shares, generator)[0])]
    return sheet(rows, boxed=())


def _names(model: Decomposer, count: int) -> tuple[str, ...]:
    """Names of components, or their numbers where there are others than in training."""
    return model.components if len(model.components) == count else tuple(str(k + 1) for k in range(count))


def _all_of_both(model: Decomposer, a: Tensor, b: Tensor, generator: Generator) -> list[tuple[str, Tensor]]:
    both = combine(a, b, globals=model.globals)
    made = recompose(model, both, generator)
    return [("all of both", made), ("its masks", _flat(masks_of(model, both, made), made))]


def _exchanged(own: Tensor, donor: Tensor, k: int) -> Tensor:
    mixed = own.clone()
    by_unit(mixed)[:, k] = by_unit(donor)[:, k]
    return mixed


def _grey(maps: Tensor) -> Tensor:
    return maps[:, None].expand(-1, 3, -1, -1)


def decompose_folder(model: Decomposer, folder: Path, out: Path, seed: int = 0, batch: int = 64) -> Iterator[Done]:
    """Latents and masks of every picture of a folder, one `.npz` each, and a sheet of the first; yields its progress.

    Only names and one batch of pictures are in memory. A picture whose file is there is passed over, so the job goes on
    where it was stopped; files appear whole or not at all. Pictures that cannot be read are skipped, counted and named.
    Every picture has its own batch and every batch its own noise, so a job that was stopped, even killed, ends with
    the same files as one that was not.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it. OSError: if `out` cannot be written.
    """
    _clear(out)
    source, sheet_at = ImageFolder(folder, model.canvas), out / "sheet.png"
    own = sheet_at.resolve()
    files = [path for path in source.files if path.name != own.name or path.resolve() != own]
    targets = {path: _target(path, source.folder, out) for path in files}
    waiting = {path for path, target in targets.items() if not target.exists()}
    before, written = len(files) - len(waiting), 0
    yield Done(written, before, {})
    for first in range(0, len(files), batch):
        block = files[first : first + batch]
        missing = [path for path in block if path in waiting]
        if any(source.read(path) is not None for path in missing):
            read = {path: placed.image for path in block if (placed := source.read(path)) is not None}
            pictures, noise = torch.cat(list(read.values())), seed + first
            if not sheet_at.exists():
                _save_sheet(parts_sheet(model, pictures, Generator().manual_seed(noise)), sheet_at)
            parts = take_apart(model, pictures, Generator().manual_seed(noise))
            for k, path in enumerate(read):
                if path in waiting:
                    _save(parts, k, targets[path])
                    written += 1
        yield Done(written, before, dict(source.skipped))


def _clear(out: Path) -> None:
    """Remove the file that a killed job was writing, which `write_atomically` had not renamed yet."""
    for path in [*out.rglob(".*.npz.????????.npz"), *out.glob(".sheet.png.????????.png")]:
        path.unlink()


def _target(path: Path, folder: Path, out: Path) -> Path:
    """Each picture's own file: its whole name is kept, so that a.png and a.jpg do not meet."""
    return out / path.relative_to(folder).parent / f"{path.name}.npz"


def _save(parts: Parts, k: int, target: Path) -> None:
    arrays = {
        "latents": parts.latents[k].numpy(),
        "masks": (255 * parts.masks[k]).round().byte().numpy(),
        "components": (255 * parts.alone[k]).round().byte().numpy(),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(target, lambda p: p.write_bytes(buffer.getvalue()))


def _save_sheet(image: Image.Image, path: Path) -> None:
    write_atomically(path, lambda p: image.save(p, "PNG"))


def _flat(masks: Tensor, pictures: Tensor) -> Tensor:
    winner = masks.argmax(1, keepdim=True) == torch.arange(masks.shape[1])[:, None, None]
    none = pictures.new_zeros(len(pictures), 0)
    return overlay(Pictures(pictures, none, winner, none))
