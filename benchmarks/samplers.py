"""How long does one step of a chain take here, in torchebm, in ebmkit, and in a loop written by hand?

All sides sample the same `nn.Module` (no closed-form gradient on ours either) from the same starts, as a user would
call them; set-up is part of what is timed, spread over the steps of a run.

- `ours`: `ergosum.samplers.chain.sample`, checks on, last draw kept; a sum is an `And`.
- `torchebm`, `ebmkit`: their `sample`; a sum is a module that adds its parts in a Python loop.
- `plain`: the loop that paper repositories write: detach, requires_grad, autograd.grad, fresh noise, nothing carried.
- `lean`: the least a loop in eager PyTorch can do: frozen parameters, one state, one noise buffer; energy and gradient
  carried between steps where a proposal is accepted or not. A sum is the same Python loop.

Workloads: `ring-8`, eight Gaussians (radius 2, width 0.3) in the plane; `mlp`, 2-128-128-1; `cnn`, 76k parameters on
3x28x28 images; `separate-K`, the sum of K such networks; `shared-K`, the sum of K conditions of one network with gains
and biases from a code after all layers but the first; `shared-early-K`, after all layers, so that nothing can be
computed once for all. Kernels: Langevin, MALA, HMC (10 leapfrog steps), parallel tempering (MALA, 8 replicas). A side
that has no such kernel, or cannot run it, is null, with a note: torchebm's HMC sums kinetic energy over the last axis
alone, so images do not fit.

- Time: microseconds of CPU time of one thread per step (per leapfrog step in HMC, per sweep in tempering), after a
  warm-up, sides taking turns within a round in rotating order, median over rounds. Ratios are ours / theirs of medians;
  ranges are of the ratios within rounds.
  The C library is told to keep freed memory (`mallopt`, as MALLOC_TRIM_THRESHOLD_ does). By default glibc hands it back
  and asks for it again at every step, hundreds of page faults that cost all sides alike 0.1 to 0.7 ms per step on
  images, and which side pays more is a matter of luck.
- Gradients: of the whole energy, per chain and step. Calls: of a network, per step. Ops: PyTorch operations dispatched
  below autograd, per step: a run of 20 steps minus one of 10, over 10.
- Memory: the most bytes alive at once in PyTorch's allocator during a run, beyond weights and starts.
- Law: does the kernel that was timed leave N(0, 1) as it is? 20,000 chains start there exactly and take 10 steps on
  x^2 / 2, written as a sum where the case is one; the number is the z-score of their variance, within 4 if right.
  Langevin starts from, and is held to, its own law, variance 1 / (1 - h/2). Tempering copies its start to all
  temperatures, which is their law at one only, so there the chains take 150 steps first.
- Difference: relative, of our gradient and the loop's, at the start.
- ESS per second: the smallest coordinate's effective sample size over the CPU time of the run that kept every draw,
  from exact starts, 100 chains. Langevin's counts draws of a biased law.

    python benchmarks/samplers.py --out benchmarks/results/samplers_cpu.json
"""

import argparse
import ctypes
import importlib
import importlib.metadata
import itertools
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from ergosum.compose import And
from ergosum.energy import Conditional, Energy, as_energy
from ergosum.files import write_json
from ergosum.metrics.diagnostics import ess
from ergosum.samplers.chain import sample
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.tempering import ParallelTempering

__all__ = ["Case", "Subject", "cases", "main", "measure", "verdicts"]

SIDES = ("ours", "plain", "lean", "torchebm", "ebmkit")
MODULES = {"torchebm": "torchebm", "ebmkit": "ebm"}
WIDTHS = (3, 32, 64, 96)
LEAPFROGS = 10
LADDER = tuple(10 ** (k / 7) for k in range(8))
TARGETS = {"lean": 1.1, "peers": 1.0, "hmc_torchebm": 0.5, "mala_ebmkit": 0.55, "shared_16": 0.5, "law": 4.0}
"""Upper limits of ours / theirs, and of a z-score."""

Walk = Callable[[Tensor, int], Tensor]
"""(start, steps) -> where the chains are."""
Evaluated = tuple[Tensor, Tensor]


