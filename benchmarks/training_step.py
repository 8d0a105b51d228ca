"""How much faster and smaller is one training step here than in COMET's released loop, at the same loss and gradient?

Both sides descend from noise to an image with K tied energies in N steps and differentiate the last step's error.
`plain` does what COMET's released code does: a Python loop over components, a second-order graph on all N steps, all
N iterates stacked, and 2K more energies for its log. `ours` is the library's decomposer: components folded into the
batch, a graph on the last step alone, no log. Left out on both sides: the clamp after each step, and the optimiser's
own update. Networks: `comet-64`, COMET's 64-pixel energy and encoder; `ours-28`, the founding report's as the library
has them.

- Difference: relative, of the loss, and of the gradient as one vector (the worse of energy's and encoder's). Energy
  weights get noise on top of their initialisation, so that the descent visibly moves pixels (`moved`, RMS) and z acts.
- Time: CPU time of one thread (on a GPU: wall time), after a warm-up, sides taking turns, median.
- Memory: the peak of live tensor bytes in one step, on top of weights and data: the running sum of all allocations and
  releases that the profiler sees in PyTorch's allocator (on a GPU, the allocator's own peak). Forward, both backward
  passes and their temporaries count; scratch space inside oneDNN does not, on either side.
- Time to quality: CPU seconds of training until the colour energy's skill, 1 - MSE / MSE of copying, is 0.9 on held-out
  MNIST. Both sides are scored on the founding report's pairs (upright digits, one level forward), ours also on its
  own harder ones (any angle and scale, both directions, fractions of a level), where it must reach 0.9 too.

    python benchmarks/training_step.py --out benchmarks/results/training_step_cpu.json
"""

import argparse
import copy
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from ergosum.data.record import Pairs
from ergosum.decomposer import Decomposer, InnerDescent
from ergosum.files import write_json
from ergosum.nets.comet import CometEnergy
from ergosum.nets.encoders import PairEncoder
from ergosum.nets.residual import Block, ResidualEncoder, ResidualEnergy
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.temporal.model import TemporalDecomposer
from ergosum.training.experiment import Experiment
from ergosum.training.loop import DeadRunError, train
from ergosum.training.runfolder import load_predictor

__all__ = ["Case", "compare", "main", "plain", "time_to_quality"]

TARGET = {"components": 4, "steps": 10, "time_ratio": 3.0, "memory_ratio": 4.0}
VARIANTS = ("contiguous", "compile", "bf16")
GOAL = 0.9
SCORE_EVERY = 25

Step = Callable[[Tensor, Tensor], Tensor]
"""(noise, image) -> loss, with the gradients of all weights left in them."""


class Case(NamedTuple):
    """One comparison: network, K, N, images per step, and sizes; the step size of `comet-64` is COMET's."""

    net: str
    components: int
    steps: int
    batch: int
    side: int
    width: int
    latent: int
    step_size: float


def cases(quick: bool) -> Iterator[Case]:
    """K = 1, 3, 4 by N = 4, 10 on both networks; tiny ones with `quick`."""
    for k in (1, 3) if quick else (1, 3, 4):
        for n in (3,) if quick else (4, 10):
            yield Case("comet-64", k, n, 2, 16, 8, 4, 500.0) if quick else Case("comet-64", k, n, 4, 64, 64, 64, 500.0)
            yield Case("ours-28", k, n, 2, 12, 8, 4, 100.0) if quick else Case("ours-28", k, n, 8, 28, 64, 64, 100.0)


class _SeesTarget(nn.Module):
    """A pair encoder that looks only at the later frame: latents of the image to reach, not of the noise."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pair: Tensor) -> Tensor:
        return self.encoder(pair[:, 3:])


def build(case: Case) -> TemporalDecomposer:
    """The decomposer of a case, with random weights from torch's present generator."""
    names = tuple(f"part{k}" for k in range(case.components))
    descent = Part(InnerDescent, steps=case.steps, step_size=case.step_size, clamp=False, gradient="last")
    decomposer = TemporalDecomposer(
        encoder=Part(PairEncoder, width=case.width), energy=Part(ResidualEnergy, width=case.width), anchor="none",
        components=names, tied=True, latent=case.latent, moves=False, descent=descent, side=case.side,
    )  # fmt: skip
    encoder = ResidualEncoder(case.components * case.latent, 3, case.width)
    if case.net == "comet-64":
        decomposer.energies = nn.ModuleList([CometEnergy(case.latent, case.width)])
        encoder.blocks.append(Block(case.width, case.width))
    decomposer.encoder = _SeesTarget(encoder)
    with torch.no_grad():
        for weight in decomposer.energies.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return decomposer.train()


