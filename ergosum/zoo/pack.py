"""Make a card of a run: `python -m ergosum.zoo.pack RUN NAME [N]`; of a baseline, which gets no name: `... RUN`.

The weights are copied, the scores measured on N sequences of every source at hand, or on N images, and `card.md`
written from them. The same command refreshes a card that is there; RUN may then be the card's own folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ergosum import zoo
from ergosum.files import write_json
from ergosum.training.experiment import Experiment
from ergosum.training.runfolder import load_predictor, load_recipe, load_weights, save_recipe, save_weights
from ergosum.zoo.card import Runs, lineage, write_card

__all__ = ["as_card", "main", "pack", "pack_baseline"]

NEEDLESS = {"judge", "guesser"}
"""What only training needs of a model (`concepts/judge.py`, `concepts/guesser.py`)."""


def pack(
    run: Path, name: str, sources: tuple[str, ...] = ("mnist", "digits"), n: int = 100, seed: int = 0,
    half: bool = False,
) -> Path:  # fmt: skip
    """Copy a finished run into the zoo under `name`, score it, and write its card.

    Args:
        half: keep weights in half precision; what the task measures of a trained model is then measured anew.
    """
    folder = zoo.CARDS / name
    runs = lineage(run)
    save_recipe(folder, as_card(load_recipe(run), folder, runs))
    weights = _kept(load_weights(run / "model.safetensors"))
    save_weights(folder / "model.safetensors", _halved(weights) if half else weights)
    write_json(folder / "run.json", runs[-1] | ({"before": runs[:-1]} if len(runs) > 1 else {}))
    experiment, model = load_predictor(folder)
    task = experiment.built()
    if half and task.finish(model, torch.Generator().manual_seed(seed)):
        save_weights(folder / "model.safetensors", _halved(_kept(model.state_dict())))
    scores: dict[str, object] = {}
    try:
        for source in sources:
            score = task.score(name, model, n, seed, source=source, shelf=zoo.Zoo())
            scores[score["source"]] = score
            if score["source"] != source:  # a task with data of its own heeds no source
                break
        write_json(folder / "scores.json", scores)
    except ValueError as error:
        print(f"{name} is not scored: {error}")
    write_card(folder)
    return folder


def as_card(recipe: Experiment, folder: Path, runs: Runs) -> Experiment:
    """The recipe under the card's name; of several runs, the last one's own line would tell the last step alone."""
    task = {"active": ()} if "active" in recipe.task.settings() else {}  # type: ignore[union-attr]
    card = recipe.but(name=folder.name, run={"warm_start": ""}, task=task)
    if len(runs) == 1:
        return card
    shows = load_recipe(folder).shows if (folder / "recipe.json").is_file() else recipe.shows
    return card.but(shows=shows, cost=f"{sum(r['cpu_seconds'] for r in runs) / 60:.0f} CPU minutes in all")


def pack_baseline(run: Path) -> None:
    """Keep a baseline's weights, in half precision, so that every score can show it beside ours."""
    folder = Path(zoo.__file__).parent / "baselines" / run.name
    save_recipe(folder, load_recipe(run))
    save_weights(folder / "model.safetensors", _halved(load_weights(run / "model.safetensors")))


def _kept(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in weights.items() if NEEDLESS.isdisjoint(k.split("."))}


def _halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ergosum.zoo.pack", description=pack.__doc__)
    parser.add_argument("run", type=Path, help="finished run")
    parser.add_argument("name", nargs="?", help="name of the card; without it the run is kept as a baseline")
    parser.add_argument("n", type=int, nargs="?", default=100, help="sequences or images to score on; default: 100")
    parser.add_argument("--half", action="store_true", help="keep weights in half precision")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        print(pack(chosen.run, chosen.name, n=chosen.n, half=chosen.half))
    else:
        pack_baseline(chosen.run)


if __name__ == "__main__":
    main()
