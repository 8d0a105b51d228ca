"""Training with a progress bar, for `train` and `demo`."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ergosum.training.experiment import Experiment
    from ergosum.training.loop import Update
    from ergosum.training.task import Task

__all__ = ["is_main_process", "train_with_progress"]


def is_main_process() -> bool:
    """Whether this is the process that speaks: the first of all that `torchrun` or `devices` started."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def train_with_progress(
    experiment: "Experiment",
    folder: Path,
    resume: bool,
    accelerator: str,
    seconds: float | None = None,
    task: "Task | None" = None,
) -> int:
    """Train and show how far it is; `seconds` stops early and keeps what was learnt. `task`: see `loop.train`. Returns
    the updates made, of a run that had ended already 0.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ergosum.training.loop import train

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    quiet, done = not is_main_process(), 0
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        shown = progress.add_task(experiment.name, total=experiment.optimiser.iterations, status="")
        task = task or experiment.built()
        task.tell = lambda stage: progress.update(shown, status=stage)
        updates, beside = train(experiment, folder, resume, accelerator, task), task.compared_with
        with contextlib.closing(updates):
            for update in updates:
                done = update.iteration
                progress.update(shown, completed=update.iteration, status=_status(update, beside))
                marks = max(1, experiment.optimiser.iterations // 10)
                if not console.is_terminal and not quiet and update.iteration % marks == 0:
                    console.print(f"{experiment.name} {update.iteration} {_status(update, beside)}", highlight=False)
                if seconds is not None and update.seconds > seconds:
                    break
    return done


def _status(update: "Update", beside: str) -> str:
    error = f"error {update.error:.5f}"
    if update.copy_error:
        error = f"error {update.error / max(update.copy_error, 1e-12):6.1%} of {beside}"
    health = "".join(f"  {name} {value:.3g}" for name, value in update.health.items())
    return f"loss {update.loss:.5f}  {error}{health}  {update.images_per_s:5.0f} images/s"
