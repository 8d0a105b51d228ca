"""Pairs of frames that energies explain, and how large an error is left there: the yardstick of what they do not."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import source_at_hand
from ergosum.part import Part
from ergosum.shapes import Images
from ergosum.temporal.control import Bank
from ergosum.temporal.film.evidence import BLUR, ErrorModel, Fits, calibrated, fit_sets, weigh
from ergosum.temporal.film.pixels import filled, noised
from ergosum.temporal.reading import Act, blurred, descend_moves, looked_at

__all__ = ["InTurn", "act_of", "calibrate", "explained_by", "fit_pairs"]

UNIT = 0.1
"""Relative standard deviation of an energy's speed where too few pairs tell."""
_CHUNK = 64
"""Pairs of frames that are fitted at once."""


def act_of(bank: Bank) -> Act:
    """What a bank's energies make of frames, with moves in the order of `bank.factors`.

    Raises:
        ValueError: if an energy cannot be told how far to move one factor.
    """
    for name, (predictor, _) in bank.members.items():
        if not getattr(predictor, "knows_moves", True):
            raise ValueError(
                f"The {name} energy cannot read a film: it is not conditioned on the move (moves = False)."
            )
        if name not in getattr(predictor, "factors", FACTORS):
            raise ValueError(
                f"The {name} energy cannot read a film: expected energies of one factor each, and it moves several "
                "factors at once, or others than its moves are named after."
            )
    return lambda frames, moves: bank.advance(frames, dict(zip(bank.factors, moves.unbind(1), strict=True)))


class InTurn:
    """Pairs of several datasets, as many of each: what energies explain that were trained apart."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = tuple(datasets)

    def pairs(self, n: int, generator: Generator) -> "Ends":
        """`n` pairs, the first of the first dataset."""
        shares = [n // len(self.datasets) + (i < n % len(self.datasets)) for i in range(len(self.datasets))]
        drawn = [_drawn(data, share, generator) for data, share in zip(self.datasets, shares, strict=True) if share]
        return Ends(torch.cat([d.start for d in drawn]), torch.cat([d.target for d in drawn]))


class Ends(NamedTuple):
    """Pairs of frames, (n, 3, side, side) each, and the moves (n,) of the factors for which they are told."""

    start: Images
    target: Images
    told: Mapping[str, Tensor] = MappingProxyType({})


def explained_by(data: Sequence[Part[Any]], split: str = "test") -> Any:
    """The dataset of pairs that energies explain, from those that each of them was trained on.

    Digit sequences that differ in nothing but their factors become sequences in which any of these move at once, as
    they may in a film; other datasets take turns.

    Args:
        data: as recipes state them, in the order of the energies. split: `test` for held-out frames.
    """
    different = list({repr(part.to_dict()): part for part in data}.values())
    if all(part.cls is DigitSequences for part in different):
        factors = tuple(dict.fromkeys(f for part in different for f in part.get("factors")))
        source = source_at_hand(different[0].get("source"))
        alike = different[0].but(factors=factors, source=source, mode="sparse" if len(factors) > 1 else "single")
        if all(p.but(factors=factors, source=source, mode=alike.get("mode")) == alike for p in different):
            return alike.build(split=split)
    built = [part.build(split=split) for part in different]
    return built[0] if len(built) == 1 else InTurn(built)


@torch.no_grad()
def calibrate(
    bank: Bank,
    data: Any,
    generator: Generator,
    n: int = 96,
    *,
    noise: float = 0.0,
    seen: Tensor | None = None,
    most: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ErrorModel:
    """How well the energies explain pairs that they should explain, with the noise and the hidden pixels of a film.

    Told and discovered energies are calibrated alike: the error needs no labels. How exact speeds are is measured by
    reading each pair backwards too, which should give the same moves with the other sign, and where the data tell the
    moves of a factor that an energy is named after, by these as well; the larger of the two counts.

    Args:
        data: draws pairs of frames that the energies explain, with a method `pairs` or `clips`. n: of them, >= 16.
        noise: standard deviation of the pixels of the film, >= 0. seen: (time, 1, side, side), 0 for hidden pixels;
            masks are drawn from its frames. most: energies at once. progress: called with the pairs done and all.
    Raises:
        ValueError: if n < 16, or too few pairs change.
    """
    if n < 16:
        raise ValueError(f"calibrate: expected at least 16 pairs, got {n}.")
    act, components = act_of(bank), len(bank.factors)
    drawn = _drawn(data, n, generator)
    start, target = drawn.start, drawn.target
    noisy = [noised(frames, noise, generator) for frames in (start, target)]
    left = sum(looked_at(a - b, BLUR, None).square().mean() for a, b in zip(noisy, (start, target), strict=True))
    start, target = noisy
    masks = None
    if seen is not None:
        before, masks = (seen[torch.randint(len(seen), (n,), generator=generator)].to(start) for _ in range(2))
        start, target = filled(start, before), target * masks
    fits = fit_pairs(act, start, target, components, masks, most, progress)
    model = calibrated(fits, float(left), _power())
    best = weigh(fits, model).explained.argmax(1)
    moves, on = fits.moves[torch.arange(n), best], fits.sets[best]
    some = on.any(1)
    back, _ = descend_moves(act, target[some], start[some], -moves[some], on[some], 2, blur=BLUR)
    there, back, on = moves[some], back, on[some]
    units = []
    for k, factor in enumerate(bank.factors):
        clear = on[:, k] & (there[:, k].abs() > 0.2)
        off = [(there + back)[clear, k] / math.sqrt(2)]
        if factor in drawn.told and tuple(getattr(bank.members[factor][0], "factors", FACTORS)) == FACTORS:
            off.append((there[:, k] - drawn.told[factor][some])[clear])
        sds = [1.4826 * float((o / there[clear, k]).abs().median()) for o in off]
        units.append(max(sds) if int(clear.sum()) >= 5 else UNIT)
    return calibrated(fits, float(left), _power(), units=tuple(units))


def fit_pairs(
    act: Act, start: Images, target: Images, components: int, seen: Tensor | None, most: int | None,
    progress: Callable[[int, int], object] | None,
) -> Fits:  # fmt: skip
    """`fit_sets` in batches that stay small; `progress` is called with the pairs done and all of them."""
    parts = []
    for first in range(0, len(start), _CHUNK):
        part = slice(first, first + _CHUNK)
        masks = None if seen is None else seen[part]
        parts.append(fit_sets(act, start[part], target[part], components, most=most, blur=BLUR, seen=masks))
        if progress:
            progress(min(first + _CHUNK, len(start)), len(start))
    return Fits(parts[0].sets, *(torch.cat(v) for v in list(zip(*parts, strict=True))[1:]))


def _drawn(data: Any, n: int, generator: Generator) -> Ends:
    """Pairs of frames of a dataset that draws pairs, or clips."""
    if not hasattr(data, "pairs"):
        frames = data.clips(n, 1, generator).frames.cpu()
        return Ends(frames[:, 0], frames[:, 1])
    pairs = data.pairs(n, generator)
    moves = getattr(pairs, "moves", None)
    told: dict[str, Tensor] = {}
    if moves is not None and isinstance(data, DigitSequences):
        told |= {name: moves[:, k].cpu() for k, name in enumerate(FACTORS)}
    return Ends(pairs.start.cpu(), pairs.target.cpu(), told)


def _power() -> float:
    """Share of white noise's power that the blur lets pass."""
    spot = torch.zeros(1, 1, 15, 15)
    spot[..., 7, 7] = 1.0
    return float(blurred(spot, BLUR).square().sum())
