"""`ergosum report`: a run on one page."""

from pathlib import Path

from ergosum.cli.arguments import SOURCES, add_trust, parser_for, trusted
from ergosum.cli.score import score

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Write report.html, scoring the run first if it has not been scored on this source and seed."""
    parser = parser_for("report", "Write a run's report.html: one file that opens offline.")
    parser.add_argument("run", help="run folder, or name of a card")
    parser.add_argument("--n", type=int, default=64, help="samples to score if the run has no scores.json yet")
    parser.add_argument("--seed", type=int, default=0, help="held-out samples to draw")
    parser.add_argument("--source", default="", help=f"of digit sequences: {SOURCES}")
    parser.add_argument("--out", default="", help="folder for report.html; default: the run's own")
    parser.add_argument(
        "--curves", default="", metavar="FILE.png", help="write the training curve of the run alone, and no report"
    )
    parser.add_argument("--beside", nargs="+", default=[], metavar="RUN", help="with --curves: runs to compare it with")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    if chosen.n < 1:
        raise ValueError(f"--n: expected at least 1, got {chosen.n}.")
    if chosen.out and Path(chosen.out).is_file():
        raise ValueError(f"--out {chosen.out}: expected a folder, got a file.")
    if chosen.beside and not chosen.curves:
        raise ValueError("--beside: expected --curves FILE.png, the picture that runs are compared in.")
    if chosen.curves:
        _draw_curves([chosen.run, *chosen.beside], Path(chosen.curves))
        return
    from ergosum import zoo
    from ergosum.files import read_json
    from ergosum.report.run_report import write_report
    from ergosum.training.hub import is_on_hub
    from ergosum.training.runfolder import load_predictor

    trust = trusted(chosen.trust)
    folder = zoo.find(chosen.run)
    experiment, model = load_predictor(folder, trust)
    task = experiment.built()
    stored = read_json(folder / "scores.json") if (folder / "scores.json").exists() else {}
    scores = _fitting(stored, chosen.source, chosen.seed)
    if scores is None:
        try:
            scores = score(chosen.run, chosen.source, chosen.n, chosen.seed, trust)[1]
        except ValueError as error:  # a reference that others are scored against has figures alone
            if "reference" not in str(error):
                raise
            scores = {"card": chosen.run, "source": chosen.source}
    sections = task.report(chosen.run, model, scores, chosen.seed, zoo.Zoo())
    theirs = is_on_hub(chosen.run) or folder.parent == zoo.CARDS  # what ships, and what a hub has, is left as it is
    name = str(chosen.run).rpartition("/")[2].partition("@")[0] if is_on_hub(chosen.run) else folder.name
    out = Path(chosen.out) if chosen.out else Path("runs") / name if theirs else folder
    print(write_report(folder, f"ergosum report {chosen.run}", sections, scores, out))


def _draw_curves(runs: list[str], out: Path) -> None:
    """The training curves of runs in one picture."""
    from ergosum.report.animation import save_strip
    from ergosum.report.curves import draw_training
    from ergosum.report.run_report import read_updates
    from ergosum.training.runfolder import locate

    save_strip(draw_training({run: read_updates(locate(run) / "metrics.jsonl") for run in runs}), out)
    print(out)


def _fitting(stored: dict, source: str, seed: int) -> dict | None:  # type: ignore[type-arg]
    """The stored score of this source and seed: a card holds several by source, a run the one measured last."""
    scores = [stored] if "card" in stored else list(stored.values())
    fitting = (s for s in scores if s.get("seed") == seed and source in ("", s.get("source")))
    return next(fitting, None)
