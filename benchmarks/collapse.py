"""Which loss functionals let an energy collapse?

The regression of LeCun et al. 2006: pairs (x, y) with y = x^2 and x uniform in [-1, 1], under two architectures. In
`two nets`, E = |G1(x) - G2(y)|, both networks can map everything to one point: all energies can be zero. In `one net`,
E = |G(x) - y|^2, they cannot. Every functional trains both from the same weights, on the same batches, by the same
optimiser; answers are 61 candidates for y in [-0.25, 1.25], of which those further than 0.3 from the right one are
wrong.

- gap: mean of E(x, ybar) - E(x, y), how much better the right answer is than the most offending incorrect one.
- spread: mean standard deviation over the candidates of E(x, .), which is zero of flat energies; `before` training.
- right: mean energy of the right answer.
- error: mean |argmin_y E(x, y) - x^2| on 201 values of x, over the candidates; the table's title says that of the best
  constant answer. Energies that are nearly flat still have a lowest point: `noisy` is the error where every energy is
  off by a normal error of deviation 0.05.
- flat: the lowest loss of any flat energies E = c >= 0, the negative control: where it is the lowest loss of all (0),
  the functional has no reason to do better.
- collapsed: runs whose gap is less than 0.05 either way, and whose spread is less than it was.

    python benchmarks/collapse.py --out benchmarks/results/collapse.json
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor, nn

from ergosum.density.functionals import (
    EnergyLoss,
    Functional,
    HingeLoss,
    LogLoss,
    Lvq2Loss,
    MceLoss,
    NllLoss,
    PerceptronLoss,
    SquareExponentialLoss,
    SquareSquareLoss,
    offending,
)
from ergosum.files import write_json

__all__ = ["ARCHITECTURES", "FUNCTIONALS", "OneNet", "TwoNets", "main", "trained"]

EPSILON = 0.3
NOISE, LEAST = 0.05, 0.05
MEANS = ("loss", "gap", "spread", "before", "right", "error", "noisy")
FUNCTIONALS: dict[str, Functional] = {
    "energy": EnergyLoss(),
    "perceptron": PerceptronLoss(),
    "lvq2": Lvq2Loss(delta=5.0, epsilon=EPSILON),
    "hinge": HingeLoss(margin=0.3, epsilon=EPSILON),
    "log": LogLoss(epsilon=EPSILON),
    "mce": MceLoss(scale=0.15, epsilon=EPSILON),
    "square-square": SquareSquareLoss(margin=0.3, epsilon=EPSILON),
    "square-exponential": SquareExponentialLoss(epsilon=EPSILON),
    "nll": NllLoss(beta=5.0),
}
CANDIDATES = torch.linspace(-0.25, 1.25, 61)


def _net(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, outputs))


class TwoNets(nn.Module):
    """E(x, y) = |G1(x) - G2(y)|, Euclidean in ten outputs: flat energies are within its reach."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x, self.of_y = _net(10), _net(10)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Energies (batch, answers) of x (batch,) and answers (batch, answers), or (answers,) for all."""
        told = self.of_y(y[..., None])
        return (self.of_x(x[:, None])[:, None] - told).square().sum(-1).add(1e-12).sqrt()


