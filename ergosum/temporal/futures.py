r"""Several futures: where the sign or the factor of a change is unknown, the next frame is a disjunction.

An energy of change with its anchor is a bowl about the frame m that it leads to, so that at temperature T its density
$\exp(-E / T)$ is a Gaussian of variance T per pixel. The disjunction of normalised bowls is their mixture,

$$ p(x_{t+1} | x_t) = \sum_k s_k N(x_{t+1}; m_k(x_t), T / W_k), $$

which is drawn from exactly: an alternative by its share, then noise about its frame. A local sampler would not do: the
frames lie hundreds of standard deviations apart, and a chain stays with the one that is nearest to its start.

A formula is written out as alternatives, `colour & (angle | angle_back)` as `colour & angle` or `colour & angle_back`.
A conjunction of changes means that all of them happen. Where bowls are anchored at one frame their sum is a bowl about
the mean of the two frames, which shows neither change; so here the changes act in turn, as they are written, and
$m_{colour & angle}(x) = m_{angle}(m_{colour}(x))$. The curvature of the sum stays what the algebra says: weights add,
$W = \sum w_i$, so a conjunction of two is twice as sharp, and `0.5*angle` half as sharp, as `angle`.

The least squared error is reached by the mean of the mixture, $\sum_k s_k m_k$: what a network predicts that is trained
by squared error and does not know which change will come, a superposition that is none of the futures.
"""

import warnings
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Literal, NamedTuple

import torch
from PIL import Image
from torch import Generator, Tensor, nn

from ergosum.compose import And, Not, Or, Scaled
from ergosum.data.images_given import as_images
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Energy, as_energy, summed
from ergosum.formula import parse_formula
from ergosum.nodes import Named, silence
from ergosum.partition import weighted
from ergosum.report.strips import sheet
from ergosum.shapes import Frames, Images
from ergosum.temporal.control import Bank
from ergosum.training.task import Samples, Table
from ergosum.weights import expect_shares

__all__ = [
    "TEMPERATURE", "Alternative", "Futures", "alternatives", "futures", "futures_sheet", "next_frame", "sample_futures",
]  # fmt: skip

TEMPERATURE = 1e-4
"""Variance of a pixel about a future where none is asked for: a standard deviation of 0.01 of the range 0 .. 1."""
MOST = 64
"""Alternatives that a formula may have."""
CHUNK = 256
"""Frames that a network moves at once, which bounds memory."""
APART = 6.0
"""Standard deviations between two futures below which a thousandth of the draws, or more, is nearest to the other."""
_Way = tuple[float, tuple[str, ...], float]


class Alternative(NamedTuple):
    """One way in which a formula comes true.

    Attributes:
        moves: names of the energies that act, in turn; `angle_back` is `angle` backwards. share: s, its probability, of
            1 in all. sharpness: W > 0, the sum of the weights of its energies; its variance per pixel is T / W.
    """

    moves: tuple[str, ...]
    share: float
    sharpness: float = 1.0

    def __str__(self) -> str:
        return " & ".join(self.moves)


class Futures(NamedTuple):
    """Draws of what may happen.

    Shape:
        frames: (n, time + 1, 3, side, side), each path with the start first; exact draws, so that noise may carry
        pixels a little beyond [0, 1]. means: (K, time + 1, 3, side, side), each alternative kept to and without noise.
        nearest: (n, time), which alternative's frame, from where the path was, each frame is nearest to. counts: (K,),
        how often each was chosen: by n paths, or by n x time frames where each frame chooses anew.
    Attributes:
        alternatives: the K ways. separation: least distance of two of their first frames, in standard deviations of the
            noise along the line between them; below 6 the nearest future is not always the one that was drawn.
        p: of the chi-square test of the counts against the shares; 1 of a single alternative.
    """

    frames: Frames
    means: Frames
    nearest: Tensor
    counts: Tensor
    alternatives: tuple[Alternative, ...]
    separation: float
    p: float


