"""`ergosum score`: a run on held-out digits, as tables or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import SOURCES, parser_for

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["run", "score"]

ROW = {"mse": 5, "psnr": 3, "skill": 3, "psnr_12": 3, "sharpness": 3, "sharpness_12": 3, "identity": 3, "ffrl": 3,
       "ffrl_skill": 3}  # fmt: skip
"""Columns of the table of single moves and roll-outs, and their decimals."""
SEGMENTS = {"fg_ari": 3, "ari": 3, "covering": 3}
"""Columns of segmentations."""
PICTURES = {"mse": 5, "mse_mean": 5, "psnr": 2, "ssim": 3, "swap_consistency": 3, "swap_share": 3, "swap_arrival": 3,
            "count_accuracy": 3}  # fmt: skip
"""Columns of pictures recomposed and recombined."""
FIDELITY = {"kid": 4, "kid_error": 4}
"""Columns of kernel distances to true pictures."""
FACTORS = {"beta_vae": 3, "factor_vae": 3, "mig": 3, "mcc": 3, "sap": 3, "disentanglement": 3, "completeness": 3,
           "informativeness": 3}  # fmt: skip
"""Columns of what latents tell of a scene's factors."""
READ = {"hue_deg": 2, "angle_deg": 2, "log_scale": 4, "psnr": 2}
"""Columns of what is read off the frames of timelines and compositions: mean absolute errors, PSNR."""


def run(arguments: list[str]) -> None:
    """Score, print, and keep the result as scores.json of the run."""
    parser = parser_for("score", "Score a run or card on held-out digits, beside baselines.")
    parser.add_argument("run", type=str, help="run folder, or name of a card such as digits-colour")
    parser.add_argument("--json", action="store_true", help="print one JSON object alone")
    parser.add_argument("--seed", type=int, default=0, help="other held-out digits and trajectories")
    parser.add_argument(
        "--n",
        type=int,
        default=200,
        help="sequences in the table, >= 1; control uses an eighth of them, factors of pictures 25 times as many",
    )
    parser.add_argument("--source", type=str, default="", help=SOURCES)
    chosen = parser.parse_args(arguments)
    from ergosum.data.sources import default_source

    result = score(chosen.run, chosen.source or default_source(), chosen.n, chosen.seed)
    if chosen.json:
        print(json.dumps(result, indent=1))
    else:
        _print(result)


def score(name: str, source: str, n: int, seed: int) -> dict[str, Any]:
    """Everything that can be measured of a run or card; a run keeps it as scores.json."""
    from ergosum import zoo
    from ergosum.evaluation.assignment import assignment
    from ergosum.evaluation.pictures import score_pictures
    from ergosum.evaluation.summary import summarise
    from ergosum.runfolder import load_predictor
    from ergosum.settings import FACTORS

    folder = zoo.find(name)
    experiment, predictor = load_predictor(folder)
    if experiment.task == "recomposition":
        return _keep(folder, score_pictures(name, experiment, predictor, n, seed, zoo.extractor().features))
    held = tuple(c for c in predictor.components if c in FACTORS)  # type: ignore[union-attr]
    if any("+" in c for c in predictor.components):  # type: ignore[union-attr]
        raise ValueError(f"{name} learned joint changes; it is the reference that composition is scored against.")
    if not held:
        result = {"card": name, "source": source, "n": n, "seed": seed}
        result |= assignment(predictor, experiment.data, source, n, seed)
    else:
        small = experiment.data.canvas == 28  # what ships was trained on 28 pixels
        beside = zoo.baselines() if small and experiment.predictor == "decomposer" else {}
        result = summarise(
            name,
            predictor,
            source=source,
            n=n,
            seed=seed,
            companions=zoo.companions(held) if small else {},
            beside=beside,
            reference=zoo.reference() if small else None,
            classify=None if "fashion" in source.split("+") else zoo.judge(),  # the judge knows digits
        )
    return _keep(folder, result)


def _keep(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """The result, kept in the folder of a run; a card keeps what it shipped with."""
    from ergosum import zoo
    from ergosum.runfolder import write_json

    if folder.parent != zoo.CARDS:
        write_json(folder / "scores.json", result)
    return result


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(f"[bold]{result['card']}[/]  {result['source']}, n = {result['n']}, seed = {result['seed']}")
    for table in _tables(result):
        console.print(table)
    if "assigned_share" in result:
        console.print(f"share of the movement under the best assignment: {result['assigned_share']:.3f} (chance 0.333)")
    if "reader_error" in result:
        error = result["reader_error"]
        console.print(
            f"reader on true frames: hue {error['hue_deg']:.2f}°, angle {error['angle_deg']:.2f}°, "
            f"log-scale {error['log_scale']:.4f}"
        )
    for target in result.get("targets", []):
        sign, verdict = ("≥" if target["at_least"] else "≤"), ("met" if target["met"] else "MISSED")
        console.print(
            f"{target['name']:55s} {target['value']:8.3f} {sign} {target['target']:<6g} {verdict}", highlight=False
        )


def _tables(result: dict[str, Any]) -> "list[Table]":
    """Moves and roll-outs, response, timelines, composition: those that were measured."""
    from rich.table import Table

    tables = []
    if "fg_ari" in result:
        tables.append(_table(("row",), SEGMENTS, result["rows"]))
    elif "rows" in result:
        tables.append(_table(("factor", "set", "row"), ROW, result["rows"]))
    if "mse_mean" in result:
        tables.append(_table(("card",), PICTURES, [result]))
    if "kid_rows" in result:
        tables.append(_table(("row",), FIDELITY, result["kid_rows"]))
    if "factor_rows" in result:
        tables.append(_table(("row",), FACTORS, _of_codes(result["factor_rows"])))
    if "response" in result:
        table = Table("levels per frame", *result["response_factors"], box=None)
        for name, row in zip(result["response_rows"], result["response"], strict=True):
            table.add_row(name, *(f"{v:.3f}" for v in row))
        tables.append(table)
    if "timelines" in result:
        mean = {"timeline": "all timelines", **result["timeline_error"], "psnr": result["timeline_psnr"]}
        mean["identity"] = result.get("identity")
        tables.append(_table(("timeline",), READ | {"identity": 3}, [*result["timelines"], mean]))
    if result.get("composition"):
        rows = [{"at once": r["factors"], "way": r["row"], **r} for r in result["composition"]]
        tables.append(_table(("at once", "way"), READ, rows))
    return tables


def _of_codes(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line for the codes of every row, and one for their principal components where these were judged."""
    for row in rows:
        yield row | row["dci"]
        if "dci_pca" in row:
            yield {"row": "its components", **{k: row.get(f"{k}_pca") for k in FACTORS}, **row["dci_pca"]}


def _table(names: Sequence[str], decimals: dict[str, int], rows: Iterable[dict[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table(*names, *decimals, box=None)
    for row in rows:
        numbers = ("–" if row.get(k) is None else f"{row[k]:.{d}f}" for k, d in decimals.items())
        table.add_row(*(row[n] for n in names), *numbers)
    return table
