r"""Which energies acted between two frames: the evidence of every set of them, by Laplace's approximation.

A pair of frames is an OR over the sets S of energies that may have acted,

$$ p(b | a) = \sum_S p(S) \int p(b | a, z_S) N(z_S; 0, \tau^2 I) dz_S,   p(S) = q^{|S|} (1 - q)^{K - |S|}. $$

What is left of a frame, $r = B (w \odot (b - T(a, z)))$ with squared length $R$, is pixel noise and the error that the
energies make. That error is not white: it lies in about $\nu$ directions (of edges, of the hue), so that with the error
$e$ per pixel on n of them

$$ -\log p(r | e) = 1/2 [\nu \log v + (R - R_0) / v],   v = s^2 + \max(n e - R_0, 0) / \nu, $$

where $R_0$ is what noise of standard deviation s leaves. How large e may be is learned from pairs that the energies do
explain: $\log e$ is normal around a linear function of the logarithm of the change that the energies made, and is
integrated over. A change that no energy explains has the same likelihood, but any e: log e is uniform. The ratio of the
two is the evidence, in nats, that something else happened.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.shapes import Images
from ergosum.temporal.reading import Act, descend_moves, looked_at, subsets

__all__ = ["ACTS", "BLUR", "DIRECTIONS", "SPEED", "ErrorModel", "Fits", "Weights", "calibrated", "fit_sets", "weigh"]

BLUR = 1.0
"""Standard deviation in pixels of the blur in which frames are compared."""

DIRECTIONS = 20.0
"""Directions in which the energies' error lies: between 10 and 40 named the most sets rightly, on training digits."""
LEAST = 3e-7
"""Mean squared error per value that is told from none: a fifth of what 8 bits leave."""
SPEED = 0.7
"""Standard deviation of moves, in levels per frame, before anything is seen."""
ACTS = 0.3
"""Probability that an energy acts, before anything is seen."""
REFINED = 12.0
"""Sets whose rough evidence is this many nats below the best are not fitted any further."""
_NODES = 61


class Fits(NamedTuple):
    """What every set of energies makes of pairs of frames, each at its best moves.

    Shape:
        sets: (sets, K), bool, nothing first. moves: (batch, sets, K). curvature: (batch, sets, K, K), products of the
        blurred frame's slopes in the moves. error: (batch, sets), mean squared blurred residual per value.
        change: (batch, sets), mean squared blurred change that the energies made. values: (batch,), seen pixels times
        channels.
    """

    sets: Tensor
    moves: Tensor
    curvature: Tensor
    error: Tensor
    change: Tensor
    values: Tensor


@dataclass(frozen=True)
class ErrorModel:
    r"""What error e the energies leave on pairs that they explain.

    $$ \log e \sim N(c_0 + c_1 \log(\text{change} + R_0 / n), \sigma^2) $$

    Args:
        intercept: $c_0$. slope: $c_1$. spread: $\sigma$ > 0. noise: mean squared blurred residual
            per value that pixel noise leaves, >= 0. power: share of white noise's power that the blur lets pass.
        directions: nu. units: relative standard deviation of each energy's speed, (K,).
    """

    intercept: float
    slope: float
    spread: float
    noise: float = 0.0
    power: float = 0.08
    directions: float = DIRECTIONS
    units: tuple[float, ...] = ()

    def expected(self, change: Tensor) -> Tensor:
        """Expected logarithm of the mean squared error, for the change that the energies made."""
        return self.intercept + self.slope * (change + self.noise + LEAST).log()

    def variance(self, error: Tensor, values: Tensor) -> Tensor:
        """Variance of the residual per direction, where the mean squared error is `error`."""
        white = self.noise / self.power
        return white + (values * (error - self.noise)).clamp_min(values * LEAST) / self.directions

    def score(self, error: Tensor, change: Tensor) -> Tensor:
        """How many standard deviations log e lies above what is expected."""
        return ((error + LEAST).log() - self.expected(change)) / self.spread


