"""How far is an energy trained over noise levels from the density that its data were drawn from?

    python benchmarks/known_truth.py --case plane --seed 0 --time 1 --out benchmarks/results/known_truth.json
    python benchmarks/known_truth.py --table benchmarks/results/known_truth.json

Three cases whose density is known at every noise level, each with two conditions:

- `plane`: 2 dimensions; condition 0 has two narrow modes (deviation .1, 3 apart, shares .8 and .2), condition 1 is one
  broad Gaussian (deviation 1). `mixture` is the same in 64 dimensions, the modes along the diagonal.
- `images`: Gaussian images of 28 x 28 pixels with the spectrum of natural images, 1 / f^2; condition 0 is smoother than
  condition 1, and each has a mean of its own. `--body unet` takes a convolutional network for them.

Trained by denoising score matching alone (`--time 0`) or with the time score, and compared with the truth level by
level, on draws of the truth. `--out` adds the result to those of the file.

- `log_z`: error of log Z of each condition, log E[exp(log q - log p)], in nats, and of their difference;
- `mean`: mean of log q - log p; `modes`: error of the log ratio of the two modes' weights, in nats;
- `ess`: effective share of the weights exp(log q - log p); `fisher`: E ||grad log q - grad log p||^2 / D.
"""

import argparse
import json
import math
import time
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import provenance
from torch import Generator

from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form, InnerProduct
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.mixture import Mixture
from ergosum.energy import Energy
from ergosum.files import write_json
from ergosum.nets.levels import LevelMlp, LevelUNet
from ergosum.part import Part

GOALS = {"plane": (0.1, 0.0), "mixture": (1.0, 0.0), "images": (5.0, 0.3)}
"""Largest error of log Z between conditions, in nats, and the lowest level at which it is asked for."""
PACE = 200
"""Updates of the U-Net in a CPU minute."""


class Case(NamedTuple):
    """A known density of each condition, and how long it is trained on."""

    truth: tuple[Energy, ...]
    width: int
    blocks: int
    updates: int
    batch: int
    rate: float
    body: str = "mlp"
    lowest: float = 0.05
    highest: float = 15.0

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a sample as the network takes it."""
        side = math.isqrt(self.size)
        return (self.size,) if self.body == "mlp" else (1, side, side)

    @property
    def form(self) -> Part[Form]:
        """The energy's form and network."""
        if self.body == "mlp":
            return Part(InnerProduct, body=Part(LevelMlp, width=self.width, blocks=self.blocks))
        return Part(InnerProduct, body=Part(LevelUNet, width=self.width), fine=True)

    @property
    def size(self) -> int:
        """D."""
        return self.truth[0].mean.numel()  # type: ignore[union-attr]


def mixtures(size: int) -> tuple[Energy, ...]:
    """Two narrow modes, and one broad Gaussian."""
    along = torch.ones(size) / math.sqrt(size)
    modes = torch.stack([1.5 * along, -1.5 * along])
    return Mixture(modes, 0.01, torch.tensor([0.8, 0.2])), Mixture(torch.zeros(1, size), 1.0)


def images(side: int = 28) -> tuple[Energy, ...]:
    """Gaussian images, periodic, of variance about 1 / 4 and two spectra; exact by their Fourier basis."""
    line = torch.arange(side, dtype=torch.float64)
    waves = torch.fft.fftfreq(side, dtype=torch.float64) * side
    radius = (waves[:, None].square() + waves.square()).sqrt()
    angle = 2 * math.pi / side * line[:, None] * line
    basis = (angle.cos() + angle.sin()) / math.sqrt(side)  # Hartley's, real and orthogonal
    both = torch.kron(basis, basis)
    place = torch.stack(torch.meshgrid(line, line, indexing="ij")) / side
    made = []
    for power, cut, mean in ((2.0, 1.0, 0.5), (1.2, 1.0, -0.5)):
        spectrum = (cut + radius).pow(-2 * power).flatten()
        spectrum = 1e-4 + spectrum * (0.25 * side**2 / spectrum.sum())
        covariance = both @ torch.diag(spectrum) @ both.T
        bump = mean * torch.exp(-((place - 0.5).square().sum(0)) / 0.05).flatten()
        made.append(Gaussian(bump.float(), ((covariance + covariance.T) / 2).float()))
    return tuple(made)


