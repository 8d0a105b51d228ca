"""Tables of docs/densities.md, docs/objectives.md and docs/incomplete.md, from the shipped card's scores and the results
of benchmarks.

python docs/density_tables.py      # no training; each table is followed by the command that made its numbers
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tables import replace_block

from ergosum import zoo
from ergosum.files import read_json

RESULTS = Path("benchmarks/results")
DENSITIES, OBJECTIVES, INCOMPLETE = (Path(f"docs/{name}.md") for name in ("densities", "objectives", "incomplete"))
ROWS = {
    "levels": "levels in codes", "levels-wide": "levels, network of the card", "jem-levels": "JEM without chains",
    "persistent": "persistent chains, replay", "cd": "contrastive divergence", "short-run": "short-run chains",
    "jem": "JEM by chains", "classifier": "classifier alone", "torchebm": "torchebm 0.8.9, persistent",
    "ebmkit": "ebmkit 0.16.0, JEM", "levels-pixels": "levels in pixels", "persistent-pixels": "persistent chains in pixels",
}  # fmt: skip


def main() -> None:
    """Write every table whose numbers are there."""
    scores = read_json(zoo.CARDS / "mnist-density" / "scores.json")["mnist"]
    replace_block(DENSITIES, "levels", levels(scores))
    replace_block(DENSITIES, "scores", judged(scores))
    if (RESULTS / "known_truth.json").is_file():
        replace_block(DENSITIES, "known truths", known(read_json(RESULTS / "known_truth.json")))
    if (RESULTS / "densities").is_dir():
        replace_block(DENSITIES, "compared", compared(RESULTS / "densities"))
    if (RESULTS / "collapse.json").is_file():
        replace_block(OBJECTIVES, "collapse", collapse(read_json(RESULTS / "collapse.json")))
    if (RESULTS / "short_run.json").is_file():
        replace_block(OBJECTIVES, "short run", short_run(read_json(RESULTS / "short_run.json")))
    settings = read_json(RESULTS / "incomplete.json")["settings"]
    replace_block(INCOMPLETE, "fills", fills(settings))
    replace_block(INCOMPLETE, "ways", ways(settings))


def levels(scores: dict[str, Any]) -> list[str]:
    """log Z of every level of the card."""
    lines = ["| sigma | log Z, furthest from 0 of any class [nats] | effective share of draws, least | normalised |",
             "|---|---|---|---|"]  # fmt: skip
    for sigma, bias in scores["level_bias"].items():
        error, ess = scores["level_bias_error"][sigma], scores["ess"][sigma]
        good = abs(bias) <= 1 and error <= 0.5 and ess >= 0.1
        lines.append(f"| {sigma} | {bias:+.2f} ± {error:.2f} | {ess:.2f} | {'yes' if good else 'no'} |")
    return [
        *lines,
        "",
        "`mnist-density`, 24 codes, 128 draws of each of ten classes and the prior, in eight populations.",
    ]


def judged(scores: dict[str, Any]) -> list[str]:
    """What the card is worth, beside what learned nothing."""
    lines = [
        f"`ergosum score mnist-density --source mnist --n {scores['n']} --seed {scores['seed']}`:", "",
        "| draws | read as their class | kernel distance | share of copies |", "|---|---|---|---|",
    ]  # fmt: skip
    for row in scores["rows"]:
        kid = f"{row['kid']:.4f} ± {row['kid_error']:.4f}"
        lines.append(f"| {row['row']} | {row['sample_accuracy']:.3f} | {kid} | {row['copies']:.3f} |")
    auroc = ", ".join(f"{name} {value:.3f}" for name, value in scores["auroc"].items())
    pixel = next(r for r in scores["auroc_rows"] if r["set"] == "fashion")
    return [
        *lines, "",
        f"Bayes' rule on held-out images: right on {scores['accuracy']:.4f}, {scores['nll']:.3f} nats, calibration error "
        f"{scores['ece']:.4f} (15 bins of equal mass; {scores['ece_of_widths']:.4f} with 10 of equal width). Held-out "
        f"images told from foreign ones by their likelihood (AUROC): {auroc}. Fashion-MNIST is the easy direction: the "
        f"sum of the pixels has {pixel['pixel sum']:.3f}, the distance to the mean image {pixel['mean image']:.3f}.",
        f"Minus the log-density is {scores['bits_per_dim']:.2f} bits per number of {scores['bits_per_dim_of']}: it is of "
        "codes, cannot be compared with models of pixels, and is off by what the table above says of that level.",
    ]  # fmt: skip


def known(results: list[dict[str, Any]]) -> list[str]:
    """Errors of log Z where the truth is known."""
    lines = ["| truth | trained by | seed | CPU min | sigma | log Z between conditions [nats] | shares of modes [nats] | "
             "effective share |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for result in results:
        trained = f"denoising + {result['time']:g} time score" if result["time"] else "denoising alone"
        trained += ", U-Net" if result.get("body") == "unet" else ""
        for row in result["levels"]:
            if round(row["sigma"], 3) not in (0.05, 0.1, 0.3, 1.0, 5.0):
                continue
            modes = row.get("modes")
            ess = min(c["ess"] for c in row["conditions"])
            lines.append(
                f"| {result['case']} | {trained} | {result['seed']} | {result['cpu_minutes']:.1f} | {row['sigma']:.2g} | "
                f"{row['between']:+.2f} | {'' if modes is None else f'{modes:+.2f}'} | {ess:.2f} |"
            )
    return [
        *lines,
        "",
        "`python benchmarks/known_truth.py`, errors against the exact log-density on draws of the truth.",
    ]


def compared(folder: Path) -> list[str]:
    """Every row of the comparison that was run."""
    found = {name: read_json(folder / f"{name}.json") for name in ROWS if (folder / f"{name}.json").is_file()}
    first = next(iter(found.values()))
    lines = ["| row | space | CPU min | updates | ms per update | draws read right | Bayes' rule | calibration error | "
             "kernel distance | images per s |", "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in found.items():
        cells = [
            ROWS[name],
            row["space"],
            f"{row['cpu_minutes']:.1f}",
            str(row["updates"]),
            f"{row['ms_per_update']:.0f}",
        ]
        cells += [_number(row.get(key), 3) for key in ("sample_accuracy", "accuracy", "ece", "kid")]
        lines.append(f"| {' | '.join([*cells, _number(row.get('images_per_s'), 0)])} |")
    told = (
        f"One seed, {first['n']} draws, {first['held_out']} held-out images, one CPU thread, the same autoencoder for all "
        f"(its images read right in {first['reader_recomposed']:.3f}, true ones in {first['reader']:.3f}; true images "
        f"against true ones have a kernel distance of {first['kid_true']:.3f} ± {first['kid_true_error']:.3f})."
    )
    return [*lines, "", told, "`python benchmarks/densities.py`."]


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def collapse(result: dict[str, Any]) -> list[str]:
    """Functionals and architectures."""
    lines = ["| architecture | functional | collapsed | gap of energies | spread | error of the lowest | with noise |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in result["rows"]:
        lines.append(
            f"| {row['architecture']} | {row['functional']} | {row['collapsed']} of {result['seeds']} | {row['gap']:.3f} | "
            f"{row['spread']:.3f} | {row['error']:.3f} | {row['noisy']:.3f} |"
        )
    return [*lines, "", f"`python benchmarks/collapse.py`, {result['seeds']} seeds, {result['updates']} updates, "
            f"{result['cpu_seconds']:.0f} CPU seconds in all; the best constant answer errs by "
            f"{result['constant_error']:.3f}."]  # fmt: skip


def short_run(result: dict[str, Any]) -> list[str]:
    """Short-run chains as a generator."""
    draws = result["draws"]
    lines = [
        f"Draws of a class that are read as it: {draws['with noise']:.3f}, without the steps' noise "
        f"{draws['without noise']:.3f}; true images {draws['true']:.3f}.", "",
        "| between two starts of a class | p = 0 | 0.25 | 0.5 | 0.75 | 1 |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for straight, name in ((False, "variance kept"), (True, "straight line")):
        rows = [row for row in result["interpolation"] if row["straight"] == straight]
        for head, key, form in (("read as the class", "right", ".3f"), ("mean energy", "energy", ".2f")):
            lines.append(f"| {name}, {head} | {' | '.join(format(row[key], form) for row in rows)} |")
    lines += ["", "| reconstruction of 16 held-out images | mean squared error of a pixel |", "|---|---|"]
    lines += [f"| {name} | {value:.4f} |" for name, value in result["reconstruction"].items()]
    return [
        *lines, "",
        f"`python benchmarks/short_run.py --source {result['source']} --iterations {result['iterations']} --n "
        f"{result['n']} --seed {result['seed']}`: {result['n']} draws, one seed, {result['cpu_seconds'] / 60:.1f} CPU "
        f"minutes, of which training {result['training'] / 60:.1f}. Uniform starts at p = sqrt(1/2): "
        f"{result['outside']:.4f} of the numbers leave the range.",
    ]  # fmt: skip


HIDDEN = {
    "salt-50": "half of the pixels", "salt-70": "70 % of the pixels", "salt-90": "90 % of the pixels",
    "block": "a block of 14 x 14", "frames": "half of the frames of a clip", "object": "what an object hides",
}  # fmt: skip


def _errors(settings: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Setting, part and errors, of the first seed."""
    for name in HIDDEN:
        for part, errors in next(iter(settings.get(name, {"": {"errors": {}}}).values()))["errors"].items():
            yield name, part, errors


