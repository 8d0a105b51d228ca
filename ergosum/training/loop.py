"""The training loop: one process, one GPU, or many under `torchrun`, with the same code.

`fit` takes any `Task`; `train` takes an experiment, whose task is described by parts. Both are generators that yield
each update, so that the caller draws the progress bar and decides when to stop. Every process draws the whole batch
from the same generator and keeps its share, so the result does not depend on their number; a task says if it would
(`Task.undivided`), and is then refused with several processes.
"""

import math
import os
import platform
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ergosum.files import read_json, write_json
from ergosum.part import Part
from ergosum.samplers.guards import NonFiniteError, UnboundedError
from ergosum.training.experiment import Experiment, Optimiser, Run, to_dict
from ergosum.training.log import Log, Update
from ergosum.training.processes import launch
from ergosum.training.runfolder import owned, save_recipe
from ergosum.training.schedule import learning_rate
from ergosum.training.state import State, checkpoint_of
from ergosum.training.task import DivergenceError, Losses, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["DeadRunError", "RollbackWarning", "Update", "fit", "train"]

DEAD_AFTER = 400
DEAD_SHARE = 0.01
LOSS_SCALE = 100.0  # mean squared errors are about 1e-3; AdamW does not care, the clip does
DIVERGED = (NonFiniteError, UnboundedError, DivergenceError)
"""What a run may come back from."""


class RollbackWarning(UserWarning):
    """A run diverged and went back to its last checkpoint."""


class DeadRunError(RuntimeError):
    """The model gives back its input: it will not recover."""


def fit(
    task: Task,
    out: Path | str,
    *,
    optimiser: Optimiser | None = None,
    run: Run | None = None,
    name: str = "",
    resume: bool = False,
    accelerator: str = "auto",
) -> Generator[Update]:
    """Train a task and yield every update; the run folder `out` is complete when the iterator ends.

    Ctrl-C and SIGTERM write a checkpoint before they pass on; a killed process loses at most `run.checkpoint_every`
    updates.

    Args:
        task: what to learn, an object of your own class or of a system's. out: run folder, created if absent; the
            first process writes it, and with `resume` all read it. optimiser, run: defaults if None. name: of the run;
            that of the folder if empty. resume: go on from its checkpoint; on CPU to the same bits as a run that was
            never interrupted. accelerator: `auto`, `cpu` or `cuda`.
    Raises:
        FileExistsError: if `out` holds a run and `resume` is not set. BlockingIOError: if another process trains in it.
        NonFiniteError: naming iteration and component. DivergenceError: if the task says that training diverged.
        DeadRunError: if the model gives back its input. OSError: if the folder cannot be written.
    Warns:
        RollbackWarning: where a run that diverged goes back to its last checkpoint (`run.rollbacks`).
    """
    settings = {"optimiser": optimiser or Optimiser(), "run": run or Run()}
    experiment = Experiment(name=name or Path(out).name, task=task, **settings)
    yield from _train(experiment, task, Path(out), resume, accelerator)


def train(
    experiment: Experiment,
    out: Path | str,
    resume: bool = False,
    accelerator: str = "auto",
    task: Task | None = None,
) -> Generator[Update]:
    """Train an experiment, as `fit` trains its task; the folder's recipe.json tells how to build it again.

    Args:
        task: the experiment's own task, where it was built before and holds what took time.
    """
    yield from _train(experiment, task or experiment.built(), Path(out), resume, accelerator)


def _train(experiment: Experiment, task: Task, out: Path, resume: bool, accelerator: str) -> Generator[Update]:
    torch.set_num_threads(experiment.run.threads)
    if resume:
        checkpoint_of(out)  # nothing to resume is said before anything is made
    fabric = launch(experiment, task, accelerator)
    task.device = str(fabric.device)
    state = State(experiment, fabric, task)  # builds the model, so that its settings are checked before data are read
    task.ready()
    experiment = state.experiment = _settled(experiment, task)
    first = fabric.global_rank == 0  # the first process writes, the others compute
    with owned(out) if first else nullcontext():
        if not resume and (out / "checkpoint.pt").exists():
            raise FileExistsError(
                f"{out} already holds a run; add --resume (resume=True) to go on with it, or choose another --out."
            )
        if resume:
            _refuse_other_settings(experiment, out)
            state.load(out)
            _refuse_fewer(experiment, state.iteration, out)
        log = _begin_log(state, out) if first else None
        with _signals() as asked:
            try:
                for update in _updates(state, fabric, task):
                    if log:
                        _keep(update, state, log, out)
                    if asked:
                        raise KeyboardInterrupt
                    yield update
                if log and task.finish(state.ema.eval(), torch.Generator().manual_seed(experiment.run.seed + 2)):
                    state.save(out)
            except DeadRunError as error:
                if log:
                    died = {"name": experiment.name, "seed": experiment.run.seed, "died": str(error)}
                    write_json(out / "run.json", died)
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


