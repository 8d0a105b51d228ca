"""Tables of docs/concepts.md, from the shipped cards' scores and the results of `benchmarks/concepts.py`.

python docs/concept_tables.py      # no training; each table is followed by the command that made its numbers
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import replace_block

from ergosum import zoo
from ergosum.files import read_json

PAGE, RESULTS = Path("docs/concepts.md"), Path("benchmarks/results")
CARDS = ("concepts-latents", "concepts-faces", "concepts-scenes")
SCORES = {
    "and_seen": "AND of all attributes, combinations that training shows",
    "and_held_out": "AND of all, values never shown together",
    "and_held_out_together": "of these, smile, glasses and beard alone, whose triples are held out",
    "and_held_out_place": "AND of all, a colour and a place never shown together",
    "reader": "the reader on true images, all attributes",
    "or_tv": "OR: total variation of shares, the largest of four formulas",
    "not_leak": "NOT: draws that show what is excluded, the largest of three formulas",
    "not_tv": "NOT: total variation of shares, the largest of three",
    "nested": "nested formulas satisfied, the least of two",
    "random": "30 random formulas of depth 3 satisfied, mean",
    "random_least": "the least of them",
    "random_p": "of them with shares as enumerated (chi-square, p > .01)",
    "infer": "attributes read in held-out images, the least",
    "infer_place": "place read in held-out images, median error [pixels]",
}
DISTANCES = {
    "and_seen": "distance from true images of the same values: draws of combinations that training shows",
    "and_held_out": "distance: draws of values never shown together",
    "and_held_out_place": "distance: draws of a colour and a place never shown together",
    "true images": "distance: other true images",
    "another value": "distance: true images of another value",
    "mean image": "distance: the mean image",
}
ROWS = {
    "parts": "a sum over parts (ours)", "whole": "whole code, corrected", "whole-smc": "whole code, 8 particles",
    "joint": "whole code, all values told at once", "sum": "plain sum of energies",
    "cd": "plain sum, contrastive divergence with replay", "denoising": "energies without a scale, corrected",
    "guidance": "guidance, negative weights", "classifiers": "classifiers in the codes",
}  # fmt: skip
HEADS = {
    "and_seen": "AND, seen", "and_held_out": "unseen pair", "and_held_out_place": "unseen place", "or_tv": "OR, TV",
    "or_tv_9": "OR .9/.1, TV", "not_leak": "NOT, leak", "not_tv": "NOT, TV", "nested": "nested",
    "seconds_64": "s per 64", "gradients": "gradients",
}  # fmt: skip
COUNTS = (
    ("exact count", "lifts", "exact"), ("solids found where asked", "lifts", "placed"),
    ("solids beyond those asked, per image", "lifts", "extra"),
    ("exact count, shape and colour told of each", "told", "exact"), ("solids right in all that is told", "told", "right"),
    ("exact count, plain sum of the same energies", "sum", "exact"),
    ("exact count, renderer's images (the rules alone)", "true images", "exact"),
    ("right in all, renderer's images", "true images", "right"),
)  # fmt: skip
FOUND = {
    "number": "number right", "found": "solids found", "extra": "beyond, per image", "median": "median error [pixels]",
    "within": "within a pixel", "shape": "shape right", "colour": "colour right",
}  # fmt: skip
COIND = {"and": "AND", "not_digit": "NOT digit", "not_colour": "NOT colour"}
COIND_PUBLISHED = {
    "uniform": (0.9996, 0.982, 0.664),
    "non-uniform": (0.999, 0.960, 0.616),
    "partial": (0.544, 0.539, 0.519),
}
"""From the README of github.com/sachit3022/compositional-generation."""
SUPPORTS = tuple(COIND_PUBLISHED)


def main() -> None:
    """Write every table whose numbers are there."""
    found = {
        card: read_json(zoo.CARDS / card / "scores.json")
        for card in CARDS
        if (zoo.CARDS / card / "scores.json").is_file()
    }
    if found:
        scores = {card: next(iter(s.values())) for card, s in found.items()}
        replace_block(PAGE, "cards", cards(scores))
        replace_block(PAGE, "formulas", formulas(scores))
    objects = zoo.CARDS / "concepts-objects" / "scores.json"
    if objects.is_file():
        told = next(iter(read_json(objects).values()))
        replace_block(PAGE, "counts", counts(told))
        replace_block(PAGE, "finding", finding(told))
        scores = ({card: next(iter(s.values())) for card, s in found.items()}) | {"concepts-objects": told}
        replace_block(PAGE, "unlike", unlike({card: s for card, s in scores.items() if s.get("unlike")}))
        replace_block(PAGE, "elsewhere", elsewhere({card: s for card, s in scores.items() if s.get("elsewhere")}))
    scenes = zoo.CARDS / "concepts-scenes" / "scores.json"
    if scenes.is_file():
        replace_block(PAGE, "pixels", pixels(next(iter(read_json(scenes).values()))))
    earlier = sorted((RESULTS / "concepts-seeds").glob("seed*.json"))
    if earlier:
        replace_block(PAGE, "seeds", seeds([read_json(path) for path in earlier]))
    if (RESULTS / "concepts").is_dir():
        replace_block(PAGE, "rivals", rivals(RESULTS / "concepts"))
    if (RESULTS / "planar_tasks.json").is_file():
        replace_block(PAGE, "planar", planar(read_json(RESULTS / "planar_tasks.json")))
    if (RESULTS / "continual.json").is_file():
        replace_block(PAGE, "continual", continual(read_json(RESULTS / "continual.json")))
    supports = [RESULTS / f"concepts-mnist-{support}" for support in SUPPORTS]
    if any(folder.is_dir() for folder in supports):
        replace_block(PAGE, "coind", coind([folder for folder in supports if folder.is_dir()]))


def pixels(told: Mapping[str, Any]) -> list[str]:
    """All four right, of windows in pixels."""
    names = {"and": "everything told at once", "lifted": "a lift over the place for each value"}
    kinds = ("seen", "held_out", "held_out_place")
    lines = ["| | combinations shown | a shape and colour never together | a colour never at the place |"]
    lines.append("|---|---|---|---|")
    for kind, name in names.items():
        lines.append(f"| {name} | " + " | ".join(number(told[f"{kind}_{k}"]) for k in kinds) + " |")
    lines.append(f"| true images | {number(told['reader']['all'])} | | |")
    ns = {row["row"]: row["n"] for row in told["conjunctions"]}
    of = ", ".join(str(ns[f"and_{k}"]) for k in kinds)
    return [*lines, "", f"`ergosum score concepts-scenes --n {told['n']}`, seed 0, one training run; of {of} draws."]


def number(value: Any, decimals: int = 3) -> str:
    """A number, or nothing where there is none."""
    return "" if value is None else f"{value:.{decimals}f}"


def cards(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the cards reach, a column each."""
    lines = ["| | " + " | ".join(f"`{card}`" for card in scores) + " |", "|---|" + "---|" * len(scores)]
    for key, told in SCORES.items():
        values = [s[key]["all"] if key == "reader" else s.get(key) for s in scores.values()]
        lines.append(f"| {told} | " + " | ".join(number(v, 2 if "pixels" in told else 3) for v in values) + " |")
    for key, told in DISTANCES.items():
        values = [distances(s).get(key) for s in scores.values()]
        lines.append(f"| {told} | " + " | ".join(number(v, 4) for v in values) + " |")
    commands = ", ".join(f"`ergosum score {card} --n {told['n']}`" for card, told in scores.items())
    return [*lines, "", f"{commands}, seed 0, one seed of training each. Empty: no such attribute, or not scored."]


