"""`ergosum score`: a run on held-out data, as tables or JSON."""

import json
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import SOURCES, add_trust, parser_for, trusted

if TYPE_CHECKING:
    from ergosum.training.task import Task

__all__ = ["run", "score"]

FEW = 200
"""Samples below which a miss may be chance."""


def run(arguments: list[str]) -> None:
    """Score, print, and keep the result as scores.json of the run."""
    parser = parser_for("score", "Score a run or card on held-out data, beside baselines.")
    parser.add_argument("run", help="run folder, or name of a card such as digits-colour")
    parser.add_argument("--json", action="store_true", help="print one JSON object alone")
    parser.add_argument("--seed", type=int, default=0, help="other held-out samples")
    parser.add_argument(
        "--n", type=int, default=FEW,
        help="samples in the tables, >= 1; control uses an eighth of them, factors of images 25 times as many, "
        "components of change at least 64",
    )  # fmt: skip
    parser.add_argument("--source", default="", help=f"of digit sequences: {SOURCES}")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    task, result = score(chosen.run, chosen.source, chosen.n, chosen.seed, trusted(chosen.trust))
    if chosen.json:
        print(json.dumps(result, indent=1))
    else:
        _print(task, result)


def score(name: str, source: str, n: int, seed: int, trust: tuple[str, ...] = ()) -> "tuple[Task, dict[str, Any]]":
    """The task, and everything that can be measured of a run or card; a run keeps it as scores.json."""
    from ergosum import zoo
    from ergosum.files import write_json
    from ergosum.training.hub import is_on_hub
    from ergosum.training.runfolder import load_predictor

    if n < 1:
        raise ValueError(f"--n: expected at least 1, got {n}.")
    folder = zoo.find(name)
    experiment, model = load_predictor(folder, trust)
    task = experiment.built()
    result = task.score(name, model, n, seed, source=source, shelf=zoo.Zoo())
    if folder.parent != zoo.CARDS and not is_on_hub(name):  # what somebody else made keeps its own
        write_json(folder / "scores.json", result)
    return task, result


def _print(task: "Task", result: dict[str, Any]) -> None:
    from ergosum.report.tables import as_text

    source = f"{result['source']}, " if "source" in result else ""
    print(f"{result['card']}  {source}n = {result['n']}, seed = {result['seed']}")
    for table in task.tables(result):
        print(f"\n{as_text(table)}")
    if result.get("targets"):
        print()
    for target in result.get("targets", []):
        sign, verdict = ("≥" if target["at_least"] else "≤"), ("met" if target["met"] else "MISSED")
        print(f"{target['name']:55s} {target['value']:8.3f} {sign} {target['target']:<6g} {verdict}")
    if result["n"] < FEW and any(not target["met"] for target in result.get("targets", [])):
        error = 0.5 / result["n"] ** 0.5
        print(f"A share of n = {result['n']} has a standard error of up to {error:.2f}; --n {FEW} tells more.")