def cases(minutes: float, body: str = "mlp") -> dict[str, Case]:
    """All cases of a network (`mlp`, or of images `unet`); updates in proportion to minutes."""
    if body == "unet":
        return {"images": Case(images(), 32, 0, round(PACE * minutes), 64, 2e-3, body)}
    return {
        "plane": Case(mixtures(2), 128, 3, round(2400 * minutes), 256, 2e-3),
        "mixture": Case(mixtures(64), 256, 3, round(950 * minutes), 256, 2e-3),
        "images": Case(images(), 384, 3, round(700 * minutes), 128, 1e-3),
    }


def untrained(case: Case, generator: Generator) -> LevelEnergy:
    """A family with the mean and deviation of draws of the truth: the Gaussian of these, until it learns."""
    family = LevelEnergy(case.event, form=case.form, lowest=case.lowest, highest=case.highest,
                         classes=len(case.truth))  # fmt: skip
    drawn = torch.cat([p.draw(4096, generator) for p in case.truth])  # type: ignore[operator]
    family.fit(drawn.reshape(-1, *case.event))
    return family


def train(case: Case, seed: int, weight: float, decay: float = 0.99, even: bool = True) -> tuple[LevelEnergy, float]:
    """The averaged family, and the CPU seconds of its training."""
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    family = untrained(case, generator)
    objective, average = DenoisingScore(time=weight, even=even), deepcopy(family)
    optimiser = torch.optim.AdamW(family.parameters(), lr=case.rate, weight_decay=0.0)
    begun = time.process_time()
    for n in range(case.updates):
        share = n / case.updates
        for group in optimiser.param_groups:
            group["lr"] = case.rate * min(1.0, (n + 1) / 100) * (1 + math.cos(math.pi * share)) / 2
        c = torch.randint(len(case.truth), (case.batch,), generator=generator)
        draws = torch.stack([p.draw(case.batch, generator) for p in case.truth])  # type: ignore[operator]
        x = draws[c, torch.arange(case.batch)].reshape(-1, *case.event)
        c = family.conditions.drop(c, 0.15, generator)
        loss = objective.loss(family, x, c, generator, share).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(family.parameters(), 100.0)
        optimiser.step()
        with torch.no_grad():
            keep = min(decay, (n + 1) / (n + 10))
            for held, new in zip(average.parameters(), family.parameters(), strict=True):
                held.lerp_(new, 1 - keep)
    return average.requires_grad_(False), time.process_time() - begun


def levels(family: LevelEnergy) -> list[float]:
    """Levels that are looked at."""
    return [s for s in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0) if family.lowest <= s <= family.highest]


def compared(family: LevelEnergy, case: Case, n: int, seed: int) -> list[dict[str, Any]]:
    """One row for each level."""
    generator = Generator().manual_seed(seed)
    rows = []
    for sigma in levels(family):
        each, row = [], {"sigma": sigma}
        for c, p in enumerate(case.truth):
            truth, member = p.at_noise(sigma), family(torch.tensor(c)).at_noise(sigma)
            x = truth.draw(n, generator)  # type: ignore[operator]
            parts = x.reshape(-1, *case.event).split(500)
            value, slope = (torch.cat(v) for v in zip(*map(member.value_and_gradient, parts), strict=True))
            exact, right = truth.value_and_gradient(x)
            gap = exact.double() + truth.log_z - value.double()  # type: ignore[operator]
            weight = (gap - gap.max()).exp()
            each.append({
                "log_z": (gap.logsumexp(0) - math.log(n)).item(),
                "mean": gap.mean().item(),
                "deviation": gap.std().item(),
                "ess": (weight.sum().square() / weight.square().sum() / n).item(),
                "fisher": ((slope.flatten(1) - right).square().sum(1).mean() / case.size).item(),
            })  # fmt: skip
            if isinstance(p, Mixture) and len(p.means) == 2:
                side = x @ (p.means[0] - p.means[1]) > 0
                if side.any() and not side.all():
                    parts = [gap[s].logsumexp(0) - math.log(int(s.sum())) for s in (side, ~side)]
                    row["modes"] = (parts[0] - parts[1]).item()  # type: ignore[assignment]
        row["conditions"] = each  # type: ignore[assignment]
        row["between"] = each[0]["log_z"] - each[1]["log_z"]
        rows.append(row)
    return rows