def distances(told: Mapping[str, Any]) -> dict[str, float | None]:
    """How far draws, other true images and their mean are from true ones, where a score tells it."""
    found = {row["row"]: row.get("distance") for row in told["conjunctions"]}
    others = {"true images": "reader", "another value": "another_value", "mean image": "mean_image"}
    return found | {name: told.get(key, {}).get("distance") for name, key in others.items()}


def seeds(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """An earlier recipe from several seeds, a column each, and their mean and deviation."""
    lines = ["| | " + " | ".join(f"seed {n}" for n in range(len(scores))) + " | mean | deviation |"]
    lines.append("|---|" + "---|" * (len(scores) + 2))
    rows = {told: [s[key]["all"] if key == "reader" else s.get(key) for s in scores] for key, told in SCORES.items()}
    rows |= {told: [distances(s).get(key) for s in scores] for key, told in DISTANCES.items()}
    for told, values in rows.items():
        if None in values or told == SCORES["reader"] or told == DISTANCES["mean image"]:
            continue
        decimals = 4 if told in DISTANCES.values() else 2 if "pixels" in told else 3
        cells = [*values, statistics.mean(values), statistics.stdev(values)]
        lines.append(f"| {told} | " + " | ".join(number(v, decimals) for v in cells) + " |")
    told = (
        "`ergosum train concepts-latents --task.model.space.codec.hsic 0 --task.model.space.share 0.857 "
        "--optimiser.iterations 10500 --run.seed 1 --out runs/seed1`, but with a decoder that had no slow waves, then "
        "`ergosum score runs/seed1 --n 1000`"
    )
    return [*lines, "", f"{told}; so with 0 and 2; seed 0 of the score, {scores[0]['n']} draws of each kind."]


def formulas(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Formula by formula."""
    lines = ["| card | formula | shares asked | satisfied | shows what is excluded | total variation | p |"]
    lines.append("|---|---|---|---|---|---|---|")
    for card, told in scores.items():
        for row in told["formulas"]:
            shares = ", ".join(f"{s:g}" for s in row["shares"] or ())
            formula = row["formula"].replace("|", "\\|")
            lines.append(
                f"| `{card}` | `{formula}` | {shares} | {number(row['satisfied'])} | {number(row.get('leak'))} | {number(row['tv'])} | "
                f"{number(row['p'])} |"
            )
    return [
        *lines,
        "",
        "Of the same scores; p of the chi-square test that the draws have the shares that were asked for.",
    ]


def counts(told: Mapping[str, Any]) -> list[str]:
    """Exact counts by number of objects, ours and the plain sum's."""
    asked = sorted({row["asked"] for row in told["counts"]})
    lines = ["| asked | " + " | ".join(map(str, asked)) + " |", "|---|" + "---|" * len(asked)]
    for title, kind, key in COUNTS:
        cells = {row["asked"]: row[key] for row in told["counts"] if row["row"] == kind}
        lines.append(f"| {title} | " + " | ".join(number(cells.get(k)) for k in asked) + " |")
    return [*lines, "", f"`ergosum score concepts-objects --n {told['n']}`, seed {told['seed']}, one training run."]


def finding(told: Mapping[str, Any]) -> list[str]:
    """What is found in images of one and of two objects."""
    lines = ["| images | " + " | ".join(FOUND.values()) + " |", "|---|" + "---|" * len(FOUND)]
    for name, row in told["finding"].items():
        cells = [number(row.get(key), 2 if key == "median" else 3) for key in FOUND]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, "", f"The same score: {told['n']} images of the test part in each row."]


def unlike(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The share of each set of images that is called unlike the data, a column for each card."""
    told = {card: {row["set"]: row for row in score["unlike"]["rows"]} for card, score in scores.items()}
    lines = ["| images | " + " | ".join(f"`{card}`" for card in told) + " |", "|---|" + "---|" * len(told)]
    for name in dict.fromkeys(name for rows in told.values() for name in rows):
        cells = (number(rows.get(name, {}).get("unlike")) for rows in told.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sizes = ", ".join(f"{next(iter(rows.values()))['n']} of `{card}`" for card, rows in told.items())
    held = ", ".join(
        f"{len(next(iter(score['unlike']['held_out'].values())))} of `{card}`" for card, score in scores.items()
    )
    commands = ", ".join(f"`ergosum score {card} --n {score['n']}`" for card, score in scores.items())
    return [*lines, "", f"{commands}, seed 0: images of each row, {sizes}; others that they are compared with, {held}."]


def elsewhere(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is read of images made elsewhere, as they are and adapted."""
    lines = [
        "| card | images | | shape right | colour right | size right | median error of the place [pixels] |",
        "|---|---|---|---|---|---|---|",
    ]
    for card, told in scores.items():
        own = {row["attribute"]: row.get("right", row.get("pixels")) for row in told["inferred"]}
        rows = [{"variant": "held out", "images": "", **own}, *told["elsewhere"]]
        for row in rows:
            cells = [number(row[key]) for key in ("shape", "colour", "size")] + [number(row["place"], 2)]
            kind = "other light and floor" if row["variant"] == "other" else row["variant"].replace("mujoco", "MuJoCo")
            lines.append(f"| `{card}` | {kind} | {row['images']} | " + " | ".join(cells) + " |")
    commands = ", ".join(f"`ergosum score {card} --n {told['n']}`" for card, told in scores.items())
    return [*lines, "", f"{commands}, seed 0, one seed of training."]


def planar(told: Mapping[str, Any]) -> list[str]:
    """Nine formulas of the plane."""
    lines = [
        "| task | row | holds | Chamfer distance | total variation | together | answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in told["rows"]:
        answer = "" if row.get("together") is None else "draws" if row["answered"] else "nothing"
        cells = [number(row.get(key)) for key in ("hit", "chamfer", "tv", "together")]
        lines.append(f"| {row['task']} | {row['row']} | " + " | ".join(cells) + f" | {answer} |")
    return [
        *lines, "", f"`python benchmarks/planar_tasks.py --n {told['n']} --seconds {told['seconds']:g} --out "
        f"benchmarks/results/planar_tasks.json`: seed {told['seed']}, one thread; training and log Z of the eleven sets took "
        f"{told['training'] / 60:.1f} CPU minutes in all.",
    ]  # fmt: skip


def continual(told: Mapping[str, Any]) -> list[str]:
    """Concepts learned one after another."""
    asked = {"place": "place told", "shape": "and shape", "colour": "and colour"}
    lines = ["| row | after | CPU minutes | " + " | ".join(asked.values()) + " | largest change of an old draw |",
             "|---|---|---|" + "---|" * (len(asked) + 1)]  # fmt: skip
    for row in told["rows"]:
        changes = [row[f"{key} changed"] for key in asked if row.get(f"{key} changed") is not None]
        change = "" if row["row"] != "grown" or row["after"].endswith("place") else f"{max(changes):g}"
        after = "" if row["row"] == "true images" else row["after"].partition("-")[2]
        cells = [number(row.get("minutes"), 1), *(number(row.get(key)) for key in asked)]
        lines.append(f"| {row['row']} | {after} | " + " | ".join(cells) + f" | {change} |")
    return [*lines, "", f"`python benchmarks/continual.py --rows grown together --n {told['n']}`, seed {told['seed']}, one run of each."]  # fmt: skip


def rivals(folder: Path) -> list[str]:
    """Ways to compose, in the same codes."""
    rows = {name: read_json(folder / f"{name}.json") for name in ROWS if (folder / f"{name}.json").is_file()}
    first = next(iter(rows.values()))
    lines = ["| row | " + " | ".join(HEADS.values()) + " |", "|---|" + "---|" * len(HEADS)]
    for name, row in rows.items():
        cells = [number(row.get(key), {"gradients": 0, "seconds_64": 1}.get(key, 3)) for key in HEADS]
        lines.append(f"| {ROWS[name]} | " + " | ".join(cells) + " |")
    lines.append(f"| true images | {number(first['reader'])} |" + " |" * (len(HEADS) - 1))
    return [
        *lines, "", f"`python benchmarks/concepts.py --codec {first['codec']} --minutes {first['minutes']:g} --n "
        f"{first['n']} --out benchmarks/results/concepts`: seed {first['seed']}, {first['minutes']:g} CPU minutes of "
        "training for each row, one thread; the minutes of the codec are not counted. The module's first lines write down every row's formula; the strengths of "
        "the rivals are those that score best. TV: total variation.",
    ]  # fmt: skip


def coind(folders: Sequence[Path]) -> list[str]:
    """CoInD's three questions, by support."""
    lines = ["| support | row | " + " | ".join(COIND.values()) + " |", "|---|---|" + "---|" * len(COIND)]
    from_runs: list[str] = []
    supports: list[str] = []
    for folder in folders:
        rows = {name: read_json(folder / f"{name}.json") for name in ROWS if (folder / f"{name}.json").is_file()}
        for name, row in rows.items():
            lines.append(f"| {row['support']} | {ROWS[name]} | " + " | ".join(number(row.get(k)) for k in COIND) + " |")
        first = next(iter(rows.values()))
        published = " | ".join(number(v) for v in COIND_PUBLISHED[first["support"]])
        lines.append(f"| {first['support']} | *CoInD, published* | {published} |")
        lines.append(f"| {first['support']} | true images | {number(first['reader'])} |" + " |" * 2)
        supports.append(first["support"])
        from_runs.append(f"`--support {first['support']} --codec runs/{first['codec']}`")
    minutes = f"{first['minutes']:g} CPU minutes each beside those of the codec, n = {first['n']}, seed {first['seed']}"
    codecs = ", ".join(
        f"`ergosum train concepts-mnist --task.data.support {support} --out runs/mnist-{support}`"
        for support in supports
    )
    told = f"`python benchmarks/concepts.py --data mnist --row parts` with {', '.join(from_runs)}; {minutes}: {codecs}."
    return [*lines, "", told]


if __name__ == "__main__":
    main()
