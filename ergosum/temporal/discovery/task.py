"""The task of discovery: find components in clips, read their moves off pairs of frames, refine an energy for each.

Nothing here sees a label: factors are looked at by `score` alone, and only where the data know them.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.data.contract import ClipData, check_clips, columns_of
from ergosum.data.record import Pairs
from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.temporal.discovery.model import Discovered
from ergosum.temporal.discovery.search import Found, Search
from ergosum.temporal.discovery.tables import tables, targets
from ergosum.temporal.objective import PredictionLoss, PredictionObjective
from ergosum.temporal.task import Prediction
from ergosum.training.task import Losses, Section, Shelf, Table, Task

__all__ = ["Discovery"]

HELD_OUT = 1_000_000
"""Seeds of held-out clips start here."""


class Discovery(Task):
    """Components of change without labels, one energy each.

    The search runs before the first update; its groups then read the moves of a pool of clips, and each energy learns
    to make its component's move, forwards as read and backwards with the sign turned.

    Args:
        data: clips; gets `split` and `device`. model: gets `side`. search: for the groups. objective: (pairs,
            trajectory) -> Losses. pool: clips whose moves are read, >= 1. release: share of the training after which
            the generators learn too, 0 .. 1; 1 keeps them.
    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        data: Part[ClipData] = Part(DigitSequences),  # noqa: B008
        model: Part[Discovered] = Part(Discovered),  # noqa: B008
        search: Part[Search] = Part(Search),  # noqa: B008
        objective: Part[PredictionObjective] = Part(PredictionLoss),  # noqa: B008
        pool: int = 1500,
        release: float = 0.5,
    ) -> None:
        if pool < 1:
            raise ValueError(f"pool: expected an integer >= 1, got {pool!r}.")
        if not 0 <= release <= 1:
            raise ValueError(f"release: expected 0 .. 1, got {release!r}.")
        self.data, self.model, self.search, self.objective = data, model, search.build(), objective.build()
        self.pool, self.release = pool, release
        self.found: Found | None = None
        """What the search found; set it to spare the task a search of its own."""
        self._model: Discovered | None = None
        self._moves: Tensor | None = None
        self._pairs: tuple[Tensor, Tensor] | None = None

    @property
    def canvas(self) -> int:
        """Side of a frame in pixels."""
        return self.data.get("canvas")

    def build(self) -> nn.Module:
        """The decomposer for frames of the data's canvas, with generators of 0."""
        return self.model.build(side=self.canvas)  # type: ignore[return-value]

    @cached_property
    def clips(self) -> ClipData:
        """The training clips."""
        return self.data.build(split="train", device=self.device)

    def ready(self) -> None:
        """Read the data, and test a few clips."""
        check_clips(self.clips, self.canvas, self.search.steps)

    @property
    def skipped(self) -> dict[Path, str]:
        """Clips of the data that could not be used, and why."""
        return getattr(self.clips, "skipped", {})

    def searched(self, tell: Callable[[str], None] | None = None) -> Found:
        """What the search finds in the data, searched for once."""
        if self.found is None:
            self.ready()
            tell = tell or self.tell
            frames = self.clips.clips(self.search.clips, self.search.steps, self._seeded(0)).frames
            self.found = self.search(frames.cpu(), self.model.get("library").build(), tell)
        return self.found

    def prepare(self, model: nn.Module) -> None:
        """Remember whose groups are to be filled in."""
        self._model = model  # type: ignore[assignment]

    def batch(self, n: int, generator: Generator) -> Pairs:
        """Pairs of neighbouring frames of the pool with the moves read off them, half of them turned round in time.

        Factors that nobody knows are columns of none.
        """
        if self._pairs is None:
            self._fill()
        assert self._pairs is not None and self._moves is not None
        first, second = self._pairs
        chosen = self._moving[torch.randint(len(self._moving), (n,), generator=generator)]
        turned = (torch.rand(n, generator=generator) < 0.5).to(first.device)
        flip = turned[:, None, None, None]
        a, b = first[chosen], second[chosen]
        moves = self._moves[chosen] * torch.where(turned, -1.0, 1.0)[:, None]
        none = moves.new_zeros(n, 0)
        return Pairs(torch.where(flip, b, a), torch.where(flip, a, b), moves, none, none, none, none)

    def loss(self, model: nn.Module, batch: Pairs, generator: Generator, progress: float) -> Losses:
        """Let the energies act in turn with the moves that were read."""
        inner: Discovered = getattr(model, "module", model)  # type: ignore[assignment]
        inner.release(progress >= self.release)
        path = model(batch.start, None, batch.moves, generator)
        return self.objective(batch, path)

    def locate(self, model: nn.Module, batch: Pairs) -> str:
        """Which component first leaves the finite numbers."""
        return model.locate(batch.start, None, batch.moves)  # type: ignore[operator]

    def state(self) -> dict[str, Tensor]:
        """The moves that were read; the pool's frames are drawn again."""
        return {} if self._moves is None else {"moves": self._moves}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up the moves of a stored state."""
        self._moves = state.get("moves")

    def about(self) -> dict[str, str]:
        """Source and digest of the data."""
        data: Any = self.clips
        return {"source": self.source, "data_sha256": data.digest() if hasattr(data, "digest") else ""}

    @property
    def source(self) -> str:
        """What the data are called."""
        return str(getattr(self.clips, "source", type(self.clips).__name__))

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """How well components follow the factors, where the data know them; see `scores`.

        Args:
            n: pairs of held-out digits, at least 64, or clips of other data.
        """
        from ergosum.temporal.discovery.scores import FEWEST, score_clips, score_mover

        mover: Discovered = model  # type: ignore[assignment]
        if issubclass(self.data.cls, DigitSequences):  # type: ignore[arg-type]
            result = score_mover(mover, self.data, source, max(n, FEWEST), seed)  # type: ignore[arg-type]
            return {"card": name, **result, "targets": targets(result)}
        data = self.data.build(split="test", device="cpu")
        clips = data.clips(n, self.search.steps, Generator().manual_seed(HELD_OUT + seed))
        told = {"card": name, "source": type(data).__name__, "n": n, "seed": seed, "components": mover.components}
        return told | score_clips(mover, clips, tuple(columns_of(data)))

    sample = Prediction.sample  # futures are drawn alike, however the energies were found

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Separation, response, transfer and skill."""
        return tables(scores)

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Every component swept both ways, a clip and what is read off it, and the tables of the score."""
        from ergosum.temporal.discovery.figures import sections

        return sections(self, model, scores, seed)  # type: ignore[arg-type]

    def _seeded(self, part: int) -> Generator:
        """A generator for one of the parts that the data are drawn for: 0 the search, 1 the pool."""
        return Generator().manual_seed(1000 * self.search.seed + part)

    def _fill(self) -> None:
        """The pool, and the moves read off it unless a run that goes on brought them."""
        clips = self.clips.clips(self.pool, self.search.steps, self._seeded(1)).frames
        first, second = clips[:, :-1].flatten(0, 1), clips[:, 1:].flatten(0, 1)
        if self._moves is None:
            reader: Discovered = self._model or self.build()  # type: ignore[assignment]
            reader.start_from(self.searched())
            self.tell(f"moves of {len(first)} pairs of frames")
            moves = reader.reading(first, second, polish=0).moves.unflatten(0, (*clips.shape[:1], -1))
            self._moves = (_steady(moves) if self.search.steady else moves).flatten(0, 1)
        self._pairs = first, second
        self._moving = self._moves.any(1).nonzero()[:, 0]
        if not len(self._moving):
            raise ValueError("discovery: no pair of frames of the pool moves by any component; expected other clips.")


def _steady(moves: Tensor) -> Tensor:
    """Of clips at one speed the mean of what was read off the steps, of the components that act in half of them.

    Reading errors that change along a clip (as where a group turns one hue faster than another) average out, and the
    energy, which sees the frame, learns to make up for them.
    """
    acting = (moves != 0).float().sum(1, keepdim=True)
    mean = moves.sum(1, keepdim=True) / acting.clamp_min(1)
    return (mean * (acting >= moves.shape[1] / 2)).expand_as(moves)
