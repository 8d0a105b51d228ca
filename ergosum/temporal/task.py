"""The task of temporal energies: predict the frame `lag` later from a frame."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol

from torch import Generator, Tensor, nn

from ergosum.data.contract import check_pairs
from ergosum.data.record import Pairs
from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.temporal.model import TemporalDecomposer
from ergosum.temporal.objective import PredictionLoss, PredictionObjective
from ergosum.temporal.rollouts import RollOuts
from ergosum.training.task import Losses, Samples, Section, Shelf, Table, Task

__all__ = ["PairData", "Prediction", "Predictor"]


class PairData(Protocol):
    """A dataset of pairs of frames: `DigitSequences`, or your own, with an argument `canvas`, the side of a frame."""

    def pairs(self, n: int, generator: Generator) -> Pairs:
        """`n` random pairs of frames, of the part `split` (`train` or `test`) that it was built for."""
        ...


class Predictor(Protocol):
    """A model of the next frame: a decomposer, or a network that it is compared with."""

    components: tuple[str, ...]
    factors: tuple[str, ...]
    """Names of the columns of `moves`."""

    def predict(
        self, start: Tensor, target: Tensor | None = None, moves: Tensor | None = None,
        active: list[int] | None = None, generator: Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """The predicted frame in [0, 1]."""
        ...


class Prediction(Task):
    """Predict the frame `lag` later from a frame.

    Args:
        data: pairs of frames with their moves; gets `split` and `device`. model: gets `side`. objective: (pairs,
            trajectory) -> Losses.
        persistent: probability that a start frame is the model's own earlier prediction (persistent roll-outs),
            0 .. 0.99.
        active: components that act and learn; empty: all. freeze_encoder: keep the encoder's weights as they are at the
            start. metrics: more metrics for its score, each (predicted frames, true frames) -> (batch,).
    Raises:
        ValueError: if the arguments do not go together.
    """

    def __init__(
        self,
        data: Part[PairData] = Part(DigitSequences),  # noqa: B008
        model: Part[Predictor] = Part(TemporalDecomposer),  # noqa: B008
        objective: Part[PredictionObjective] = Part(PredictionLoss),  # noqa: B008
        persistent: float = 0.0,
        active: tuple[str, ...] = (),
        freeze_encoder: bool = False,
        metrics: tuple[Part[Any], ...] = (),
    ) -> None:
        if not 0 <= persistent < 1:
            raise ValueError(f"persistent: expected 0 <= p < 1, got {persistent!r}.")
        self.data, self.model, self.objective, self.metrics = data, model, objective.build(), metrics
        self.persistent, self.freeze_encoder, self.continues = persistent, freeze_encoder, persistent > 0
        unknown = set(active) - set(model.get("components"))
        if unknown:
            raise ValueError(f"active: expected some of {model.get('components')}, got {sorted(unknown)}.")
        self.active = [model.get("components").index(c) for c in active] or None
        self._refuse_unlike()

    def build(self) -> nn.Module:
        """The predictor for frames of the data's canvas."""
        return self.model.build(side=self.canvas)  # type: ignore[return-value]

    @property
    def canvas(self) -> int:
        """Side of a frame in pixels."""
        return self.data.get("canvas")

    @cached_property
    def rollouts(self) -> RollOuts:
        """The training pairs, some of which go on from predictions."""
        return RollOuts(self.data.build(split="train", device=self.device), self.persistent)  # type: ignore[arg-type]

    def ready(self) -> None:
        """Read the digits, and test a small record of pairs."""
        check_pairs(self.rollouts.data, self.canvas)

    def prepare(self, model: nn.Module) -> None:
        """Freeze the encoder, and the energies that are not active, where this was asked for."""
        if self.freeze_encoder:
            model.encoder.requires_grad_(False)  # type: ignore[union-attr]
        if self.active and not getattr(model, "tied", False):
            for k, energy in enumerate(model.energies):  # type: ignore[arg-type]
                energy.requires_grad_(k in self.active)

    def batch(self, n: int, generator: Generator) -> Pairs:
        """Pairs of frames, some of them continued roll-outs."""
        return self.rollouts.draw(n, generator)

    def loss(self, model: nn.Module, batch: Pairs, generator: Generator, progress: float) -> Losses:
        """Descend from the first frame."""
        path = model(batch.start, batch.target, batch.moves, generator, active=self.active)
        return self.objective(batch, path)

    def keep(self, batch: Pairs, last: Tensor) -> None:
        """Store the predictions to go on from."""
        self.rollouts.keep(batch, last)

    def locate(self, model: nn.Module, batch: Pairs) -> str:
        """Which component first leaves the finite numbers."""
        return model.locate(batch.start, batch.target, batch.moves)  # type: ignore[operator]

    def state(self) -> dict[str, Tensor]:
        """The store of roll-outs."""
        return self.rollouts.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a store of roll-outs."""
        self.rollouts.load(state)

    def about(self) -> dict[str, str]:
        """Source and digest of the digits."""
        data: Any = self.rollouts.data
        return {"source": self.source, "data_sha256": data.digest() if hasattr(data, "digest") else ""}

    @property
    def source(self) -> str:
        """What the digits are called."""
        return str(getattr(self.rollouts.data, "source", type(self.rollouts.data).__name__))

    @property
    def undivided(self) -> str:  # type: ignore[override]
        """Why several processes cannot share a batch out."""
        if "descent" in self.model.settings() and self.model.get("descent").settings()["noise"]:
            return "Descent noise is drawn for the batch"
        return "Decorrelation is over the batch" if getattr(self.objective, "decorrelation", 0) else ""

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Scores on held-out digits, see `scores.score_predictor`."""
        from ergosum.temporal.scores import score_predictor

        return score_predictor(name, self, model, n, seed, source, shelf)

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """Moves and roll-outs, response, timelines, composition: those that were measured."""
        from ergosum.temporal.tables import tables

        return tables(scores)

    def report(self, name: str, model: nn.Module, scores: Mapping[str, Any], seed: int, shelf: Shelf) -> list[Section]:
        """Strips of single energies, timelines against the truth, animations, and the tables of the score."""
        from ergosum.temporal.figures import sections

        return sections(self, model, scores, seed, shelf)

    def sample(
        self,
        models: Sequence[nn.Module],
        formula: str,
        *,
        start: Callable[[int], Tensor],
        n: int = 1000,
        shares: Sequence[float] | None = None,
        temperature: float | None = None,
        steps: int = 1,
        choose: Literal["once", "each"] = "once",
        seed: int = 0,
    ) -> Samples:
        """Draws of the futures that a formula leaves open, see `futures.futures`; `steps` are frames ahead."""
        from ergosum.temporal.futures import sample_futures

        return sample_futures(models, formula, start, n, shares, temperature, steps, choose, seed)

    def _refuse_unlike(self) -> None:
        """What data, model and objective ask of each other."""
        if "canvas" not in self.data.settings():
            raise ValueError(
                f"data: {self.data.cls.__name__} takes no 'canvas'; give its constructor one, the side of a frame in "
                "pixels, with a default."
            )
        if self.persistent and not hasattr(self.data.cls, "pair"):
            raise ValueError(
                f"persistent: expected 0 with {self.data.cls.__name__}, which draws no pair from given factors."
            )
        told, model = self.objective, self.model.settings()
        steps = model["descent"].settings() if "descent" in model else None
        if isinstance(told, PredictionLoss) and told.on != "last" and steps is not None:
            if (steps["training_steps"] or steps["steps"]) < 2:
                raise ValueError("objective.on: expected 'last' where training takes one step (training_steps = 1).")
            if steps["gradient"] == "last":
                raise ValueError("descent.gradient: expected truncated, window or full with a loss on several steps.")
        if isinstance(told, PredictionLoss) and told.orthogonality and "encoder" in model:
            if len(model["components"]) < 2 or model["latent"] < 2:
                raise ValueError(
                    "objective.orthogonality: expected 0 unless two or more components have latents of two or more "
                    f"numbers; got {len(model['components'])} with latents of {model['latent']}."
                )
        if "encoder" not in model:
            if self.active or self.freeze_encoder:
                raise ValueError("model: expected a decomposer with active components or a frozen encoder.")
            return
        blind = not model["moves"] and not getattr(model["encoder"].cls, "reads_pairs", False)
        if blind and "signs" in self.data.settings() and self.data.get("signs") == "both":
            raise ValueError(
                "data.signs: expected 'forward' when neither the move nor the second frame is given to the encoder."
            )