def alternatives(formula: str, names: Sequence[str], shares: Sequence[float] | None = None) -> tuple[Alternative, ...]:
    """The ways in which a formula comes true, in the order in which they are written.

    Args:
        names: what it may name. shares: > 0, one for each way, of sum 1 within 0.01; None takes the weights of the
            formula (`0.7:colour | 0.3:angle`), where an alternative without a weight counts 1.
    Raises:
        FormulaError: if the formula cannot be read. ValueError: if it holds a negation, has more than 64 ways, or the
        shares are not as many positive numbers.

    Example:
        >>> for way in alternatives("hue & (turn | 3:turn_back)", ["hue", "turn", "turn_back"]):
        ...     print(way, way.share)
        hue & turn 0.25
        hue & turn_back 0.75
    """
    with silence():  # their densities are normalised here, whatever Z the bowls have
        ways = _ways(parse_formula(formula, {name: _normalised(name) for name in names}))
    given = torch.tensor([log_weight for log_weight, _, _ in ways], dtype=torch.float64).softmax(0).tolist()
    chosen = [float(s) for s in (given if shares is None else shares)]
    if len(chosen) != len(ways) or not all(isfinite(s) and s > 0 for s in chosen):
        told = ", ".join(" & ".join(moves) for _, moves, _ in ways)
        raise ValueError(
            f"shares: expected {len(ways)} numbers > 0, one for each of {told}; got "
            f"{', '.join(f'{s:g}' for s in chosen)}."
        )
    expect_shares(chosen)
    return tuple(Alternative(m, s / sum(chosen), w) for s, (_, m, w) in zip(chosen, ways, strict=True))


def next_frame(
    bank: Bank, formula: str, frame: Images, shares: Sequence[float] | None = None, temperature: float = TEMPERATURE
) -> Or:
    """The energy of the next frame: the disjunction of a formula's alternatives, normalised (log Z = 0).

    Any sampler may run on it; `futures` draws from it exactly.

    Args:
        frame: the anchor, (1, 3, side, side). shares, temperature: as `futures`.
    Raises:
        FormulaError, ValueError: as `futures`.
    """
    _positive("temperature", temperature)
    ways = alternatives(formula, _names(bank), shares)
    means = [_led(bank, _one(bank, frame), way)[0] for way in ways]
    return _mixture(ways, means, temperature)


@torch.no_grad()
def futures(
    bank: Bank,
    formula: str,
    start: Images,
    n: int = 1000,
    shares: Sequence[float] | None = None,
    temperature: float = TEMPERATURE,
    frames: int = 1,
    choose: Literal["once", "each"] = "once",
    generator: Generator | None = None,
) -> Futures:
    r"""n paths from a frame into the futures that a formula leaves open, in the proportions asked for.

    Exact draws of $p(x_1, ..., x_T | x_0)$: every frame is anchored at the path's own last one, noise included. With
    `choose` = "once" a path keeps to its alternative, $\sum_k s_k \prod_t N(x_t; m_k(x_{t-1}), T / W_k)$; with "each"
    every frame chooses anew, $\prod_t \sum_k s_k N(x_t; m_k(x_{t-1}), T / W_k)$.

    The frame $m_k$ that an alternative leads to is the one that the bank predicts (`Bank.advance`): the minimum of a
    transport energy. Of a predictor that has no bowl, the Gaussian about its prediction is the density that training by
    squared error supposes.

    Args:
        formula: such as `colour | angle_back` or `0.7:(colour & angle) | 0.3:scale`. start: (1, 3, side, side) in
            [0, 1]. n: paths, >= 1. shares: see `alternatives`. temperature: T > 0, variance per pixel. frames: how many
            ahead, >= 1. generator: of the choices and the noise.
    Raises:
        FormulaError: if the formula cannot be read. ValueError: if it holds a negation, or a setting is out of range.
    Cost: K evaluations of each path and frame but the first frame, which all paths share.
    """
    if n < 1 or frames < 1:
        raise ValueError(f"futures: expected n >= 1 and frames >= 1, got {n} and {frames}.")
    if choose not in ("once", "each"):
        raise ValueError(f"choose: expected once or each, got {choose!r}.")
    _positive("temperature", temperature)
    ways = alternatives(formula, _names(bank), shares)
    first = _one(bank, start)
    means = torch.stack([_film(bank, first, way, frames) for way in ways])
    spread = torch.tensor([(temperature / way.sharpness) ** 0.5 for way in ways], device=first.device)
    anchors, led = first.expand(n, -1, -1, -1), means[:, None, 1].expand(-1, n, -1, -1, -1)
    path, nearest = [anchors], []
    chosen = torch.empty(0)
    for t in range(frames):
        if t == 0 or choose == "each":
            chosen = _choose(ways, n, generator, first.device)
        noise = torch.randn(n, *first.shape[1:], generator=generator, dtype=first.dtype, device=first.device)
        x = led[chosen, torch.arange(n)] + spread[chosen].view(-1, 1, 1, 1) * noise
        nearest.append(torch.stack([(x - m).square().flatten(1).sum(1) for m in led]).argmin(0))
        path.append(x)
        if t + 1 < frames:
            led = torch.stack([_led(bank, x, way) for way in ways])
    found = torch.stack(nearest, 1)
    counted = found[:, :1] if choose == "once" else found
    counts = counted.flatten().bincount(minlength=len(ways))
    separation = _separation(means[:, 1], spread)
    return Futures(torch.stack(path, 1), means, found, counts, ways, separation, _p(counts, ways))


