"""How fast are images decomposed here, next to the loop of COMET's released code, and does a job of many go through?

`plain` does what COMET's released code does: a Python loop over components, and in training a second-order graph on all
N steps, all N iterates stacked, and 2K more energies for its log. `ours` is `ImageDecomposer` with `RecompositionLoss`,
and `decompose`. Both run recipe `comet-code` (tied energies that see positions, recurrent encoder) on the same weights,
images and noise; the clamp after each step and the optimiser's update are left out on both sides.

- Training: images per second at N = 10, and the ratio of CPU times, only where loss and gradients agree: relative
  differences of the loss, and of the gradient as one vector (the worse of energy's and encoder's), below 1e-4. Energy
  weights get noise on top of their initialisation, so that the descent visibly moves pixels (`moved`, RMS) and z acts.
  `bf16` is ours in autocast, as recipes train.
- Inference: images per second of `decompose`: latents, whole, each component alone, masks; also for the slots and
  Gaussian experts of recipes `tetrominoes` and `scenes-objects`, which have no plain side.
- Energies: of one component for one image, per image; gradients with respect to the image likewise (an expert's
  is known in closed form). Decodes: of one component by the experts' network.
- Time: CPU time of one thread, after a warm-up, sides taking turns; ratios are medians over rounds, with their range.
- Memory: as in `training_step.py`, the most bytes alive at once in a training step on top of weights and data.
- Quality: CPU seconds of updates and energies until foreground ARI 0.9 on 64 held-out tetrominoes, scored every minute
  of training; scoring is not on the clock.
- Job: `ergosum decompose` over a folder of many images (hard links to 2,000 tetrominoes, every thousandth broken),
  killed half-way with SIGKILL and started again: resident memory, images per second; and on 500 images, whether a
  killed job ends with the same files as one that was not. Weights are random: time does not depend on them.

    python benchmarks/decomposition.py --out benchmarks/results/decomposition_cpu.json
"""

import argparse
import copy
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from training_step import Side, Step, _peak_bytes, _seconds, comet_step

from ergosum.decomposer import Decomposer
from ergosum.decomposition import ImageDecomposer, Recomposition, RecompositionLoss
from ergosum.decomposition.recombination import Decomposed, decompose
from ergosum.decomposition.segmentation import decomposition_scores
from ergosum.files import write_json
from ergosum.nets import CometEnergy
from ergosum.nets.experts import DrawnExperts
from ergosum.recipes import find
from ergosum.samplers.guards import NonFiniteError
from ergosum.training.experiment import Experiment
from ergosum.training.loop import DeadRunError, train
from ergosum.training.runfolder import load_predictor, save_recipe, save_weights

__all__ = ["Case", "batch_job", "inference", "main", "memory", "plain", "quality", "training"]

TARGET = {"components": 4, "time_ratio": 3.0}
AGREE = 1e-4
GOAL = 0.9
SCORE_EVERY = 60.0
SAMPLE = 500
BROKEN_EVERY = 1000


class Case(NamedTuple):
    """Sizes of COMET's networks and of what they are run on."""

    components: int
    steps: int
    batch: int
    side: int
    width: int = 64


def cases(quick: bool) -> Iterator[Case]:
    """K = 2, 4, 8 at N = 10 on 36 and 64 pixels; tiny ones with `quick`."""
    if quick:
        yield from (Case(k, 2, 2, 12, 8) for k in (2, 4))
        return
    for side, batch in ((36, 16), (64, 4)):
        yield from (Case(k, 10, batch, side) for k in (2, 4, 8))


def network(case: Case) -> ImageDecomposer:
    """The decomposer of `comet-code` in other sizes, with random weights from torch's present generator."""
    recipe: Any = find("comet-code").task
    model = recipe.get("model").but(
        encoder={"width": case.width}, energy={"width": case.width}, descent={"steps": case.steps},
        components=tuple(f"part{k}" for k in range(case.components)), side=case.side,
    ).build()  # fmt: skip
    with torch.no_grad():
        for weight in model.energies.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model.train()


def plain(model: ImageDecomposer) -> Step:
    """The training step of COMET's released code on the weights of `model`."""
    return comet_step(model, lambda noise, image: model.encode(image))