def plain(model: TemporalDecomposer) -> Step:
    """The loop of COMET's released code on the weights of `model`."""
    return comet_step(model, model.encode)


def comet_step(model: Decomposer, encode: Callable[[Tensor, Tensor], Tensor]) -> Step:
    """The training step of COMET's released code on the weights of a decomposer.

    Args:
        encode: latents (batch, K, D) of the noise and the image to find.
    """
    family: Any = model.energies[0]
    h, steps = model.descent.step_size, model.descent.steps

    def step(noise: Tensor, image: Tensor) -> Tensor:
        codes = encode(noise, image).unbind(1)
        x, iterates = noise, []
        for _ in range(steps):
            x = x.detach().requires_grad_()
            energy = torch.zeros(len(x), device=x.device)
            for z in codes:
                energy = energy + family.bind(z, None)(x)
            (gradient,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
            x = x - h * gradient
            iterates.append(x)
        path = torch.stack(iterates, 1)
        loss = F.mse_loss(path[:, -1], image)
        logged = [family.bind(z, None)(frame).mean() for frame in (image, path[:, -1].detach()) for z in codes]
        loss.backward()
        del logged
        return loss.detach()

    return step


def ours(model: TemporalDecomposer, bf16: bool = False) -> Step:
    """The library's step, in 32 bits or in bfloat16 autocast."""

    def step(noise: Tensor, image: Tensor) -> Tensor:
        with torch.autocast(noise.device.type, torch.bfloat16, enabled=bf16):
            predicted = model(noise, image).frames[-1]
        loss = F.mse_loss(predicted, image)
        loss.backward()
        return loss.detach()

    return step


def compiled(model: TemporalDecomposer) -> Step:
    """The library's step with each descent step compiled, gradient and all.

    `torch.compile` cannot differentiate a compiled energy twice; a compiled step that holds `torch.func.grad` it can.
    """
    family: Any = model.energies[0]
    h, steps = model.descent.step_size, model.descent.steps

    @partial(torch.compile, dynamic=False)  # inductor fails on symbolic sizes here (torch 2.13)
    def move(x: Tensor, codes: Tensor) -> Tensor:
        return x - h * torch.func.grad(lambda y: family.bind(codes, None)(y).sum())(x)

    def step(noise: Tensor, image: Tensor) -> Tensor:
        codes, x = model.encode(noise, image).flatten(0, 1), noise
        with torch.no_grad():
            for _ in range(steps - 1):
                x = move(x, codes)
        loss = F.mse_loss(move(x, codes), image)
        loss.backward()
        return loss.detach()

    return step


class Side(NamedTuple):
    """One way to take the step: its own copy of the weights, the step, and the memory layout of its tensors."""

    model: Decomposer
    step: Step
    layout: torch.memory_format

    def take(self, noise: Tensor, image: Tensor) -> Tensor:
        """Loss of one step from no gradients."""
        self.model.zero_grad(set_to_none=True)
        return self.step(noise.to(memory_format=self.layout), image.to(memory_format=self.layout))

    def gradients(self) -> list[Tensor]:
        """Gradient of the last step: the energies' as one vector, and the encoder's."""
        parts = (self.model.energies, self.model.encoder)
        return [torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None]) for part in parts]


def sides(model: TemporalDecomposer, variants: list[str]) -> dict[str, Side]:
    """`plain`, `ours`, and the wanted variants of ours, all with the same weights."""
    contiguous, last = torch.contiguous_format, torch.channels_last

    def side(make: Callable[[TemporalDecomposer], Step], layout: torch.memory_format) -> Side:
        twin = copy.deepcopy(model).to(memory_format=layout)  # type: ignore[call-overload]
        return Side(twin, make(twin), layout)

    made = {"plain": side(plain, contiguous), "ours": side(ours, last)}
    if "contiguous" in variants:
        made["contiguous"] = side(ours, contiguous)
    if "compile" in variants:
        made["compile"] = side(compiled, contiguous)
    if "bf16" in variants:
        made["bf16"] = side(lambda twin: ours(twin, bf16=True), last)
    return made