class Weights(NamedTuple):
    """Evidence of sets of energies, in nats.

    Shape:
        peak: (batch, sets), log-likelihood at the best moves. precision: (batch, sets, K, K), of the moves within the
        set, 0 elsewhere. explained: (batch, sets), log-evidence with the moves integrated out and the prior of the set.
        foreign: (batch,), log-evidence of a change that no energy explains. score: (batch,), z-score of what the best
        set leaves.
    """

    peak: Tensor
    precision: Tensor
    explained: Tensor
    foreign: Tensor
    score: Tensor

    @property
    def nats(self) -> Tensor:
        """Evidence that something else than the energies acted, (batch,)."""
        return self.foreign - self.explained.logsumexp(1)


@torch.no_grad()
def fit_sets(
    act: Act,
    start: Images,
    target: Images,
    components: int,
    *,
    most: int | None = None,
    steps: tuple[int, int] = (4, 2),
    blur: float = BLUR,
    seen: Tensor | None = None,
    delta: float = 0.1,
) -> Fits:
    """The best moves of every set of energies, by Gauss-Newton steps; nothing is pruned that may matter.

    All energies together are fitted first. Each set starts at the minimum of that fit's quadratic model within it; the
    promising ones are then refined by steps of their own.

    Args:
        act: what the energies make of frames. components: K. most: energies at once; None allows all.
        steps: Gauss-Newton steps with all, and within a set. blur, seen, delta: as in `read_moves`.
    """
    batch, settings = len(start), {"blur": blur, "delta": delta}
    groups = [[], *subsets(components, most)]
    sets = torch.zeros(len(groups), components, dtype=torch.bool, device=start.device)
    for row, group in enumerate(groups):
        sets[row, group] = True
    values = 3.0 * (seen.sum((1, 2, 3)) if seen is not None else start.new_full((batch,), start[0, 0].numel()))
    values = values.clamp_min(1)
    whole = start.new_zeros(batch, components)
    whole, bend = descend_moves(
        act, start, target, whole, torch.ones_like(whole, dtype=torch.bool), steps[0], seen=seen, **settings
    )  # type: ignore[arg-type]
    moves = start.new_zeros(batch, len(groups), components)
    curvature = bend[:, None] * (sets[:, :, None] & sets[:, None]).to(bend.dtype)
    error, change = start.new_zeros(batch, len(groups)), start.new_zeros(batch, len(groups))
    for row, group in enumerate(groups):
        if group:
            block, across = bend[:, group][:, :, group], bend[:, group]
            block = block + 1e-6 * torch.diag_embed(block.diagonal(dim1=1, dim2=2) + 1e-12)
            moves[:, row, group] = torch.linalg.solve(block, across @ whole[..., None])[..., 0].clamp(-4, 4)
        error[:, row], change[:, row] = _measured(act, start, target, moves[:, row], seen, blur, values)
    rough = -DIRECTIONS / 2 * (error + LEAST).log() - 2.0 * sets.sum(1)
    promising = (rough > rough.amax(1, keepdim=True) - REFINED) & sets.any(1)
    pair, row = promising.nonzero(as_tuple=True)
    if len(pair) and steps[1]:
        part = None if seen is None else seen[pair]
        better, bent = descend_moves(
            act, start[pair], target[pair], moves[pair, row], sets[row], steps[1], seen=part, **settings
        )  # type: ignore[arg-type]
        left, made = _measured(act, start[pair], target[pair], better, part, blur, values[pair])
        gain = left < error[pair, row]  # a step too far changes nothing
        chosen = pair[gain], row[gain]
        moves[chosen], curvature[chosen] = better[gain], bent[gain]
        error[chosen], change[chosen] = left[gain], made[gain]
    return Fits(sets, moves, curvature, error, change, values)


