"""Does a film tell which energies moved it, how far, and where something else happened?

Films are timelines of digits that neither the energies nor this reader's design saw (`split = "test"`): three segments
of 3 to 5 frames, in each of which 1 to 3 of colour, angle and scale move, forwards or backwards, by 0.2 to 1 level per
frame. The error model is calibrated on training digits.

- `clean`: as rendered. `corrupted`: noise of 0.05, and 25 % of the pixels of every frame hidden at random.
  `block`: a square of 14x14 pixels hidden, at one place in all frames of a film.
- Set: frames in which exactly the energies that acted are named. `film` reads the segmentation of the whole film, the
  others each pair alone. Speed: median relative error of the moves that were named rightly. Segments: films whose
  segments begin where the true ones do and name the same sets.
- Foreign: pairs whose second frame is another thing: a Fashion-MNIST image or another digit drawn with the same
  factors; the right frame moved by 1 to 3 pixels, blurred (sigma 1.5), inverted, or with a square of 6x6 pixels painted
  over. AUROC of the evidence against pairs of the films, and the share of films' frames that is flagged wrongly.

Beside it:

- `grid n`: the true operator (not known to the energies) over n moves per factor from -1 to 1, given the true scale of
  the start; the nearest frame in the blurred error that the reading minimises. Its cost is n^3 renderings per pair.
- `classifier`: a convolutional network that gets both frames and tells which factors move and how far, trained on
  labelled pairs of the same distribution, half of them corrupted, for as many updates as the three cards together.

    python benchmarks/reading.py train --out classifier.safetensors
    python benchmarks/reading.py score --classifier classifier.safetensors --out benchmarks/results/reading_cpu.json
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.data.sources import load_digits
from ergosum.files import write_json
from ergosum.metrics.auroc import auroc
from ergosum.temporal.baselines.trivial import trivial
from ergosum.temporal.control import Bank
from ergosum.temporal.film import read_films
from ergosum.temporal.film.evidence import ErrorModel
from ergosum.temporal.film.explained import calibrate
from ergosum.temporal.film.pixels import filled, noised
from ergosum.temporal.reading import blurred
from ergosum.training.runfolder import load_predictor

CARDS = ("digits-colour", "digits-angle", "digits-scale")
LEAST_SPEED, SEGMENTS, LENGTHS = 0.2, 3, (3, 5)
NOISE, HIDDEN, BLOCK = 0.05, 0.25, 14
FOREIGN = ("fashion", "digit", "shift", "blur", "invert", "patch")
GRIDS = (5, 9, 13)


class Films(NamedTuple):
    """Films (n, T, 3, side, side), with moves, factors, whether a segment starts, and masks of what is seen."""

    frames: Tensor
    moves: Tensor
    factors: Tensor
    starts: Tensor
    seen: Tensor | None


def draw_moves(n: int, generator: Generator, least: int = 1) -> Tensor:
    """Moves (n, 3) of `least` to 3 factors, each of LEAST_SPEED to 1 level and of any sign."""
    size = torch.randint(least, 4, (n, 1), generator=generator)
    on = torch.rand(n, 3, generator=generator).argsort(1) < size
    sign = 1 - 2 * torch.randint(0, 2, (n, 3), generator=generator).float()
    return on * sign * (LEAST_SPEED + (1 - LEAST_SPEED) * torch.rand(n, 3, generator=generator))


def draw_films(n: int, source: str, split: str, generator: Generator) -> Films:
    """Films of random timelines whose scales stay within 0.4 .. 1.8; frames beyond the shortest film are cut."""
    data = DigitSequences(source=source, split=split, start="random")  # type: ignore[arg-type]
    steps = SEGMENTS * LENGTHS[0]
    moves, starts = [], []
    while len(moves) < n:
        parts = draw_moves(SEGMENTS, generator)
        lengths = torch.randint(LENGTHS[0], LENGTHS[1] + 1, (SEGMENTS,), generator=generator)
        each = parts.repeat_interleave(lengths, 0)[:steps]
        path = each.cumsum(0)[:, 2] * SPACING[2]
        low, high = 0.4 - min(0.0, float(path.min())), 1.8 - max(0.0, float(path.max()))
        if low >= high:
            continue
        u = torch.rand(3, generator=generator)
        starts.append(torch.stack([2 * torch.pi * u[0], 360 * u[1] - 180, low + (high - low) * u[2]]))
        moves.append(each)
    told, start = torch.stack(moves), torch.stack(starts)
    factors = torch.cat([start[:, None], start[:, None] + SPACING * told.cumsum(1)], 1)
    begins = torch.ones(n, steps, dtype=torch.bool)
    begins[:, 1:] = (told[:, 1:] != told[:, :-1]).any(2)
    return Films(data.follow(data.draw_digits(n, generator), factors).frames, told, factors, begins, None)


def corrupted(films: Films, kind: str, generator: Generator) -> Films:
    """Films with noise and hidden pixels (`corrupted`), or a hidden square (`block`)."""
    n, time_, _, side, _ = films.frames.shape
    if kind == "corrupted":
        frames = noised(films.frames, NOISE, generator)
        seen = (torch.rand(n, time_, 1, side, side, generator=generator) >= HIDDEN).float()
    else:
        frames, seen = films.frames, torch.ones(n, time_, 1, side, side)
        for i, (y, x) in enumerate(torch.randint(0, side - BLOCK + 1, (n, 2), generator=generator).tolist()):
            seen[i, ..., y : y + BLOCK, x : x + BLOCK] = 0
    return films._replace(frames=frames * seen, seen=seen)


def foreign(kind: str, n: int, source: str, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pairs of held-out frames of which the second is another thing."""
    data = DigitSequences(source=source, split="test")
    moves = draw_moves(n, generator, least=0)
    before, moves = data.draw_start(moves, 1, generator)
    start, target, _, _, after, *_ = data.pair(data.draw_digits(n, generator), before, moves)
    if kind == "fashion":
        images = load_digits("fashion", "test", 28).images
        target = render(images[torch.randint(len(images), (n,), generator=generator)], after)
    elif kind == "digit":
        target = render(data.draw_digits(n, generator).images, after)
    elif kind == "shift":
        by = torch.randint(1, 4, (n,), generator=generator) * (1 - 2 * torch.randint(0, 2, (n,), generator=generator))
        target = torch.stack([x.roll(int(b), 1 + i % 2) for i, (x, b) in enumerate(zip(target, by, strict=True))])
    elif kind == "blur":
        target = blurred(target, 1.5)
    elif kind == "invert":
        target = 1 - target
    else:
        target = target.clone()
        for x in target:
            i, j = torch.randint(4, 18, (2,), generator=generator).tolist()
            x[:, i : i + 6, j : j + 6] = torch.rand(3, 1, 1, generator=generator)
    return start, target