def futures_sheet(made: Futures, shown: int = 8) -> Image.Image:
    """A sheet: of each alternative its frame without noise and draws next to it, and last the mean of all draws.

    Of several frames ahead, the films of as many paths of each alternative, told by how the first frame was chosen.

    Args:
        shown: draws of each alternative, or its films (a fourth of them, at least one), at most.
    """
    time, rows = made.frames.shape[1] - 1, []
    start, changing = made.frames[:1, 0], bool((made.nearest != made.nearest[:, :1]).any())
    for k, way in enumerate(made.alternatives):
        own = made.frames[made.nearest[:, 0] == k]
        told = f"{'first ' if changing else ''}{way}: {len(own)} of {len(made.frames)}"
        if time == 1:
            rows.append((told, torch.cat([start, made.means[k, 1:], own[:shown, 1]])))
        else:
            rows.append((f"{way}, kept to, without noise", made.means[k]))
            rows += [(told, film) for film in own[: max(1, shown // 4)]]
    mean = made.frames.mean(0)
    rows.append(("mean of all draws", mean))
    longest = max(len(frames) for _, frames in rows)
    columns = ["start", "future", "draws"] if time == 1 else ["start", *(f"+{t}" for t in range(1, time + 1))]
    return sheet(rows, columns[:longest])


def sample_futures(
    models: Sequence[nn.Module],
    formula: str,
    start: Callable[[int], Tensor],
    n: int,
    shares: Sequence[float] | None,
    temperature: float | None,
    frames: int,
    choose: Literal["once", "each"],
    seed: int,
) -> Samples:
    """What `ergosum sample` shows of the futures of predictors: sheet, numbers, and a table of shares and counts.

    Args:
        start: from the side of a frame in pixels to the frame to start from. temperature: None takes that of `futures`.
            Others: as `futures`.
    Warns:
        UserWarning: if two futures look alike, so that counts by the nearest one say little.
    """
    bank = Bank(models)
    temperature = TEMPERATURE if temperature is None else temperature
    generator = torch.Generator().manual_seed(seed)
    made = futures(bank, formula, start(bank.canvas), n, shares, temperature, frames, choose, generator)
    if made.separation < APART:
        warnings.warn(
            f"Two of the futures of {formula} are {made.separation:.1f} standard deviations of the noise apart, too "
            "near to count draws by the nearest one; ask for a lower temperature, or for other alternatives.",
            stacklevel=2,
        )
    total = int(made.counts.sum())
    rows = [
        {"future": str(way), "asked": way.share, "drawn": count / total, "count": count, "moves": list(way.moves)}
        for way, count in zip(made.alternatives, made.counts.tolist(), strict=True)
    ]
    numbers = {
        "formula": formula, "n": n, "seed": seed, "temperature": temperature, "steps": frames, "choose": choose,
        "futures": rows, "p": made.p, "separation": made.separation if len(rows) > 1 else None,
    }  # fmt: skip
    title = f"{formula}, n = {n}, seed = {seed}; chi-square p = {made.p:.3f}"
    return Samples(
        futures_sheet(made), numbers, [Table(("future",), {"asked": 3, "drawn": 3, "count": 0}, rows, title)]
    )


def _normalised(name: str) -> Energy:
    """A stand-in for an energy of log Z = 0, to read a formula with."""
    energy = as_energy(summed).named(name)
    energy.log_z = 0.0
    return energy


def _ways(energy: Energy) -> list[_Way]:
    """Log-weight, moves and sharpness of each way in which a composition comes true."""
    if isinstance(energy, Not):
        raise ValueError(
            f"{energy}: a negation says what does not happen, which is no future; name the change that happens, "
            "such as angle_back for ~angle."
        )
    if isinstance(energy, Or):
        found = [
            (weight + float(outer), moves, sharpness)
            for part, outer in zip(energy, energy.log_weights, strict=True)
            for weight, moves, sharpness in _ways(part)
        ]
    elif isinstance(energy, And):
        found = [(0.0, (), 0.0)]
        for part in energy:
            inner = _ways(part)
            found = _few(energy, [(a + d, b + e, c + f) for a, b, c in found for d, e, f in inner])
    elif isinstance(energy, Scaled):
        found = [(weight, moves, sharpness * float(energy.weight)) for weight, moves, sharpness in _ways(energy.term)]
    elif isinstance(energy, Named):
        found = _ways(energy.term)
    else:
        found = [(0.0, (energy.name,), 1.0)]
    return _few(energy, found)


def _few(energy: Energy, found: list[_Way]) -> list[_Way]:
    if len(found) > MOST:
        raise ValueError(f"{energy}: expected at most {MOST} alternatives, got {len(found)} or more; leave some out.")
    return found


def _names(bank: Bank) -> list[str]:
    """What a formula may name: each factor, and where the energy is conditioned on the move, its way back."""
    return [
        name
        for factor, (predictor, _) in bank.members.items()
        for name in (factor, f"{factor}_back")
        if name == factor or getattr(predictor, "knows_moves", True)
    ]


def _one(bank: Bank, frame: Images) -> Images:
    told = any(hasattr(predictor, "canvas") for predictor, _ in bank.members.values())
    images = as_images(frame, bank.canvas if told else None)
    if len(images) != 1:
        raise ValueError(f"futures: expected one frame to start from, (1, 3, side, side), got {len(images)}.")
    return images


def _led(bank: Bank, frames: Images, way: Alternative) -> Images:
    """The frames that an alternative leads to: its changes act in turn."""
    made = []
    for part in frames.split(CHUNK):
        for name in way.moves:
            backwards = name not in bank.members
            factor = name.removesuffix("_back") if backwards else name
            part = bank.advance(part, {factor: -1.0 if backwards else 1.0})
        made.append(part)
    return torch.cat(made)


def _film(bank: Bank, first: Images, way: Alternative, frames: int) -> Frames:
    """An alternative kept to, without noise, (frames + 1, 3, side, side)."""
    film = [first]
    for _ in range(frames):
        film.append(_led(bank, film[-1], way))
    return torch.cat(film)


def _mixture(ways: Sequence[Alternative], means: Sequence[Tensor], temperature: float) -> Or:
    parts = [Gaussian(m, temperature / way.sharpness).named(str(way)) for way, m in zip(ways, means, strict=True)]
    return weighted(parts, [part.log_z for part in parts], [way.share for way in ways])  # type: ignore[misc]


def _choose(ways: Sequence[Alternative], n: int, generator: Generator | None, device: torch.device) -> Tensor:
    """An alternative for each of n, by share."""
    edges = torch.tensor([way.share for way in ways], dtype=torch.float64, device=device).cumsum(0)
    drawn = torch.rand(n, generator=generator, dtype=torch.float64, device=device)
    return torch.searchsorted(edges, drawn, right=True).clamp_max(len(ways) - 1)  # rounding may leave the last below 1


def _separation(first: Images, spread: Tensor) -> float:
    """The least distance of two frames, in the larger of their standard deviations; infinite for one."""
    distances = torch.cdist(first.flatten(1)[None].double(), first.flatten(1)[None].double())[0]
    relative = distances / torch.maximum(spread[:, None], spread[None])
    above = torch.triu_indices(len(first), len(first), 1)
    return relative[above[0], above[1]].min().item() if len(first) > 1 else float("inf")


def _p(counts: Tensor, ways: Sequence[Alternative]) -> float:
    if len(ways) < 2:
        return 1.0
    from scipy.special import chdtrc

    expected = counts.sum().double() * torch.tensor([way.share for way in ways], dtype=torch.float64)
    statistic = ((counts - expected).square() / expected).sum()
    return float(chdtrc(len(ways) - 1, float(statistic)))


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a finite number > 0, got {value}.")
