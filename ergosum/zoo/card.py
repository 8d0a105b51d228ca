"""The text of a card: what it is, which runs made it and what they cost, and how it scores.

All of it is derived from the card's recipe.json, run.json and scores.json. A card that took several runs, each
starting from the weights of the one before, keeps the earlier ones in its run.json under `before`.
"""

from pathlib import Path
from typing import Any

from ergosum.files import read_json, write_atomically
from ergosum.training.runfolder import CARDS, load_recipe

__all__ = ["card_text", "lineage", "write_card"]

Runs = list[dict[str, Any]]
MEASURES = {"mse": "mean squared error", "mse_mean": "of the mean image", "psnr": "PSNR [dB]", "ssim": "SSIM",
            "sharpness": "sharpness (edges left)",
            "swap_consistency": "swap consistency", "count_accuracy": "count accuracy",
            "count_matched": "every object matched", "count_matched_apart": "with shadows told apart",
            "count_random": "of random weights: count accuracy",
            "matched_random": "every object matched", "composites": "composites",
            "kid": "kernel distance", "kid_recombined": "of images with one component exchanged",
            "beta_vae": "beta-VAE metric", "mig": "MIG", "mcc": "MCC"}  # fmt: skip
"""What else a card of images tells."""


def lineage(folder: Path) -> Runs:
    """The run.json of every run that led to this one, the first one first, found by their `warm_start`.

    Raises:
        FileNotFoundError: if a run that another started from is gone. ValueError: if a run started from itself.
    """
    runs: Runs = []
    seen: set[Path] = set()
    while True:
        if folder.resolve() in seen:
            raise ValueError(f"{folder} is its own warm start; a run that it started from was trained again since.")
        seen.add(folder.resolve())
        own = read_json(folder / "run.json")
        before, start = own.pop("before", []), load_recipe(folder).run.warm_start
        runs = [*before, own, *runs]
        if before or not start:
            return runs
        folder = _start_of(folder, Path(start))


def _start_of(folder: Path, start: Path) -> Path:
    """Where the run that another started from lies now: where it was, or beside that other one."""
    for place in (start, folder.parent / start.name, CARDS / start.name):
        if (place / "run.json").is_file():
            return place
    raise FileNotFoundError(f"{folder} started from {start}, which is not there, so its cost cannot be told.")


def card_text(name: str, shows: str, runs: Runs, scores: dict[str, dict[str, Any]]) -> str:
    """The card in Markdown.

    Args:
        shows: one line. runs: those that made it, the first one first. scores: by source; may be empty.
    """
    last, cost = runs[-1], sum(r["cpu_seconds"] for r in runs)
    where = f"{last['threads']} thread(s) of {last['device']} ({last['machine']}), torch {last['torch']}"
    lines = [f"# {name}", "", f"{shows[0].upper()}{shows[1:]}.", ""]
    if len(runs) == 1:
        lines.append(f"- Made by `{_command(last)}`, seed {last['seed']}, {last['iterations']} updates.")
    else:
        lines += [f"Made by {len(runs)} runs, each starting from the weights of the one before:", "", *_table(runs), ""]
    data = last["data_sha256"]  # of single images, the name of the stored set, which holds a digest of its settings
    known = f" (stored as {data})" if "-seed" in data else f" (sha256 of the images begins {data})" if data else ""
    lines += [
        f"- Trained on `{last['source']}`{known}.",
        f"- Cost: {cost:.0f} CPU seconds on {where}.",
        f"- {last['weights']:,} weights in safetensors, MIT licence.",
        "",
    ]
    for source, score in scores.items():
        of = "" if "fg_ari" in score else f" --source {source}"
        command = f"ergosum score {name}{of} --n {score['n']} --seed {score['seed']}"
        lines += [f"## Scores on held-out {source}", "", f"`{command}`", ""]
        lines += [*_targets(score), ""] if score["targets"] else []
        lines += [*_segments(score), ""] if score.get("fg_ari") is not None else []
        lines += [*_shadows(score), ""] if "shadow_rows" in score else []
        lines += [_measures(score), ""] if "mse_mean" in score else []
    return "\n".join(lines)


def write_card(folder: Path) -> None:
    """Write card.md from what lies beside it."""
    scores = read_json(folder / "scores.json") if (folder / "scores.json").is_file() else {}
    text = card_text(folder.name, load_recipe(folder).shows, lineage(folder), scores)
    write_atomically(folder / "card.md", lambda p: p.write_text(text))


def _command(run: dict[str, Any]) -> str:
    recipe = run["name"].removesuffix(f"-seed{run['seed']}")
    return f"ergosum train {recipe}" + (f" --seed {run['seed']}" if run["seed"] else "")


def _table(runs: Runs) -> list[str]:
    """A row for each run, and their sums."""
    lines = ["| run | seed | updates | CPU seconds |", "|---|---|---|---|"]
    lines += [f"| `{_command(r)}` | {r['seed']} | {r['iterations']} | {r['cpu_seconds']:.0f} |" for r in runs]
    updates, cost = (sum(r[key] for r in runs) for key in ("iterations", "cpu_seconds"))
    return [*lines, f"| together | | {updates} | {cost:.0f} |"]


def _segments(score: dict[str, Any]) -> list[str]:
    """What a model of images found, beside what needs no learning."""
    lines = ["| segments | foreground ARI | ARI | covering |", "|---|---|---|---|"]
    for row in score["rows"]:
        lines.append(f"| {row['row']} | {row['fg_ari']:.3f} | {row['ari']:.3f} | {row['covering']:.3f} |")
    return lines


def _shadows(score: dict[str, Any]) -> list[str]:
    """The same against masks of solids alone, and of solids with the shadows that they cast."""
    keys = ("fg_ari", "ari", "covering", "ari_with_shadows", "covering_with_shadows")
    lines = ["| segments | foreground ARI | ARI | covering | ARI with shadows | covering with shadows |"]
    lines.append("|" + "---|" * 6)
    return lines + [f"| {row['row']} | " + " | ".join(f"{row[k]:.3f}" for k in keys) + " |"
                    for row in score["shadow_rows"]]  # fmt: skip


def _measures(score: dict[str, Any]) -> str:
    """How images are recomposed, and what latents tell."""
    known = [(what, score.get(key)) for key, what in MEASURES.items()]
    told = ", ".join(f"{what} {value:.4g}" for what, value in known if value is not None)
    return f"{told[0].upper()}{told[1:]}."


def _targets(score: dict[str, Any]) -> list[str]:
    lines = ["| | value | target | |", "|---|---|---|---|"]
    for t in score["targets"]:
        sign, verdict = ("≥" if t["at_least"] else "≤"), ("met" if t["met"] else "missed")
        lines.append(f"| {t['name']} | {t['value']:.3f} | {sign} {t['target']:g} | {verdict} |")
    return lines