class PairNet(nn.Module):
    """Which factors move between two frames, and how far: presence logits and moves, (batch, 3) each."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        widths, layers = (6, width, 2 * width, 4 * width), []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU()]
            layers += [nn.Conv2d(b, b, 3, 1, 1), nn.GroupNorm(8, b), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 16, 256), nn.SiLU(), nn.Linear(256, 6))

    def forward(self, start: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        presence, moves = self.body(torch.cat([start, target], 1)).chunk(2, 1)
        return presence, moves


def train_classifier(updates: int, source: str, seed: int, device: str, batch: int = 64, rate: float = 1e-3) -> PairNet:
    """The classifier after so many updates; the three cards took 2,000 of 64 pairs each."""
    torch.manual_seed(seed)
    net, generator = PairNet().to(device), Generator().manual_seed(seed)
    data = DigitSequences(source=source, split="train", device=device)
    optimiser = torch.optim.AdamW(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for update in range(updates):
        moves = draw_moves(batch, generator, least=0)
        before, moves = data.draw_start(moves, 1, generator)
        pairs = data.pair(data.draw_digits(batch, generator), before, moves)
        start, target = pairs.start, pairs.target
        half = batch // 2
        frames = noised(torch.cat([start[:half], target[:half]]), NOISE, generator)
        seen = (torch.rand(2 * half, 1, 28, 28, generator=generator) >= HIDDEN).float().to(device)
        moves = moves.to(device)
        first, second = filled(frames, seen).chunk(2)
        start, target = torch.cat([first, start[half:]]), torch.cat([second, target[half:]])
        presence, told = net(start, target)
        on = (moves != 0).float()
        loss = nn.functional.binary_cross_entropy_with_logits(presence, on) + 4 * ((told - moves).square() * on).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if update % 500 == 0:
            print(f"{update} of {updates} updates, loss {loss.item():.3f}", file=sys.stderr, flush=True)
    return net.eval().cpu()


def by_grid(start: Tensor, target: Tensor, scales: Tensor, seen: Tensor | None, n: int) -> Tensor:
    """The move of a grid of n^3 whose frame, made by the true operator, is nearest."""
    operator = trivial(torch.zeros(1, 1, 28, 28))["true operator"]
    line = torch.arange(-(n // 2), n // 2 + 1) / (n // 2)  # 0 is exactly 0
    grid = torch.cartesian_prod(line, line, line)
    chosen = []
    for i in range(len(start)):
        before = torch.tensor([[0.0, 0.0, float(scales[i])]]).expand(len(grid), -1)
        after = before + SPACING * grid
        off = operator(start[i : i + 1].expand(len(grid), -1, -1, -1), before, after) - target[i]
        off = off if seen is None else off * seen[i]
        chosen.append(grid[blurred(off, 1.0).square().sum((1, 2, 3)).argmin()])
    return torch.stack(chosen)


class Seen(NamedTuple):
    """What a reader said of pairs of frames, beside the truth: moves (pairs, 3), and CPU seconds in all."""

    read: Tensor
    truth: Tensor
    seconds: float


def measured(seen: Seen) -> dict[str, Any]:
    """Share of frames whose set is right, in all and by its size, and errors of the speeds."""
    read, truth = seen.read, seen.truth
    right = ((read != 0) == (truth != 0)).all(1)
    size = (truth != 0).sum(1)
    relative = (read - truth).abs() / truth.abs()
    named = (truth != 0) & (read != 0)
    return {
        "set": right.float().mean().item(),
        "set_by_size": {str(s): right[size == s].float().mean().item() for s in (1, 2, 3)},
        "speed": _median(relative[named]),
        "speed_by_factor": {f: _median(relative[named[:, k], k]) for k, f in enumerate(FACTORS)},
        "sign": (read.sign() == truth.sign())[named].float().mean().item(),
        "cpu_seconds_per_frame": seen.seconds / len(truth),
    }


def _median(values: Tensor) -> float:
    return values.median().item() if len(values) else float("nan")


def error_model(bank: Bank, source: str, pairs: int, seed: int, kind: str, masks: Tensor | None) -> ErrorModel:
    """Calibrated on training digits."""
    training = DigitSequences(source=source, mode="sparse", split="train")
    noise = NOISE if kind == "corrupted" else 0.0
    return calibrate(bank, training, Generator().manual_seed(seed), pairs, noise=noise, seen=masks)


class Job(NamedTuple):
    """A share of the films under one condition, or one kind of foreign pairs, read in a process of its own."""

    kind: str
    share: int
    options: argparse.Namespace


def done(job: Job) -> dict[str, Any]:
    """What one process reads."""
    torch.set_num_threads(1)
    options, kind = job.options, job.kind
    bank = Bank([load_predictor(card)[1] for card in options.cards])
    if kind in FOREIGN:
        model = error_model(bank, options.source, options.calibration, options.seed + 1, "clean", None)
        start, target = foreign(kind, options.foreign, options.source, Generator().manual_seed(options.seed + 2))
        found = read_films(bank, list(torch.stack([start, target], 1)), model)
        return {key: torch.cat([getattr(r, key) for r in found]) for key in ("nats", "score", "flagged")}
    generator = Generator().manual_seed(1000 * options.seed + job.share)
    films = draw_films(options.share, options.source, "test", generator)
    films = films if kind == "clean" else corrupted(films, kind, generator)
    masks = None if films.seen is None else films.seen.flatten(0, 1)
    model = error_model(bank, options.source, options.calibration, options.seed + 1, kind, masks)
    truth = films.moves.flatten(0, 1)
    begun = time.process_time()
    readings = read_films(bank, list(films.frames), model, seen=None if films.seen is None else list(films.seen))
    result: dict[str, Any] = {"film": Seen(torch.cat([r.moves for r in readings]), truth, time.process_time() - begun)}
    for key in ("nats", "score", "flagged", "sd"):
        result[key] = torch.cat([getattr(r, key) for r in readings])
    begins = torch.zeros_like(films.starts)
    for i, reading in enumerate(readings):
        begins[i, [s.first for s in reading.stretches]] = True
    same = ((result["film"].read != 0) == (truth != 0)).unflatten(0, films.starts.shape).flatten(1).all(1)
    result["segments"] = (begins == films.starts).all(1) & same
    frames = films.frames
    if films.seen is not None:
        frames = torch.stack([filled(f, m) for f, m in zip(frames, films.seen, strict=True)])
    start, target = frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)
    hidden = None if films.seen is None else films.seen[:, 1:].flatten(0, 1)
    if kind == "clean":
        begun = time.process_time()
        pairs = read_films(bank, list(torch.stack([start, target], 1)), model)
        result["pair"] = Seen(torch.cat([r.moves for r in pairs]), truth, time.process_time() - begun)
    for n in options.grids:
        begun = time.process_time()
        found_ = by_grid(start, target, films.factors[:, :-1, 2].flatten(), hidden, n)
        result[f"grid {n}"] = Seen(found_, truth, time.process_time() - begun)
    if options.classifier:
        net = PairNet().eval()
        net.load_state_dict(load_file(options.classifier))
        begun = time.process_time()
        with torch.no_grad():
            presence, moves = net(start, target)
        result["classifier"] = Seen(moves * (presence > 0), truth, time.process_time() - begun)
    return result


def score(options: argparse.Namespace) -> dict[str, Any]:
    """All rows of the result."""
    shares = range(-(-options.n // options.share))
    jobs = [Job(kind, share, options) for kind in options.conditions for share in shares]
    jobs += [Job(kind, 0, options) for kind in FOREIGN if "clean" in options.conditions and options.foreign]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        results = list(pool.map(done, jobs))
    rows: dict[str, Any] = {}
    for kind in options.conditions:
        parts = [r for job, r in zip(jobs, results, strict=True) if job.kind == kind]
        for name in (n for n, v in parts[0].items() if isinstance(v, Seen)):
            seen = [p[name] for p in parts]
            read, truth = torch.cat([s.read for s in seen]), torch.cat([s.truth for s in seen])
            joined = Seen(read, truth, sum(s.seconds for s in seen))
            rows[f"{kind}: {name}"] = measured(joined)
            if name == "film":
                sd, off = torch.cat([p["sd"] for p in parts]), (joined.read - joined.truth).abs()
                named = (joined.truth != 0) & (sd > 0)
                rows[f"{kind}: film"] |= {
                    "films": sum(len(p["segments"]) for p in parts), "frames": len(joined.truth),
                    "segments": torch.cat([p["segments"] for p in parts]).float().mean().item(),
                    "flagged": torch.cat([p["flagged"] for p in parts]).float().mean().item(),
                    "within_2_sd": (off <= 2 * sd)[named].float().mean().item(),
                }  # fmt: skip
    alarms: dict[str, Any] = {}
    found = {job.kind: r for job, r in zip(jobs, results, strict=True) if job.kind in FOREIGN}
    if found:
        clean = [r for job, r in zip(jobs, results, strict=True) if job.kind == "clean"]
        own = {key: torch.cat([r[key] for r in clean]) for key in ("nats", "score")}
        found["all"] = {key: torch.cat([r[key] for r in found.values()]) for key in ("nats", "score", "flagged")}
        for which, r in found.items():
            alarms[which] = {
                "auroc_nats": auroc(r["nats"], own["nats"]), "auroc_z": auroc(r["score"], own["score"]),
                "median_nats": _median(r["nats"]), "median_z": _median(r["score"]),
                "flagged": r["flagged"].float().mean().item(), "n": len(r["nats"]),
            }  # fmt: skip
    trained = json.loads(Path(options.classifier).with_suffix(".json").read_text()) if options.classifier else {}
    return {"rows": rows, "foreign": alarms, "classifier": trained}


def main() -> None:
    """Train the classifier, or score everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=["train", "score"])
    parser.add_argument("--source", default="mnist")
    parser.add_argument("--cards", nargs="+", default=list(CARDS))
    parser.add_argument("--conditions", nargs="+", default=["clean", "corrupted", "block"])
    parser.add_argument("--n", type=int, default=60, help="films")
    parser.add_argument("--foreign", type=int, default=60, help="foreign pairs of each kind")
    parser.add_argument("--calibration", type=int, default=96, help="pairs that the error model is learned from")
    parser.add_argument("--grids", type=int, nargs="*", default=list(GRIDS))
    parser.add_argument("--classifier", default="", help="weights that `train` wrote")
    parser.add_argument("--updates", type=int, default=6000, help="of the classifier, of 64 pairs each")
    parser.add_argument("--device", default="cpu", help="where the classifier is trained")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--share", type=int, default=12, help="films that one process reads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.job == "train":
        net = train_classifier(options.updates, options.source, options.seed, options.device)
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, options.out)
        write_json(Path(options.out).with_suffix(".json"), {"updates": options.updates, "batch": 64})
        return
    result = score(options)
    shown = {k: v for k, v in vars(options).items() if k not in ("job", "out", "updates", "device", "classifier")}
    write_json(Path(options.out), {**provenance(), **shown, **result})
    table = Table("reader", "set right", "speed", *FACTORS, "CPU s/frame")
    for name, row in result["rows"].items():
        speeds = [f"{v:.1%}" for v in row["speed_by_factor"].values()]
        table.add_row(name, f"{row['set']:.1%}", f"{row['speed']:.1%}", *speeds, f"{row['cpu_seconds_per_frame']:.3f}")
    Console(width=110).print(table)
    alarms = Table("foreign", "AUROC nats", "AUROC z", "flagged", "median nats")
    for name, row in result["foreign"].items():
        alarms.add_row(
            name, *(f"{row.get(k, float('nan')):.3f}" for k in ("auroc_nats", "auroc_z", "flagged", "median_nats"))
        )
    Console(width=110).print(alarms)


if __name__ == "__main__":
    main()
