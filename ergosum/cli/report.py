"""`ergosum report`: a run on one page."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, parser_for
from ergosum.cli.score import score

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Write report.html, scoring the run first if it has not been scored on this source and seed."""
    parser = parser_for("report", "Write a run's report.html: one file that opens offline.")
    parser.add_argument("run", type=str, help="run folder, or name of a card")
    parser.add_argument("--n", type=int, default=64, help="sequences to score if the run has no scores.json yet")
    parser.add_argument("--seed", type=int, default=0, help="held-out digits to draw")
    parser.add_argument("--source", type=str, default="", help=SOURCES)
    parser.add_argument("--out", type=str, default="", help="folder for report.html; default: the run's own")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.data.sources import default_source
    from ergosum.runfolder import load_recipe, read_json
    from ergosum.settings import RIVALS
    from ergosum.stories.run import tell

    folder = zoo.find(chosen.run)
    if load_recipe(folder).predictor in RIVALS:
        raise ValueError(f"{chosen.run} is a published model, which has scores (`ergosum score`) and no report.")
    source = chosen.source or default_source()
    stored = read_json(folder / "scores.json") if (folder / "scores.json").exists() else {}
    scores = stored.get(source, stored)  # a card holds scores for every source, a run those measured last
    if (scores.get("source"), scores.get("seed")) != (source, chosen.seed):
        scores = score(chosen.run, source, chosen.n, chosen.seed)
    out = Path(chosen.out) if chosen.out else (Path("runs") / folder.name if folder.parent == zoo.CARDS else folder)
    print(tell(folder, out, f"ergosum report {chosen.run}", source, chosen.seed, scores))
