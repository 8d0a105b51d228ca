"""Tables of docs/concepts.md, from the scores of shipped cards and the results of benchmarks.

python docs/concept_tables.py      # no training; each table is followed by the command that made its numbers
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tables import replace_block

from ergosum import zoo
from ergosum.files import read_json

PAGE = Path("docs/concepts.md")
CARDS = ("concepts-latents", "concepts-mnist", "concepts-faces")
KINDS = {
    "and_seen": "combinations that training shows", "and_held_out": "values never shown together",
    "and_held_out_place": "a value and a place never shown together",
}  # fmt: skip


def main() -> None:
    """Write the table of every card whose scores are there."""
    for card in CARDS:
        path = zoo.CARDS / card / "scores.json"
        if path.is_file():
            scores = read_json(path)
            replace_block(PAGE, card, of_card(card, scores.get("mnist") or next(iter(scores.values()))))


def of_card(card: str, scores: Mapping[str, Any]) -> list[str]:
    """Conjunctions, formulas and inference of a card."""
    names = [name for name in scores["reader"] if name != "all"]
    lines = [f"| all attributes at once | n | {' | '.join(names)} | all |", "|---|---|" + "---|" * (len(names) + 1)]
    told = [{**row, "row": KINDS[row["row"]]} for row in scores["conjunctions"]]
    for row in [*told, {"row": "true images", "n": scores["n"], **scores["reader"]}]:
        shares = " | ".join(f"{row[k]:.3f}" for k in [*names, "all"])
        lines.append(f"| {row['row']} | {row['n']} | {shares} |")
    lines += ["", "| formula | shares | satisfied | total variation | chi-square p |", "|---|---|---|---|---|"]
    for row in scores["formulas"]:
        shares = ", ".join(f"{s:g}" for s in row["shares"]) if row["shares"] else ""
        formula = row["formula"].replace("|", "\\|")
        lines.append(f"| `{formula}` | {shares} | {row['satisfied']:.3f} | {row['tv']:.3f} | {row['p']:.2g} |")
    lines += ["", "| read in held-out images | right | median error [pixels] |", "|---|---|---|"]
    for row in scores["inferred"]:
        right = f"{row['right']:.3f}" if "right" in row else ""
        apart = f"{row['pixels']:.2f}" if "pixels" in row else ""
        lines.append(f"| {row['attribute']} | {right} | {apart} |")
    minutes = read_json(zoo.CARDS / card / "run.json").get("cpu_seconds", 0) / 60
    return [
        *lines, "",
        f"`ergosum score {card} --n {scores['n']} --seed {scores['seed']}`; trained for {minutes:.0f} CPU minutes, one seed.",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