def _settled(experiment: Experiment, task: Task) -> Experiment:
    """The experiment with what its data told, see `Task.settled`."""
    part = experiment.task
    return experiment.but(task=task.settled(part)) if isinstance(part, Part) else experiment


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
    run = state.experiment.run
    last = update.iteration == state.experiment.optimiser.iterations
    if last or update.iteration % run.log_every == 0:
        log.write(update)
    if last or update.iteration % run.checkpoint_every == 0:
        state.save(out)


def _refuse_other_settings(experiment: Experiment, out: Path) -> None:
    """A resumed run may be longer, log more, use more threads or be called otherwise; all else must be as it was."""
    free = {"run.threads", "run.checkpoint_every", "run.log_every", "run.rollbacks", "name", "shows", "cost",
            "optimiser.iterations"}  # fmt: skip
    if not (out / "recipe.json").is_file():
        return
    before, now = (_flat(values) for values in (read_json(out / "recipe.json"), to_dict(experiment)))
    before = _flat({"optimiser": asdict(Optimiser()), "run": asdict(Run())}) | before  # of an earlier version, fewer
    changed = sorted(k for k in {**before, **now} if k not in free and now.get(k) != before.get(k))
    if changed:
        raise ValueError(
            f"{out} was started with other settings: {changed[0]} was {before.get(changed[0])!r}, now "
            f"{now.get(changed[0])!r}. Resume with those of the start, or choose another --out."
        )


def _refuse_fewer(experiment: Experiment, done: int, out: Path) -> None:
    """A resumed run cannot end before it is."""
    asked = experiment.optimiser.iterations
    if asked < done:
        raise ValueError(
            f"{out} has made {done} updates already; expected optimiser.iterations >= {done}, got {asked}."
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _updates(state: State, fabric: "Fabric", task: Task) -> Iterator[Update]:
    e = state.experiment
    batch = e.optimiser.batch
    share = slice(
        fabric.global_rank * batch // fabric.world_size, (fabric.global_rank + 1) * batch // fabric.world_size
    )
    begun, done = time.perf_counter(), 0
    while state.iteration < e.optimiser.iterations:
        if e.run.rollbacks and (not done or state.iteration % e.run.checkpoint_every == 0):
            state.keep()
        clock, cpu = time.perf_counter(), time.process_time()
        try:
            update = _update(state, fabric, task, share)
        except DIVERGED as error:
            _go_back(state, error)
            continue
        state.seconds += time.perf_counter() - clock
        state.cpu_seconds += time.process_time() - cpu
        done += 1
        rate = done * batch / (time.perf_counter() - begun)
        yield update._replace(images_per_s=rate, seconds=state.seconds)


def _update(state: State, fabric: "Fabric", task: Task, share: slice) -> Update:
    """One update of the weights; its times are the caller's to tell."""
    e, cpu = state.experiment, time.process_time()
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(e.optimiser, state.iteration, task.stages) / 2**state.rollbacks
    drawn = _moved(task.batch(e.optimiser.batch, state.generator), fabric.device)
    state.render_seconds += time.process_time() - cpu
    mine = type(drawn)(*(v[share] for v in drawn))
    state.wrapped.train()
    terms = task.loss(state.wrapped, mine, state.generator, state.iteration / e.optimiser.iterations)
    loss, error, copied, *health = fabric.all_reduce(_errors(terms)).tolist()  # type: ignore[union-attr]
    if not math.isfinite(loss):
        raise NonFiniteError(_diagnose(state, task.locate(state.model, mine)))
    state.optimiser.zero_grad()
    fabric.backward(terms.loss * LOSS_SCALE)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), e.optimiser.clip or math.inf)
    if not torch.isfinite(norm):
        raise NonFiniteError(f"Non-finite gradient of the weights. {_diagnose(state, task.locate(state.model, mine))}")
    state.optimiser.step()
    state.iteration += 1
    state.update_average()
    if task.continues and terms.last is not None:
        task.keep(drawn, fabric.all_gather(terms.last.detach()).flatten(0, -4))  # type: ignore[union-attr, arg-type]
    _watch(state, error, copied, terms)
    told = dict(zip(terms.health, health, strict=True))
    return Update(state.iteration, loss, state.error, state.copy_error, 0.0, 0.0, told)


