"""Images of a folder of any size decomposed into files, as a job that goes on where it was stopped.

Every image `a.png` gets a file `a.png.npz` with its latents, masks, components, PSNR and place on the original image;
`index.jsonl` has a line for each image, and `job.json` says which model, seed and version made them. Blocks of images
have their own noise, so that the files do not depend on interruptions or on how many processes share the blocks out.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor, nn

from ergosum import __version__
from ergosum.data.folder import ImageFolder, PlacedImage, load_square
from ergosum.data.listing import shown
from ergosum.data.placement import Placement
from ergosum.decomposition.figures import SHOWN, components_sheet
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import Decomposed, decompose, encode_best, recompose
from ergosum.decomposition.shadows import refuse_shadowless
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.files import read_json, write_atomically, write_json
from ergosum.metrics.error import mse, psnr

__all__ = ["Done", "Result", "decompose_folder", "fingerprint", "least_psnr", "load_result"]

BATCH = 64
"""Images in a block: decomposed together, from one draw of noise."""
MARGIN = 1.0
"""Decibels below the worst held-out image from which on an image is unlike what the model was trained on."""
LONGEST_NAME = 255 - len("..npz.12345678.npz")
"""Bytes of a file name that leave room for what is added to it while a result is written."""


class Done(NamedTuple):
    """How far a job is: files written, found done before, skipped with the reason, and images unlike the training's."""

    written: int
    before: int
    skipped: dict[Path, str]
    unlike: list[Path]


class Result(NamedTuple):
    """What a job wrote about one image.

    Shape:
        latents: (K, D). masks: (K, side, side), shares of every pixel. components: (K, 3, side, side). psnr: of the
        recomposed image in dB. placement: where they lie on the original image: `placement.to_original(masks)`.
        shadows: (K, side, side), the part of the first mask in each component's shadow, if they were asked for.
    """

    latents: Tensor
    masks: Tensor
    components: Tensor
    psnr: float
    placement: Placement
    shadows: Tensor | None = None


class _Job(NamedTuple):
    """Images to decompose, and where each one's result goes."""

    files: list[Path]
    root: Path
    out: Path
    read: Callable[[Path], PlacedImage | None]
    skipped: dict[Path, str]

    def target(self, path: Path) -> Path:
        """Each image's own file: its whole name is kept, so that a.png and a.jpg do not meet."""
        return self.out / path.relative_to(self.root).parent / f"{path.name}.npz"

    def part(self, first: int, block: Sequence[Path]) -> Path:
        """The lines of the index for one block, which is another one if its images are others."""
        names = b"\0".join(os.fsencode(path.relative_to(self.root)) for path in block)
        return self.out / ".index" / f"{first:08d}-{hashlib.sha256(names).hexdigest()[:12]}.jsonl"


def decompose_folder(
    model: ImageDecomposer,
    source: Path | str,
    out: Path | str,
    *,
    seed: int = 0,
    batch: int = BATCH,
    least: float | None = None,
    settings: Mapping[str, Any] | None = None,
    process: tuple[int, int] = (0, 1),
    shadows: bool = False,
) -> Iterator[Done]:
    """Decompose every image of a folder, or one image; yields the progress.

    Only names and one block of images are in memory. An image whose file is there is passed over, so a job goes on
    where it was stopped; files appear whole or not at all. Images that cannot be read are skipped, counted and named.

    Args:
        source: folder, with its sub-folders, or an image file. out: folder for `NAME.npz`, `index.jsonl`, `job.json`
            and `sheet.png`, which shows the first images. seed: of the noise that descents start from. batch: images in
            a block, >= 1.
        least: PSNR in dB below which an image is flagged as unlike what the model was trained on, see `least_psnr`;
            None flags none. A job that goes on keeps the one that it was started with.
        settings: what built the model, as in its recipe.json; they are kept in `job.json`.
        process: number of this process, from 0, and how many share the blocks out. They need not know of each other;
            the last one to end completes the index.
        shadows: give shadows to the ground, as `decompose`.
    Raises:
        FileNotFoundError: if there is no such folder or image, or no image in it. ValueError: if `out` holds results of
        another job, or the model tells no shadows. OSError: if `out` cannot be written, or the one image cannot be
        read.
    """
    source, out, (rank, world) = Path(source), Path(out), process
    job = _job(source, model.canvas, out)
    if shadows:
        refuse_shadowless(model)
    about = fingerprint(model, seed, batch, settings) | {"images": shown(source.resolve()), "shadows": shadows}
    least = _claim(out, about, least)
    starts = range(rank * batch, len(job.files), world * batch)
    own = [path for first in starts for path in job.files[first : first + batch]]
    waiting = {path for path in own if not job.target(path).exists()}
    _clear(out, {job.target(path) for path in waiting}, rank == 0)
    if rank == 0 and not (out / "sheet.png").exists():
        _draw_sheet(model, job, seed, shadows)
    before, written, unlike = len(own) - len(waiting), 0, []
    yield Done(written, before, dict(job.skipped), unlike)
    for first in starts:
        block = job.files[first : first + batch]
        written += _decompose_block(model, job, block, waiting, seed + first, shadows)
        lines = [_line(job, path, least) for path in block]
        part = "".join(json.dumps(line) + "\n" for line in lines)
        write_atomically(job.part(first, block), lambda p, part=part: p.write_text(part, encoding="ascii"))
        unlike += [path for path, line in zip(block, lines, strict=True) if line.get("unlike")]
        yield Done(written, before, dict(job.skipped), unlike)
    _complete_index(job, batch)


