"""What trains a family of energies: an objective of your own is a class like this one."""

from typing import Any, NamedTuple

from torch import Generator, Tensor

from ergosum.training.task import Losses

__all__ = ["Given", "Objective"]


class Given(NamedTuple):
    """What is known of a batch of incomplete data.

    Shape:
        known: (batch, *event), bool, True where a pixel is known. rows: (batch,), int64, which examples these are.
    """

    known: Tensor
    rows: Tensor


class Objective:
    """A loss of a family on data; the objectives of `objectives/` are parts of this kind.

    Attributes:
        levels: whether it trains a family over noise levels (`LevelEnergy`) or one without (`Landscape`).
        incomplete: whether it learns from incomplete data; its `loss` then takes `Given` after the progress.
    """

    levels: bool = True

    @property
    def temperature(self) -> float | None:
        """T of the chains that it runs, in whose units energies then are; None where there are none."""
        return None

    def fit(self, x: Tensor) -> None:
        """Take what it needs of the data, (n, *event), before the first loss."""

    incomplete: bool = False

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """The loss and the health of training.

        Args:
            family: what learns. x: data, (batch, *event). c: their conditions, some of which are none.
            progress: of training, 0 .. 1.
        """
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs: chains that go on."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a stored state."""
