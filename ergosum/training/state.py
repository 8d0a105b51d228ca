"""What a run carries from update to update: weights, their average, optimiser, generator, roll-outs, counters."""

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ergosum.files import write_atomically
from ergosum.training.experiment import Experiment
from ergosum.training.runfolder import load_weights, locate, save_weights
from ergosum.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["State", "checkpoint_of"]

COUNTERS = ("iteration", "seconds", "cpu_seconds", "render_seconds", "error", "copy_error", "still")


APART = 1_000_003
"""Between the seeds of a run before and after it went back."""


class State:
    """Everything that a resumed run needs, saved and loaded as one file."""

    def __init__(self, experiment: Experiment, fabric: "Fabric", task: Task) -> None:
        torch.manual_seed(experiment.run.seed)
        self.experiment = experiment
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # refused below
            self.model: nn.Module = task.build()
        for name, weight in self.model.named_parameters():
            if weight.numel() == 0:
                raise ValueError(f"{name} of the model has shape {tuple(weight.shape)}; expected every width >= 1.")
        if experiment.run.warm_start:
            self._start_from(locate(experiment.run.warm_start))
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        task.prepare(self.model)
        weights = [p for p in self.model.parameters() if p.requires_grad]
        rate = experiment.optimiser.rate
        self.optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        self.wrapped, self.optimiser = fabric.setup(self.model, self.optimiser)
        self.model = self.wrapped.module
        self.ema.to(fabric.device)
        self.generator = torch.Generator().manual_seed(experiment.run.seed + 1)
        self.task = task
        self.iteration, self.seconds, self.cpu_seconds, self.render_seconds = 0, 0.0, 0.0, 0.0
        self.error, self.copy_error, self.still = 0.0, 0.0, 0
        self.rollbacks = 0
        self._kept: dict[str, Any] | None = None

    def _start_from(self, folder: Path) -> None:
        weights = load_weights(folder / "model.safetensors")
        own = self.model.state_dict()
        fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
        if not fitting:
            raise ValueError(f"warm_start: no weight of {folder} fits this model; expected the same kind and sizes.")
        self.model.load_state_dict(fitting, strict=False)

    def update_average(self) -> None:
        """Move the running average towards the weights; what a layer counts by itself (buffers) is taken as it is."""
        decay = self.experiment.optimiser.ema
        decay = min(decay, self.iteration / (self.iteration + 10)) if decay else 0.0
        with torch.no_grad():
            for mean, now in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
            for kept, now in zip(self.ema.buffers(), self.model.buffers(), strict=True):
                kept.copy_(now)

    def _content(self) -> dict[str, Any]:
        """All that a run carries, by name."""
        return {
            "model": self.model.state_dict(), "ema": self.ema.state_dict(), "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(), "rollouts": self.task.state(), "rollbacks": self.rollbacks,
            **{name: getattr(self, name) for name in COUNTERS},
        }  # fmt: skip

    def keep(self) -> None:
        """Remember the present state, to come back to it."""
        self._kept = copy.deepcopy(self._content())

    def roll_back(self) -> None:
        """The state that was kept last, with half the learning rate and other random numbers from there on."""
        assert self._kept is not None
        spent = self.seconds, self.cpu_seconds, self.render_seconds, self.rollbacks + 1
        self._restore(copy.deepcopy(self._kept), Path("the state kept in memory"))
        self.seconds, self.cpu_seconds, self.render_seconds, self.rollbacks = spent
        self.generator.manual_seed(self.experiment.run.seed + 1 + APART * self.rollbacks)

    def save(self, folder: Path) -> None:
        """Write checkpoint.pt, and the running average as model.safetensors."""
        content = self._content()
        write_atomically(folder / "checkpoint.pt", lambda p: torch.save(content, p))
        save_weights(folder / "model.safetensors", self.ema.state_dict())

    def load(self, folder: Path) -> None:
        """Take up a run's checkpoint.

        Raises:
            FileNotFoundError, ValueError: if there is none, or it is broken or of other settings.
        """
        path = checkpoint_of(folder)
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:
            raise ValueError(f"{path} is truncated or no checkpoint ({type(error).__name__}); start again.") from error
        try:
            self._restore(content, path)
        except (KeyError, TypeError, RuntimeError) as error:
            why = " ".join(str(error).split())[:120]
            raise ValueError(f"{path} does not fit these settings ({why}); resume with those of the start.") from error

    def _restore(self, content: dict[str, Any], path: Path) -> None:
        for name, value in content["model"].items():
            if not torch.isfinite(value).all():
                raise ValueError(f"{path} holds non-finite weights in {name!r}; start again.")
        self.model.load_state_dict(content["model"])
        self.ema.load_state_dict(content["ema"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.generator.set_state(content["generator"])
        self.task.load(content["rollouts"])
        self.rollbacks = content.get("rollbacks", 0)
        for name in COUNTERS:
            setattr(self, name, content[name])


def checkpoint_of(folder: Path) -> Path:
    """The checkpoint of a run folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise FileNotFoundError(f"Nothing to resume: {path} does not exist. Start without --resume.")
    return path