def least_psnr(task: OfImages, model: nn.Module, scores: Mapping[str, Any], n: int = 64) -> float | None:
    """The PSNR below which an image is unlike those that a model was trained on: 1 dB below its worst held-out image.

    Args:
        scores: of the model, whose `psnr_least` saves the work of decomposing n held-out images.
    Returns:
        Decibels, or None if the dataset is not at hand.
    """
    if scores.get("psnr_least") is not None:
        return scores["psnr_least"] - MARGIN
    generator = Generator().manual_seed(HELD_OUT)
    try:
        images = task.held_out(n, generator).images
    except (OSError, ValueError):
        return None
    whole = recompose(model, encode_best(model, images, generator), generator)  # type: ignore[arg-type]
    return psnr(mse(whole, images)).min().item() - MARGIN


def fingerprint(
    model: nn.Module, seed: int, batch: int = BATCH, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What decides the results of a job beside its images: version, weights (a digest), settings, seed and block."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes())
    told = json.loads(json.dumps(dict(settings or {})))
    return {
        "version": __version__, "weights": digest.hexdigest()[:16], "settings": told, "seed": seed, "batch": batch
    }  # fmt: skip


def load_result(path: Path | str) -> Result:
    """What a job wrote about one image, with masks and components as floats in [0, 1]."""
    with np.load(path) as stored:
        size, box = (tuple(stored[k].tolist()) for k in ("size", "box"))
        return Result(
            torch.from_numpy(stored["latents"]),
            torch.from_numpy(stored["masks"]).float() / 255,
            torch.from_numpy(stored["components"]).float() / 255,
            float(stored["psnr"]),
            Placement(size, box, int(stored["orientation"])),
            torch.from_numpy(stored["shadows"]).float() / 255 if "shadows" in stored else None,
        )


def _job(source: Path, side: int, out: Path) -> _Job:
    if not source.exists():
        raise FileNotFoundError(f"No such image or folder of images: {shown(source)}.")
    if source.is_file():
        return _Job([source], source.parent, out, lambda path: load_square(path, side), {})
    folder = ImageFolder(source, side)
    own = {(out / name).resolve() for name in ("sheet.png", "maps.png")}  # of a job that writes into its own folder
    files = [path for path in folder.files if path.resolve() not in own]
    long = {path: "its name is too long for a file beside it" for path in files
            if len(os.fsencode(path.name)) > LONGEST_NAME}  # fmt: skip
    folder.skipped.update(long)
    return _Job(files, folder.folder, out, folder.read, folder.skipped)


def _claim(out: Path, about: dict[str, Any], least: float | None) -> float | None:
    """Write what a new job is, or see that the job in `out` is the same; the threshold that it flags images by.

    Raises:
        ValueError: if it is another, or files are there of which nobody knows what made them.
    """
    advice = "Choose another --out, or delete that folder."
    path = out / "job.json"
    results = next(out.rglob("*.npz"), None)  # before job.json is looked for, which other processes write before these
    if path.exists():
        known = read_json(path)
        other = next((k for k, v in about.items() if not isinstance(known, dict) or known.get(k) != v), None)
        if other:
            then, now = (text if len(text := str(v.get(other))) < 80 else "others" for v in (known, about))
            raise ValueError(f"{out} holds the results of another job ({other} {then}; here {now}). {advice}")
        return known.get("least_psnr")
    if results is not None:
        raise ValueError(f"{out} holds results but no job.json, which would say which job made them. {advice}")
    write_json(path, about | {"least_psnr": least})
    return least


def _decompose_block(
    model: ImageDecomposer, job: _Job, block: Sequence[Path], waiting: set[Path], noise: int, shadows: bool
) -> int:
    """Write the results of a block that are missing; all its images are decomposed, so that each has its own noise."""
    if not any(job.read(path) is not None for path in block if path in waiting):
        return 0
    placed = {path: image for path in block if (image := job.read(path)) is not None}
    images = torch.cat([p.image for p in placed.values()])
    made = decompose(model, images, Generator().manual_seed(noise), shadows=shadows)
    quality = psnr(mse(made.whole, images))
    missing = [(k, path) for k, path in enumerate(placed) if path in waiting]
    for k, path in missing:
        _save(made, k, quality[k].item(), placed[path].placement, job.target(path))
    return len(missing)


def _save(made: Decomposed, k: int, quality: float, placement: Placement, target: Path) -> None:
    arrays = {
        "latents": made.latents[k].numpy(),
        "masks": (255 * made.masks[k]).round().byte().numpy(),
        "components": (255 * made.alone[k]).round().byte().numpy(),
        "psnr": np.float32(quality),
        "size": np.array(placement.size),
        "box": np.array(placement.box),
        "orientation": np.array(placement.orientation),
    }
    if made.shadows is not None:
        arrays["shadows"] = (255 * made.shadows[k]).round().byte().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(target, lambda p: p.write_bytes(buffer.getvalue()))


def _line(job: _Job, path: Path, least: float | None) -> dict[str, Any]:
    """What the index says of an image; bytes of its name that are no UTF-8 are kept as `os.fsdecode` has them."""
    name = {"image": path.relative_to(job.root).as_posix()}
    if not job.target(path).exists():
        return name | {"skipped": job.skipped.get(path, "it could not be read")}
    with np.load(job.target(path)) as stored:
        quality = float(stored["psnr"])
    return name | {"psnr": round(quality, 2)} | ({} if least is None else {"unlike": quality < least})


def _complete_index(job: _Job, batch: int) -> None:
    """Join the lines of all blocks, if those of other processes are there; the last to end finds them all."""
    parts = [job.part(first, job.files[first : first + batch]) for first in range(0, len(job.files), batch)]
    if all(part.exists() for part in parts):
        for stale in set((job.out / ".index").glob("*.jsonl")) - set(parts):
            stale.unlink(missing_ok=True)
        whole = "".join(part.read_text(encoding="ascii") for part in parts)
        write_atomically(job.out / "index.jsonl", lambda p: p.write_text(whole, encoding="ascii"))


def _draw_sheet(model: ImageDecomposer, job: _Job, seed: int, shadows: bool) -> None:
    """Contact sheet of the first images that can be read."""
    first: list[Tensor] = []
    for path in job.files:
        placed = job.read(path)
        first += [] if placed is None else [placed.image]
        if len(first) == SHOWN:
            break
    if first:
        generator = Generator().manual_seed(seed)
        sheet: Image.Image = components_sheet(model, torch.cat(first), generator, shadows)
        write_atomically(job.out / "sheet.png", lambda p: sheet.save(p, "PNG"))


def _clear(out: Path, targets: set[Path], first: bool) -> None:
    """Remove what a killed job left: a file is written under a name of its own before it is renamed."""
    ending = len(".12345678.npz")
    for path in out.rglob(".*.npz.????????.npz"):
        if path.with_name(path.name[1:-ending]) in targets:
            path.unlink(missing_ok=True)
    if first:
        for path in [*out.glob(".sheet.png.????????.png"), *out.glob(".index.jsonl.????????.jsonl")]:
            path.unlink(missing_ok=True)
