r"""How do others compose concepts, in the same codes and the same CPU minutes?

Every row learns energies of the codes of one trained autoencoder (`--codec`, a run or card of a recipe of concepts; its
minutes are not counted), on the same batches, in the same CPU minutes, on one thread. What it draws is read by the
data's own reader. E(c) is the energy under a condition c, E_0 that of all data, s the shares of alternatives.

- parts: a sum over parts of the code, of which those that values tell are known and the rest is learned by denoising
  and time score; all other rows have a network with more weights. AND $E(c_1, c_2)$, OR $-\log \sum s_i e^{-E_i}$, NOT
  the complement $-\log (p - \pi p_c)$. This library.
- whole: one energy of the whole code, trained alike. AND $E_0 + \sum (E_i - E_0)$ with 4 corrections; others as parts.
- whole-smc: the same with 8 particles for each draw, one of which is kept by its weights.
- joint: whole, under all of the values that satisfy the formula, picked for each draw by the asked shares: the ceiling.
- sum: whole, composed without a prior. AND $\sum E_i$, OR as above, NOT $E_1 - \alpha E_2$; Du, Li & Mordatch 2020,
  section 3.
- cd: contrastive divergence with a replay buffer, without noise levels; composed as sum, drawn by chains as long as
  those of its training; the same source.
- denoising: whole without the time score. AND as whole by Langevin steps, OR $-\log \sum s_i e^{-3.5 E_i} / 3.5$, NOT
  $1.3 E_1 - 0.3 E_2$; Du et al. 2023, Reduce, Reuse, Recycle, section 3, numbers of its published notebook.
- guidance: the same energies. AND and NOT $E_0 + w \sum (E_i - E_0) - w \sum (E_j - E_0)$, no corrections, no OR; Liu
  et al. 2022, composable diffusion.
- classifiers: E_0 of whole and classifiers of noisy codes. AND $E_0 - \sum \log p(c_i | z, \sigma)$, OR
  $E_0 - \log \sum s_i p(c_i | z, \sigma)$, NOT $E_0 + \alpha \log p(c | z, \sigma)$; Nie et al. 2021, LACE.

Strengths that the literature sets by hand are swept (alpha from .001 to .3, w of 1, 3.5 and 7.5), all are in the JSON,
and each kind of formula is told at the strength that is best for it: the rivals are tuned on what they are scored by.
Asked shares are given to every row that has an OR, though the sources know equal ones alone, and the 3.5 is divided out
again, without which a single energy would not be itself. `~a` alone is taken from E_0. The classifiers have the minutes
for themselves, those of E_0 come on top. Nothing is measured or fitted after training.

Columns: all attributes right, of combinations that training shows, of values and of a value and a place that it never
shows together; OR with equal shares and with .9 / .1 (total variation, p of the chi-square test); NOT (leak: what is
not as asked; total variation of the rest); nested formulas that are satisfied; cost of a conjunction of all attributes.

Of coloured MNIST (`--data mnist`) the protocol of CoInD (Gaudi et al. 2025) is followed for three supports of the
training part: AND of all pairs of digit and colour, of the unseen ones if the support is partial; a colour without the
digits that the partial support shows in it, and a digit without such colours. Told is the share of draws in which every
positive and none of the negatives is read. Beside it stands what CoInD's repository publishes, of U-Nets in pixels,
trained on a GPU, with other colours and another reader.

    python benchmarks/concepts.py --codec runs/concepts-latents --minutes 2 --n 300 --out benchmarks/results/concepts
    python benchmarks/concepts.py --data mnist --support partial --codec runs/concepts-mnist --out results/mnist
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from concepts_learnt import Codec, codec_of, learnt
from concepts_rivals import GUIDANCE, Classified, Guided, Joint, Ours, Reused, Summed, swept
from machine import provenance
from torch import Tensor

from ergosum.concepts import Concepts
from ergosum.concepts.scores import Asked, conjunctions, formula_row, formulas, right
from ergosum.density.chains import chain_recipe, run_chains
from ergosum.density.formulas import vocabulary
from ergosum.density.sampling import CHUNK, decoded, draw
from ergosum.energy import Energy
from ergosum.files import read_json, write_json
from ergosum.report.tables import as_text
from ergosum.samplers.guards import NonFiniteError, UnboundedError
from ergosum.training.task import Table
from ergosum.zoo import Zoo

__all__ = ["ROWS", "Row", "main", "table"]

PARTICLES, TIMED = 8, 64
"""For each draw of whole-smc; draws that are timed."""
PUBLISHED = {
    "uniform": {"vanilla": (0.979, 0.997, 0.692), "LACE": (0.743, 0.909, 0.642), "CoInD, 1": (0.9996, 0.982, 0.664)},
    "non-uniform": {"vanilla": (0.805, 0.875, 0.607), "LACE": (0.680, 0.989, 0.880), "CoInD, 1": (0.999, 0.960, 0.616)},
    "partial": {"vanilla": (0.127, 0.049, 0.334), "LACE": (0.154, 0.063, 0.289), "CoInD, 1": (0.544, 0.539, 0.519)},
}
"""AND, NOT digit and NOT colour, from the README of github.com/sachit3022/compositional-generation."""


class Row(NamedTuple):
    """A way of composing: names of `LEARNT`, of which the first has the conditions, and methods of which each kind of
    formula is told by the one that is best for it.
    """

    learns: tuple[str, ...]
    methods: tuple[Ours, ...]


ROWS = {
    "parts": Row(("parts",), (Ours(),)),
    "whole": Row(("whole",), (Ours(),)),
    "whole-smc": Row(("whole",), (Ours(PARTICLES),)),
    "joint": Row(("whole",), (Joint(),)),
    "sum": Row(("whole",), swept(Summed)),
    "cd": Row(("cd",), swept(Summed)),
    "denoising": Row(("denoising",), (Reused(),)),
    "guidance": Row(("denoising",), tuple(Guided(w) for w in GUIDANCE)),
    "classifiers": Row(("classifiers", "whole"), swept(Classified)),
}


class Drawn:
    """Draws of a method, and how many failed.

    Args:
        models: of which the first has the conditions. task: of the first. method: how formulas become energies.
        seed: of the draws.
    """

    def __init__(self, models: Sequence[Concepts], task: Any, method: Ours, seed: int) -> None:
        self.models, self.method, self.failed = models, method, 0
        self.recipe = chain_recipe(task.objective)
        self.known = vocabulary(models[:1])
        self.generator = torch.Generator().manual_seed(2_000_000 + seed)

    def images(self, energy: Energy, n: int) -> Tensor:
        """n images; such as nobody can read, not numbers, where chains left all bounds."""
        model = self.models[0]
        try:
            if self.recipe is None:
                x = draw(self.models, energy, n, self.generator, **self.method.options).x
            else:
                x = run_chains(self.recipe, energy, model.space.event, n, self.generator)[-1]
        except (NonFiniteError, UnboundedError):
            self.failed += n
            return torch.full((n, *model.image), torch.nan)
        return decoded(model, x)

    def together(self, values: Tensor) -> Tensor:
        """Images of all values at once, one of each row of (n, columns)."""
        particles = self.method.options.get("particles", 1)  # those of a draw are neighbours
        parts = values.split(max(1, CHUNK // particles))
        told = (self.method.together(self.models, part.repeat_interleave(particles, 0)) for part in parts)
        return torch.cat([self.images(energy, len(part)) for energy, part in zip(told, parts, strict=True)])

    def has(self, asked: Asked) -> bool:
        """Whether the method can compose a formula."""
        return self.method.formula(self.models, self.known, asked, 1, self.generator) is not None

    def of(self, asked: Asked, n: int) -> Tensor:
        """n images of a formula that the method has."""
        energy = self.method.formula(self.models, self.known, asked, n, self.generator)
        assert energy is not None
        return self.images(energy, n)


def careful(read: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A reader that reads nothing in what are no numbers."""

    def told(images: Tensor) -> Tensor:
        failed = images.flatten(1).isnan().any(1, keepdim=True)
        return read(images.nan_to_num()).masked_fill(failed, torch.nan)

    return told


