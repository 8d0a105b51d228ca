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

    Only names and one batch of pictures are in memory. A picture whose file is there is passed over, so the job goes on
    where it was stopped; files appear whole or not at all. Pictures that cannot be read are skipped, counted and named.
    Every picture has its own batch and every batch its own noise, so a job that was stopped, even killed, ends with
    the same files as one that was not.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it. OSError: if `out` cannot be written.
    """
    _clear(out)
    source, sheet_at = Folder(folder, model.canvas), out / "sheet.png"
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
            read = {path: picture for path in block if (picture := source.read(path)) is not None}
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
