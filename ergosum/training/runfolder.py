"""Run folders: how experiments, weights and scores lie on disk, and to whom a folder belongs while it is trained.

recipe.json  metrics.jsonl  checkpoint.pt  model.safetensors  run.json  scores.json  card.md  report.html
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ergosum.files import read_json, write_atomically, write_json
from ergosum.training.experiment import Experiment, from_dict, to_dict
from ergosum.training.hub import fetched, is_on_hub
from ergosum.training.task import Task

__all__ = ["CARDS", "load_predictor", "load_recipe", "load_weights", "locate", "owned", "save_recipe", "save_weights"]

CARDS = Path(__file__).parents[1] / "zoo" / "cards"
"""Run folders that ship with the package."""


def locate(name: str | Path, cards: Path = CARDS) -> Path:
    """The run folder at a path, the card of that name, or the folder on a hub, `hf://USER/NAME` (`hub.fetched`).

    Raises:
        FileNotFoundError: if there is none. ImportError: for a name on a hub, without huggingface_hub.
    """
    if is_on_hub(name):
        return fetched(name)
    for folder in (Path(name), cards / name):
        if (folder / "recipe.json").is_file():
            return folder
    if Path(name).exists():
        raise FileNotFoundError(f"{name} is not a run folder: it has no recipe.json.")
    known = ", ".join(sorted(p.parent.name for p in cards.glob("*/recipe.json")))
    raise FileNotFoundError(f"There is no card or run folder {str(name)!r}; the cards are {known}, and hf://USER/NAME.")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process: two that train in one would mix a recipe with the other's weights.

    The lock belongs to the process and ends with it, however it ends.

    Raises:
        BlockingIOError: if another process holds the folder; it is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        if not _lock(file):
            file.seek(0)
            raise BlockingIOError(
                f"{folder} is being trained by another process ({file.read().strip() or 'unknown'}); wait for it, or "
                "choose another --out."
            )
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _lock(file: TextIO) -> bool:
    """Lock an open file; False if another process holds it. Where there are no locks, nobody does."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # not a POSIX system, or a file system without locks
        return True
    return True


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """Write weights as safetensors, atomically."""
    plain = {k: v.detach().cpu().contiguous() for k, v in state.items()}

    def write(to: Path) -> None:
        try:
            save_file(plain, to)
        except SafetensorError as error:
            raise OSError(str(error)) from error

    write_atomically(path, write)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read weights.

    Raises:
        FileNotFoundError, ValueError: if the file is missing, truncated, no safetensors, or holds non-finite weights.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: the run has not reached its first checkpoint, or is no run folder."
        )
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is truncated or not safetensors ({error}). Train again or restore the file."
        ) from error
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{path} holds non-finite weights in {name!r}; go back to an earlier checkpoint.")
    return state


def load_recipe(folder: Path, trust: tuple[str, ...] = (), task: Task | None = None) -> Experiment:
    """The experiment of a run folder.

    Args:
        trust, task: as `experiment.from_dict`.
    Raises:
        FileNotFoundError: if it is no run folder. ValueError: if its recipe cannot be read.
    """
    path = folder / "recipe.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no recipe.json.")
    return from_dict(read_json(path), trust, task)


def save_recipe(folder: Path, experiment: Experiment) -> None:
    """Write recipe.json."""
    write_json(folder / "recipe.json", to_dict(experiment))


def load_predictor(
    run: str | Path, trust: tuple[str, ...] = (), task: Task | None = None
) -> tuple[Experiment, nn.Module]:
    """Experiment and trained model of a run folder (a path), a card (its name) or hf://USER/NAME, in evaluation mode.

    Args:
        trust: modules outside of the package that its recipe may name. task: of a run that was trained from a task
            object, the same task again.
    Raises:
        FileNotFoundError: if there is no such run or card. ValueError: if weights and recipe do not belong together.
    """
    folder = locate(run)
    experiment = load_recipe(folder, trust, task)
    model = experiment.built().build()
    try:
        model.load_state_dict(load_weights(folder / "model.safetensors"))
    except RuntimeError as error:
        raise ValueError(f"The weights in {folder} do not fit its recipe.json: {str(error).splitlines()[0]}") from error
    return experiment, model.eval()
