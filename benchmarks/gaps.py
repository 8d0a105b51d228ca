"""How well are gaps in films filled, and what do simpler ways make of them?

    python benchmarks/gaps.py --source mnist --n 12 --seed 101 --out benchmarks/results/gaps.json

Films of held-out digits move at one speed each: one to three of colour, angle and scale at once, both ways, whole and
fractional moves. Seven kinds of gaps are cut into them, and filled with the timeline known and unknown:

- `second`: every second of 9 frames is missing; `run`: 4 of 9 in a row; `ends5`, `ends9`: all but the first and last;
- `block`: a square of half the side is hidden at one place of all 9 frames; `moving`: at another place in each;
- `salt`: half of the pixels of each frame are hidden, at random.

The error is the mean squared error of hidden pixels. The goal is half the error of the best of those that do not know
the truth; the true operator with the true timeline is the ceiling.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from torch import Generator, Tensor

from ergosum.cli.start import DEFAULTS, bank_of
from ergosum.data.render import turn_hue, warp
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.files import write_json
from ergosum.shapes import Frames
from ergosum.temporal.control import Bank
from ergosum.temporal.gaps.path import PathSearch, differentiable_act, fill, spread

FRAMES = {"second": 9, "run": 9, "ends5": 5, "ends9": 9, "block": 9, "moving": 9, "salt": 9}
"""Kinds of gaps, and the length of the films they are cut into."""
GOAL = 0.5
BASELINES = Path(__file__).parents[1] / "ergosum/zoo/baselines"
BLIND = ("linear in time", "nearest frame", "nearby pixels", "feed-forward roll-out")
"""Rows that do not know the truth."""


def films(source: str, n: int, frames: int, seed: int, split: str) -> tuple[Frames, Tensor, Tensor]:
    """Frames (n, time, 3, side, side), factors (n, time, 3) and moves (n, time - 1, 3) in levels."""
    data = DigitSequences(source=source, mode="sparse", split=split)  # type: ignore[arg-type]
    generator = Generator().manual_seed(seed)
    made = data.sequences(n, frames - 1, generator, moves=data.draw_moves(n, generator, fractional=True))
    moves = made.factors.diff(dim=1) / SPACING
    return made.frames, made.factors, torch.where(moves.abs() < 1e-3, 0, moves)


def cut(kind: str, n: int, frames: int, side: int, generator: Generator) -> Tensor:
    """What is seen, (n, time, 1, side, side)."""
    seen = torch.ones(n, frames, 1, side, side, dtype=torch.bool)
    if kind == "second":
        seen[:, 1::2] = False
    elif kind == "run":
        seen[:, 2 : 2 + (frames - 1) // 2] = False
    elif kind.startswith("ends"):
        seen[:, 1:-1] = False
    elif kind == "salt":
        seen = torch.rand(seen.shape, generator=generator) < 0.5
    else:
        half = side // 2
        places = torch.randint(0, side - half + 1, (n, frames, 2), generator=generator)
        places = places[:, :1].expand_as(places) if kind == "block" else places
        line = torch.arange(side)
        within = (line >= places[..., None]) & (line < places[..., None] + half)
        seen = ~(within[:, :, 0, :, None] & within[:, :, 1, None, :])[:, :, None]
    return seen


def in_time(x: Frames, seen: Tensor, guess: Frames) -> tuple[Frames, Frames]:
    """Each hidden pixel between the frames that last and next show it, linearly, and as the nearer one shows it; by
    nearby pixels where no frame does.
    """
    count = x.shape[1]
    t = torch.arange(count, dtype=x.dtype).view(1, -1, 1, 1, 1)
    last = torch.where(seen, t, -1e9).cummax(1).values
    after = torch.where(seen, t, 1e9).flip(1).cummin(1).values.flip(1)

    def at(place: Tensor) -> Tensor:
        return x.gather(1, place.clamp(0, count - 1).long().expand_as(x))

    share = (t - last) / (after - last).clamp_min(1)
    has_last, has_after = last >= 0, after < count
    one = torch.where(has_last, at(last), torch.where(has_after, at(after), guess))
    linear = torch.where(has_last & has_after, torch.lerp(at(last), at(after), share.clamp(0, 1).expand_as(x)), one)
    nearest = torch.where(has_last & has_after, torch.where(t - last <= after - t, at(last), at(after)), one)
    return torch.where(seen, x, linear), torch.where(seen, x, nearest)


@torch.no_grad()
def roll_out(bank: Bank, x: Frames, seen: Tensor, guess: Frames, moves: Tensor) -> Frames:
    """Each frame from the one before it, with the pixels that are seen as they are."""
    act, made = differentiable_act(bank), [torch.where(seen[:, 0], x[:, 0], guess[:, 0])]
    for t in range(x.shape[1] - 1):
        made.append(torch.where(seen[:, t + 1], x[:, t + 1], act(made[-1], moves[:, t])))
    return torch.stack(made, 1)


def ceiling(x: Frames, seen: Tensor, factors: Tensor) -> Frames:
    """Hidden pixels from the nearest frames that show them, moved by the true operator in one go."""
    made, done = x.clone(), seen.clone()
    for t in range(x.shape[1]):
        for s in sorted(range(x.shape[1]), key=lambda s, t=t: abs(s - t)):
            turn, ratio = factors[:, t, 1] - factors[:, s, 1], factors[:, t, 2] / factors[:, s, 2]
            moved = turn_hue(warp(x[:, s], turn, ratio).clamp(0, 1), factors[:, t, 0] - factors[:, s, 0])
            # of a moved mask, a pixel counts as seen if nothing hidden goes into it; beyond the border it is black
            shown = warp((~seen[:, s]).to(x), turn, ratio) < 1e-3
            new = shown & ~done[:, t]
            made[:, t] = torch.where(new, moved, made[:, t])
            done[:, t] |= new
    return torch.where(done, made, spread(x, seen)[0])


def error(made: Frames, x: Frames, seen: Tensor) -> float:
    """Mean squared error of hidden pixels."""
    hidden = (~seen).expand_as(x)
    return (made - x).square()[hidden].mean().item()


def measured(kind: str, banks: tuple[Bank, Bank], a: argparse.Namespace) -> dict[str, Any]:
    """Errors of all rows on one kind of gap."""
    bank, feedforward = banks
    x, factors, moves = films(a.source, a.n, FRAMES[kind], a.seed, a.split)
    seen = cut(kind, a.n, FRAMES[kind], x.shape[-1], Generator().manual_seed(a.seed + 1))
    shown = torch.where(seen, x, 0)
    guess = spread(shown, seen)[0]
    linear, nearest = in_time(shown, seen, guess)
    row: dict[str, Any] = {"kind": kind, "frames": FRAMES[kind], "hidden": (~seen).float().mean().item()}
    simple = dict(zip(BLIND, (linear, nearest, guess), strict=False))
    if kind in ("second", "run", "ends5", "ends9"):
        del simple["nearby pixels"]  # a missing frame has none
    for name, told in (("known", moves), ("unknown", None)):
        begun = time.process_time()
        filled = fill(bank, shown, seen, told, PathSearch(rounds=a.rounds))
        seconds = (time.process_time() - begun) / a.n
        rows = {key: error(made, x, seen) for key, made in simple.items()}
        rolled = roll_out(feedforward, shown, seen, guess, filled.moves)
        rows["feed-forward roll-out"] = error(rolled, x, seen)
        best = min(rows, key=lambda key: rows[key])
        rows["energies, one roll-out"] = error(roll_out(bank, shown, seen, guess, filled.moves), x, seen)
        bridged = fill(feedforward, shown, seen, filled.moves, PathSearch(rounds=0))
        rows["feed-forward, bridged"] = error(bridged.frames, x, seen)
        bridged = fill(bank, shown, seen, filled.moves, PathSearch(rounds=0))
        rows["energies, bridged"] = error(bridged.frames, x, seen)
        ours = error(filled.frames, x, seen)
        rows |= {"energies of the path": ours, "true operator": error(ceiling(shown, seen, factors), x, seen)}
        row[name] = {
            "mse": rows, "best_blind": best, "ratio": ours / rows[best], "reached": ours <= GOAL * rows[best],
            "cpu_seconds_per_film": seconds, "energy": filled.energy.mean(1).tolist(),
            "mse_per_film": [error(f[None], y[None], s[None]) for f, y, s in zip(filled.frames, x, seen, strict=True)],
        }  # fmt: skip
        if told is None:
            active = moves != 0
            relative = ((filled.moves - moves).abs() / moves.abs())[active]
            row[name]["set_right"] = ((filled.moves != 0) == active).all(2).float().mean().item()
            row[name]["speed_error"] = relative.median().item()
    return row


def said(row: dict[str, Any]) -> str:
    """A row for people: errors in thousandths."""
    lines = []
    for name in ("known", "unknown"):
        r = row[name]
        errors = ", ".join(f"{key} {1e3 * value:.2f}" for key, value in r["mse"].items())
        read = f"; sets right {r['set_right']:.0%}, speed off by {r['speed_error']:.1%}" if "set_right" in r else ""
        verdict = "reached" if r["reached"] else "missed"
        lines.append(
            f"{row['kind']:7} {name:8} {r['ratio']:.2f} of {r['best_blind']} ({verdict}); MSE x 1000: {errors}{read}; "
            f"{r['cpu_seconds_per_film']:.1f} CPU s per film"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", default="mnist", help="digits (bundled), mnist or fashion")
    parser.add_argument("--split", default="test", choices=["train", "test"], help="of the digits")
    parser.add_argument("--n", type=int, default=12, help="films of each kind")
    parser.add_argument("--seed", type=int, default=101, help="of films and gaps")
    parser.add_argument("--rounds", type=int, default=3, help="turns of descent over frames and moves")
    parser.add_argument("--kinds", nargs="+", default=list(FRAMES), choices=list(FRAMES), help="of gaps")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    a = parser.parse_args(arguments)
    torch.set_num_threads(1)
    banks = (
        bank_of(list(DEFAULTS), ()),
        bank_of([str(BASELINES / f"feedforward-unet-{f}") for f in ("colour", "angle", "scale")], ()),
    )
    result: dict[str, Any] = {
        "benchmark": "gaps", "source": a.source, "split": a.split, "n": a.n, "seed": a.seed, "rounds": a.rounds,
        "goal": GOAL, **provenance(), "gaps": [],
    }  # fmt: skip
    for kind in a.kinds:
        result["gaps"].append(measured(kind, banks, a))
        if not a.json:
            print(said(result["gaps"][-1]), flush=True)
        if a.out:
            write_json(a.out, result)
    if a.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
