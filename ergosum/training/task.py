"""What a run practises: draws batches, runs the model on them, and says how well it did."""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from ergosum.data.named import picture_set
from ergosum.data.pictures import store
from ergosum.data.record import Pairs
from ergosum.data.sequences import SequenceData
from ergosum.data.sources import checksum
from ergosum.objectives.prediction import Terms, prediction
from ergosum.objectives.recomposition import recomposition
from ergosum.objectives.rollouts import RollOuts
from ergosum.settings import RIVALS, Experiment

__all__ = ["Coding", "Outcome", "Prediction", "Recomposition", "Task", "task_of"]


class Outcome(NamedTuple):
    """Terms of a batch, and the frames where the model began (None: nowhere) and ended."""

    terms: Terms
    first: Tensor | None
    last: Tensor


class Task(Protocol):
    """What the loop asks of a task; a batch is a record of tensors with one row per sample."""

    def draw(self, n: int, generator: Generator) -> Any:
        """A batch of n samples."""
        ...

    def run(self, model: nn.Module, batch: Any, generator: Generator, progress: float) -> Outcome:
        """The model on a batch, or on a process's share of it; `progress` of training is 0 .. 1."""
        ...

    def keep(self, batch: Any, last: Tensor) -> None:
        """Take note of where the model ended, for the whole batch."""
        ...

    def blame(self, model: nn.Module, batch: Any) -> str:
        """Which part of the model first leaves the finite numbers."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs."""
        ...

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a stored state."""
        ...

    def about(self) -> dict[str, str]:
        """The data, for `run.json`."""
        ...


class Prediction:
    """Predict the frame `lag` later from a frame."""

    keeps = True

    def __init__(self, experiment: Experiment, device: str) -> None:
        e = self.experiment = experiment
        self.data = SequenceData(e.data, "train", device)
        self.rollouts = RollOuts(self.data, e.objective.persistent)
        self.keeps = e.objective.persistent > 0
        self.active = [e.model.components.index(c) for c in e.active] if e.active else None

    def draw(self, n: int, generator: Generator) -> Pairs:
        """Pairs of frames, some of them continued roll-outs."""
        return self.rollouts.draw(n, generator)

    def run(self, model: nn.Module, batch: Pairs, generator: Generator, progress: float = 1.0) -> Outcome:
        """Descend from the first frame."""
        path = model(batch.start, batch.target, batch.moves, generator, active=self.active)
        return Outcome(prediction(self.experiment.objective, batch, path), batch.start, path.frames[-1])

    def keep(self, batch: Pairs, last: Tensor) -> None:
        """Store the predictions to go on from."""
        self.rollouts.keep(batch, last)

    def blame(self, model: nn.Module, batch: Pairs) -> str:
        """Which component first leaves the finite numbers."""
        return model.blame(batch.start, batch.target, batch.moves)  # type: ignore[operator]

    def state(self) -> dict[str, Tensor]:
        """The stored roll-outs."""
        return self.rollouts.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up stored roll-outs."""
        self.rollouts.load(state)

    def about(self) -> dict[str, str]:
        """Source and checksum of the digits."""
        return {"source": self.experiment.data.source, "data_sha256": checksum(self.data.digits)}


class Begun(NamedTuple):
    """A picture and the noise to recompose it from."""

    picture: Tensor
    noise: Tensor


class Recomposition:
    """Recompose a picture from noise."""

    keeps = False

    def __init__(self, experiment: Experiment, device: str) -> None:
        self.experiment, self.device = experiment, device
        self.pictures = store(picture_set(experiment.pictures), experiment.pictures.count, seed=0)

    def draw(self, n: int, generator: Generator) -> Begun:
        """Stored pictures, with replacement, and uniform noise."""
        picture = self.pictures.images(torch.randint(len(self.pictures), (n,), generator=generator)).to(self.device)
        return Begun(picture, torch.rand(picture.shape, generator=generator).to(self.device))

    def run(self, model: nn.Module, batch: Begun, generator: Generator, progress: float = 1.0) -> Outcome:
        """Descend from noise, with latents read off the picture."""
        path = model(batch.noise, generator=generator, seen=batch.picture)
        terms = recomposition(self.experiment.objective, batch.picture, path, len(self.pictures), progress)
        return Outcome(terms, batch.noise, path.frames[-1])

    def keep(self, batch: Begun, last: Tensor) -> None:
        """Nothing to keep."""

    def blame(self, model: nn.Module, batch: Begun) -> str:
        """Which component first leaves the finite numbers."""
        return model.blame(batch.noise, None, None, batch.picture)  # type: ignore[operator]

    def state(self) -> dict[str, Tensor]:
        """Nothing beyond the generator."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Nothing to take up."""

    def about(self) -> dict[str, str]:
        """Name of the stored pictures, which holds a digest of set and settings."""
        return {"source": self.experiment.pictures.name, "data_sha256": self.pictures.folder.name}


class Seen(NamedTuple):
    """A picture."""

    picture: Tensor


class Coding:
    """Code a picture and draw it again, as published models do: the model has the loss, the task the pictures."""

    keeps = False

    def __init__(self, experiment: Experiment, device: str) -> None:
        self.experiment, self.device = experiment, device
        self.pictures = store(picture_set(experiment.pictures), experiment.pictures.count, seed=0)

    def draw(self, n: int, generator: Generator) -> Seen:
        """Stored pictures, with replacement."""
        return Seen(self.pictures.images(torch.randint(len(self.pictures), (n,), generator=generator)).to(self.device))

    def run(self, model: nn.Module, batch: Seen, generator: Generator, progress: float = 1.0) -> Outcome:
        """The model's own loss; it begins nowhere, so there is no input to give back."""
        done = model(batch.picture, generator)
        return Outcome(done.terms, None, done.made)

    def keep(self, batch: Seen, last: Tensor) -> None:
        """Nothing to keep."""

    def blame(self, model: nn.Module, batch: Seen) -> str:
        """Which part first leaves the finite numbers."""
        return model.blame(batch.picture)  # type: ignore[operator]

    def state(self) -> dict[str, Tensor]:
        """Nothing beyond the generator."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Nothing to take up."""

    def about(self) -> dict[str, str]:
        """Name of the stored pictures, which holds a digest of set and settings."""
        return {"source": self.experiment.pictures.name, "data_sha256": self.pictures.folder.name}


def task_of(experiment: Experiment, device: str) -> Prediction | Recomposition | Coding:
    """The task of an experiment."""
    if experiment.predictor in RIVALS:
        return Coding(experiment, device)
    return (Prediction if experiment.task == "prediction" else Recomposition)(experiment, device)