@contextmanager
def gradients(models: Sequence[Concepts]) -> Iterator[list[int]]:
    """How many points, one for each of their conditions, go through the models' networks: one gradient each."""
    seen: list[int] = []
    hooks = [m.family.conditions.register_forward_hook(lambda _, c, __: seen.append(len(c[0]))) for m in models]
    yield seen
    for hook in hooks:
        hook.remove()


def cost(drawn: Drawn, values: Tensor) -> dict[str, float]:
    """CPU seconds of 64 conjunctions of all values, and gradients of each."""
    with gradients(drawn.models) as seen:
        begun = time.process_time()
        drawn.together(values[:TIMED])
    each = len(values[:TIMED])
    return {"seconds_64": (time.process_time() - begun) * 64 / each, "gradients": sum(seen) / each}


def shown_with(task: Any) -> dict[str, list[str]]:
    """Formulas of CoInD: a colour without the digits that the partial support shows in it, a digit without colours."""
    digits, colours = (a.values for a in task.images.attributes)
    pairs = {(y, c) for y in range(10) for c in (y, min(y + 1, 9))}

    def without(names: Sequence[str]) -> str:
        return f"~({' | '.join(names)})" if len(names) > 1 else f"~{names[0]}"

    of_colour = [[digits[y] for y in range(10) if (y, c) in pairs] for c in range(10)]
    of_digit = [[colours[c] for c in range(10) if (y, c) in pairs] for y in range(10)]
    return {
        "not_digit": [f"{colours[c]} & {without(names)}" for c, names in enumerate(of_colour)],
        "not_colour": [f"{digits[y]} & {without(names)}" for y, names in enumerate(of_digit)],
    }


