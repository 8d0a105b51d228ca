"""Control of factors: advance frames by any mixture of moves, with energies trained apart.

Two ways for several factors to move in one frame:

- `split` lets the energies act in turn, each anchored where it starts (Lie-Trotter splitting of the joint flow);
- `sum` adds their gradients, $x' = x - h sum_k grad E_k(x; x, z_k)$, in `substeps` re-anchored steps of a fraction
  each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ergosum.compose import And
from ergosum.data.images_given import as_images
from ergosum.data.render import FACTORS
from ergosum.energy import Energy
from ergosum.formula import parse_formula
from ergosum.samplers.chain import State
from ergosum.samplers.descent import Descent
from ergosum.shapes import Frames, Images
from ergosum.temporal.beside import Beside
from ergosum.temporal.timeline import Timeline, parse_timeline
from ergosum.training.runfolder import load_predictor

__all__ = ["Bank", "as_moves", "load_bank"]

SIDE = 28
"""Side of a frame in pixels where a predictor does not tell."""


def as_moves(
    moves: Mapping[str, float | Tensor],
    batch: int,
    device: torch.device | str = "cpu",
    factors: Sequence[str] = FACTORS,
) -> Tensor:
    """Moves given by name, one for all or one per sample (batch,), as a (batch, factors) tensor in that order."""
    columns = [torch.as_tensor(moves.get(f, 0.0), dtype=torch.float32, device=device).expand(batch) for f in factors]
    return torch.stack(columns, 1)


class Bank:
    """Energies by factor, from one or several decomposers or feed-forward predictors.

    Args:
        predictors: decomposers (or anything with `components` and `predict`); of two that hold the same factor the
            later one counts. beside: an energy of frames that acts beside every change, see `beside.py`.
    Raises:
        ValueError: without predictors.
    """

    def __init__(self, predictors: Iterable[nn.Module], beside: Beside | None = None) -> None:
        self.beside = beside
        self.members: dict[str, tuple[Any, int]] = {}
        for predictor in predictors:
            for k, name in enumerate(predictor.components):  # type: ignore[arg-type]
                self.members[name] = (predictor, k)
        sides = {p.canvas for p, _ in self.members.values() if hasattr(p, "canvas")}
        if len(sides) > 1:
            raise ValueError(f"Bank: expected predictors of one canvas, got sides {sorted(sides)} in pixels.")
        self.canvas: int = next(iter(sides), SIDE)
        self._expected = next(iter(sides), None)
        if not self.members:
            raise ValueError("Bank: expected at least one predictor, got none.")

    @property
    def factors(self) -> tuple[str, ...]:
        """Factors that can be steered."""
        return tuple(self.members)

    def can_add(self, factors: Iterable[str]) -> bool:
        """Whether the energies of these factors can act as one sum: each has a bowl whose minimum one step reaches."""
        predictors = [self.members[f][0] for f in factors]
        return all(hasattr(p, "bind") and getattr(p, "one_step", True) for p in predictors)

    @torch.no_grad()
    def advance(
        self,
        x: Images,
        moves: Mapping[str, float | Tensor],
        how: Literal["split", "sum"] = "split",
        substeps: int = 4,
    ) -> Images:
        """The next frame after the given moves: levels per factor, one number for all frames or one for each (batch,).

        An energy acts on the frames that it has to move; the others stay as they are, to the bit. What acts beside the
        change does so once all moves of the frame are made.
        """
        made = self._changed(x, moves, how, substeps)
        if self.beside is None:
            return made
        moved = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for levels in moves.values():
            moved |= torch.as_tensor(levels, device=x.device) != 0
        if moved.any():
            made = made.clone()
            made[moved] = self.beside.settled(made[moved])
        return made

    def _changed(self, x: Images, moves: Mapping[str, float | Tensor], how: str, substeps: int) -> Images:
        """What the energies of change make of frames."""
        acting = {f: v for f, v in moves.items() if torch.as_tensor(v).any()}
        for factor, levels in acting.items():
            if not getattr(self.members[factor][0], "knows_moves", True) and not (torch.as_tensor(levels) == 1).all():
                raise ValueError(
                    f"The {factor} energy is not conditioned on the move: it can only move one level "
                    f"forwards, not {levels}."
                )
        if how == "split" or len(acting) < 2:
            for factor, levels in acting.items():
                x = self._moved(x, factor, levels)
            return x
        if not self.can_add(acting):
            raise ValueError("how = 'sum' needs energies whose step lands on their minimum (transport, step size 1).")
        for _ in range(substeps):
            energies = []
            for factor, levels in acting.items():
                predictor, k = self.members[factor]
                part = self._as_moves(factor, levels, len(x), x.device) / substeps
                energies.append(predictor.bind(predictor.encode(x), x, part, 1.0, [k]))
            x = Descent().step(And(*energies), State(x))[0].x.clamp(0, 1)
        return x

    def _moved(self, x: Images, factor: str, levels: float | Tensor) -> Images:
        """The frames after one factor's move."""
        predictor, k = self.members[factor]
        moves = self._as_moves(factor, levels, len(x), x.device)
        still = (moves == 0).all(1)
        if not still.any():
            return predictor.predict(x, moves=moves, active=[k])
        made = x.clone()
        made[~still] = predictor.predict(x[~still], moves=moves[~still], active=[k])
        return made

    def _as_moves(self, factor: str, levels: float | Tensor, batch: int, device: torch.device) -> Tensor:
        predictor, _ = self.members[factor]
        return as_moves({factor: levels}, batch, device, getattr(predictor, "factors", FACTORS))

    def energies(self, x: Images, levels: float = 1.0) -> dict[str, Energy]:
        """Every factor's energy anchored at x, the names of a formula: `angle` is conditioned on `levels`
        forwards, `angle_back` backwards.
        """
        bound = {}
        for factor, (predictor, k) in self.members.items():
            if not hasattr(predictor, "bind"):
                raise ValueError(f"The {factor} predictor has no energy to compose: it is a feed-forward network.")
            if not predictor.knows_moves and levels != 1:
                raise ValueError(f"The {factor} energy is not conditioned on the move: use one substep per frame.")
            latents = predictor.encode(x)
            for name, signed in ((factor, levels), (f"{factor}_back", -levels)):
                if signed > 0 or predictor.knows_moves:
                    move = self._as_moves(factor, signed, len(x), x.device)
                    bound[name] = predictor.bind(latents, x, move, 1.0, [k]).named(name)
        return bound

    @torch.no_grad()
    def follow(self, start: Images, formula: str, frames: int, substeps: int = 4) -> Frames:
        r"""What a formula of energies makes of a frame: (batch, frames + 1, 3, side, side).

        A frame is `substeps` steps $x' = x - \nabla E(x; x)$ on the composition anchored at x, with each energy
        conditioned on 1 / substeps of a level. A sum adds displacements, a weight makes them longer or shorter, a
        disjunction follows whichever change is nearer. A negation pushes away from a change; backwards in time that
        undoes a blur, so a strong one soon shows noise: to turn back, use `angle_back`.

        Raises:
            FormulaError: if the formula cannot be read. ValueError: for settings out of range, or feed-forward nets.
        """
        if frames < 1 or substeps < 1:
            raise ValueError(f"follow: expected frames >= 1 and substeps >= 1, got {frames} and {substeps}.")
        x = as_images(start, self._expected)
        made = [x]
        for _ in range(frames):
            for _ in range(substeps):
                composed = parse_formula(formula, self.energies(x, 1 / substeps))
                if not composed.grounded:
                    raise ValueError(f"{composed}: a negation alone is no energy; write it beside a positive term.")
                x = Descent().step(composed, State(x))[0].x.clamp(0, 1)
            x = x if self.beside is None else self.beside.settled(x)
            made.append(x)
        return torch.stack(made, 1)

    def play(
        self, start: Images, timeline: Timeline | str, how: Literal["split", "sum"] = "split", substeps: int = 4
    ) -> Frames:
        """The start frame and all that the timeline makes of it: (batch, frames + 1, 3, side, side).

        Args:
            start: (batch, 3, side, side) in [0, 1], or bytes; tensors or arrays. timeline: as an object or as text.
        Raises:
            ValueError: if the timeline uses a factor that the bank does not hold, or the start is no batch of images.
        """
        return torch.stack(list(self.frames(start, timeline, how, substeps)), 1)

    def frames(
        self, start: Images, timeline: Timeline | str, how: Literal["split", "sum"] = "split", substeps: int = 4
    ) -> Iterator[Images]:
        """The frames of `play` as they are made, the start first, each (batch, 3, side, side); errors as there."""
        timeline = parse_timeline(timeline) if isinstance(timeline, str) else timeline
        missing = [f for f in timeline.factors if f not in self.members]
        if missing:
            raise ValueError(f"No energy for {', '.join(missing)}; this bank holds {', '.join(self.factors)}.")
        frame = as_images(start, self._expected)
        yield frame
        for moves in timeline:
            frame = self.advance(frame, moves, how, substeps)
            yield frame


def load_bank(runs: Iterable[str], trust: tuple[str, ...] = (), beside: Beside | None = None) -> Bank:
    """The energies of runs and cards, to steer with, and what acts beside them.

    Args:
        trust: modules outside of the package that recipes may name.
    Raises:
        ValueError: if one of them is no model of sequences. FileNotFoundError: if there is no such run or card.
    """
    models = []
    for run in runs:
        model = load_predictor(run, trust)[1]
        if not hasattr(model, "predict"):
            raise ValueError(f"{run} decomposes images and cannot steer a sequence; see `ergosum decompose`.")
        models.append(model)
    return Bank(models, beside)