class OneNet(nn.Module):
    """E(x, y) = |G(x) - y|^2: low at one y alone, whatever G is."""

    def __init__(self) -> None:
        super().__init__()
        self.of_x = _net(1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Energies (batch, answers) of x (batch,) and answers (batch, answers), or (answers,) for all."""
        return (self.of_x(x[:, None]) - y).square()


ARCHITECTURES = {"two nets": TwoNets, "one net": OneNet}


def energies_of(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Energies of the right answer and the candidates, (batch, 1 + candidates), and their distances from the right."""
    y = x.square()
    energies = torch.cat([model(x, y[:, None]), model(x, CANDIDATES)], 1)
    return energies, torch.cat([torch.zeros(len(x), 1), (CANDIDATES - y[:, None]).abs()], 1)


@torch.no_grad()
def _seen(model: nn.Module, functional: Functional) -> dict[str, float]:
    x = torch.linspace(-1, 1, 201)
    energies, distance = energies_of(model, x)
    among = energies[:, 1:]
    answer = torch.zeros(len(x), dtype=torch.int64)
    off = NOISE * torch.randn(among.shape, generator=Generator().manual_seed(0))
    error, noisy = ((CANDIDATES[e.argmin(1)] - x.square()).abs().mean().item() for e in (among, among + off))
    return {
        "loss": functional(energies, answer, distance).mean().item(),
        "right": energies[:, 0].mean().item(),
        "gap": (offending(energies, answer, distance, EPSILON) - energies[:, 0]).mean().item(),
        "spread": among.std(1).mean().item(),
        "error": error,
        "noisy": noisy,
    }


def trained(kind: str, functional: Functional, seed: int, updates: int, rate: float = 2e-3) -> dict[str, Any]:
    """What an architecture has learned by a functional from one seed."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[kind]()
    generator = Generator().manual_seed(seed)
    before = _seen(model, functional)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    answer = torch.zeros(50, dtype=torch.int64)
    for _ in range(updates):
        x = 2 * torch.rand(50, generator=generator) - 1
        energies, distance = energies_of(model, x)
        loss = functional(energies, answer, distance).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = _seen(model, functional)
    collapsed = abs(after["gap"]) < LEAST and after["spread"] < before["spread"]
    return after | {"before": before["spread"], "seed": seed, "collapsed": collapsed}


def constant_error() -> float:
    """Mean error of the best constant answer."""
    y = torch.linspace(-1, 1, 201).square()
    return (y - y.median()).abs().mean().item()


def flat_loss(functional: Functional) -> float:
    """The lowest loss of flat energies E = c, 0 <= c <= 20."""
    c = torch.linspace(0, 20, 2001)
    distance = torch.linspace(0, 1, 62).expand(2001, 62)
    return functional(c[:, None].expand(2001, 62), torch.zeros(2001, dtype=torch.int64), distance).min().item()


def measure(seeds: int, updates: int) -> list[dict[str, Any]]:
    """One row for each architecture and functional, means over seeds."""
    rows = []
    for kind in ARCHITECTURES:
        for name, functional in FUNCTIONALS.items():
            runs = [trained(kind, functional, seed, updates) for seed in range(seeds)]
            mean = {k: sum(r[k] for r in runs) / seeds for k in MEANS}
            errors = [r["error"] for r in runs]
            rows.append(
                {"architecture": kind, "functional": name, "may_collapse": functional.collapses}
                | mean
                | {"flat": flat_loss(functional), "error_range": [min(errors), max(errors)]}
                | {"collapsed": sum(r["collapsed"] for r in runs), "runs": runs}
            )
            print(f"{kind}, {name}: error {mean['error']:.3f}", file=sys.stderr)
    return rows


def _shown(rows: Sequence[dict[str, Any]], seeds: int) -> None:
    table = Table(title=f"y = x^2: error of a constant {constant_error():.3f}, means of {seeds} seeds")
    for column in ("architecture", "functional", "flat", *MEANS, "collapsed"):
        table.add_column(column, justify="left" if column in ("architecture", "functional") else "right")
    for r in rows:
        numbers = [f"{r[k]:.3f}" for k in ("flat", *MEANS)]
        table.add_row(r["architecture"], r["functional"], *numbers, f"{r['collapsed']} of {seeds}")
    Console(width=120).print(table)


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=500)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    begun = time.process_time()
    rows = measure(asked.seeds, asked.updates)
    _shown(rows, asked.seeds)
    if asked.out:
        told = {"benchmark": "collapse", "threads": 1, "seeds": asked.seeds, "updates": asked.updates}
        cost = {"cpu_seconds": round(time.process_time() - begun, 1), "constant_error": constant_error()}
        write_json(asked.out, told | provenance() | cost | {"rows": rows})


if __name__ == "__main__":
    main()
