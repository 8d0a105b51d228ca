"""`ergosum discover`: from clips to energies of what changes in them, without a label."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import add_trust, parser_for, trusted
from ergosum.cli.progress import train_with_progress

if TYPE_CHECKING:
    from ergosum.part import Part
    from ergosum.temporal.discovery.search import Found
    from ergosum.temporal.discovery.task import Discovery
    from ergosum.training.experiment import Experiment

__all__ = ["run"]

STILL = "still"
"""A name that timelines keep for frames in which nothing moves."""
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def run(arguments: list[str]) -> None:
    """Search, name what is kept, refine an energy for each, draw every component's sweep."""
    parser = parser_for(
        "discover",
        "Find what changes in clips, without labels: one energy with one signed number per component. The run is an "
        "ordinary run folder: control, compose, score, report and read take it. With a run folder as DATA and --name, "
        "its components are named.",
    )
    parser.add_argument(
        "data", metavar="DATA",
        help="folder of clips (sub-folders of frames, GIF, APNG, NPY; MP4 with the extra `video`); sequences of "
        "digits, mnist or digits+mnist; a class such as MovingShapes; or a run folder, with --name",
    )  # fmt: skip
    parser.add_argument("--out", default="runs/discovered", help="run folder")
    parser.add_argument("--components", type=int, default=5, help="components to start with; spares are left out")
    parser.add_argument("--name", nargs="+", default=[], metavar="WORD", help="names, in the order of the strip's rows")
    parser.add_argument(
        "--mode", choices=["single", "sparse", "laplace"], default="single",
        help="of digit sequences: which factors move in a clip",
    )  # fmt: skip
    parser.add_argument("--canvas", type=int, default=28, help="side of a frame in pixels, a multiple of 4")
    parser.add_argument("--clips", type=int, default=1000, help="clips to search in")
    parser.add_argument("--pool", type=int, default=3000, help="clips whose moves are read, to refine with")
    parser.add_argument("--steps", type=int, default=4, help="moves of a clip")
    parser.add_argument("--unsteady", action="store_true", help="speeds change within a clip: read each step apart")
    parser.add_argument("--most", type=int, default=3, help="components that move at once, at most")
    parser.add_argument("--iterations", type=int, default=2500, help="updates that refine the energies, >= 1")
    parser.add_argument("--seed", type=int, default=0, help="seed of clips, restarts and weights")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the run folder")
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    trust, out = trusted(chosen.trust), Path(chosen.out)
    if (Path(chosen.data) / "recipe.json").is_file():
        _rename(Path(chosen.data), tuple(chosen.name), trust)
        return
    from ergosum.report.animation import save_strip
    from ergosum.temporal.discovery.figures import held_out_clips, sweep_sheet
    from ergosum.training.runfolder import load_predictor

    _refuse(chosen, out)
    if chosen.resume:
        experiment, task = _stored(out, trust)
    else:
        experiment, task = _begun(chosen, trust)
    try:
        train_with_progress(experiment, out, chosen.resume, "cpu", task=task)
    except KeyboardInterrupt:
        kept = (out / "checkpoint.pt").exists()
        raise KeyboardInterrupt("The run keeps its checkpoint: go on with --resume." if kept else "") from None
    _print_skipped(task)
    model: Any = load_predictor(out, trust)[1]
    save_strip(sweep_sheet(model, held_out_clips(task, 2, chosen.seed)[:, 0]), out / "components.png")
    print(out / "components.png")
    print(f"{out}  (ergosum control {out} --timeline {model.components[0]}:4; ergosum score {out})")


def _refuse(chosen: Any, out: Path) -> None:
    """What can be refused before a search."""
    if chosen.canvas < 12 or chosen.canvas % 4:
        raise ValueError(f"--canvas {chosen.canvas}: expected a multiple of 4, at least 12.")
    if not chosen.resume and (out / "checkpoint.pt").exists():
        raise FileExistsError(f"{out} already holds a run; go on with --resume, or choose another --out.")
    _check_names(chosen.name)