class Case(NamedTuple):
    """One row: kernel, workload, number of parts of its sum, chains, step size, pixels along a side of an image."""

    kernel: str
    workload: str
    parts: int
    batch: int
    step_size: float
    side: int = 28

    @property
    def name(self) -> str:
        """How it is told."""
        parts = f"-{self.parts}" if self.parts > 1 else ""
        return f"{self.kernel} {self.workload}{parts} B={self.batch}"


def cases(quick: bool) -> Iterator[Case]:
    """All rows; one of each kind, and tiny, with `quick`."""
    if quick:
        yield Case("langevin", "ring-8", 1, 4, 1e-2)
        yield Case("langevin", "separate", 2, 2, 1e-3, 8)
        yield Case("langevin", "shared", 2, 2, 1e-3, 8)
        yield Case("mala", "ring-8", 1, 4, 1e-2)
        yield Case("hmc", "ring-8", 1, 4, 1e-2)
        yield Case("hmc", "cnn", 1, 2, 1e-2, 8)
        yield Case("tempering", "ring-8", 1, 4, 1e-2)
        return
    for kernel, h in (("langevin", 1e-2), ("mala", 1e-2), ("hmc", 1e-1)):
        yield Case(kernel, "ring-8", 1, 100, h)
        yield Case(kernel, "ring-8", 1, 1000, h)
        yield Case(kernel, "mlp", 1, 1000, h)
        yield Case(kernel, "cnn", 1, 16, h / 10)
    for k in (4, 16):
        yield Case("langevin", "separate", k, 16, 1e-3)
        yield Case("langevin", "separate", k, 4, 1e-3)
        for batch in (16, 4, 1):
            yield Case("langevin", "shared", k, batch, 1e-3)
    yield Case("langevin", "shared-early", 16, 4, 1e-3)
    yield Case("mala", "shared", 16, 4, 1e-3)
    yield Case("hmc", "shared", 16, 4, 1e-2)
    for workload, batch in (("ring-8", 100), ("ring-8", 1000), ("cnn", 2)):
        yield Case("tempering", workload, 1, batch, 1e-2 if workload == "ring-8" else 1e-3)


class Ring8(nn.Module):
    """Eight Gaussians of width 0.3 on a circle of radius 2."""

    means: Tensor

    def __init__(self) -> None:
        super().__init__()
        angle = 2 * math.pi * torch.arange(8) / 8
        self.register_buffer("means", 2 * torch.stack([angle.cos(), angle.sin()], 1))

    def forward(self, x: Tensor) -> Tensor:
        return -(-(x[:, None] - self.means).square().sum(2) / (2 * 0.3**2)).logsumexp(1)


class Quadratic(nn.Module):
    """$x^T P x / 2$, maybe shifted by a code: $P = scale$ or a matrix."""

    precision: Tensor

    def __init__(self, precision: Tensor) -> None:
        super().__init__()
        self.register_buffer("precision", precision)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        gap = x if z is None else _per_code(x, z) - z
        return ((gap @ self.precision) * gap).sum(1) / 2


class Film(nn.Module):
    """The 76k-parameter CNN with gains and biases from z after its last two layers, or `early` after all three."""

    def __init__(self, code: int, side: int, early: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(WIDTHS))
        self.codes = nn.ModuleList(nn.Linear(code, 2 * b) for b in WIDTHS[1:])
        self.head = nn.Linear(WIDTHS[-1] * math.ceil(side / 8) ** 2, 1)
        self.first = 0 if early else 1

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        h = x
        for place, (conv, code) in enumerate(zip(self.convs, self.codes, strict=True)):
            if place < self.first:
                h = F.silu(conv(h))
                continue
            gain, bias = code(z)[:, :, None, None].chunk(2, 1)
            h = conv(_per_code(h, z) if place == self.first else h)
            h = F.silu(h * (1 + gain) + bias)
        return self.head(h.flatten(1))[:, 0]


