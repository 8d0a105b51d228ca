"""A card or run as the folder that a hub expects: README.md with its front matter, recipe, weights and licence."""

from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import ergosum
from ergosum.files import read_json, write_atomically, write_json
from ergosum.training.runfolder import CARDS, load_recipe, load_weights, save_recipe, save_weights
from ergosum.zoo.card import card_text, lineage
from ergosum.zoo.pack import as_card

__all__ = ["hub_folder", "readme"]

TAGS = ("energy-based-model", "compositional-generation", "ergosum")


def hub_folder(run: Path, to: Path, licence: str = "", trust: tuple[str, ...] = ()) -> Path:
    """Write a run folder as a hub shows it: README.md, recipe.json, model.safetensors, run.json, scores.json, LICENSE.

    Weights are checked as they are copied. The recipe forgets which run it started from; paths of data stay in it.

    Args:
        run: a finished run, or a card. to: the folder, which is made if needed. licence: of the weights, as SPDX calls
            it, such as mit or cc-by-4.0; "" is MIT for cards that ship with the package. trust: as `load_recipe`.
    Raises:
        FileNotFoundError, ValueError: if the run is not finished, or its recipe or weights cannot be read. ValueError:
            if `to` is the run itself, or no licence is given of one's own run. OSError: if `to` cannot be written.
    """
    ships = run.parent.resolve() == CARDS.resolve()
    if not licence and not ships:
        raise ValueError(f"licence: {run} is a run of your own; say under which licence its weights are, such as mit.")
    if to.resolve() == run.resolve():
        raise ValueError(f"{to} is the run itself; choose another folder.")
    if not (run / "run.json").is_file():
        raise FileNotFoundError(f"{run} has no run.json: the run is not finished.")
    runs, recipe, weights = lineage(run), load_recipe(run, trust), load_weights(run / "model.safetensors")
    scores = _scores(run)
    name = run.name if ships else to.resolve().name
    save_recipe(to, as_card(recipe, to, runs).but(name=name))
    save_weights(to / "model.safetensors", weights)
    write_json(to / "run.json", runs[-1] | ({"before": runs[:-1]} if len(runs) > 1 else {}))
    if scores:
        write_json(to / "scores.json", scores)
    text = readme(card_text(name, recipe.shows or recipe.name, runs, scores), name, licence or "mit")
    write_atomically(to / "README.md", lambda p: p.write_text(text, encoding="utf-8"))
    terms = _own_licence() if ships and not licence else f"SPDX-License-Identifier: {licence}\n"
    write_atomically(to / "LICENSE", lambda p: p.write_text(terms, encoding="utf-8"))
    return to


def readme(card: str, name: str, licence: str) -> str:
    """A card as a hub shows it: front matter, how to use it, and the card itself."""
    front = yaml.safe_dump({"library_name": "ergosum", "license": licence, "tags": list(TAGS)}, sort_keys=False)
    card = card.replace("in safetensors, MIT licence.", f"in safetensors, licence {licence}.")
    title, _, rest = card.partition("\n")
    use = (
        "```sh\npip install 'ergosum[hub]'\n"
        f"ergosum report hf://USER/{name}\n```\n\n"
        "```python\nfrom ergosum import load_predictor\n\n"
        f'experiment, model = load_predictor("hf://USER/{name}")\n```\n'
    )
    return f"---\n{front}---\n\n{title}\n\n{use}{rest}"


def _scores(run: Path) -> dict[str, dict[str, Any]]:
    """Scores by source: as a card keeps them, or the one of a run."""
    held = read_json(run / "scores.json") if (run / "scores.json").is_file() else {}
    return {held["source"]: held} if "source" in held else held


def _own_licence() -> str:
    """The package's licence."""
    beside = Path(ergosum.__file__).parents[1] / "LICENSE"
    text = beside.read_text(encoding="utf-8") if beside.is_file() else None
    text = text or metadata.distribution("ergosum").read_text("licenses/LICENSE")
    if text is None:
        raise FileNotFoundError("The package's own LICENSE is missing; install it again.")
    return text