def weigh(fits: Fits, model: ErrorModel, acts: float = ACTS, speed: float = SPEED) -> Weights:
    r"""The log-evidence of each set and of an unexplained change.

    Args:
        acts: probability that an energy acts, 0 < q < 1. speed: $\tau$, prior standard deviation of moves in levels.
    """
    sets, components = fits.sets, fits.sets.shape[1]
    size = sets.sum(1).to(fits.error.dtype)
    log_e = torch.linspace(math.log(LEAST), 0.0, _NODES * 2, dtype=torch.float64, device=fits.error.device)
    values = fits.values.double()[:, None, None]
    variance = model.variance(log_e.exp(), values)  # (batch, 1, nodes)
    surplus = values * (fits.error.double() - model.noise)[..., None]
    likelihood = -0.5 * (model.directions * variance.log() + surplus / variance)
    middle = model.expected(fits.change.double())[..., None]
    prior = -0.5 * ((log_e - middle) / model.spread).square()
    joint = likelihood + (prior - prior.logsumexp(2, keepdim=True))
    peak = joint.logsumexp(2)
    typical = (joint.softmax(2) * variance.log()).sum(2).exp()
    inside = (sets[:, :, None] & sets[:, None]).double()
    precision = fits.curvature.double() * inside / typical[..., None, None]
    eye = torch.eye(components, dtype=torch.float64, device=sets.device)
    posterior = precision + eye * torch.where(sets, 1 / speed**2, 1.0)[:, None]
    occam = -0.5 * torch.linalg.slogdet(posterior)[1] - size * math.log(speed)
    shrunk = -0.5 * (fits.moves.double() / speed).square().sum(2)
    chance = size * math.log(acts) + (components - size) * math.log(1 - acts)
    allowed = chance - chance.logsumexp(0)
    integrated = occam + shrunk + allowed
    anything = likelihood.logsumexp(2) - math.log(likelihood.shape[2])
    best = (peak + integrated).argmax(1, keepdim=True)
    score = model.score(fits.error, fits.change).gather(1, best)[:, 0]
    return Weights(peak, precision, peak + integrated, (anything + integrated).logsumexp(1), score)


def calibrated(
    fits: Fits, noise: float, power: float, directions: float = DIRECTIONS, units: tuple[float, ...] = ()
) -> ErrorModel:
    """The error model of pairs that the energies explain, whichever sets did: their moves need not be known.

    Sets are chosen by evidence, the error of the chosen ones is regressed on the change that they made, and so on until
    both agree.

    Args:
        fits: of at least 8 such pairs. noise: mean squared blurred residual per value of pixel noise alone.
    """
    model = ErrorModel(0.0, 0.0, 3.0, noise, power, directions, units)
    chosen = (-directions / 2 * (fits.error + noise + LEAST).log() - 3.0 * fits.sets.sum(1)).argmax(1)
    for _ in range(4):
        error, change = (v.gather(1, chosen[:, None])[:, 0].double() for v in (fits.error, fits.change))
        x, y = (change + noise + LEAST).log(), (error + LEAST).log()
        moved = change > 4 * LEAST
        if moved.sum() < 8:
            raise ValueError(
                f"Calibration needs 8 pairs of frames that the energies change; of {len(moved)} they change "
                f"{int(moved.sum())}. Give it more pairs, or energies that were trained longer."
            )
        off_x, off_y = x[moved] - x[moved].mean(), y[moved] - y[moved].mean()
        slope = ((off_x * off_y).sum() / off_x.square().sum().clamp_min(1e-9)).clamp(0, 1.5)
        intercept = y[moved].mean() - slope * x[moved].mean()
        spread = (y - intercept - slope * x)[moved].std().clamp_min(0.1)
        model = ErrorModel(float(intercept), float(slope), float(spread), noise, power, directions, units)
        chosen = weigh(fits, model).explained.argmax(1)
    return model


def _measured(
    act: Act, start: Images, target: Images, moves: Tensor, seen: Tensor | None, blur: float, values: Tensor
) -> tuple[Tensor, Tensor]:
    made = act(start, moves)
    squares = (looked_at(x, blur, seen).square().sum((1, 2, 3)) / values for x in (made - target, made - start))
    return tuple(squares)  # type: ignore[return-value]
