r"""Scores of factors that were found without labels: do the moves that are read off two frames follow one true factor
each, and does each component then move that factor alone, as far for one image as for another?

Whatever reads moves off two frames and makes frames from moves is a `Mover`: discovered energies, and all that stands
beside them. Its units and signs are its own, so that nothing here depends on them.

Speeds are *natural*: in units in which equal changes look alike at any level. Hue counts in levels (6/17 rad), angle in
levels (20 degrees), scale as $10 \log(s'/s)$, so that 1 is about a tenth larger, which is a level at scale 1.
"""

from typing import Any, NamedTuple, Protocol

import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ergosum.data.record import Clips, Pairs
from ergosum.data.render import FACTORS, render, turn_hue, warp
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.data.sources import default_source
from ergosum.metrics.error import mse
from ergosum.metrics.mcc import correlations
from ergosum.metrics.reader import read_factors
from ergosum.metrics.response import levels_moved
from ergosum.part import Part

__all__ = ["LOG_UNIT", "READABLE", "Mover", "natural_speeds", "score_clips", "score_mover", "separation"]

LOG_UNIT = 0.1
"""Logarithm of a ratio of scales that counts as a speed of 1."""
READABLE = (0.55, 1.5)
"""Scales of frames that are steered: smaller digits are too coarse to be read, larger ones leave the canvas."""
SCALES = (0.2, 2.4)
"""Scales that the reader tries."""
LEAST_MOVE = 0.25
"""Moves off which transfer is measured are larger, in levels."""
CHUNK = 250
"""Frames moved or read at once."""
FEWEST = 64
"""Pairs below which no score means much."""


class Mover(Protocol):
    """What reads moves off two frames and makes frames from moves: K components, each with one signed number."""

    components: tuple[str, ...]

    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """Moves (batch, K) that lead from `start` to `target`, both (batch, 3, side, side); 0 is no move."""
        ...

    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """Frames (batch, 3, side, side) that the moves (batch, K) make of `start`."""
        ...


def natural_speeds(pairs: Pairs) -> Tensor:
    """Signed speeds of hue, angle and scale from start to target in natural units, (batch, 3)."""
    speeds = pairs.moves.clone()
    speeds[:, 2] = (pairs.after[:, 2] / pairs.before[:, 2]).log() / LOG_UNIT
    return speeds


def separation(moves: Tensor, speeds: Tensor) -> dict[str, Any]:
    r"""How well each true factor is followed by a component of its own.

    $$ \mathrm{MCC} = \frac1F \max_\pi \sum_f |\rho(z_{\pi(f)}, v_f)| $$ over one-to-one pairings (Hungarian method), as
    `metrics.mcc` has it. 1: every signed speed is a monotone (with Pearson: affine) function of the moves of its own
    component. Components left over cost nothing; factors left over, and constant components, count 0. Noise scores
    about $1 / \sqrt n$ times a number between 1 and 2.

    Args:
        moves: (n, K), as read. speeds: (n, F), true; a factor that is constant counts for nothing.
    Returns:
        `mcc` (Spearman), `mcc_pearson`; `spearman`, `pearson`, the signed matrices (K, F) as lists; `match`, for each
        component the number of the factor that the best pairing of ranks gives it, or None; `signs`, 1 or -1 for each
        component with a factor, 0 for the others.
    Raises:
        ValueError: for wrong shapes, values that are not finite, or if no factor varies.
    """
    if moves.ndim != 2 or speeds.ndim != 2 or len(moves) != len(speeds) or len(moves) < 2 or not moves.numel():
        raise ValueError(
            f"separation: expected moves (n, K) and speeds (n, F) of the same two or more pairs, got "
            f"{tuple(moves.shape)} and {tuple(speeds.shape)}."
        )
    varying = (speeds != speeds[:1]).any(0)
    if not varying.any():
        raise ValueError("separation: expected at least one factor whose speed varies, got constant speeds.")
    result: dict[str, Any] = {}
    match: list[int | None] = [None] * moves.shape[1]
    signs = [0] * moves.shape[1]
    for key, kind in (("mcc_pearson", "pearson"), ("mcc", "spearman")):
        matrix = correlations(moves.detach().cpu().double(), speeds.detach().cpu().double(), kind)  # type: ignore[arg-type]
        rows, columns = _assigned(matrix.abs(), varying)
        result[key] = (matrix[rows, columns].abs().sum() / varying.sum()).item()
        result[kind] = matrix.tolist()
    for k, f in zip(rows, columns, strict=True):  # of ranks, which came last
        match[k], signs[k] = f, 1 if matrix[k, f] >= 0 else -1
    return result | {"match": match, "signs": signs}


