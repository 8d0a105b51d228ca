"""What a run tells while it trains."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ergosum.files import write_atomically

__all__ = ["Log", "Update"]


class Update(NamedTuple):
    """One update of the weights.

    Args:
        iteration: 1 .. iterations. loss: as differentiated. error, copy_error: mean squared errors of the prediction
        and of copying, running averages. images_per_s: since the start of this process. seconds: of training so far.
        health: what else the task tells, by name.
    """

    iteration: int
    loss: float
    error: float
    copy_error: float
    images_per_s: float
    seconds: float
    health: Mapping[str, float] = MappingProxyType({})


class Log:
    """metrics.jsonl, and TensorBoard events where the extra `track` is installed."""

    def __init__(self, folder: Path, iteration: int) -> None:
        self.path = folder / "metrics.jsonl"
        self._drop_after(iteration)
        self.last = iteration
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)
        except ImportError:
            self.board = None

    def _drop_after(self, iteration: int) -> None:
        """Keep of the file the lines up to an iteration."""
        lines = self.path.read_text().splitlines() if iteration and self.path.exists() else []
        whole = [s for s in lines if s.endswith("}")]  # a killed process may leave half a line
        kept = [s for s in whole if json.loads(s)["iteration"] <= iteration]
        write_atomically(self.path, lambda p: p.write_text("".join(s + "\n" for s in kept)))

    def write(self, update: Update) -> None:
        """Add a line; an update that was there before, of a run that went back, takes the place of what followed it."""
        if update.iteration <= self.last:
            self._drop_after(update.iteration - 1)
        self.last = update.iteration
        line = {**update._asdict(), "health": dict(update.health)}
        if not update.health:
            del line["health"]
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.board:
            for name in ("loss", "error", "copy_error", "images_per_s"):
                self.board.add_scalar(name, getattr(update, name), update.iteration)
            for name, value in update.health.items():
                self.board.add_scalar(f"health/{name}", value, update.iteration)

    def close(self) -> None:
        """Finish the TensorBoard events."""
        if self.board:
            self.board.close()