def coind(drawn: Drawn, task: Any, read: Any, n: int) -> dict[str, Any]:
    """Shares of draws in which every positive and none of the negatives is read."""
    pairs = torch.cartesian_prod(torch.arange(10.0), torch.arange(10.0))
    unseen = task.images.held_out(pairs)
    pairs = pairs[unseen] if unseen.any() else pairs
    told: dict[str, Any] = {"formulas": []}
    if "and" in drawn.method.kinds:
        asked = pairs.repeat(-(-n // len(pairs)), 1)[:n]
        told["and"] = (read(drawn.together(asked)) == asked).all(1).float().mean().item()
    for kind, ones in shown_with(task).items():
        each = max(1, n // len(ones))
        rows = [
            {"kind": kind, **formula_row(Asked(f), drawn.known, task.images.attributes, read, drawn.of, each)}
            for f in ones
        ]
        told["formulas"] += rows
        told[kind] = sum(row["satisfied"] for row in rows) / len(rows)
    return told


def concepts(drawn: Drawn, task: Any, data: Any, read: Any, values: Tensor) -> dict[str, Any]:
    """Conjunctions and formulas of every kind that the method has."""
    n, told = len(values), {"formulas": []}  # type: ignore[var-annotated]
    if "and" in drawn.method.kinds:
        told |= conjunctions(task.images.attributes, data, read, values, drawn.together)
    for kind, ones in formulas(task.images.attributes).items():
        if kind not in drawn.method.kinds or not all(map(drawn.has, ones)):
            continue
        rows = [formula_row(one, drawn.known, task.images.attributes, read, drawn.of, n) for one in ones]
        told["formulas"] += [{"kind": kind, **row} for row in rows]
        if kind == "or":
            told |= {"or_tv": rows[0]["tv"], "or_p": rows[0]["p"], "or_tv_9": rows[1]["tv"], "or_p_9": rows[1]["p"]}
        elif kind == "not":
            told |= {"not_leak": max(r["leak"] for r in rows), "not_tv": max(r["tv"] for r in rows)}
        else:
            told["nested"] = min(row["satisfied"] for row in rows)
    return told


BEST: Mapping[str, tuple[tuple[str, ...], int]] = {
    "and_seen": (("and_seen", "and_held_out", "and_held_out_place"), 1), "and": (("and",), 1),
    "or_tv": (("or_tv", "or_p", "or_tv_9", "or_p_9"), -1), "not_leak": (("not_leak", "not_tv"), -1),
    "nested": (("nested",), 1), "not_digit": (("not_digit",), 1), "not_colour": (("not_colour",), 1),
}  # fmt: skip
"""Of several strengths that one is told whose sum of these columns is largest, or least; the first is in the key."""


def best(tried: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The columns of a row, each kind of formula at its best strength."""
    told: dict[str, Any] = {"strengths": {}}
    for first, (names, sign) in BEST.items():
        having = [one for one in tried if first in one]
        if having:
            summed = [sum(sign * one[k] for k in names if k in one and k not in ("or_p", "or_p_9")) for one in having]
            chosen = having[summed.index(max(summed))]
            told |= {k: chosen[k] for k in names if k in chosen}
            if len(tried) > 1:
                told["strengths"][first] = chosen["strength"]
    return told


def row_of(name: str, codec: Codec, kind: str, seed: int, n: int, minutes: float, runs: Path) -> dict[str, Any]:
    """Train and score one row."""
    row = ROWS[name]
    torch.set_num_threads(1)
    made = [learnt(which, codec, seed, minutes, runs) for which in row.learns]
    models, (_, task, first) = [m for m, _, _ in made], made[0]
    data, read = codec.data.build(split="test"), careful(task.reader(Zoo()))
    held = data.attributed(n, torch.Generator().manual_seed(1_000_000 + seed))
    told = {
        "row": name, "data": kind, "support": codec.data.settings().get("support", ""), "codec": codec.name,
        "seed": seed, "n": n, "minutes": minutes, **first,
        "cpu_minutes": sum(spent["cpu_seconds"] for _, _, spent in made) / 60,
    }  # fmt: skip
    told["reader"] = right(task.images.attributes, read(held.images), held.values).all(1).float().mean().item()
    tried = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of log Z that nobody measured
        for method in row.methods:
            drawn = Drawn(models, task, method, seed)
            if not tried:
                told |= cost(drawn, held.values)
            one = coind(drawn, task, read, n) if kind == "mnist" else concepts(drawn, task, data, read, held.values)
            tried.append({"strength": method.strength, "failed": drawn.failed, **one})
    return told | best(tried) | {"tried": tried, **provenance()}


COLUMNS = {
    "scenes": {
        "and_seen": ("AND seen", 3), "and_held_out": ("AND unseen", 3), "and_held_out_place": ("unseen place", 3),
        "or_tv": ("OR tv", 3), "or_p": ("p", 3), "or_tv_9": (".9/.1 tv", 3), "or_p_9": ("p, .9", 3),
        "not_leak": ("NOT leak", 3), "not_tv": ("NOT tv", 3), "nested": ("nested", 3),
    },
    "mnist": {"and": ("AND", 3), "not_digit": ("NOT digit", 3), "not_colour": ("NOT colour", 3)},
}  # fmt: skip
COST = {"seconds_64": ("s / 64", 1), "gradients": ("gradients", 0), "weights": ("weights", 0),
        "cpu_minutes": ("CPU min", 1)}  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All rows for people, true images and what is published below."""
    first = rows[0]
    heads = {**COLUMNS[first["data"]], **COST}
    told = [{"row": r["row"], **{head: r.get(key) for key, (head, _) in heads.items()}} for r in rows]
    same = {head: first["reader"] for key, (head, _) in heads.items() if key.startswith("and")}
    told.append({"row": "true images", **same})
    for method, shares in PUBLISHED.get(first["support"], {}).items():
        names = [head for head, _ in COLUMNS["mnist"].values()]
        told.append({"row": f"{method} (published)", **dict(zip(names, shares, strict=True))})
    title = f"{first['data']} {first['support']}".strip()
    title += f", {first['minutes']:g} CPU minutes beside those of {first['codec']}'s codec, which are not counted, "
    title += f"seed {first['seed']}, {first['n']} draws of each kind"
    return as_text(Table(("row",), dict(heads.values()), told, title))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--row", action="append", choices=list(ROWS), help="this row alone, again if it is there")
    parser.add_argument("--codec", required=True, help="card or run of concepts in codes, whose codec all rows take")
    parser.add_argument(
        "--data", choices=list(COLUMNS), default="scenes", help="images of the codec, and what is asked"
    )
    parser.add_argument("--support", choices=list(PUBLISHED), default="", help="of mnist; that of the codec without")
    parser.add_argument("--minutes", type=float, default=2.0, help="CPU minutes of every row")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches, noise and draws")
    parser.add_argument("--n", type=int, default=300, help="draws of each kind")
    parser.add_argument("--out", type=Path, required=True, help="folder of each row's JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs/concepts-rivals"), help="folder of weights")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    a = parser.parse_args(arguments)
    for name, value in (("--minutes", a.minutes), ("--n", a.n)):
        if not 0 < value < float("inf"):
            parser.error(f"{name}: expected a number > 0, got {value:g}.")
    try:
        codec = codec_of(a.codec, a.data, a.support)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    a.out.mkdir(parents=True, exist_ok=True)
    for name in a.row or [name for name in ROWS if not (a.out / f"{name}.json").is_file()]:
        print(f"{name} ...", file=sys.stderr)
        write_json(a.out / f"{name}.json", row_of(name, codec, a.data, a.seed, a.n, a.minutes, a.runs))
    rows = [read_json(path) for name in ROWS if (path := a.out / f"{name}.json").is_file()]
    print(json.dumps(rows, indent=1) if a.json else table(rows))


if __name__ == "__main__":
    main()
