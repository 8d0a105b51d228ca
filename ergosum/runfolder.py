"""Run folders: how experiments, weights and scores lie on disk, written whole or not at all.

recipe.json  metrics.jsonl  checkpoint.pt  model.safetensors  run.json  scores.json  card.md  report.html
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ergosum.baselines.additive import Additive
from ergosum.baselines.factor_vae import FactorVae
from ergosum.baselines.feedforward import FeedForward
from ergosum.baselines.info_gan import InfoGan
from ergosum.baselines.monet import Monet
from ergosum.baselines.rival import Rival
from ergosum.baselines.slot_attention import SlotAttention
from ergosum.baselines.vae import BetaVae
from ergosum.decomposer import Decomposer
from ergosum.settings import Experiment, from_dict, to_dict

__all__ = [
    "CARDS", "build", "load_predictor", "load_recipe", "locate", "read_json", "save_weights", "write_atomically",
    "write_json",
]  # fmt: skip

_RIVALS: dict[str, type[Rival]] = {
    "vae": BetaVae, "factor_vae": FactorVae, "info_gan": InfoGan, "monet": Monet, "slot_attention": SlotAttention,
    "additive": Additive,
}  # fmt: skip

CARDS = Path(__file__).parent / "zoo" / "cards"
"""Run folders that ship with the package."""


def locate(name: str, cards: Path = CARDS) -> Path:
    """The run folder at a path, or the card of that name.

    Raises:
        FileNotFoundError: if there is neither.
    """
    for folder in (Path(name), cards / name):
        if (folder / "recipe.json").is_file():
            return folder
    if Path(name).exists():
        raise FileNotFoundError(f"{name} is not a run folder: it has no recipe.json.")
    known = ", ".join(sorted(p.parent.name for p in cards.glob("*/recipe.json")))
    raise FileNotFoundError(f"There is no card or run folder {name!r}; the cards are {known}.")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: `path` is old or new, never half.

    Raises:
        OSError: if the folder is read-only or the disk is full; the message says which file, and `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        raise OSError(f"Could not write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically."""
    write_atomically(path, lambda p: p.write_text(json.dumps(content, indent=1) + "\n"))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: if the file is no JSON.
    """
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from error


def build(experiment: Experiment) -> Decomposer | FeedForward | Rival:
    """The predictor of an experiment with random weights from torch's present generator."""
    if experiment.predictor == "feedforward":
        return FeedForward(experiment.model, experiment.data.canvas)
    if experiment.predictor in _RIVALS:
        return _RIVALS[experiment.predictor](experiment.rival, experiment.pictures.side)
    canvas = experiment.data.canvas if experiment.task == "prediction" else experiment.pictures.side
    return Decomposer(experiment.model, experiment.descent, canvas)


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """Write weights as safetensors, atomically."""
    plain = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    write_atomically(path, lambda p: save_file(plain, p))


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


def load_recipe(folder: Path) -> Experiment:
    """The experiment of a run folder.

    Raises:
        FileNotFoundError: if it is no run folder.
    """
    path = folder / "recipe.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no recipe.json.")
    return from_dict(Experiment, read_json(path))


def save_recipe(folder: Path, experiment: Experiment) -> None:
    """Write recipe.json."""
    write_json(folder / "recipe.json", to_dict(experiment))


def load_predictor(folder: Path) -> tuple[Experiment, nn.Module]:
    """Experiment and trained predictor of a run folder or card, in evaluation mode.

    Raises:
        ValueError: if weights and recipe do not belong together.
    """
    experiment = load_recipe(folder)
    predictor = build(experiment)
    try:
        predictor.load_state_dict(load_weights(folder / "model.safetensors"))
    except RuntimeError as error:
        raise ValueError(f"The weights in {folder} do not fit its recipe.json: {str(error).splitlines()[0]}") from error
    return experiment, predictor.eval()
