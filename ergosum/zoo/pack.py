"""Make a card of a run: `python -m ergosum.zoo.pack RUN NAME [N]`; of a baseline, which gets no name: `... RUN`.

The weights are copied, the scores measured on every source at hand, and `card.md` written from them.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from ergosum import zoo
from ergosum.evaluation.summary import summarise
from ergosum.runfolder import (
    load_predictor,
    load_recipe,
    load_weights,
    read_json,
    save_recipe,
    save_weights,
    write_json,
)
from ergosum.settings import FACTORS

__all__ = ["pack", "pack_baseline"]


def pack(run: Path, name: str, sources: tuple[str, ...] = ("mnist", "digits"), n: int = 100, seed: int = 0) -> Path:
    """Copy a finished run into the zoo under `name`, score it, and write its card."""
    folder = zoo.CARDS / name
    recipe = load_recipe(run)
    save_recipe(folder, recipe.but(name=name, warm_start="", active=()))
    save_weights(folder / "model.safetensors", load_weights(run / "model.safetensors"))
    shutil.copy(run / "run.json", folder / "run.json")
    _, predictor = load_predictor(folder)
    held = tuple(c for c in predictor.components if c in FACTORS)  # type: ignore[union-attr]
    if held:
        scores = {
            source: summarise(
                name, predictor, source=source, n=n, seed=seed, companions=zoo.companions(held),
                beside=zoo.baselines(), reference=zoo.reference(), classify=zoo.judge(),
            )
            for source in sources
        }  # fmt: skip
        write_json(folder / "scores.json", scores)
    else:
        scores = {}
    card = _card(name, recipe.shows, run.name, read_json(folder / "run.json"), scores, n, seed)
    (folder / "card.md").write_text(card)
    return folder


def pack_baseline(run: Path) -> None:
    """Keep a baseline's weights, in half precision, so that every score can show it beside ours."""
    folder = Path(zoo.__file__).parent / "baselines" / run.name
    save_recipe(folder, load_recipe(run))
    weights = load_weights(run / "model.safetensors")
    save_weights(
        folder / "model.safetensors", {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    )


def _card(name: str, shows: str, recipe: str, run: dict[str, Any], scores: dict[str, Any], n: int, seed: int) -> str:
    where = f"{run['threads']} thread(s) of {run['device']} ({run['machine']}), torch {run['torch']}"
    lines = [
        f"# {name}",
        "",
        f"{shows[0].upper()}{shows[1:]}.",
        "",
        f"- Made by `ergosum train {recipe}`, seed {run['seed']}, {run['iterations']} updates.",
        f"- Trained on `{run['source']}` (sha256 of the images begins {run['data_sha256']}).",
        f"- Cost: {run['cpu_seconds']:.0f} CPU seconds on {where}.",
        f"- {run['weights']:,} weights in safetensors, MIT licence.",
        "",
    ]
    for source, score in scores.items():
        command = f"ergosum score {name} --source {source} --n {n} --seed {seed}"
        lines += [f"## Scores on held-out {source}", "", f"`{command}`", ""]
        lines += ["| | value | target | |", "|---|---|---|---|"]
        for t in score["targets"]:
            sign, verdict = ("≥" if t["at_least"] else "≤"), ("met" if t["met"] else "missed")
            lines.append(f"| {t['name']} | {t['value']:.3f} | {sign} {t['target']:g} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        pack(Path(sys.argv[1]), sys.argv[2], n=int(sys.argv[3]) if len(sys.argv) > 3 else 100)
    else:
        pack_baseline(Path(sys.argv[1]))