def _begun(chosen: Any, trust: tuple[str, ...]) -> "tuple[Experiment, Discovery]":
    """Search, print what was kept and what was not, and the experiment that refines it."""
    from rich.console import Console

    from ergosum.part import Part
    from ergosum.temporal.discovery.dictionary import Fitting
    from ergosum.temporal.discovery.model import Discovered
    from ergosum.temporal.discovery.search import Search
    from ergosum.temporal.discovery.task import Discovery
    from ergosum.training.experiment import Experiment, Optimiser, Run

    most = min(chosen.most, chosen.components)
    search = Part(
        Search, components=chosen.components, clips=chosen.clips, steps=chosen.steps, steady=not chosen.unsteady,
        seed=chosen.seed, fitting=Part(Fitting, most=most),
    )  # fmt: skip
    whole: Part[Any] = Part(
        Discovery, data=_data(chosen, trust), model=Part(Discovered, most=most), search=search, pool=chosen.pool
    )
    Optimiser(iterations=chosen.iterations)  # refused before the search
    task = whole.build()
    with Console(stderr=True).status("clips") as status:
        found = task.searched(lambda stage: status.update(stage))
    names = _names(chosen.name, len(found.worth))
    _print(found, names)
    experiment = Experiment(
        name=Path(chosen.out).name, shows=f"components found without labels in {chosen.data}",
        task=whole.but(model={"components": names}), optimiser=Optimiser(iterations=chosen.iterations),
        run=Run(seed=chosen.seed),
    )  # fmt: skip
    built: Discovery = experiment.built()  # type: ignore[assignment]
    built.found = found
    return experiment, built


def _data(chosen: Any, trust: tuple[str, ...]) -> "Part[Any]":
    """The clips that DATA names."""
    from ergosum.data.clip_folder import ClipFolder
    from ergosum.data.contract import ClipData
    from ergosum.data.files.moving_mnist import MovingMnist, holds_sequences
    from ergosum.data.sequences import DigitSequences
    from ergosum.data.sources import SOURCES
    from ergosum.part import Part, resolve

    name = chosen.data
    if holds_sequences(Path(name)):
        return Part(MovingMnist, path=name, canvas=chosen.canvas)
    if Path(name).exists():
        return Part(ClipFolder, path=name, canvas=chosen.canvas, steps=chosen.steps)
    if set(name.split("+")) <= set(SOURCES):
        return Part(DigitSequences, source=name, mode=chosen.mode, canvas=chosen.canvas)
    if not name.replace(".", "").isidentifier():
        raise FileNotFoundError(f"No such folder of clips: {name}.")
    return Part(resolve(name, trust, ClipData, "DATA"), canvas=chosen.canvas)


def _names(given: list[str], count: int) -> tuple[str, ...]:
    """Names for the components that are kept."""
    if not given:
        return NUMBERS[:count] if count <= len(NUMBERS) else tuple(f"c{k + 1}" for k in range(count))
    if len(given) != count or len(set(given)) != count:
        raise ValueError(
            f"--name: expected {count} different names, as many components as are kept, got {' '.join(given)}."
        )
    _check_names(given)
    return tuple(given)


def _check_names(given: list[str]) -> None:
    """Names that a timeline can hold, each once."""
    for name in given:
        if not name.isidentifier() or name == STILL:
            raise ValueError(f"--name {name}: expected a word of letters, digits and _, as timelines are written.")
    if len(set(given)) != len(given):
        raise ValueError(f"--name: expected different names, got {' '.join(given)}.")


def _print(found: "Found", names: tuple[str, ...]) -> None:
    from ergosum.report.tables import as_text
    from ergosum.training.task import Table

    rows = [{"component": n, "": "kept", "worth": w} for n, w in zip(names, found.worth, strict=True)]
    rows += [{"component": "-", "": "left out", "worth": w} for w in found.dropped]
    print(as_text(Table(("component", ""), {"worth": 3}, rows, "Worth: share of the change that is lost without it")))


def _print_skipped(task: "Discovery") -> None:
    """Clips that could not be used, counted and the first named."""
    from ergosum.data.listing import shown

    skipped = task.skipped
    if skipped:
        print(f"{len(skipped)} clips left out:")
    for path, why in list(skipped.items())[:10]:
        print(f"  {shown(path)}: {why}")


def _stored(out: Path, trust: tuple[str, ...]) -> "tuple[Experiment, Discovery]":
    from ergosum.temporal.discovery.task import Discovery
    from ergosum.training.runfolder import load_recipe

    experiment = load_recipe(out, trust)
    task = experiment.built()
    if not isinstance(task, Discovery):
        raise ValueError(f"{out} is no run of discovery; expected one that `ergosum discover` began.")
    return experiment, task


def _rename(folder: Path, names: tuple[str, ...], trust: tuple[str, ...]) -> None:
    """Give the components of a run other names."""
    from ergosum.training.runfolder import owned, save_recipe

    experiment, task = _stored(folder, trust)
    if not names:
        raise ValueError(f"{folder} is a run: give its components names with --name, or go on with --resume --out.")
    checked = _names(list(names), len(task.model.get("components")))
    with owned(folder):
        save_recipe(folder, experiment.but(task={"model": {"components": checked}}))
    print(f"{folder}: {', '.join(checked)}")