def _go_back(state: State, error: Exception) -> None:
    """Take up the last checkpoint, if the run may still; else let what happened pass on, with what to do."""
    allowed, at = state.experiment.run.rollbacks, state.iteration + 1
    if state.rollbacks >= allowed:
        if isinstance(error, DivergenceError):
            raise DivergenceError(
                f"Training diverged at iteration {at}, because {error}. It went back {state.rollbacks} times; start "
                "again with a lower optimiser.rate or more steps of the chains, or allow more (run.rollbacks)."
            ) from error
        raise error
    state.roll_back()
    why = " ".join(str(error).split()).partition(" Start again")[0].rstrip(".")
    warnings.warn(
        f"Training diverged at iteration {at} ({why}) and goes back to iteration "
        f"{state.iteration} with {1 / 2**state.rollbacks:g} of the learning rate: {state.rollbacks} of {allowed}.",
        RollbackWarning,
        stacklevel=2,
    )


def _moved(batch: Any, device: torch.device) -> Any:
    """A batch on the device; where it is there already, the same tensors.

    Raises:
        TypeError: if it is no NamedTuple, whose fields can be shared out.
    """
    if not hasattr(batch, "_fields"):
        raise TypeError(f"Task.batch: expected a NamedTuple of tensors, got {type(batch).__name__}.")
    return type(batch)(*(v.to(device) for v in batch))


def _errors(terms: Losses) -> Tensor:
    """Loss, error, reference and health; the loss stands for an error that a task does not give, 0 for a reference.

    Raises:
        TypeError: if a task gives something else.
    """
    if not isinstance(terms, Losses):
        raise TypeError(f"Task.loss: expected training.Losses, got {type(terms).__name__}.")
    loss = terms.loss.detach()
    error = loss if terms.error is None else terms.error
    reference = torch.zeros_like(error) if terms.reference is None else terms.reference
    return torch.stack([loss, error, reference, *(v.detach().to(loss) for v in terms.health.values())])


def _watch(state: State, error: float, copied: float, terms: Losses) -> None:
    """Running averages, and the death watch: a model whose output equals its input has zero gradient for good."""
    weight = max(0.02, 1 / state.iteration)
    state.error += weight * (error - state.error)
    state.copy_error += weight * (copied - state.copy_error)
    if terms.first is None or terms.last is None:
        return
    moved = (terms.last.detach().clamp(0, 1) - terms.first).square().mean().item()
    state.still = state.still + 1 if moved < DEAD_SHARE * copied else 0
    if state.still >= DEAD_AFTER:
        raise DeadRunError(
            f"The model has returned its input unchanged for {DEAD_AFTER} updates (iteration {state.iteration}). Lower "
            "optimiser.rate, choose another run.seed, or anchor the energy (model.anchor)."
        )


def _diagnose(state: State, who: str) -> str:
    return (
        f"Training left the finite numbers at iteration {state.iteration + 1}, first seen in {who}. Start "
        "again in another folder with a lower optimiser.rate or step size of descent; run.warm_start takes the weights "
        "of the last checkpoint."
    )


def _write_summary(state: State, task: Task, out: Path) -> None:
    e = state.experiment
    summary = {
        "name": e.name,
        "iterations": state.iteration,
        "seconds": round(state.seconds, 1),
        "cpu_seconds": round(state.cpu_seconds, 1),
        "render_share": round(state.render_seconds / max(state.cpu_seconds, 1e-9), 4),
        "threads": e.run.threads,
        "device": str(next(state.model.parameters()).device),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "weights": sum(p.numel() for p in state.model.parameters()),
        "seed": e.run.seed,
        "rollbacks": state.rollbacks,
        **task.about(),
        "error": state.error,
        "copy_error": state.copy_error,
        "compared_with": task.compared_with,
    }
    write_json(out / "run.json", summary)