def compare(case: Case, variants: list[str], rounds: int, seed: int = 0, device: str = "cpu") -> dict[str, Any]:
    """One row of the result: the case, the differences, the ratios plain / ours, and those of the variants."""
    torch.manual_seed(seed)
    model = build(case).to(device)
    noise, image = (torch.rand(case.batch, 3, case.side, case.side).to(device) for _ in range(2))
    contenders = sides(model, variants)
    losses, gradients, peak = {}, {}, {}
    for name, side in contenders.items():
        if name == "compile" or device != "cpu":
            side.take(noise, image)  # compiling and GPU workspaces are no part of a step
        losses[name], peak[name] = _peak_bytes(side, noise, image)
        gradients[name] = side.gradients()
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, side in contenders.items():
            spent[name].append(_seconds(side, noise, image))
    row: dict[str, Any] = case._asdict()
    with torch.no_grad():
        row["moved"] = (contenders["ours"].model(noise, image).frames[-1] - noise).square().mean().sqrt().item()
    for name in list(contenders)[1:]:
        prefix = "" if name == "ours" else f"{name}_"
        pairs = zip(gradients[name], gradients["plain"], strict=True)
        ratios = [p / o for p, o in zip(spent["plain"], spent[name], strict=True)]
        row |= {
            f"{prefix}loss_rel_diff": (abs(losses[name] - losses["plain"]) / losses["plain"]).item(),
            f"{prefix}grad_rel_diff": max(((a - b).norm() / b.norm()).item() for a, b in pairs),
            f"{prefix}time_ratio": statistics.median(spent["plain"]) / statistics.median(spent[name]),
            f"{prefix}time_ratio_range": [min(ratios), max(ratios)],
            f"{prefix}memory_ratio": peak["plain"] / peak[name],
        }
    row["seconds"] = {name: statistics.median(times) for name, times in spent.items()}
    row["peak_mib"] = {name: size / 2**20 for name, size in peak.items()}
    return row


def _seconds(side: Side, noise: Tensor, image: Tensor) -> float:
    clock = time.perf_counter if noise.is_cuda else time.process_time
    if noise.is_cuda:
        torch.cuda.synchronize()
    begun = clock()
    side.take(noise, image)
    if noise.is_cuda:
        torch.cuda.synchronize()
    return clock() - begun


def _peak_bytes(side: Side, noise: Tensor, image: Tensor) -> tuple[Tensor, int]:
    """Loss of a step, and the most bytes alive at once during it, beyond those alive before it."""
    side.model.zero_grad(set_to_none=True)
    if noise.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return side.take(noise, image), torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        loss = side.take(noise, image)
    profiler: Any = seen.profiler
    changes = [e for e in profiler.kineto_results.events() if e.name() == "[memory]"]
    changes.sort(key=lambda e: e.start_ns())
    return loss, max(itertools.accumulate(e.nbytes() for e in changes))


def contestants() -> dict[str, Experiment]:
    """The colour energy as the library trains it, and with the founding report's nets, data and descent.

    The founding report gives neither learning rate nor step size. At 1e-3 such energies were not seen to die, at 2e-3
    they were; the step size is learned, from the start in {100, 1000, 10000} that learned fastest in 50 updates.
    """
    shared = {"run": {"checkpoint_every": SCORE_EVERY}}
    optimiser = {"iterations": 100_000, "batch": 64, "schedule": "constant"}
    ours = find("colour").but(name="ours", optimiser=optimiser, **shared)
    founding = find("report-colour").but(
        name="founding", task={"model": {"latent": 16}}, optimiser={**optimiser, "precision": "32"}, **shared
    )
    return {"ours": ours, "founding": founding}


def held_out(experiment: Experiment, pairs: int, source: str = "mnist") -> Pairs:
    """Pairs of the experiment's own kind from held-out digits."""
    data: Any = experiment.task.get("data").but(source=source).build(split="test")  # type: ignore[union-attr]
    return data.pairs(pairs, torch.Generator().manual_seed(1))


def skill(predictor: nn.Module, pairs: Pairs) -> float:
    """1 - MSE of the prediction / MSE of copying the start."""
    predicted = predictor.predict(pairs.start, moves=pairs.moves)  # type: ignore[operator]
    return 1 - (F.mse_loss(predicted, pairs.target) / F.mse_loss(pairs.start, pairs.target)).item()


def time_to_quality(experiment: Experiment, tests: list[Pairs], limit: float) -> dict[str, Any]:
    """Train until the worst skill on `tests` reaches the goal, or for `limit` CPU seconds; scored every 25 updates.

    Only updates are on the clock; the weights scored are the running average that the run would save.
    """
    row: dict[str, Any] = {"name": experiment.name, "goal": GOAL, "limit_s": limit, "seconds": None, "note": ""}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        updates = train(experiment, out, accelerator="cpu")
        try:
            for update in updates:
                if update.iteration % SCORE_EVERY:
                    continue
                spent = torch.load(out / "checkpoint.pt", weights_only=True)["cpu_seconds"]
                _, predictor = load_predictor(out)
                skills = [skill(predictor, pairs) for pairs in tests]
                row |= {"updates": update.iteration, "spent_s": spent, "skills": skills}
                if min(skills) >= GOAL:
                    row["seconds"] = spent
                if min(skills) >= GOAL or spent >= limit:
                    break
        except DeadRunError as error:
            row["note"] = str(error)
        finally:
            updates.close()  # type: ignore[attr-defined]
    return row


