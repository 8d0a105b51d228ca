"""Pictures taken apart, as sheets, and as a batch job over folders of any size."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from ergosum.data.folder import Folder
from ergosum.data.record import Pictures
from ergosum.decomposer import Decomposer
from ergosum.decomposition import Parts, combine, masks_of, recompose, take_apart
from ergosum.report.strips import sheet
from ergosum.runfolder import write_atomically
from ergosum.stories.sheets import overlay

__all__ = ["Done", "decompose_folder", "parts_sheet", "recombination_sheet"]

SHOWN = 8
"""Pictures on a sheet."""


class Done(NamedTuple):
    """How far a batch job is: files written, found done before, and skipped with the reason."""

    written: int
    before: int
    skipped: dict[Path, str]


def parts_sheet(model: Decomposer, pictures: Tensor, generator: Generator) -> Image.Image:
    """Pictures in columns: as they are, recomposed, masks, each component alone, and sums that grow by one."""
    pictures = pictures[:SHOWN]
    parts = take_apart(model, pictures, generator)
    count = parts.latents.shape[1]
    rows = [("picture", pictures), ("recomposed", parts.whole), ("masks", _flat(parts.masks, pictures))]
    names = model.components if len(model.components) == count else tuple(str(k + 1) for k in range(count))
    rows += [(f"{name} alone", parts.alone[:, k]) for k, name in enumerate(names)]
    rows += [(f"mask of {name}", parts.masks[:, k, None].expand(-1, 3, -1, -1)) for k, name in enumerate(names)]
    growing = [recompose(model, parts.latents, generator, list(range(k + 1))) for k in range(1, count)]
    rows += [(f"sum of the first {k + 2}", frames) for k, frames in enumerate(growing)]
    return sheet(rows, boxed=())


def recombination_sheet(model: Decomposer, one: Tensor, two: Tensor, generator: Generator) -> Image.Image:
    """Two rows of pictures and what becomes of them: one component exchanged, each in turn, and all objects of both."""
    one, two = one[:SHOWN], two[:SHOWN]
    a, b = (take_apart(model, p, generator).latents for p in (one, two))
    rows = [("picture A", one), ("picture B", two)]
    for k in range(a.shape[1]):
        mixed = a.clone()
        mixed[:, k] = b[:, k]
        name = model.components[k] if k < len(model.components) else str(k + 1)
        rows.append((f"A with B's {name}", recompose(model, mixed, generator)))
    both = combine(a, b, globals=model.model.globals if model.model.encoder == "slots" else 0)
    rows += [("all of both", recompose(model, both, generator)), ("its masks", _flat(masks_of(model, both, one), one))]
    return sheet(rows, boxed=())


def decompose_folder(model: Decomposer, folder: Path, out: Path, seed: int = 0, batch: int = 64) -> Iterator[Done]:
    """Latents and masks of every picture of a folder, one `.npz` each, and a sheet of the first; yields its progress.

    Memory does not grow with the number of pictures. A picture whose file is there is passed over, so the job goes on
    where it was stopped; files appear whole or not at all. Pictures that cannot be read are skipped, counted and named.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it. OSError: if `out` cannot be written.
    """
    source = Folder(folder, model.canvas)
    targets = {path: _target(path, source.folder, out) for path in source.files}
    waiting = [path for path, target in targets.items() if not target.exists()]
    before, written = len(source) - len(waiting), 0
    generator = Generator().manual_seed(seed)
    for first in range(0, len(waiting), batch):
        read = [(path, _read(source, path)) for path in waiting[first : first + batch]]
        good = [(path, picture) for path, picture in read if picture is not None]
        if good:
            pictures = torch.cat([picture for _, picture in good])
            if written == 0:
                _save_sheet(parts_sheet(model, pictures, generator), out / "sheet.png")
            parts = take_apart(model, pictures, generator)
            for k, (path, _) in enumerate(good):
                _save(parts, k, targets[path])
            written += len(good)
        yield Done(written, before, dict(source.skipped))
    if not waiting:
        yield Done(0, before, {})


def _target(path: Path, folder: Path, out: Path) -> Path:
    """Each picture's own file: its whole name is kept, so that a.png and a.jpg do not meet."""
    return out / path.relative_to(folder).parent / f"{path.name}.npz"


def _read(source: Folder, path: Path) -> Tensor | None:
    return source.read(path)


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