def fills(settings: dict[str, Any]) -> list[str]:
    """Every setting that was run: fills that learn nothing, and `MaskedScore`."""
    lines = ["| hidden | examples | best that learns nothing | harmonic | `MaskedScore`, one draw | median of three | "
             "by the best |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    learned = ("ours", "first fill", "whole images", "two chains")
    for name, part, errors in _errors(settings):
        free = {k: v for k, v in errors.items() if not k.startswith(learned)}
        best = min(free, key=lambda k: free[k])
        ours = errors.get("ours", math.nan)
        lines.append(
            f"| {HIDDEN[name]} | {part} | {best} {free[best]:.4f} | {errors['harmonic']:.4f} | "
            f"{errors.get('ours, one draw', math.nan):.4f} | {ours:.4f} | {ours / free[best]:.2f} |"
        )
    return lines


def ways(settings: dict[str, Any]) -> list[str]:
    """Half of the pixels hidden: what learns, and from what."""
    names = {
        "black": "black", "mean": "mean of the image's known pixels", "mean image": "mean image", "harmonic": "harmonic",
        "ours": "`MaskedScore`, hidden pixels drawn anew", "first fill": "`MaskedScore`, the harmonic fill kept",
        "two chains": "`Recovery`, two chains", "whole images": "the same images whole (denoising)",
    }  # fmt: skip
    told = {part: errors for name, part, errors in _errors(settings) if name == "salt-50"}
    lines = ["| fill | training examples | held out | one draw, held out |", "|---|---|---|---|"]
    for key, name in names.items():
        if key in told["held out"]:
            one = told["held out"].get(f"{key}, one draw")
            cells = [f"{told[part][key]:.4f}" for part in ("training", "held out")]
            lines.append(f"| {name} | {' | '.join(cells)} | {'' if one is None else f'{one:.4f}'} |")
    return lines


if __name__ == "__main__":
    main()
