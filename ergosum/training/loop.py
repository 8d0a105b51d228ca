"""The training loop: one process, one GPU, or many under `torchrun`, with the same code.

`train` is a generator that yields each update, so that the caller draws the progress bar and decides when to stop.
Every process draws the whole batch from the same generator and keeps its share, so the result does not depend on
their number (but for descent noise and latent decorrelation, which are refused with several processes).
"""

import copy
import json
import logging
import math
import os
import platform
import signal
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ergosum.data.record import Pairs
from ergosum.data.sequences import SequenceData
from ergosum.data.sources import checksum
from ergosum.objectives.prediction import prediction
from ergosum.objectives.rollouts import RollOuts
from ergosum.runfolder import build, load_recipe, load_weights, save_recipe, save_weights, write_atomically, write_json
from ergosum.samplers.chain import NonFiniteError
from ergosum.settings import Experiment, OptimiserSettings, to_dict

__all__ = ["DeadRunError", "Update", "learning_rate", "train"]

WARM_UP = 100
DEAD_AFTER = 400
DEAD_SHARE = 0.01
LOSS_SCALE = 100.0  # mean squared errors are about 1e-3; AdamW does not care, the clip does
COUNTERS = ("iteration", "seconds", "cpu_seconds", "render_seconds", "error", "copy_error", "still")


class DeadRunError(RuntimeError):
    """The model gives back its input: it will not recover."""


class Update(NamedTuple):
    """One update of the weights.

    Args:
        iteration: 1 .. iterations. loss: as differentiated. error, copy_error: mean squared errors of the prediction
        and of copying, running averages. images_per_s: since the start of this process. seconds: of training so far.
    """

    iteration: int
    loss: float
    error: float
    copy_error: float
    images_per_s: float
    seconds: float


def learning_rate(settings: OptimiserSettings, iteration: int) -> float:
    """Learning rate of update `iteration` (0 .. iterations - 1)."""
    total, peak = settings.iterations, settings.rate
    warm = min(1.0, (iteration + 1) / min(WARM_UP, max(1, total // 5)))
    done = iteration / total
    if settings.schedule == "constant":
        return peak * warm
    if settings.schedule == "onecycle":
        if done < 0.3:
            return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * done / 0.3)))
        return peak * 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7)) + 1e-4 * peak
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


