"""The training loop: one process, one GPU, or many under `torchrun`, with the same code.

`train` is a generator that yields each update, so that the caller draws the progress bar and decides when to stop.
Every process draws the whole batch from the same generator and keeps its share, so the result does not depend on
their number (but for descent noise and latent decorrelation, which are refused with several processes).
"""

import math
import os
import platform
import signal
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from ergosum.runfolder import load_recipe, save_recipe, write_json
from ergosum.samplers.guards import NonFiniteError
from ergosum.settings import Experiment, to_dict
from ergosum.training.log import Log, Update
from ergosum.training.processes import launch
from ergosum.training.schedule import learning_rate
from ergosum.training.state import State
from ergosum.training.task import Coding, Outcome, Prediction, Recomposition, task_of

__all__ = ["DeadRunError", "Update", "train"]

DEAD_AFTER = 400
DEAD_SHARE = 0.01
LOSS_SCALE = 100.0  # mean squared errors are about 1e-3; AdamW does not care, the clip does


class DeadRunError(RuntimeError):
    """The model gives back its input: it will not recover."""


def train(experiment: Experiment, out: Path, resume: bool = False, accelerator: str = "auto") -> Generator[Update]:
    """Train and yield every update; the run folder `out` is complete when the iterator ends.

    Ctrl-C and SIGTERM write a checkpoint before they pass on; a killed process loses at most `checkpoint_every`
    updates.

    Args:
        out: run folder, created if absent; the first process writes it, and with `resume` all read it. resume: go on
        from its checkpoint; on CPU to the same bits as a run that was never interrupted. accelerator: `auto`, `cpu` or
        `cuda`.
    Raises:
        FileExistsError: if `out` holds a run and `resume` is not set. NonFiniteError: naming iteration and component.
        DeadRunError: if the model gives back its input. OSError: if the folder cannot be written.
    """
    if not resume and (out / "checkpoint.pt").exists():
        raise FileExistsError(f"{out} already holds a run; add --resume to go on with it, or choose another --out.")
    torch.set_num_threads(experiment.threads)
    fabric = launch(experiment, accelerator)
    task = task_of(experiment, str(fabric.device))
    state = State(experiment, fabric, task)
    if resume:
        _refuse_other_settings(experiment, out)
        state.load(out)
    log = _begin_log(state, out) if fabric.global_rank == 0 else None  # the first process writes, the others compute
    with _signals() as asked:
        try:
            for update in _updates(state, fabric, task):
                if log:
                    _keep(update, state, log, out)
                if asked:
                    raise KeyboardInterrupt
                yield update
        except DeadRunError as error:
            if log:
                write_json(out / "run.json", {"name": experiment.name, "seed": experiment.seed, "died": str(error)})
            raise
        except (KeyboardInterrupt, GeneratorExit):
            if log and state.iteration:
                state.save(out)
            raise
        finally:
            if log:
                log.close()
    if log:
        _write_summary(state, task, out)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to stop that came in, for the loop to heed between updates; a second one does not wait for that."""
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    handled = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, stop) for number in handled}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _begin_log(state: State, out: Path) -> Log:
    save_recipe(out, state.experiment)
    return Log(out, state.iteration)


def _keep(update: Update, state: State, log: Log, out: Path) -> None:
    """Log and checkpoint in their rhythms, and after the last update."""
    e = state.experiment
    last = update.iteration == e.optimiser.iterations
    if last or update.iteration % e.log_every == 0:
        log.write(update)
    if last or update.iteration % e.checkpoint_every == 0:
        state.save(out)


def _refuse_other_settings(experiment: Experiment, out: Path) -> None:
    """A resumed run may be longer, log more or use more threads; all else must be as at its start."""
    free = {"threads", "checkpoint_every", "log_every", "shows", "cost", "optimiser.iterations"}
    if not (out / "recipe.json").is_file():
        return
    before, now = (_flat(to_dict(e)) for e in (load_recipe(out), experiment))
    changed = sorted(k for k in now if k not in free and now[k] != before.get(k))
    if changed:
        raise ValueError(
            f"{out} was started with other settings: {changed[0]} was {before.get(changed[0])!r}, now "
            f"{now[changed[0]]!r}. Resume with those of the start, or choose another --out."
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _updates(state: State, fabric: Fabric, task: Prediction | Recomposition | Coding) -> Iterator[Update]:
    e = state.experiment
    batch = e.optimiser.batch
    share = slice(
        fabric.global_rank * batch // fabric.world_size, (fabric.global_rank + 1) * batch // fabric.world_size
    )
    begun, first = time.perf_counter(), state.iteration
    while state.iteration < e.optimiser.iterations:
        clock, cpu = time.perf_counter(), time.process_time()
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(e.optimiser, state.iteration)
        drawn = task.draw(batch, state.generator)
        state.render_seconds += time.process_time() - cpu
        mine = type(drawn)(*(v[share] for v in drawn))
        state.wrapped.train()
        outcome = task.run(state.wrapped, mine, state.generator, state.iteration / e.optimiser.iterations)  # type: ignore[arg-type]
        terms = outcome.terms
        loss, error, copied = fabric.all_reduce(
            torch.stack([terms.loss.detach(), terms.error, terms.copy_error])
        ).tolist()  # type: ignore[union-attr]
        if not math.isfinite(loss):
            raise NonFiniteError(_diagnose(state, task.blame(state.model, mine)))  # type: ignore[arg-type]
        state.optimiser.zero_grad()
        fabric.backward(terms.loss * LOSS_SCALE)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), e.optimiser.clip or math.inf)
        if not torch.isfinite(norm):
            raise NonFiniteError(
                f"Non-finite gradient of the weights. {_diagnose(state, task.blame(state.model, mine))}"  # type: ignore[arg-type]
            )
        state.optimiser.step()
        state.iteration += 1
        state.update_average()
        if task.keeps:
            task.keep(drawn, fabric.all_gather(outcome.last.detach()).flatten(0, -4))  # type: ignore[union-attr, arg-type]
        _watch(state, error, copied, outcome)
        state.seconds += time.perf_counter() - clock
        state.cpu_seconds += time.process_time() - cpu
        rate = (state.iteration - first) * batch / (time.perf_counter() - begun)
        yield Update(state.iteration, loss, state.error, state.copy_error, rate, state.seconds)


def _watch(state: State, error: float, copied: float, outcome: Outcome) -> None:
    """Running averages, and the death watch: a model whose output equals its input has zero gradient for good."""
    weight = max(0.02, 1 / state.iteration)
    state.error += weight * (error - state.error)
    state.copy_error += weight * (copied - state.copy_error)
    if outcome.first is None:
        return
    moved = (outcome.last.detach().clamp(0, 1) - outcome.first).square().mean().item()
    state.still = state.still + 1 if moved < DEAD_SHARE * copied else 0
    if state.still >= DEAD_AFTER:
        raise DeadRunError(
            f"The model has given back its input for {DEAD_AFTER} updates (iteration {state.iteration}). Lower "
            "optimiser.rate, choose another seed, or anchor the energy (model.anchor)."
        )


def _diagnose(state: State, who: str) -> str:
    return (
        f"Training left the finite numbers at iteration {state.iteration + 1}, first seen in {who}. The last "
        "checkpoint is intact; lower optimiser.rate or descent.step_size and --resume."
    )


def _write_summary(state: State, task: Prediction | Recomposition | Coding, out: Path) -> None:
    e = state.experiment
    summary = {
        "name": e.name,
        "iterations": state.iteration,
        "seconds": round(state.seconds, 1),
        "cpu_seconds": round(state.cpu_seconds, 1),
        "render_share": round(state.render_seconds / max(state.cpu_seconds, 1e-9), 4),
        "threads": e.threads,
        "device": str(next(state.model.parameters()).device),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "weights": sum(p.numel() for p in state.model.parameters()),
        "seed": e.seed,
        **task.about(),
        "error": state.error,
        "copy_error": state.copy_error,
    }
    write_json(out / "run.json", summary)