def _per_code(h: Tensor, z: Tensor) -> Tensor:
    return h if len(z) == len(h) else h.repeat_interleave(len(z) // len(h), 0)


class Family(Conditional):
    """A network of (x, z) as a family of energies; what it does before z enters is done once per sample."""

    folds = True

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The energy closed with z."""
        return as_energy(lambda x: self.net(x, z))


class Member(nn.Module):
    """A network of (x, z) at one z, for those who loop."""

    z: Tensor

    def __init__(self, net: nn.Module, z: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("z", z)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x, self.z.expand(len(x), -1))


class Loop(nn.Module):
    """The sum of its parts, one after the other."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        total = self.parts[0](x)
        for part in self.parts[1:]:  # type: ignore[misc]
            total = total + part(x)
        return total


class Subject(NamedTuple):
    """A target: `loop` as everybody else has it, `ours`, its networks to count, and where chains start."""

    loop: nn.Module
    ours: Energy
    nets: list[nn.Module]
    x: Tensor


def subject(case: Case, seed: int) -> Subject:
    """The target of a case."""
    torch.manual_seed(seed)
    image = case.workload not in ("ring-8", "mlp")
    x = torch.rand(case.batch, 3, case.side, case.side) if image else torch.randn(case.batch, 2)
    if case.workload.startswith("shared"):
        return _sum(Film(16, case.side, case.workload == "shared-early"), torch.randn(case.parts, 16), x)
    make = {"ring-8": Ring8, "mlp": _mlp}.get(case.workload, lambda: _cnn(case.side))
    return _sum([make() for _ in range(case.parts)], None, x)


def _sum(nets: nn.Module | list[nn.Module], codes: Tensor | None, x: Tensor) -> Subject:
    """Networks, or codes of one network, as a sum; a single network as itself."""
    if isinstance(nets, nn.Module):
        assert codes is not None
        family = Family(nets)
        return Subject(Loop([Member(nets, z) for z in codes]), And(*(family(z) for z in codes)), [nets], x)
    if len(nets) == 1:
        return Subject(nets[0], as_energy(nets[0]), nets, x)
    return Subject(Loop(nets), And(*nets), nets, x)


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1), nn.Flatten(0))


def _cnn(side: int) -> nn.Module:
    layers = [layer for a, b in itertools.pairwise(WIDTHS) for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.SiLU())]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * math.ceil(side / 8) ** 2, 1), nn.Flatten(0))


# the loops written by hand


def _slope(energy: nn.Module, x: Tensor) -> Evaluated:
    x = x.detach().requires_grad_(True)
    value = energy(x)
    return value.detach(), torch.autograd.grad(value.sum(), x)[0]