class _State:
    """Everything that a resumed run needs, saved and loaded as one file."""

    def __init__(self, experiment: Experiment, fabric: Fabric, data: SequenceData) -> None:
        torch.manual_seed(experiment.seed)
        self.experiment = experiment
        self.model: nn.Module = build(experiment)
        if experiment.warm_start:
            self._start_from(Path(experiment.warm_start))
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        if experiment.freeze_encoder:
            self.model.encoder.requires_grad_(False)  # type: ignore[union-attr]
        weights = self._select_active()
        self.optimiser = torch.optim.AdamW(weights, lr=experiment.optimiser.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.wrapped, self.optimiser = fabric.setup(self.model, self.optimiser)
        self.model = self.wrapped.module
        self.ema.to(fabric.device)
        self.generator = torch.Generator().manual_seed(experiment.seed + 1)
        self.rollouts = RollOuts(data, experiment.objective.persistent)
        self.iteration, self.seconds, self.cpu_seconds, self.render_seconds = 0, 0.0, 0.0, 0.0
        self.error, self.copy_error, self.still = 0.0, 0.0, 0

    def _start_from(self, folder: Path) -> None:
        weights = load_weights(folder / "model.safetensors")
        own = self.model.state_dict()
        fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
        if not fitting:
            raise ValueError(f"warm_start: no weight of {folder} fits this model; expected the same kind and sizes.")
        self.model.load_state_dict(fitting, strict=False)

    def _select_active(self) -> list[nn.Parameter]:
        active, names = self.experiment.active, self.experiment.model.components
        if active and not self.experiment.model.tied:
            for k, name in enumerate(names):
                self.model.energies[k].requires_grad_(name in active)  # type: ignore[index]
        return [p for p in self.model.parameters() if p.requires_grad]

    def update_average(self) -> None:
        decay = self.experiment.optimiser.ema
        decay = min(decay, self.iteration / (self.iteration + 10)) if decay else 0.0
        with torch.no_grad():
            for mean, now in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def save(self, folder: Path) -> None:
        content = {
            "model": self.model.state_dict(), "ema": self.ema.state_dict(), "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(), "rollouts": self.rollouts.state(),
            **{name: getattr(self, name) for name in COUNTERS},
        }  # fmt: skip
        write_atomically(folder / "checkpoint.pt", lambda p: torch.save(content, p))
        save_weights(folder / "model.safetensors", self.ema.state_dict())

    def load(self, folder: Path) -> None:
        path = folder / "checkpoint.pt"
        if not path.is_file():
            raise FileNotFoundError(f"Nothing to resume: {path} does not exist. Start without --resume.")
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
        self.rollouts.load(content["rollouts"])
        for name in COUNTERS:
            setattr(self, name, content[name])


class _Log:
    """metrics.jsonl, and TensorBoard events where the extra `track` is installed."""

    def __init__(self, folder: Path, iteration: int) -> None:
        self.path = folder / "metrics.jsonl"
        lines = self.path.read_text().splitlines() if iteration and self.path.exists() else []
        whole = [s for s in lines if s.endswith("}")]  # a killed process may leave half a line
        kept = [s for s in whole if json.loads(s)["iteration"] <= iteration]
        write_atomically(self.path, lambda p: p.write_text("".join(s + "\n" for s in kept)))
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)
        except ImportError:
            self.board = None

    def write(self, update: Update) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(update._asdict()) + "\n")
        if self.board:
            for name in ("loss", "error", "copy_error", "images_per_s"):
                self.board.add_scalar(name, getattr(update, name), update.iteration)

    def close(self) -> None:
        if self.board:
            self.board.close()


def train(experiment: Experiment, out: Path, resume: bool = False, accelerator: str = "auto") -> Generator[Update]:
    """Train and yield every update; the run folder `out` is complete when the iterator ends.

    Ctrl-C and SIGTERM write a checkpoint before they pass on; a killed process loses at most `checkpoint_every`
    updates.

    Args:
        out: run folder, created if absent. resume: go on from its checkpoint; on CPU to the same bits as a run that was
        never interrupted. accelerator: `auto`, `cpu` or `cuda`.
    Raises:
        FileExistsError: if `out` holds a run and `resume` is not set. NonFiniteError: naming iteration and component.
        DeadRunError: if the model gives back its input. OSError: if the folder cannot be written.
    """
    if not resume and (out / "checkpoint.pt").exists():
        raise FileExistsError(f"{out} already holds a run; add --resume to go on with it, or choose another --out.")
    torch.set_num_threads(experiment.threads)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    precision = "bf16-mixed" if experiment.optimiser.precision == "bf16" else "32-true"
    fabric = Fabric(accelerator=accelerator, devices=experiment.devices, precision=precision,  # type: ignore[arg-type]
                    strategy="ddp" if experiment.devices > 1 else "auto")  # fmt: skip
    fabric.launch()
    if experiment.optimiser.batch % fabric.world_size:
        raise ValueError(
            f"optimiser.batch: expected a multiple of the {fabric.world_size} processes, got "
            f"{experiment.optimiser.batch}."
        )
    data = SequenceData(experiment.data, "train", str(fabric.device))
    state = _State(experiment, fabric, data)
    if resume:
        _refuse_other_settings(experiment, out)
        state.load(out)
    main = fabric.global_rank == 0
    log = None
    if main:
        save_recipe(out, experiment)
        log = _Log(out, state.iteration)
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        if asked:  # a second signal does not wait for the end of the update
            raise KeyboardInterrupt
        asked.append(number)

    handled = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, stop) for number in handled}
    try:
        for update in _updates(state, fabric, data):
            last = update.iteration == experiment.optimiser.iterations
            if log and (update.iteration % experiment.log_every == 0 or last):
                log.write(update)
            if main and (update.iteration % experiment.checkpoint_every == 0 or last):
                state.save(out)
            if asked:
                raise KeyboardInterrupt
            yield update
    except DeadRunError as error:
        if main:
            write_json(out / "run.json", {"name": experiment.name, "seed": experiment.seed, "died": str(error)})
        raise
    except (KeyboardInterrupt, GeneratorExit):
        if main and state.iteration:
            state.save(out)
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if log:
            log.close()
    if main:
        _write_summary(state, data, out)


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


