"""Learning from pairs of frames alone: the task of models that find moves by themselves."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.data.contract import check_pairs
from ergosum.data.record import Pairs
from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.temporal.discovery.scores import score_mover
from ergosum.training.task import Losses, Shelf, Table, Task

__all__ = ["PairLearning", "PairModel", "losses_of", "relative_error"]

FLOOR = 1e-3
"""Mean squared change per pixel and channel that errors are at least held against: noise of about 0.03."""


class PairModel(nn.Module):
    """A model of what leads from one frame to another: a `Mover` that gives its own loss.

    Args:
        components: names of its K moves.
    """

    def __init__(self, components: tuple[str, ...]) -> None:
        super().__init__()
        if not components or len(set(components)) != len(components):
            raise ValueError(f"components: expected one or more different names, got {tuple(components)}.")
        self.components = tuple(components)

    def forward(self, start: Tensor, target: Tensor, generator: Generator, progress: float) -> Losses:
        """Loss on pairs of frames (batch, 3, side, side); `progress` of training is 0 .. 1."""
        raise NotImplementedError

    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """Moves (batch, K) that lead from `start` to `target`."""
        raise NotImplementedError

    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """Frames that the moves (batch, K) make of `start`."""
        raise NotImplementedError


def relative_error(made: Tensor, start: Tensor, target: Tensor, levels: int = 1) -> Tensor:
    r"""$\| x - b \|^2 / (\| a - b \|^2 + \epsilon)$ of each sample, mean squares per pixel and channel, (batch,).

    Every pair weighs the same, however little it changes: plain error would hardly look at hue. With several `levels`
    both squares are summed over as many resolutions, each half as fine as the one before.
    """
    error, change = (made - target), (start - target)
    top, bottom = error.square().mean((1, 2, 3)), change.square().mean((1, 2, 3))
    for _ in range(levels - 1):
        error, change = F.avg_pool2d(error, 2), F.avg_pool2d(change, 2)
        top, bottom = top + error.square().mean((1, 2, 3)), bottom + change.square().mean((1, 2, 3))
    return top / (bottom + FLOOR)


def losses_of(loss: Tensor, made: Tensor, start: Tensor, target: Tensor) -> Losses:
    """The loss, beside the error of what was made and that of copying the first frame."""
    made = made.detach().clamp(0, 1)
    return Losses(loss, F.mse_loss(made, target), F.mse_loss(start, target))


class PairLearning(Task):
    """Learn from pairs of frames; what moved in them, and how far, is for the score alone.

    Args:
        data: pairs of frames; gets `split` and `device`. model: gets `side`.
    """

    def __init__(
        self,
        data: Part[DigitSequences] = Part(DigitSequences),  # noqa: B008
        model: Part[PairModel] = Part(PairModel),  # noqa: B008
    ) -> None:
        self.data, self.model = data, model

    def build(self) -> nn.Module:
        """The model for frames of the data's canvas."""
        return self.model.build(side=self.data.get("canvas"))

    @cached_property
    def pairs(self) -> DigitSequences:
        """The training data."""
        return self.data.build(split="train", device=self.device)

    def ready(self) -> None:
        """Read the digits, and test a small record of pairs."""
        check_pairs(self.pairs, self.data.get("canvas"))

    def batch(self, n: int, generator: Generator) -> Pairs:
        """Random pairs of frames."""
        return self.pairs.pairs(n, generator)

    def loss(self, model: nn.Module, batch: Pairs, generator: Generator, progress: float) -> Losses:
        """The model's own, of the frames alone."""
        return model(batch.start, batch.target, generator, progress)

    def about(self) -> dict[str, str]:
        """Source and digest of the digits."""
        return {"source": self.source, "data_sha256": self.pairs.digest()}

    @property
    def source(self) -> str:
        """What the digits are called."""
        return self.pairs.source

    def score(
        self, name: str, model: nn.Module, n: int, seed: int, *, source: str = "", shelf: Shelf | None = None
    ) -> dict[str, Any]:
        """Separation, response, transfer and skill on held-out digits, see `score_mover`."""
        return {"card": name, **score_mover(model.eval(), self.data, source, n, seed)}  # type: ignore[arg-type]

    def tables(self, scores: Mapping[str, Any]) -> list[Table]:
        """One row of the numbers that tell whether factors were found."""
        row = {"card": scores["card"], **{k: scores[k] for k in ("mcc", "mcc_pearson", "diagonal_share")}}
        columns = {"mcc": 3, "mcc_pearson": 3, "diagonal_share": 3, "skill": 3}
        return [Table(("card",), columns, [row | {"skill": scores["skill"]["mean"]}])]