@torch.no_grad()
def score_mover(
    mover: Mover, data: Part[DigitSequences], source: str, n: int, seed: int, steered: int = 0
) -> dict[str, Any]:
    r"""Everything that can be measured of a mover on held-out digits.

    Moves z are read off n pairs of frames of the kind that `data` describes, and some frames are steered: the factor
    reader tells what became of them (levels of hue and angle, natural units of scale).

    Args:
        data: what it was trained on: mode, lag, factors, scales and canvas are taken from it. source: of the digits;
            empty: MNIST where it is at hand, else the bundled ones. n: pairs, at least 64. steered: frames that are
            steered, each once per component and direction; 0 takes n // 8.
    Returns:
        `kept`: the number of components; `active`: for each the share of pairs in which its move is not 0; `typical`:
        for each the size of move that half of its total movement lies below (the median of |z| where pairs count by
        |z|, so that a reader that is never exactly 0 is asked for as large a move as one that is).

        `mcc`, `mcc_pearson`, `correlations`, `match`, `signs`: see `separation`; speeds are natural.

        `response`: (K, 3), mean absolute change of each factor while one component alone makes its typical move, both
        ways. `diagonal_share`: the mean share of the own factor in the response of a component, under the best
        assignment of factors to components; one that never moves counts 0. One over F by chance, 1 at best.

        `response_read`, `assigned_share`: the same on pairs, each component alone with the move that it read.

        `transfer_error`: by factor, moves read off pair A act on the image of another pair B; mean |moved - wanted|
        over mean |wanted|, of pairs A in which that factor alone moved by more than a quarter of a level. About 1 is
        no better than standing still. `transfer_spill`: what the other factors moved then, summed.

        `skill`: 1 - MSE of the prediction from the read moves / MSE of copying, by factor over pairs in which it moves
        alone, and `mean` over all pairs.

        `references`: `truth` has the scores of the true operator with the true speeds, which is as well as frames can
        be resampled and factors read; `chance` the MCC of moves that are noise, and the share of components that all
        do the same.

        A factor of which there were no such pairs has None.
    Raises:
        ValueError: if n is too small, the reader gives no finite moves (batch, K), or no frame can be read.
    """
    if n < FEWEST:
        raise ValueError(f"score_mover: expected n >= {FEWEST} pairs, got {n}.")
    source = source or default_source()
    held_out = data.but(source=source).build(split="test")
    generator = Generator().manual_seed(seed)
    pairs = held_out.pairs(n, generator)
    factors = [f for f in FACTORS if f in data.get("factors")]
    trial = _Trial(pairs, natural_speeds(pairs), _readable(held_out, steered or max(8, n // 8), generator), factors)
    moves = _read(mover, pairs.start, pairs.target)
    noise = torch.randn(n, moves.shape[1], generator=generator)
    truth = {k: v for k, v in _steered(_Operator(), trial.speeds, trial).items() if not k.startswith("response")}
    return {
        "source": source, "n": n, "seed": seed, "mode": data.get("mode"), "components": list(mover.components),
        "factors": factors, "kept": moves.shape[1], "active": (moves != 0).float().mean(0).tolist(),
        **_told(separation(moves, trial.speeds)), **_steered(mover, moves, trial),
        "references": {
            "truth": {"mcc": 1.0, "mcc_pearson": 1.0, **truth},
            "chance": {"mcc": separation(noise, trial.speeds)["mcc"], "diagonal_share": 1 / len(FACTORS)},
        },
    }  # fmt: skip


@torch.no_grad()
def score_clips(mover: Mover, clips: Clips, factors: tuple[str, ...] = ()) -> dict[str, Any]:
    """What can be measured on clips of anything, whose frames no reader knows.

    All steps of a clip count as pairs. Where no speeds are known there is the skill alone.

    Args:
        factors: names of the columns of the speeds; by default their numbers.
    Returns:
        `kept`, `active`, `skill`, and with speeds `mcc`, `mcc_pearson`, `correlations`, `match`, `signs`, as
        `score_mover` has them.
    Raises:
        ValueError: if clips are no Clips, names are not as many as speeds, or moves are not finite.
    """
    if clips.frames.ndim != 5 or clips.frames.shape[1] < 2 or clips.speeds.shape[:2] != (
        len(clips.frames), clips.frames.shape[1] - 1
    ):  # fmt: skip
        raise ValueError(
            "score_clips: expected frames (batch, time, 3, side, side) of two or more times and speeds (batch, "
            f"time - 1, F), got {tuple(clips.frames.shape)} and {tuple(clips.speeds.shape)}."
        )
    speeds = clips.speeds.flatten(0, 1)
    names = list(factors) or [str(f) for f in range(speeds.shape[1])]
    if len(names) != speeds.shape[1]:
        raise ValueError(f"score_clips: expected {speeds.shape[1]} names of factors, got {', '.join(names)}.")
    start, target = clips.frames[:, :-1].flatten(0, 1), clips.frames[:, 1:].flatten(0, 1)
    moves = _read(mover, start, target)
    result: dict[str, Any] = {"kept": moves.shape[1], "active": (moves != 0).float().mean(0).tolist()}
    if names:
        result |= {"factors": names, **_told(separation(moves, speeds))}
    return result | {"skill": _skill(_act(mover, start, moves), start, target, speeds, names)}


class _Trial(NamedTuple):
    """What movers are steered on: pairs with their natural speeds, frames that can be read, factors that move."""

    pairs: Pairs
    speeds: Tensor
    starts: Pairs
    factors: list[str]


class _Operator:
    """The true operator; its moves are natural speeds."""

    components = FACTORS

    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        turned = warp(start, moves[:, 1] * SPACING[1], (moves[:, 2] * LOG_UNIT).exp())
        return turn_hue(turned.clamp(0, 1), moves[:, 0] * SPACING[0])


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """A separation with its matrices under one name."""
    kinds = ("spearman", "pearson")
    return {k: v for k, v in found.items() if k not in kinds} | {"correlations": {k: found[k] for k in kinds}}


def _read(mover: Mover, start: Tensor, target: Tensor) -> Tensor:
    k = len(mover.components)
    moves = torch.cat([mover.read(a, b) for a, b in zip(start.split(CHUNK), target.split(CHUNK), strict=True)])
    if moves.shape != (len(start), k) or not moves.isfinite().all():
        raise ValueError(
            f"{type(mover).__name__}.read: expected finite moves ({len(start)}, {k}), one column for each component, "
            f"got {tuple(moves.shape)} with {int((~moves.isfinite()).sum())} values that are not finite."
        )
    return moves.detach().cpu().float()


def _act(mover: Any, start: Tensor, moves: Tensor) -> Tensor:
    made = [mover.act(x, z.to(x)) for x, z in zip(start.split(CHUNK), moves.split(CHUNK), strict=True)]
    return torch.cat(made).clamp(0, 1)


def _readable(held_out: DigitSequences, wanted: int, generator: Generator) -> Pairs:
    """As many pairs whose first frames have a scale that can be read."""
    drawn = held_out.pairs(4 * wanted, generator)
    low, high = READABLE
    at = ((drawn.before[:, 2] > low) & (drawn.before[:, 2] < high)).nonzero()[:wanted, 0]
    if not len(at):
        raise ValueError(f"score_mover: expected frames of scale {low} .. {high} among the data, got none of them.")
    return Pairs(*(v[at] for v in drawn))


def _moved(mover: Any, pairs: Pairs, moves: Tensor) -> Tensor:
    """Natural change (batch, 3) that the reader finds after the moves of the first frames."""
    read = read_factors(_act(mover, pairs.start, moves), pairs.digits, render, SCALES).factors
    changed = levels_moved(pairs.before, read, SPACING)
    changed[:, 2] = (read[:, 2] / pairs.before[:, 2]).log() / LOG_UNIT
    return changed


def _steered(mover: Any, moves: Tensor, trial: _Trial) -> dict[str, Any]:
    """Response, shares, transfer and skill of a mover with the moves that it read off the trial's pairs."""
    pairs, starts, columns = trial.pairs, trial.starts, [FACTORS.index(f) for f in trial.factors]
    typical = torch.stack([_typical(z) for z in moves.unbind(1)])
    few = torch.arange(min(len(starts.start), len(pairs.start)))
    readable = (pairs.before[:, 2] > READABLE[0]).nonzero()[: len(few), 0]
    response, on_pairs = torch.zeros(2, moves.shape[1], len(FACTORS))
    for k in range(moves.shape[1]):
        alone = torch.zeros(len(starts.start), moves.shape[1])
        alone[:, k] = typical[k]
        if typical[k] > 0:
            response[k] = torch.stack([_moved(mover, starts, z).abs() for z in (alone, -alone)]).mean((0, 1))
        at = readable[moves[readable, k] != 0]
        if len(at):
            own = torch.zeros(len(at), moves.shape[1])
            own[:, k] = moves[at, k]
            on_pairs[k] = _moved(mover, Pairs(*(v[at] for v in pairs)), own).abs().sum(0) / len(readable)
    errors, spill = _transfer(mover, moves, trial)
    return {
        "typical": typical.tolist(), "response": response.tolist(), "diagonal_share": _share(response, columns),
        "response_read": on_pairs.tolist(), "assigned_share": _share(on_pairs, columns),
        "transfer_error": errors, "transfer_spill": spill,
        "skill": _skill(_act(mover, pairs.start, moves), pairs.start, pairs.target, trial.speeds[:, columns],
                        trial.factors),
    }  # fmt: skip


def _typical(moves: Tensor) -> Tensor:
    """The median of |z| where pairs count by |z|; 0 of a component that never moves."""
    sizes = moves.abs().sort().values
    sums = sizes.cumsum(0)
    return sizes[int((sums < sums[-1] / 2).sum())]


def _share(response: Tensor, columns: list[int]) -> float:
    """Mean share of the own factor under the best assignment; factors that no component is left for count 0."""
    share = response / response.sum(1, keepdim=True).clamp_min(1e-9)
    moving = torch.tensor([f in columns for f in range(share.shape[1])])
    rows, own = _assigned(share, moving)
    return (share[rows, own].sum() / len(columns)).item()


def _assigned(worth: Tensor, columns: Tensor) -> tuple[list[int], list[int]]:
    """Rows and columns of the one-to-one pairing of largest total worth, of the columns that are asked for."""
    at = columns.nonzero()[:, 0]
    rows, chosen = linear_sum_assignment(worth[:, at].numpy(), maximize=True)
    return rows.tolist(), at[torch.from_numpy(chosen)].tolist()


def _transfer(mover: Any, moves: Tensor, trial: _Trial) -> tuple[dict[str, Any], dict[str, Any]]:
    """Error and spill by factor of moves that were read off one pair and act on the frame of another."""
    errors: dict[str, Any] = dict.fromkeys(trial.factors)
    spill: dict[str, Any] = dict.fromkeys(trial.factors)
    single = (trial.pairs.moves != 0).sum(1) == 1
    for name in trial.factors:
        f = FACTORS.index(name)
        at = (single & (trial.pairs.moves[:, f].abs() > LEAST_MOVE)).nonzero()[: len(trial.starts.start), 0]
        if not len(at):
            continue
        moved = _moved(mover, Pairs(*(v[: len(at)] for v in trial.starts)), moves[at])
        wanted = trial.speeds[at, f]
        errors[name] = ((moved[:, f] - wanted).abs().mean() / wanted.abs().mean()).item()
        spill[name] = (moved.abs().sum(1) - moved[:, f].abs()).mean().item()
    return errors, spill


def _skill(made: Tensor, start: Tensor, target: Tensor, speeds: Tensor, factors: list[str]) -> dict[str, Any]:
    """1 - MSE / MSE of copying, by factor that moves alone, and of all; None where nothing changed."""
    error, change = mse(made, target), mse(start, target)

    def worth(at: Tensor) -> float | None:
        copied = change[at].sum().item()
        return 1 - error[at].sum().item() / copied if copied > 0 else None

    single = (speeds != 0).sum(1) == 1
    result = {name: worth(single & (speeds[:, f] != 0)) for f, name in enumerate(factors)}
    return result | {"mean": worth(torch.ones(len(made), dtype=torch.bool))}
