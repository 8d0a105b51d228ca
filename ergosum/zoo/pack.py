"""Make a card of a run: `python -m ergosum.zoo.pack RUN NAME [N]`; of a baseline, which gets no name: `... RUN`.

The weights are copied, the scores measured on N sequences of every source at hand, or on N pictures, and `card.md`
written from them. The same command refreshes a card that is there; RUN may then be the card's own folder.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ergosum import zoo
from ergosum.evaluation.pictures import score_pictures
from ergosum.evaluation.summary import summarise
from ergosum.runfolder import load_predictor, load_recipe, load_weights, save_recipe, save_weights, write_json
from ergosum.settings import FACTORS, Experiment
from ergosum.zoo.card import Runs, lineage, write_card

__all__ = ["main", "pack", "pack_baseline"]


def pack(run: Path, name: str, sources: tuple[str, ...] = ("mnist", "digits"), n: int = 100, seed: int = 0) -> Path:
    """Copy a finished run into the zoo under `name`, score it, and write its card."""
    folder = zoo.CARDS / name
    runs = lineage(run)
    save_recipe(folder, _as_card(load_recipe(run), folder, runs))
    save_weights(folder / "model.safetensors", load_weights(run / "model.safetensors"))
    write_json(folder / "run.json", runs[-1] | ({"before": runs[:-1]} if len(runs) > 1 else {}))
    experiment, predictor = load_predictor(folder)
    held = tuple(c for c in predictor.components if c in FACTORS)  # type: ignore[union-attr]
    if experiment.task == "recomposition":
        told = score_pictures(name, experiment, predictor, n, seed, zoo.extractor().features)
        write_json(folder / "scores.json", {told["source"]: told})
    elif held:
        scores = {
            source: summarise(
                name, predictor, source=source, n=n, seed=seed, companions=zoo.companions(held),
                beside=zoo.baselines(), reference=zoo.reference(), classify=zoo.judge(),
            )
            for source in sources
        }  # fmt: skip
        write_json(folder / "scores.json", scores)
    write_card(folder)
    return folder


def _as_card(recipe: Experiment, folder: Path, runs: Runs) -> Experiment:
    """The recipe under the card's name; of several runs, the last one's own line would tell the last step alone."""
    card = recipe.but(name=folder.name, warm_start="", active=())
    if len(runs) == 1:
        return card
    shows = load_recipe(folder).shows if (folder / "recipe.json").is_file() else recipe.shows
    return card.but(shows=shows, cost=f"{sum(r['cpu_seconds'] for r in runs) / 60:.0f} CPU minutes in all")


def pack_baseline(run: Path) -> None:
    """Keep a baseline's weights, in half precision, so that every score can show it beside ours."""
    folder = Path(zoo.__file__).parent / "baselines" / run.name
    save_recipe(folder, load_recipe(run))
    weights = load_weights(run / "model.safetensors")
    save_weights(
        folder / "model.safetensors", {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ergosum.zoo.pack", description=pack.__doc__)
    parser.add_argument("run", type=Path, help="finished run")
    parser.add_argument("name", nargs="?", help="name of the card; without it the run is kept as a baseline")
    parser.add_argument("n", type=int, nargs="?", default=100, help="sequences or pictures to score on; default: 100")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        print(pack(chosen.run, chosen.name, n=chosen.n))
    else:
        pack_baseline(chosen.run)


if __name__ == "__main__":
    main()