def ours(model: ImageDecomposer, bf16: bool = False) -> Step:
    """The library's training step, in 32 bits or in bfloat16 autocast."""

    def step(noise: Tensor, image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            path = model(noise, images=image)
        loss = RecompositionLoss()(image, path).loss
        loss.backward()
        return loss.detach()

    return step


def plain_decompose(model: ImageDecomposer, images: Tensor, generator: Generator) -> Decomposed:
    """`decompose` as a plain loop: every component of every step by itself, no second-order graph."""
    family: Any = model.energies[0]
    h, steps = model.descent.step_size, model.descent.steps
    with torch.no_grad():
        latents = model.encode(images)
    codes = latents.unbind(1)

    def slope(active: tuple[Tensor, ...], x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        energy = torch.zeros(len(x))
        for z in active:
            energy = energy + family.bind(z, None)(x)
        return torch.autograd.grad(energy.sum(), x)[0]

    def descend(active: tuple[Tensor, ...]) -> Tensor:
        x = torch.rand(images.shape, generator=generator)
        for _ in range(steps):
            x = x - h * slope(active, x)
        return x.clamp(0, 1)

    alone = [descend((z,)) for z in codes]
    whole = descend(codes)
    strength = torch.stack([slope((z,), images).abs().sum(1) for z in codes], 1)
    return Decomposed(latents, whole, strength / strength.sum(1, keepdim=True), torch.stack(alone, 1))


@contextmanager
def counted(model: Decomposer) -> Iterator[Counter[str]]:
    """Counts energies, gradients with respect to x, and decodes, all of one component for one image."""
    family: Any = model.energies[0]
    head, decoder = getattr(family, "head", None), getattr(family, "convs", None)
    counts: Counter[str] = Counter()

    def gained(gradient: Tensor) -> None:
        counts["gradients"] += len(gradient)

    def seen(module: nn.Module, _: Any, output: Any) -> None:
        if module is decoder:
            counts["decodes"] += len(output)
        elif module is head or isinstance(module, DrawnExperts):
            counts["energies"] += len(output)
            if isinstance(module, DrawnExperts):  # its gradient comes with it
                counts["gradients"] += len(output)
            elif output.requires_grad:
                output.register_hook(gained)

    handle = register_module_forward_hook(seen)
    try:
        yield counts
    finally:
        handle.remove()


def per_image(model: Decomposer, images: int, run: Callable[[], object]) -> dict[str, float]:
    """What `counted` counts while something runs, per image."""
    with counted(model) as counts:
        run()
    return {name: count / images for name, count in counts.items()}


def sides(model: ImageDecomposer) -> dict[str, Side]:
    """`plain`, `ours` and ours in bf16, each with its own copy of the weights."""

    def side(make: Callable[[ImageDecomposer], Step], layout: torch.memory_format) -> Side:
        twin = copy.deepcopy(model).to(memory_format=layout)  # type: ignore[call-overload]
        return Side(twin, make(twin), layout)

    last = torch.channels_last
    return {
        "plain": side(plain, torch.contiguous_format),
        "ours": side(ours, last),
        "bf16": side(lambda twin: ours(twin, bf16=True), last),
    }


def random_batch(case: Case) -> tuple[Tensor, Tensor]:
    """Noise to start from, and images."""
    noise, image = torch.rand(2, case.batch, 3, case.side, case.side)
    return noise, image


def difference(side: Side, plain: Side, noise: Tensor, image: Tensor) -> tuple[float, float]:
    """Relative differences of loss and gradient from those of the plain side."""
    loss, expected = side.take(noise, image), plain.take(noise, image)
    pairs = zip(side.gradients(), plain.gradients(), strict=True)
    return ((loss - expected).abs() / expected).item(), max(((a - b).norm() / b.norm()).item() for a, b in pairs)


def training(case: Case, rounds: int, seed: int) -> dict[str, Any]:
    """One row: sizes, differences, images per second of each side, ratios of time, energies per image.

    Raises:
        RuntimeError: if loss or gradients of the two sides differ.
    """
    torch.manual_seed(seed)
    model, (noise, image) = network(case), random_batch(case)
    contenders = sides(model)
    differences = {name: difference(contenders[name], contenders["plain"], noise, image) for name in ("ours", "bf16")}
    if not max(differences["ours"]) < AGREE:
        raise RuntimeError(f"{case}: loss and gradient differ by {differences['ours']}; expected less than {AGREE:g}.")
    spent = turns({n: lambda side=s: _seconds(side, noise, image) for n, s in contenders.items()}, rounds)
    with torch.no_grad():
        moved = (contenders["ours"].model(noise, images=image).frames[-1] - noise).square().mean().sqrt().item()
    return case._asdict() | {
        "moved": moved,
        "differences": differences,
        "images_per_s": {name: case.batch / statistics.median(times) for name, times in spent.items()},
        "ratios": ratios(spent),
        "per_image": {
            name: per_image(side.model, case.batch, lambda side=side: side.take(noise, image))
            for name, side in contenders.items()
        },
    }


def turns(clocks: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side, sides taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in clocks}
    for _ in range(rounds):
        for name, clock in clocks.items():
            spent[name].append(clock())
    return spent


def ratios(spent: dict[str, list[float]]) -> dict[str, list[float]]:
    """Times of plain over those of the others, round by round: median, least and most."""
    found = {}
    for name in spent.keys() - {"plain"}:
        each = [p / o for p, o in zip(spent["plain"], spent[name], strict=True)]
        found[name] = [statistics.median(each), min(each), max(each)]
    return found


def inference(quick: bool, rounds: int, seed: int) -> list[dict[str, Any]]:
    """A row for each network: images per second, energies and decodes per image."""
    case = Case(4, 2, 2, 12, 8) if quick else Case(4, 10, 16, 36)
    torch.manual_seed(seed)
    model = network(case).eval()
    images = random_batch(case)[1]
    rows = [apart("comet-code", model, images, rounds, seed)]
    for name in ("tetrominoes", "scenes-objects"):
        task: Any = (small(find(name)) if quick else find(name)).built()
        drawn = task.dataset().draw(2 if quick else 64, Generator().manual_seed(seed))
        rows.append(apart(name, task.build().eval(), drawn.images, rounds, seed))
    return rows


def apart(name: str, model: ImageDecomposer, images: Tensor, rounds: int, seed: int) -> dict[str, Any]:
    """Images decomposed by `decompose`, and by the plain loop where it can."""
    twin = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    contenders: dict[str, tuple[ImageDecomposer, Callable[..., Decomposed]]] = {"ours": (model, decompose)}
    if isinstance(model.energies[0], CometEnergy):
        contenders = {"plain": (twin, plain_decompose), **contenders}
    found = {n: take(m, images, Generator().manual_seed(seed)) for n, (m, take) in contenders.items()}
    told: dict[str, Any] = {"net": name, "components": len(model.components), "steps": model.descent.steps,
                            "batch": len(images), "side": model.canvas}  # fmt: skip

    def clock(side: str) -> float:
        owner, take = contenders[side]
        begun = time.process_time()
        take(owner, images, Generator().manual_seed(seed))
        return time.process_time() - begun

    spent = turns({n: lambda n=n: clock(n) for n in contenders}, rounds)
    told["images_per_s"] = {n: len(images) / statistics.median(times) for n, times in spent.items()}
    told["per_image"] = {
        n: per_image(m, len(images), lambda m=m, take=take: take(m, images, Generator().manual_seed(seed)))
        for n, (m, take) in contenders.items()
    }
    if "plain" in found:
        pairs = zip(found["ours"], found["plain"], strict=True)
        apart = [((a - b).norm() / b.norm()).item() for a, b in pairs if a is not None and b is not None]
        told |= {"difference": max(apart), "ratios": ratios(spent)}
    return told


def memory(quick: bool, seed: int) -> list[dict[str, Any]]:
    """Peak of live MiB of a training step against K and N, per side."""
    rows = []
    for k in (1, 2) if quick else (1, 2, 4, 8):
        for n in (1, 3) if quick else (1, 5, 10, 20):
            case = Case(k, n, 2, 12, 8) if quick else Case(k, n, 4, 36)
            torch.manual_seed(seed)
            contenders, (noise, image) = sides(network(case)), random_batch(case)
            peak = {name: _peak_bytes(side, noise, image)[1] / 2**20 for name, side in contenders.items()}
            rows.append(case._asdict() | {"peak_mib": peak})
    return rows


def small(experiment: Experiment) -> Experiment:
    """The same with narrow networks and few images: checks that it works, measures nothing."""
    narrow = {"model": {"encoder": {"width": 4}, "energy": {"width": 4}}, "count": 32}
    return experiment.but(task=narrow, optimiser={"batch": 4})


def quality(name: str, limit: float, every: float, seed: int, quick: bool) -> dict[str, Any]:
    """Train a recipe until foreground ARI 0.9, or for `limit` CPU seconds; scored after every `every` of them."""
    experiment = find(name).but(run={"seed": seed})
    if quick:
        experiment = small(experiment)
    energies = energies_per_update(experiment)
    curve: list[dict[str, float]] = []
    optimiser, updates = experiment.optimiser, 0
    row: dict[str, Any] = {
        "net": name, "goal": GOAL, "limit_s": limit, "batch": optimiser.batch, "iterations": optimiser.iterations,
        "precision": optimiser.precision, "reached": None, "note": "",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        while not curve or (curve[-1]["cpu_s"] < limit and not row["reached"] and updates < optimiser.iterations):
            try:
                updates, spent = practise(experiment, out, every, resume=bool(curve))
            except (DeadRunError, NonFiniteError) as error:
                row["note"] = str(error)
                break
            model, task = load_predictor(out)[1], experiment.built()
            assert isinstance(model, ImageDecomposer) and isinstance(task, Recomposition)
            found = decomposition_scores(task, model, 8 if quick else 64, seed)["fg_ari"]
            curve.append({"cpu_s": spent, "updates": updates, "energies": updates * energies, "fg_ari": found})
            row["reached"] = curve[-1] if found >= GOAL else None
    return row | {"curve": curve, "best": max((c["fg_ari"] for c in curve), default=None)}


def practise(experiment: Experiment, out: Path, seconds: float, resume: bool) -> tuple[int, float]:
    """Train for some CPU seconds more and write a checkpoint: updates, and CPU seconds in them, since the start."""
    begun = time.process_time()
    updates = train(experiment, out, resume=resume, accelerator="cpu")
    for _ in updates:
        if time.process_time() - begun >= seconds:
            updates.close()
    stored = torch.load(out / "checkpoint.pt", weights_only=True)
    return stored["iteration"], stored["cpu_seconds"]


def energies_per_update(experiment: Experiment) -> int:
    """Energies of one component for one image in one update."""
    model = experiment.built().build().train()
    assert isinstance(model, ImageDecomposer)
    images = torch.rand(2, 3, model.canvas, model.canvas)
    found = per_image(model, 2, lambda: model(images, images=images, generator=Generator().manual_seed(0)))
    return round(found["energies"] * experiment.optimiser.batch)


class Album:
    """A folder of numbered images in sub-folders of a thousand, and where the job writes what it finds in them."""

    def __init__(self, root: Path, images: int, seed: int) -> None:
        self.root, self.images = root, images
        self.broken = len(range(1, images, BROKEN_EVERY))
        distinct = min(2000, images)
        originals = root / "originals"
        originals.mkdir(parents=True)
        task: Any = find("tetrominoes").built()
        generator, data = Generator().manual_seed(seed), task.dataset()
        for first in range(0, distinct, 100):
            drawn = (255 * data.draw(100, generator).images).round().byte().permute(0, 2, 3, 1).numpy()
            for k, pixels in enumerate(drawn):
                Image.fromarray(pixels).save(originals / f"{first + k}.png")
        (originals / "broken.png").write_bytes((originals / "0.png").read_bytes()[:100])
        for k in range(images):
            path = root / "album" / self.name(k)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(originals / ("broken.png" if k % BROKEN_EVERY == 1 else f"{k % distinct}.png"), path)

    @staticmethod
    def name(k: int) -> str:
        """Path of image k within the album; names sort as numbers do."""
        return f"{k // 1000:04}/{k:07}.png"

    def job(self, run: Path, out: str, stop: int | None, begin: int = 0) -> dict[str, Any]:
        """`ergosum decompose`, killed when image `stop` is done; memory is read once image `begin` is done."""
        found = self.root / out
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "ergosum", "decompose", run, "--start", self.root / "album", "--out", found]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        resident: list[float] = []
        killed = False
        while process.poll() is None:
            if stop is not None and not killed and (found / f"{self.name(stop)}.npz").exists():
                process.kill()
                killed = True
            elif (found / f"{self.name(begin)}.npz").exists():
                resident += _resident_mib(process.pid)
            time.sleep(0.02 if self.images <= SAMPLE else 0.5)
        said = process.communicate()[0]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        third = (len(resident) + 2) // 3
        counts = re.search(r"(\d+) images written, (\d+) done before, (\d+) skipped", said)
        return {
            "killed": killed,
            "seconds": time.perf_counter() - begun,
            "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "counts": dict(zip(("written", "before", "skipped"), map(int, counts.groups()), strict=True))
            if counts else None,
            "resident_mib": {"first_third": statistics.fmean(resident[:third]), "most": max(resident),
                             "last_third": statistics.fmean(resident[-third:])} if resident else None,
        }  # fmt: skip


def _resident_mib(process: int) -> list[float]:
    """Resident memory of a process; nothing where it has just ended."""
    status = Path(f"/proc/{process}/status").read_text()
    return [int(kib) / 1024 for kib in re.findall(r"VmRSS:\s+(\d+) kB", status)]


def batch_job(images: int, seed: int, quick: bool) -> dict[str, Any]:
    """A job killed half-way and started again; and whether, on a sample, it ends as one that was not killed."""
    experiment = small(find("tetrominoes")) if quick else find("tetrominoes")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        torch.manual_seed(seed)
        save_recipe(root / "run", experiment)
        save_weights(root / "run" / "model.safetensors", experiment.built().build().state_dict())
        half, end = images // 2, images - 1
        album = Album(root / "many", images, seed)
        killed = album.job(root / "run", "out", half)
        resumed = album.job(root / "run", "out", None, min(half + 64, end))
        few = Album(root / "few", min(SAMPLE, images), seed)
        stopped = few.job(root / "run", "out", few.images // 2)["killed"]
        few.job(root / "run", "out", None)
        few.job(root / "run", "whole", None)
        same = _contents(few.root / "out") == _contents(few.root / "whole")
    done = resumed["counts"]
    return {
        "images": images, "broken": album.broken, "killed": killed, "resumed": resumed,
        "images_per_s": done["written"] / resumed["seconds"], "images_per_cpu_s": done["written"] / resumed["cpu_s"],
        "all_accounted": sum(done.values()) == images and done["skipped"] == album.broken,
        "sample": {"images": few.images, "killed": stopped, "same_files": same},
    }  # fmt: skip


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether the target is met where it is set."""
    aimed = {r["side"]: r["ratios"]["ours"][0] for r in rows if r["components"] == TARGET["components"]}
    return [{"side": side, "ratio": ratio, "met": ratio >= TARGET["time_ratio"]} for side, ratio in aimed.items()]


def _span(ratio: list[float]) -> str:
    return "{:.2f}x ({:.2f} .. {:.2f})".format(*ratio)


def _training_table(result: dict[str, Any]) -> Table:
    made = Table(title=f"Training, {result['machine']}, one thread, torch {result['torch']}")
    for head in ("pixels", "K", "N", "differs", "plain", "ours", "bf16", "time", "bf16: time", "energies: plain, ours"):
        made.add_column(head, justify="right")
    for r in result["training"]:
        rates = [f"{r['images_per_s'][s]:.2f}/s" for s in ("plain", "ours", "bf16")]
        energies = ", ".join(f"{r['per_image'][s]['energies']:.0f}" for s in ("plain", "ours"))
        made.add_row(str(r["side"]), str(r["components"]), str(r["steps"]), f"{max(r['differences']['ours']):.0e}",
                     *rates, _span(r["ratios"]["ours"]), _span(r["ratios"]["bf16"]), energies)  # fmt: skip
    return made


def _inference_table(rows: list[dict[str, Any]]) -> Table:
    made = Table(title="Images decomposed")
    for head in ("net", "pixels", "K", "N", "plain", "ours", "time", "energies", "decodes"):
        made.add_column(head, justify="right")
    for r in rows:
        rate, count = r["images_per_s"], r["per_image"]["ours"]
        made.add_row(r["net"], str(r["side"]), str(r["components"]), str(r["steps"]),
                     f"{rate['plain']:.1f}/s" if "plain" in rate else "–", f"{rate['ours']:.1f}/s",
                     _span(r["ratios"]["ours"]) if "ratios" in r else "–", f"{count['energies']:.0f}",
                     f"{count.get('decodes', 0):.0f}")  # fmt: skip
    return made


def _memory_table(rows: list[dict[str, Any]]) -> Table:
    made = Table(title="Peak MiB of a training step: plain, ours")
    steps = sorted({r["steps"] for r in rows})
    for head in ("K", *(f"N = {n}" for n in steps)):
        made.add_column(head, justify="right")
    for k in sorted({r["components"] for r in rows}):
        peaks = [r["peak_mib"] for r in rows if r["components"] == k]
        made.add_row(str(k), *(f"{p['plain']:.1f}, {p['ours']:.1f}" for p in peaks))
    return made


def _said(result: dict[str, Any]) -> Iterator[str]:
    """Verdicts, quality and job, a line each."""
    for v in result["verdicts"]:
        yield (f"Training, K = {TARGET['components']}, {v['side']} pixels: {v['ratio']:.2f}x, target "
               f"{TARGET['time_ratio']:g}x {'met' if v['met'] else 'missed'}.")  # fmt: skip
    for row in result["quality"]:
        last = row["reached"] or (row["curve"] or [{"cpu_s": 0.0, "updates": 0, "energies": 0, "fg_ari": 0.0}])[-1]
        state = "reached" if row["reached"] else f"not reached, best {row['best']}"
        yield (f"Foreground ARI {row['goal']}, {row['net']}: {state} in {last['cpu_s']:.0f} CPU s, {last['updates']} "
               f"of the recipe's {row['iterations']} updates, {last['energies']:.2e} energies. "
               f"{row['note']}").rstrip()  # fmt: skip
    if job := result["job"]:
        yield (f"{job['images']} images, killed and started again: {job['images_per_cpu_s']:.1f} per CPU s, "
               f"{job['resumed']['counts']}, accounted for: {job['all_accounted']}.")  # fmt: skip
        for part in ("killed", "resumed"):
            yield f"Resident MiB, {part}: {job[part]['resident_mib']}."
        yield f"Same files as a job that was not killed, {job['sample']['images']}: {job['sample']['same_files']}."


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that it works, measures nothing")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs per side and case")
    parser.add_argument("--seed", type=int, default=0, help="of weights, images and noise")
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU seconds of training per network, for quality")
    parser.add_argument("--no-quality", action="store_true", help="leave out the trainings (20 minutes)")
    parser.add_argument("--images", type=int, default=100_000, help="of the batch job; 0 leaves it out")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seconds, every = (0.0, 0.0) if a.quick else (a.seconds, SCORE_EVERY)
    images = min(a.images, 200) if a.quick else a.images
    trained = () if a.no_quality else ("tetrominoes", "tetrominoes-refined", "comet-code")
    result: dict[str, Any] = {
        "benchmark": "decomposition", "threads": 1, "rounds": a.rounds, "seed": a.seed, **provenance(),
        "quick": a.quick, "target": TARGET,
    }  # fmt: skip
    parts: dict[str, Callable[[], Any]] = {
        "training": lambda: [training(case, a.rounds, a.seed) for case in cases(a.quick)],
        "verdicts": lambda: verdicts(result["training"]),
        "inference": lambda: inference(a.quick, a.rounds, a.seed),
        "memory": lambda: memory(a.quick, a.seed),
        "job": lambda: batch_job(images, a.seed, a.quick) if images else None,
        "quality": lambda: [quality(name, seconds, every, a.seed, a.quick) for name in trained],
    }
    for name, part in parts.items():
        result[name] = part()
        if a.out:
            write_json(a.out, result)  # what is measured stays if a later part is stopped
    if a.json:
        print(json.dumps(result, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(_training_table(result), _inference_table(result["inference"]), _memory_table(result["memory"]))
    for line in _said(result):
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