def quality(limit: float, quick: bool) -> list[dict[str, Any]]:
    """Time to quality of both contestants."""
    both = contestants()
    if quick:
        both = {
            k: e.but(task={"data": {"source": "digits", "limit": 64}}, optimiser={"batch": 2, "precision": "32"})
            for k, e in both.items()
        }
    source = "digits" if quick else "mnist"
    easy, hard = (held_out(both[name], 8 if quick else 512, source) for name in ("founding", "ours"))
    tests = {"ours": [easy, hard], "founding": [easy]}
    return [time_to_quality(experiment, tests[name], limit) for name, experiment in both.items()]


def table(result: dict[str, Any]) -> Table:
    """The cases for people: ratios are plain / ours, more is better."""
    extra = [v for v in VARIANTS if any(f"{v}_time_ratio" in row for row in result["cases"])]
    made = Table(title=f"One training step, {result['machine']}, {result['threads']} thread, torch {result['torch']}")
    heads = ("net", "K", "N", "loss diff", "grad diff", "plain [s]", "ours [s]", "time", "memory", *extra)
    for head in heads:
        made.add_column(head.replace("_", " "), justify="left" if head == "net" else "right", no_wrap=head == "net")
    for r in result["cases"]:
        made.add_row(
            r["net"], str(r["components"]), str(r["steps"]), f"{r['loss_rel_diff']:.0e}", f"{r['grad_rel_diff']:.0e}",
            f"{r['seconds']['plain']:.3f}", f"{r['seconds']['ours']:.3f}", f"{r['time_ratio']:.1f}x",
            f"{r['memory_ratio']:.1f}x", *(_times(r, v) for v in extra),
        )  # fmt: skip
    made.caption = f"Target at K = 4, N = 10 on one CPU thread: {TARGET['time_ratio']:g}x, {TARGET['memory_ratio']:g}x."
    return made


def _times(row: dict[str, Any], variant: str) -> str:
    ratio = row.get(f"{variant}_time_ratio")
    return "" if ratio is None else f"{ratio:.1f}x"


def _said(row: dict[str, Any]) -> str:
    where = f"skill {', '.join(f'{s:.3f}' for s in row.get('skills', []))} after {row.get('updates', 0)} updates"
    reached = f"not reached in {row.get('spent_s', 0):.0f} CPU seconds" if row["seconds"] is None else (
        f"{row['seconds']:.0f} CPU seconds"
    )  # fmt: skip
    return f"Colour skill {row['goal']}, {row['name']}: {reached} ({where}). {row['note']}".rstrip()


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that it works, measures nothing")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps per side and case")
    parser.add_argument("--seed", type=int, default=0, help="of weights and images")
    parser.add_argument("--compile", action="store_true", help="also ours compiled, where the target is (minutes)")
    parser.add_argument("--bf16", action="store_true", help="also ours in bf16, channels last; always on a GPU")
    parser.add_argument("--time-to-quality", action="store_true", help="also train to colour skill 0.9 (minutes)")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU seconds per side for --time-to-quality")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # parity to 1e-4 needs all 24 bits
    wanted = (True, a.compile, a.bf16 or device == "cuda")
    variants = [name for name, on in zip(VARIANTS, wanted, strict=True) if on]
    result: dict[str, Any] = {
        "benchmark": "training_step", "device": device, "threads": 1, "rounds": a.rounds, "seed": a.seed,
        **provenance(device), "quick": a.quick, "target": TARGET,
        "cases": [],
    }  # fmt: skip
    for case in cases(a.quick):
        # every case compiles anew, so only those that the target speaks of are worth it
        chosen = [v for v in variants if v != "compile" or (case.components, case.steps) == (4, 10)]
        result["cases"].append(compare(case, chosen, a.rounds, a.seed, device))
    if a.time_to_quality:
        result["time_to_quality"] = quality(a.seconds, a.quick)
    if a.out:
        write_json(a.out, result)
    if a.json:
        print(json.dumps(result, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(result))
    for row in result.get("time_to_quality", []):
        console.print(_said(row))


if __name__ == "__main__":
    main()