def told(result: dict[str, Any]) -> str:
    """A result as a table."""
    lines = [
        f"{result['case']}, time score x {result['time']:g}, seed {result['seed']}, "
        f"{result['cpu_minutes']:.1f} CPU minutes, {result['updates']} updates",
        "sigma   log Z 0  log Z 1  between   modes   mean 0   mean 1   ESS 0  ESS 1  Fisher 0  Fisher 1",
    ]
    for row in result["levels"]:
        a, b = row["conditions"]
        lines.append(
            f"{row['sigma']:5.2f} {a['log_z']:9.2f} {b['log_z']:8.2f} {row['between']:8.2f} "
            f"{row.get('modes', math.nan):7.2f} {a['mean']:8.2f} {b['mean']:8.2f} {a['ess']:7.2f} {b['ess']:6.2f} "
            f"{a['fisher']:9.4f} {b['fisher']:9.4f}"
        )
    return "\n".join(lines)


def summary(results: list[dict[str, Any]]) -> str:
    """One line for each case, objective and level: the largest errors over seeds, and whether the goal is met."""
    lines = ["case     body  time  seeds CPU min  sigma  |between|  |log Z|  |modes|  least ESS  largest Fisher  goal"]
    groups: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result["case"], result["time"], result.get("body", "mlp")), []).append(result)
    for (name, weight, body), held in groups.items():
        most, lowest = GOALS[name]
        minutes = sum(r["cpu_minutes"] for r in held) / len(held)
        for rows in zip(*(r["levels"] for r in held), strict=True):
            each = [c for row in rows for c in row["conditions"]]
            between = max(abs(row["between"]) for row in rows)
            modes = [abs(row["modes"]) for row in rows if "modes" in row]
            met = "" if rows[0]["sigma"] < lowest else "met" if between <= most else "missed"
            lines.append(
                f"{name:8} {body:4}  {weight:4g} {len(held):6d} {minutes:7.1f} {rows[0]['sigma']:6.2f} {between:10.2f} "
                f"{max(abs(c['log_z']) for c in each):8.2f} {max(modes) if modes else math.nan:8.2f} "
                f"{min(c['ess'] for c in each):10.2f} {max(c['fisher'] for c in each):15.4f}  {met}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("plane", "mixture", "images"), default="plane")
    parser.add_argument("--body", choices=("mlp", "unet"), default="mlp", help="network; a U-Net of images alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", type=float, default=1.0, help="weight of the time score, 0 for denoising alone")
    parser.add_argument("--minutes", type=float, default=1.0, help="scales the number of updates")
    parser.add_argument("--n", type=int, default=4000, help="draws of the truth at each level")
    for name, kind in (("width", int), ("blocks", int), ("batch", int), ("updates", int), ("rate", float)):
        parser.add_argument(f"--{name}", type=kind, help="in place of the case's")
    parser.add_argument("--decay", type=float, default=0.99)
    parser.add_argument("--uneven", action="store_true", help="weigh levels by their noise, not alike")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, help="print the results of a file, and train nothing")
    a = parser.parse_args()
    if a.table:
        print(summary(json.loads(a.table.read_text())))
        return
    if a.body == "unet" and a.case != "images":
        parser.error("--body: expected mlp but for --case images; a U-Net sees images.")
    case = cases(a.minutes, a.body)[a.case]
    changes = {k: getattr(a, k) for k in ("width", "blocks", "batch", "updates", "rate") if getattr(a, k) is not None}
    case = case._replace(**changes)
    family, seconds = train(case, a.seed, a.time, a.decay, not a.uneven)
    result = {
        "case": a.case, "seed": a.seed, "time": a.time, "n": a.n, "updates": case.updates, "batch": case.batch,
        "body": case.body, "width": case.width, "blocks": case.blocks, "rate": case.rate, "decay": a.decay,
        "even": not a.uneven,
        "cpu_minutes": seconds / 60,
        "levels": compared(family, case, a.n, a.seed + 1000), "provenance": provenance(),
    }  # fmt: skip
    print(told(result))
    if a.out:
        held = json.loads(a.out.read_text()) if a.out.exists() else []
        write_json(a.out, [*held, result])


if __name__ == "__main__":
    main()
