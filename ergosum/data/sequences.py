"""Sequences of a digit whose colour, angle and scale change: pairs and clips to train on, whole sequences to look at
and score.

Eighteen levels per factor, after the founding report and the flow-factorised protocol (Song et al. 2023): hue 0..6 rad
of a red digit, angle -180..160 degrees in steps of 20, scale 0.1..1.8 in steps of 0.1. One *move* is one level; moves
may be fractional. Factors that are not active stay at hue 0, angle 0, scale 1.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from ergosum.data.record import Clips, Digits, Pairs, Sequences
from ergosum.data.render import FACTORS, render
from ergosum.data.sources import checksum, load_digits

__all__ = ["LEVELS", "ORIGIN", "SPACING", "DigitSequences"]

LEVELS = 18
ORIGIN = torch.tensor([0.0, -180.0, 0.1])
"""Hue [rad], angle [degrees], scale at level 0."""
SPACING = torch.tensor([6.0 / 17, 20.0, 0.1])
"""Change of hue [rad], angle [degrees] and scale by one level."""
REST = torch.tensor([0.0, 0.0, 1.0])


class DigitSequences:
    """Renders pairs and sequences from one split of the digits, on the device that holds them.

    Args:
        source: sources joined by '+': `digits` (bundled), `mnist` or `fashion` (`ERGOSUM_DATA`, cache or download), or
            a folder of images.
        factors: factors that may change along a sequence: any of colour, angle, scale.
        nuisance: factors that differ between sequences (random, frozen within one) without ever moving.
        mode: how factors move: all together (`lockstep`), one at a time (`single`), a random subset with random sign
            and speed (`sparse`), or all with zero-inflated Laplace increments (`laplace`).
        start: at the first level (`fixed`) or anywhere (`random`).
        signs: whether a factor runs `forward` only, or `both` ways.
        continuous: random starts off the grid of levels and fractional moves (True), or on the grid with whole moves.
        lag: frames between the input and the frame to predict, l = 1 .. 17.
        scale_min: smallest scale used, 0.1 .. 1.8 (1 = the digit as it came).
        scale_max: largest scale used, 0.1 .. 1.8.
        canvas: side of a frame in pixels: a multiple of 4, 28 or 56 in the reports.
        limit: use only the first `limit` training digits of each source; 0 uses all.
        split: `train`, or `test` for held-out digits.
        device: where frames are rendered.
    Raises:
        ValueError: if an argument is out of its range.
    """

    columns: tuple[str, ...] = FACTORS
    """Names of the columns of moves and of `Clips.speeds`: all factors, whichever are active."""

    def __init__(
        self,
        source: str = "digits",
        factors: tuple[str, ...] = FACTORS,
        nuisance: tuple[str, ...] = (),
        mode: Literal["lockstep", "single", "sparse", "laplace"] = "single",
        start: Literal["fixed", "random"] = "random",
        signs: Literal["forward", "both"] = "both",
        continuous: bool = True,
        lag: int = 1,
        scale_min: float = 0.4,
        scale_max: float = 1.8,
        canvas: int = 28,
        limit: int = 0,
        split: Literal["train", "test"] = "train",
        device: str = "cpu",
    ) -> None:
        refuse_out_of_range(locals())
        self.source, self.factors, self.nuisance, self.mode, self.start = source, factors, nuisance, mode, start
        self.signs, self.continuous, self.lag, self.canvas, self.split = signs, continuous, lag, canvas, split
        self.scale_min, self.scale_max = scale_min, scale_max
        limit = limit if split == "train" else 0
        self.digits = Digits(*(v.to(device) for v in load_digits(source, split, canvas, limit)))
        self.active = torch.tensor([f in factors for f in FACTORS])
        free = self.active | torch.tensor([f in nuisance for f in FACTORS])
        self.free = free
        low = torch.tensor([0.0, -180.0, scale_min])
        high = torch.tensor([6.0, 160.0, scale_max])
        self.low, self.high = low, high
        # hue and angle are circles: off the grid, they start anywhere on it and may pass the last level
        self.circular = torch.tensor([True, True, False]) & continuous

    def __len__(self) -> int:
        return len(self.digits.labels)

    def digest(self) -> str:
        """Tells these digits from others: the first 16 hexadecimal digits of their SHA-256."""
        return checksum(self.digits)

    def draw_digits(self, n: int, generator: Generator) -> Digits:
        """`n` random digits of the split."""
        index = torch.randint(len(self), (n,), generator=generator).to(self.digits.labels.device)
        return Digits(self.digits.images[index], self.digits.labels[index])

    def draw_moves(self, n: int, generator: Generator, fractional: bool | None = None) -> Tensor:
        """Moves per frame for each factor, in levels: (n, 3)."""
        active = self.active.float().expand(n, 3)
        fractional = self.continuous if fractional is None else fractional
        if self.mode == "lockstep":
            return active.clone()
        if self.mode == "single":
            chosen = torch.multinomial(active, 1, generator=generator)
            moves = torch.zeros(n, 3).scatter_(1, chosen, 1.0)
            if fractional:  # half of the moves are whole, the rest anything shorter
                short = torch.rand(n, 1, generator=generator) < 0.5
                moves = moves * torch.where(short, torch.rand(n, 1, generator=generator), 1.0)
        elif self.mode == "sparse":
            moves = (torch.rand(n, 3, generator=generator) < 0.5) * active
            chosen = torch.multinomial(active, 1, generator=generator)
            moves = torch.where(moves.sum(1, keepdim=True) == 0, torch.zeros(n, 3).scatter_(1, chosen, 1.0), moves)
            if fractional:  # as above: half of the moves are whole
                short = torch.rand(n, 3, generator=generator) < 0.5
                moves = moves * torch.where(short, torch.rand(n, 3, generator=generator), 1.0)
        else:  # Laplace increments, half of them exactly zero (Klindt et al. 2021)
            u = torch.rand(n, 3, generator=generator) - 0.5
            moves = -0.5 * u.sign() * torch.log1p(-2 * u.abs().clamp(max=0.4999)) * active
            moves = moves * (torch.rand(n, 3, generator=generator) < 0.5)
            if not fractional:
                moves = moves.round()
        if self.signs == "both" and self.mode != "laplace":
            moves = moves * (1 - 2 * torch.randint(0, 2, (n, 3), generator=generator).float())
        return moves.abs() if self.signs == "forward" else moves

    def draw_start(self, moves: Tensor, steps: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Factors to start from so that `steps` moves stay in range, and the moves, shortened where none would fit.

        Shape:
            moves: (n, 3), levels per frame. Returns factors (n, 3) in their units and moves (n, 3).
        """
        n = len(moves)
        room = (self.high - self.low) / SPACING / steps
        moves = torch.where(self.circular, moves, moves.clamp(-room, room))
        travel = moves * steps * SPACING
        low = torch.where(self.circular, self.low, self.low - travel.clamp(max=0))
        high = torch.where(self.circular, self.high, self.high - travel.clamp(min=0))
        u = torch.rand(n, 3, generator=generator)
        if self.start == "fixed":
            moving = torch.where(moves < 0, high, low)
            start = torch.where(moves == 0, torch.where(self.active, self.low, REST), moving)
            start = torch.where(self.active, start, low + u * (high - low))
        elif self.continuous:
            period = torch.tensor([2 * torch.pi, 360.0, 0.0])
            start = torch.where(self.circular, self.low + u * period, low + u * (high - low))
        else:
            first = ((low - ORIGIN) / SPACING).round()
            count = ((high - low) / SPACING + 1e-3).floor() + 1
            start = ORIGIN + SPACING * (first + (u * count).floor().clamp(max=count - 1))
        return torch.where(self.free, start, REST), moves

    def pairs(self, n: int, generator: Generator) -> Pairs:
        """`n` random pairs of frames, `lag` moves apart."""
        digits = self.draw_digits(n, generator)
        per_frame = self.draw_moves(n, generator)
        lag = self.lag
        if self.start == "fixed":  # somewhere along a sequence that starts at the first level
            length = int(((self.high - self.low) / SPACING + 1e-3)[self.active].min())
            start, per_frame = self.draw_start(per_frame, length, generator)
            t = torch.randint(0, length - lag + 1, (n, 1), generator=generator)
            before = start + SPACING * per_frame * t
        else:
            before, per_frame = self.draw_start(per_frame, lag, generator)
        return self.pair(digits, before, per_frame * lag)

    def pair(self, digits: Digits, before: Tensor, moves: Tensor) -> Pairs:
        """The pair of frames of given digits from factors `before`, `moves` levels apart."""
        device = digits.images.device
        after = before + SPACING.to(before.device) * moves
        both = render(digits.images.repeat(2, 1, 1, 1), torch.cat([before, after]).to(device))
        start, target = both.chunk(2)
        return Pairs(start, target, moves.to(device), before.to(device), after.to(device), *digits)

    def sequences(self, n: int, steps: int, generator: Generator, moves: Tensor | None = None) -> Sequences:
        """`n` random sequences of `steps` moves (`steps` + 1 frames), with whole moves unless `moves` is given.

        `moves` (n, 3) are levels per frame. In mode `laplace` every step draws its own moves.
        """
        digits = self.draw_digits(n, generator)
        drawn = self.draw_moves(n, generator, fractional=False) if moves is None else moves
        start, drawn = self.draw_start(drawn, steps, generator)
        if self.mode == "laplace" and moves is None:
            each = torch.stack([self.draw_moves(n, generator, fractional=False) for _ in range(steps)], 1)
            factors = torch.cat([start[:, None], start[:, None] + SPACING * each.cumsum(1)], 1)
            factors[..., 2] = factors[..., 2].clamp(self.scale_min, self.scale_max)
        else:
            factors = start[:, None] + SPACING * drawn[:, None] * torch.arange(steps + 1)[None, :, None]
        return self.follow(digits, factors)

    def clips(self, n: int, steps: int, generator: Generator, *, steady: bool = True) -> Clips:
        r"""`n` random clips of `steps` moves (`steps` + 1 frames) with the true speeds of all three factors.

        Factors start and move as in `pairs`: fractional moves if `continuous`, whole ones if not. Speeds have a column
        for each of `FACTORS`, in this order, whichever are active: hue and angle in levels per frame, scale as
        ten times the natural logarithm of the ratio of a frame's scale to that before, since equal ratios look alike.

        Args:
            steady: one speed for each clip, in every mode (the scale then changes by equal steps, not ratios); False
                draws the moves of every step anew, each turned round, or shortened, where it would leave its range.
        Shape:
            frames: (n, steps + 1, 3, canvas, canvas). speeds: (n, steps, 3).
        Raises:
            ValueError: if `n` or `steps` < 1.
        """
        for name, value in (("n", n), ("steps", steps)):
            _require(value >= 1, name, "an integer >= 1", value)
        digits = self.draw_digits(n, generator)
        if steady:
            start, moves = self.draw_start(self.draw_moves(n, generator), steps, generator)
            moves = moves[:, None].expand(-1, steps, -1)
            count = torch.arange(steps + 1)[None, :, None]
            factors = start[:, None] + SPACING * moves[:, :1] * count
        else:
            each = torch.stack([self.draw_moves(n, generator) for _ in range(steps)], 1)
            start, _ = self.draw_start(each.mean(1), steps, generator)
            factors, moves = self._within(start, each)
        ratios = (factors[:, 1:, 2] / factors[:, :-1, 2]).log() * 10
        speeds = torch.cat([moves[..., :2], ratios[..., None]], 2)
        made = self.follow(digits, factors)
        return Clips(made.frames, speeds.to(made.frames.device))

    def _within(self, start: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
        """Factors (n, time + 1, 3) from `start` along moves (n, time, 3) that stay in range, and those moves."""
        factors, kept = [start], []
        for move in moves.unbind(1):
            now = factors[-1]
            out = ~self.circular & ((now + SPACING * move > self.high) | (now + SPACING * move < self.low))
            turned = torch.where(out & (self.signs == "both"), -move, move)
            low, high = ((bound - now) / SPACING for bound in (self.low, self.high))
            kept.append(torch.where(self.circular | (move == 0), move, turned.maximum(low).minimum(high)))
            factors.append(now + SPACING * kept[-1])
        return torch.stack(factors, 1), torch.stack(kept, 1)

    def follow(self, digits: Digits, factors: Tensor) -> Sequences:
        """Frames of given digits along given factors (n, time, 3)."""
        n, time = factors.shape[:2]
        device = digits.images.device
        images = digits.images[:, None].expand(-1, time, -1, -1, -1).flatten(0, 1)
        frames = render(images, factors.flatten(0, 1).to(device)).unflatten(0, (n, time))
        return Sequences(frames, factors.to(device), *digits)


def refuse_out_of_range(a: Mapping[str, Any]) -> None:
    """Raise for the first argument of `DigitSequences` that is out of its range; reads no data."""
    choices = {"mode": ("lockstep", "single", "sparse", "laplace"), "start": ("fixed", "random"),
               "signs": ("forward", "both"), "split": ("train", "test")}  # fmt: skip
    for name, known in choices.items():
        _require(a[name] in known, name, f"one of {', '.join(known)}", a[name])
    for name in ("factors", "nuisance"):
        _require(set(a[name]) <= set(FACTORS), name, f"some of {', '.join(FACTORS)}", a[name])
    _require(len(a["factors"]) > 0, "factors", f"at least one of {', '.join(FACTORS)}", a["factors"])
    _require(1 <= a["lag"] <= 17, "lag", "an integer 1 .. 17", a["lag"])
    _require(0.1 <= a["scale_min"] < a["scale_max"] <= 1.8, "scale_min, scale_max", "0.1 <= min < max <= 1.8",
             (a["scale_min"], a["scale_max"]))  # fmt: skip
    _require(a["canvas"] >= 12 and a["canvas"] % 4 == 0, "canvas", "a multiple of 4, at least 12", a["canvas"])
    _require(a["limit"] >= 0, "limit", "an integer >= 0", a["limit"])


def _require(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}.")