def _per_chain(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def _wide(taken: Tensor, x: Tensor) -> Tensor:
    return taken.view(-1, *[1] * (x.ndim - 1))


def plain_langevin(energy: nn.Module, h: float) -> Walk:
    """As repositories write it."""

    def walk(x: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            x = x.detach().requires_grad_(True)
            gradient = torch.autograd.grad(energy(x).sum(), x)[0]
            x = x.detach() - h * gradient + math.sqrt(2 * h) * torch.randn_like(x)
        return x

    return walk


def plain_mala(energy: nn.Module, h: float) -> Walk:
    """As repositories write it, with the acceptance of its source: two gradients a step."""

    def walk(x: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            value, gradient = _slope(energy, x)
            y = x - h * gradient + math.sqrt(2 * h) * torch.randn_like(x)
            ahead, slope = _slope(energy, y)
            there = _per_chain((y - x + h * gradient) ** 2) / (4 * h)
            back = _per_chain((x - y + h * slope) ** 2) / (4 * h)
            taken = torch.rand_like(value).log() < value - ahead + there - back
            x = torch.where(_wide(taken, x), y, x)
        return x

    return walk


def plain_hmc(energy: nn.Module, h: float) -> Walk:
    """As repositories write it: L + 1 gradients a trajectory."""

    def walk(x: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            p = begun = torch.randn_like(x)
            value, gradient = _slope(energy, x)
            y, ahead = x, value
            p = p - 0.5 * h * gradient
            for n in range(LEAPFROGS):
                y = y + h * p
                ahead, gradient = _slope(energy, y)
                p = p - (h if n < LEAPFROGS - 1 else 0.5 * h) * gradient
            log_ratio = value - ahead + 0.5 * _per_chain(begun**2) - 0.5 * _per_chain(p**2)
            x = torch.where(_wide(torch.rand_like(value).log() < log_ratio, x), y, x)
        return x

    return walk


@contextmanager
def _frozen(energy: nn.Module) -> Iterator[None]:
    held = [p for p in energy.parameters() if p.requires_grad]
    for p in held:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in held:
            p.requires_grad_(True)


def lean_langevin(energy: nn.Module, h: float) -> Walk:
    """One state and one noise buffer."""

    def walk(x: Tensor, steps: int) -> Tensor:
        with _frozen(energy):
            x = x.clone().requires_grad_(True)
            noise = torch.empty_like(x)
            for _ in range(steps):
                gradient = torch.autograd.grad(energy(x).sum(), x)[0]
                with torch.no_grad():
                    x.add_(gradient, alpha=-h).add_(noise.normal_(), alpha=math.sqrt(2 * h))
        return x.detach()

    return walk


def lean_mala(energy: nn.Module, h: float) -> Walk:
    """Energy and gradient carried; the two squares of the ratio as one product."""

    def walk(x: Tensor, steps: int) -> Tensor:
        with _frozen(energy):
            value, gradient = _slope(energy, x)
            noise, s = torch.empty_like(x), math.sqrt(2 * h)
            for _ in range(steps):
                y = torch.add(x, gradient, alpha=-h).add_(noise.normal_(), alpha=s)
                ahead, slope = _slope(energy, y)
                both = gradient + slope
                rest = _per_chain(noise.mul_(-2 * s).add_(both, alpha=h).mul_(both))
                taken = torch.rand_like(value).log_() < (value - ahead).sub_(rest, alpha=0.25)
                wide = _wide(taken, x)
                x, gradient = torch.where(wide, y, x), torch.where(wide, slope, gradient)
                value = torch.where(taken, ahead, value)
        return x

    return walk


def lean_hmc(energy: nn.Module, h: float) -> Walk:
    """Energy and gradient carried, momentum in place: L gradients a trajectory."""

    def walk(x: Tensor, steps: int) -> Tensor:
        with _frozen(energy):
            value, gradient = _slope(energy, x)
            p = torch.empty_like(x)
            for _ in range(steps):
                kinetic = _per_chain(p.normal_().square())
                p.add_(gradient, alpha=-0.5 * h)
                y, ahead, slope = x, value, gradient
                for n in range(LEAPFROGS):
                    y = torch.add(y, p, alpha=h)
                    ahead, slope = _slope(energy, y)
                    p.add_(slope, alpha=-h if n < LEAPFROGS - 1 else -0.5 * h)
                kinetic.sub_(_per_chain(p.square()))
                taken = torch.rand_like(value).log_() < (value - ahead).add_(kinetic, alpha=0.5)
                wide = _wide(taken, x)
                x, gradient = torch.where(wide, y, x), torch.where(wide, slope, gradient)
                value = torch.where(taken, ahead, value)
        return x

    return walk


BY_HAND = {
    "plain": {"langevin": plain_langevin, "mala": plain_mala, "hmc": plain_hmc},
    "lean": {"langevin": lean_langevin, "mala": lean_mala, "hmc": lean_hmc},
}


# the libraries


def ours(kernel: str, energy: Energy, h: float) -> Callable[[Tensor, int, int], Tensor]:
    """(start, steps, keep every) -> draws, (kept, batch, *event)."""
    samplers = {
        "langevin": lambda: Langevin(step_size=h),
        "mala": lambda: Mala(step_size=h),
        "hmc": lambda: Hmc(step_size=h, length=LEAPFROGS),
        "tempering": lambda: ParallelTempering(kernel=Mala(step_size=h), temperatures=LADDER),
    }
    sampler: Any = samplers[kernel]()
    return lambda x, steps, keep: sample(sampler, energy, x, steps, keep=keep).draws


def theirs(side: str, kernel: str, energy: nn.Module, h: float) -> Callable[[Tensor, int, bool], Tensor] | None:
    """(start, steps, whole path) -> where the chains are, or draws, (kept, batch, *event); None if it cannot."""
    if _peer(side) is None:
        return None
    if side == "torchebm":
        return _torchebm(kernel, energy, h)
    samplers = importlib.import_module("ebm.samplers")
    made = {
        "langevin": lambda: samplers.LangevinDynamics(h),
        "mala": lambda: samplers.MALA(h),
        "hmc": lambda: samplers.HMC(h, LEAPFROGS),
        "tempering": lambda: samplers.ParallelTempering(samplers.MALA(h), LADDER),
    }[kernel]()

    def walk(x: Tensor, steps: int, path: bool) -> Tensor:
        found = made.sample(energy, x, steps=steps, return_trajectory=path)
        return found[1:] if path else found

    return walk


def _torchebm(kernel: str, energy: nn.Module, h: float) -> Callable[[Tensor, int, bool], Tensor] | None:
    core, samplers = (importlib.import_module(f"torchebm.{name}") for name in ("core", "samplers"))

    class Model(core.BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.energy = energy

        def forward(self, x: Tensor) -> Tensor:
            return self.energy(x)

    if kernel == "langevin":
        made = samplers.LangevinDynamics(Model(), step_size=h)
    elif kernel == "hmc":
        made = samplers.HamiltonianMonteCarlo(Model(), step_size=h, n_leapfrog_steps=LEAPFROGS)
    else:
        return None

    def walk(x: Tensor, steps: int, path: bool) -> Tensor:
        found = made.sample(x=x, n_steps=steps, return_trajectory=path)
        return found.transpose(0, 1) if path else found

    return walk


def _keep_freed_memory() -> bool:
    """Whether glibc was told to."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    trim, mmap = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    return bool(mallopt(mmap, 2**30) and mallopt(trim, 2**31 - 1))


@cache
def _peer(side: str) -> str | None:
    """Version of an installed peer, else None and a note."""
    try:
        importlib.import_module(MODULES[side])
        return importlib.metadata.version(side)
    except ImportError:
        print(f"note: {side} is not installed, so its numbers are null: pip install 'ergosum[bench]'", file=sys.stderr)
        return None


def walks(kernel: str, on: Subject, h: float) -> dict[str, Walk | None]:
    """Every side's chain on a target; None where a side has no such kernel."""
    made: dict[str, Walk | None] = {}
    draws = ours(kernel, on.ours, h)
    made["ours"] = lambda x, steps: draws(x, steps, steps)[-1]
    for side, kernels in BY_HAND.items():
        made[side] = kernels[kernel](on.loop, h) if kernel in kernels else None
    for side in MODULES:
        walk = theirs(side, kernel, on.loop, h)
        made[side] = None if walk is None else (lambda x, steps, walk=walk: walk(x, steps, False))
    return made


# what is measured


def measure(case: Case, rounds: int, seconds: float, seed: int, quick: bool) -> dict[str, Any]:
    """One row of the result."""
    on = subject(case, seed)
    per = LEAPFROGS if case.kernel == "hmc" else 1
    row: dict[str, Any] = {"case": case.name, **case._asdict()}
    running, row["notes"] = _able(walks(case.kernel, on, case.step_size), case, on.x)
    fast = min(_timed(walk, on.x, 3, seed) for walk in running.values())
    least = {"langevin": 10, "mala": 60, "hmc": 10, "tempering": 10}[case.kernel]
    row["steps"] = steps = 2 if quick else max(least, min(2000, math.ceil(seconds / fast)))
    spent: dict[str, list[float]] = {side: [] for side in running}
    for n in range(rounds):
        order = list(running)[n % len(running) :] + list(running)[: n % len(running)]
        for side in order:
            spent[side].append(_timed(running[side], on.x, steps, seed + n) * 1e6 / per)
    times = {side: statistics.median(found) for side, found in spent.items()}
    row |= {side: times.get(side) for side in SIDES}
    others = [side for side in SIDES[1:] if side in running]
    within = {side: [a / b for a, b in zip(spent["ours"], spent[side], strict=True)] for side in others}
    row["ratios"] = {side: times["ours"] / times[side] if side in running else None for side in SIDES[1:]}
    row["ratio_ranges"] = {side: [min(found), max(found)] for side, found in within.items()}
    row["minimum"] = {side: min(found) for side, found in spent.items()}
    counted = {side: _counts(walk, on, case, 1 if quick else 10) for side, walk in running.items()}
    for name in ("gradients", "calls", "ops"):
        row[name] = {side: found[name] / per for side, found in counted.items()}
    row["peak_kib"] = {side: _peak_bytes(walk, on.x) / 2**10 for side, walk in running.items()}
    row["law"] = law(case, 20_000 if not quick else 50, seed, frozenset(running))
    a, b = on.ours.value_and_gradient(on.x)[1], _slope(on.loop, on.x)[1]
    row["difference"] = ((a - b).norm() / b.norm()).item()
    return row


def _able(made: dict[str, Walk | None], case: Case, x: Tensor) -> tuple[dict[str, Walk], dict[str, str]]:
    """The sides that can run this case, and why others cannot. Their run here is the warm-up."""
    running: dict[str, Walk] = {}
    notes: dict[str, str] = {}
    for side, walk in made.items():
        if walk is None:
            absent = side in MODULES and _peer(side) is None
            notes[side] = "not installed" if absent else f"has no {case.kernel}"
            continue
        try:
            if walk(x, 2).shape != x.shape:
                raise RuntimeError("the chains changed their shape")
        except RuntimeError as error:
            if side not in MODULES:
                raise
            notes[side] = f"cannot: {str(error).splitlines()[0]}"
            continue
        running[side] = walk
    return running, notes


def _timed(walk: Walk, x: Tensor, steps: int, seed: int) -> float:
    """CPU seconds of a step."""
    torch.manual_seed(1000 + seed)  # not the noise that the start was drawn from
    begun = time.process_time()
    walk(x, steps)
    return (time.process_time() - begun) / steps


class _Ops(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def _counts(walk: Walk, on: Subject, case: Case, n: int) -> dict[str, float]:
    """Gradients per chain, network calls and operations of a step: 2n steps minus n."""
    totals = []
    for steps in (n, 2 * n):
        seen = {"gradients": 0.0, "calls": 0.0}

        def see(net: nn.Module, inputs: tuple[Tensor, ...], seen: dict[str, float] = seen) -> None:
            seen["calls"] += 1
            if torch.is_grad_enabled() and inputs[0].requires_grad:
                seen["gradients"] += len(inputs[-1]) / (case.batch * case.parts)

        hooks = [net.register_forward_pre_hook(see) for net in on.nets]
        with _Ops() as ops:
            walk(on.x, steps)
        for hook in hooks:
            hook.remove()
        totals.append(seen | {"ops": ops.count})
    return {name: (totals[1][name] - totals[0][name]) / n for name in totals[0]}


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what PyTorch's profiler writes to the error stream, two lines each time."""
    sys.stderr.flush()
    held, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(held, 2)
        os.close(held)
        os.close(nowhere)


def _peak_bytes(walk: Walk, x: Tensor) -> int:
    """The most bytes alive at once during five steps, beyond those alive before."""
    with _hushed(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        walk(x, 5)
    profiler: Any = seen.profiler
    changes = [e for e in profiler.kineto_results.events() if e.name() == "[memory]"]
    changes.sort(key=lambda e: e.start_ns())
    return max(itertools.accumulate(e.nbytes() for e in changes))


LAW_STEPS = {"langevin": 0.2, "mala": 0.5, "hmc": 0.5, "tempering": 0.5}


def law(case: Case, n: int, seed: int, sides: frozenset[str]) -> dict[str, float]:
    """z-score of the variance that each side's kernel leaves of exact draws."""
    shared = case.workload.startswith("shared")
    return _law(case.kernel, case.parts, shared, n, seed, sides)


@cache
def _law(kernel: str, parts: int, shared: bool, n: int, seed: int, sides: frozenset[str]) -> dict[str, float]:
    h = LAW_STEPS[kernel]
    variance = 1 / (1 - h / 2) if kernel == "langevin" else 1.0
    generator = torch.Generator().manual_seed(seed)
    x = math.sqrt(variance) * torch.randn(n, 1, generator=generator)
    precision = torch.full((1, 1), 1 / parts)
    codes = torch.linspace(-1, 1, parts)[:, None] if shared else None  # their mean is 0
    nets: Any = Quadratic(precision) if shared else [Quadratic(precision) for _ in range(parts)]
    made = walks(kernel, _sum(nets, codes, x), h)
    found = {}
    for place, (side, walk) in enumerate(made.items(), 1):
        if walk is None or side not in sides:
            continue
        torch.manual_seed(1000 * place + seed)
        end = walk(x, 150 if kernel == "tempering" and n > 50 else 10)
        found[side] = (end.square().mean() - variance).item() / (variance * math.sqrt(2 / n))
    return found


ESS_STEPS = {
    "ring-8": {"langevin": 0.02, "mala": 0.05, "hmc": 0.1, "tempering": 0.05},
    "correlated": {"langevin": 0.02, "mala": 0.05, "hmc": 0.2},
}
"""Step sizes: accepted in more than half of the proposals."""


def effective(rounds: int, quick: bool, seed: int) -> list[dict[str, Any]]:
    """ESS per second on ring-8 and on a Gaussian with correlation 0.95."""
    rows = []
    for target, kernels in ESS_STEPS.items():
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(4 if quick else 100, 2, generator=generator)
        if target == "ring-8":
            net: nn.Module = Ring8()
            chosen = torch.randint(8, (len(start),), generator=generator)
            start = net.means[chosen] + 0.3 * start  # type: ignore[index, operator]
        else:
            covariance = torch.tensor([[1.0, 0.95], [0.95, 1.0]])
            net = Quadratic(covariance.inverse())
            start = start @ torch.linalg.cholesky(covariance).T
        for kernel, h in kernels.items():
            found = _effective(kernel, net, h, start, 8 if quick else 400, rounds, seed)
            rows.append({"target": target, "kernel": kernel, "step_size": h, "chains": len(start)} | found)
    return rows


def _effective(kernel: str, net: nn.Module, h: float, x: Tensor, steps: int, rounds: int, seed: int) -> dict[str, Any]:
    draws = ours(kernel, as_energy(net), h)
    made: dict[str, Any] = {"ours": lambda: draws(x, steps, 1)}
    for side in MODULES:
        walk = theirs(side, kernel, net, h)
        made[side] = None if walk is None else (lambda walk=walk: walk(x, steps, True))
    known: dict[str, list[tuple[float, float]]] = {side: [] for side, walk in made.items() if walk}
    for n, side in itertools.product(range(rounds), known):
        torch.manual_seed(1000 + seed + n)
        begun = time.process_time()
        path = made[side]()
        spent = time.process_time() - begun
        size = ess(path).min().item()
        known[side].append((size, size / spent))
    medians = {side: [statistics.median(column) for column in zip(*f, strict=True)] for side, f in known.items()}
    return {
        "draws": steps * len(x),
        "ess": {side: medians[side][0] if side in medians else None for side in made},
        "ess_per_s": {side: medians[side][1] if side in medians else None for side in made},
    }


# what it comes to


def verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every target at every case it speaks of; one is met only if our kernel also keeps its law."""
    found = []
    for row in rows:
        kept = abs(row["law"]["ours"]) < TARGETS["law"]
        asked: list[tuple[str, str, float]] = []
        if row["kernel"] == "langevin":
            asked += [("Langevin against lean", "lean", TARGETS["lean"])]
            asked += [(f"Langevin against {side}", side, TARGETS["peers"]) for side in MODULES]
        if row["kernel"] == "hmc":
            asked += [("HMC against torchebm", "torchebm", TARGETS["hmc_torchebm"])]
        if row["kernel"] == "mala":
            asked += [("MALA against ebmkit", "ebmkit", TARGETS["mala_ebmkit"])]
        if row["workload"] == "shared" and row["parts"] == 16 and row["batch"] <= 4:
            asked += [("16 conditions against the loop", "lean", TARGETS["shared_16"])]
        for target, side, limit in asked:
            ratio = row["ratios"][side]
            if ratio is not None:
                found.append({"target": target, "case": row["case"], "ratio": ratio, "limit": limit,
                              "met": kept and ratio <= limit})  # fmt: skip
    return found


def tables(result: dict[str, Any]) -> Iterator[Table]:
    """The result for people."""
    where = f"{result['machine']}, {result['threads']} thread, torch {result['torch']}"
    first = Table(title=f"Microseconds of CPU per step, {where}; ratios are ours / theirs, less is better")
    for head in ("case", *SIDES, *(f"/ {side}" for side in SIDES[1:])):
        first.add_column(head, justify="left" if head == "case" else "right", no_wrap=True)
    second = Table(title="Per step: gradients per chain, network calls, operations; peak KiB; z-score of the law")
    for head in ("case", "side", "gradients", "calls", "ops", "peak", "law"):
        second.add_column(head, justify="left" if head in ("case", "side") else "right", no_wrap=True)
    for row in result["cases"]:
        first.add_row(row["case"], *(_told(row[s], ".0f") for s in SIDES),
                      *(_told(row["ratios"][s], ".2f") for s in SIDES[1:]))  # fmt: skip
        for side in row["ops"]:
            second.add_row(row["case"] if side == "ours" else "", side, f"{row['gradients'][side]:.4g}",
                           f"{row['calls'][side]:.4g}", f"{row['ops'][side]:.4g}", f"{row['peak_kib'][side]:.0f}",
                           _told(row["law"].get(side), "+.1f"))  # fmt: skip
    third = Table(title="Effective samples per CPU second, smallest coordinate")
    libraries = ("ours", *MODULES)
    for head in ("target", "kernel", *libraries, "ESS of ours", "of draws"):
        third.add_column(head, justify="left" if head in ("target", "kernel") else "right", no_wrap=True)
    for row in result["ess"]:
        third.add_row(row["target"], row["kernel"], *(_told(row["ess_per_s"][s], ".0f") for s in libraries),
                      _told(row["ess"]["ours"], ".0f"), str(row["draws"]))  # fmt: skip
    yield from (first, second, third)


def _told(number: float | None, form: str) -> str:
    return "-" if number is None else format(number, form)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that it works, measures nothing")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    parser.add_argument("--rounds", type=int, default=7, help="timed runs per side and case")
    parser.add_argument("--seconds", type=float, default=0.15, help="CPU time of one timed run, at least")
    parser.add_argument("--only", default="", help="cases whose name contains this, such as 'mala' or 'shared-16'")
    parser.add_argument("--seed", type=int, default=1, help="of weights, starts and noise")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    kept = not a.quick and _keep_freed_memory()
    rounds = 1 if a.quick else a.rounds
    result: dict[str, Any] = {
        "benchmark": "samplers", "device": "cpu", "threads": 1, "rounds": rounds, "seed": a.seed,
        **provenance(),
        "peers": {side: _peer(side) for side in MODULES}, "keeps_freed_memory": kept,
        "quick": a.quick, "target": TARGETS, "cases": [],
    }  # fmt: skip
    chosen = [case for case in cases(a.quick) if a.only in case.name]
    for n, case in enumerate(chosen, 1):
        if not a.quick:
            print(f"[{n}/{len(chosen)}] {case.name}", file=sys.stderr)
        result["cases"].append(measure(case, rounds, a.seconds, a.seed, a.quick))
    result["ess"] = [] if a.only else effective(min(rounds, 5), a.quick, a.seed)
    result["verdicts"] = verdicts(result["cases"])
    if a.out:
        write_json(a.out, result)
    if a.json:
        print(json.dumps(result, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 150)
    for table in tables(result):
        console.print(table)
    for verdict in result["verdicts"]:
        if not verdict["met"]:
            console.print("missed: {target}, {case}: {ratio:.2f}, limit {limit:g}".format(**verdict))
    met = sum(v["met"] for v in result["verdicts"])
    console.print(f"{met} of {len(result['verdicts'])} targets met.")


if __name__ == "__main__":
    main()