def _updates(state: _State, fabric: Fabric, data: SequenceData) -> Iterator[Update]:
    e = state.experiment
    batch = e.optimiser.batch
    active = [e.model.components.index(c) for c in e.active] if e.active else None
    share = slice(
        fabric.global_rank * batch // fabric.world_size, (fabric.global_rank + 1) * batch // fabric.world_size
    )
    begun, first = time.perf_counter(), state.iteration
    while state.iteration < e.optimiser.iterations:
        clock, cpu = time.perf_counter(), time.process_time()
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(e.optimiser, state.iteration)
        pairs = state.rollouts.draw(batch, state.generator)
        state.render_seconds += time.process_time() - cpu
        mine = Pairs(*(v[share] for v in pairs))
        state.wrapped.train()
        path = state.wrapped(mine.start, mine.target, mine.moves, state.generator, active=active)
        terms = prediction(e.objective, mine, path)
        loss, error, copied = fabric.all_reduce(
            torch.stack([terms.loss.detach(), terms.error, terms.copy_error])
        ).tolist()  # type: ignore[union-attr]
        if not math.isfinite(loss):
            raise NonFiniteError(_diagnose(state, mine))
        state.optimiser.zero_grad()
        fabric.backward(terms.loss * LOSS_SCALE)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), e.optimiser.clip or math.inf)
        if not torch.isfinite(norm):
            raise NonFiniteError(f"Non-finite gradient of the weights. {_diagnose(state, mine)}")
        state.optimiser.step()
        state.iteration += 1
        state.update_average()
        if e.objective.persistent:
            state.rollouts.keep(pairs, fabric.all_gather(path.frames[-1].detach()).flatten(0, -4))  # type: ignore[union-attr]
        _watch(state, error, copied, path.frames, mine)
        state.seconds += time.perf_counter() - clock
        state.cpu_seconds += time.process_time() - cpu
        rate = (state.iteration - first) * batch / (time.perf_counter() - begun)
        yield Update(state.iteration, loss, state.error, state.copy_error, rate, state.seconds)


def _watch(state: _State, error: float, copied: float, frames: list[Tensor], pairs: Pairs) -> None:
    """Running averages, and the death watch: a model whose output equals its input has zero gradient for good."""
    weight = max(0.02, 1 / state.iteration)
    state.error += weight * (error - state.error)
    state.copy_error += weight * (copied - state.copy_error)
    moved = (frames[-1].detach().clamp(0, 1) - pairs.start).square().mean().item()
    state.still = state.still + 1 if moved < DEAD_SHARE * copied else 0
    if state.still >= DEAD_AFTER:
        raise DeadRunError(
            f"The model has given back its input for {DEAD_AFTER} updates (iteration {state.iteration}). Lower "
            "optimiser.rate, choose another seed, or anchor the energy (model.anchor)."
        )


def _diagnose(state: _State, pairs: Pairs) -> str:
    who = state.model.blame(pairs.start, pairs.target, pairs.moves)  # type: ignore[operator]
    return (
        f"Training left the finite numbers at iteration {state.iteration + 1}, first seen in {who}. The last "
        "checkpoint is intact; lower optimiser.rate or descent.step_size and --resume."
    )


def _write_summary(state: _State, data: SequenceData, out: Path) -> None:
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
        "source": e.data.source,
        "data_sha256": checksum(data.digits),
        "error": state.error,
        "copy_error": state.copy_error,
    }
    write_json(out / "run.json", summary)
