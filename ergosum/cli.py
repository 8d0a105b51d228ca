"""The command line: thin, lazy (torch is imported by the commands that need it), one line per error.

ergosum demo | recipes | train | score | control | report | data show
"""

import contextlib
import dataclasses
import json
import os
import sys
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergosum import __version__

# idle threads sleep instead of spinning: on busy cores spinning makes two threads far slower than one
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser
    from torch import Tensor

    from ergosum.settings import Experiment
    from ergosum.training.loop import Update

__all__ = ["main"]

SOURCES_HELP = "digits (bundled), mnist, or a folder of images; default: mnist where it is at hand, else digits"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a failure, 2 for a usage error, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        print("Interrupted; a run in progress keeps its checkpoint: go on with --resume.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except ArgumentError as error:
        print(f"ergosum: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    except (ValueError, OSError, ArithmeticError, RuntimeError) as error:
        print(f"ergosum: {_one_line(error)}", file=sys.stderr)
        return 1


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.strerror}: {error.filename}. Choose a place that exists, is writable and has room."
    return " ".join(str(error).split()) or type(error).__name__


def _dispatch(arguments: list[str]) -> int:
    commands = {"demo": _demo, "recipes": _recipes, "train": _train, "score": _score, "control": _control,
                "report": _report, "data": _data}  # fmt: skip
    if arguments and arguments[0] in commands:
        commands[arguments[0]](arguments[1:])
        return 0
    parser = _parser("", "Compositional energy-based models: train small energies, add them up, steer the sum.")
    parser.add_argument("--version", action="version", version=f"ergosum {__version__}")
    parser.add_argument("command", choices=list(commands), help="`ergosum COMMAND --help` tells more")
    parser.epilog = "demo: the whole story in 5 minutes"
    if not arguments:
        parser.print_help()
        return 0
    parser.parse_args(arguments)
    return 0


def _parser(command: str, description: str) -> "ArgumentParser":
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    return ArgumentParser(prog=f"ergosum {command}".strip(), description=description, exit_on_error=False)


def _recipes(arguments: list[str]) -> None:
    parser = _parser("recipes", "List the recipes: what each shows and costs.")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    chosen = parser.parse_args(arguments)
    from ergosum.recipes import RECIPES

    rows = [make() for make in RECIPES.values()]
    if chosen.json:
        print(json.dumps([{"name": e.name, "shows": e.shows, "cost": e.cost} for e in rows], indent=1))
        return
    for e in rows:
        print(f"{e.name:28s} {e.shows}  [{e.cost}]")


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def _train(arguments: list[str]) -> None:
    from ergosum.settings import Experiment, from_dict, to_dict

    parser = _parser("train", "Train a recipe, or a YAML file of settings; every field of it can be overridden.")
    parser.add_argument("recipe", type=str, help="name of a recipe (see `ergosum recipes`), or a YAML file of fields")
    parser.add_argument("--config", action="config", help="YAML file of fields that override the recipe")
    parser.add_argument("--out", type=str, default="", help="run folder; default: runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the run folder")
    parser.add_argument("--accelerator", type=str, default="auto", help="auto, cpu or cuda")
    parser.add_class_arguments(Experiment, as_group=True)
    flags = ("--resume", "--help", "-h")
    pairs = zip(["--help", *arguments], arguments, strict=False)  # an option's value is not the recipe
    name = next((a for b, a in pairs if a[0:1] != "-" and (b in flags or b[0:1] != "-" or "=" in b)), None)
    if name:
        base, extra = _base_recipe(name)
        parser.set_defaults(dict(_flat(to_dict(base))))
        if extra:
            arguments = [arguments[arguments.index(name)], "--config", extra] + [a for a in arguments if a != name]
    chosen = parser.parse_args(arguments)
    folder = Path(chosen.out or f"runs/{chosen.name}")
    if chosen.resume and (folder / "recipe.json").is_file():  # go on with the run's own settings, not the recipe's
        parser.set_defaults(dict(_flat(json.loads((folder / "recipe.json").read_text()))))
        chosen = parser.parse_args(arguments)
    fields = {k: v for k, v in chosen.as_dict().items() if k in {f.name for f in dataclasses.fields(Experiment)}}
    _run(from_dict(Experiment, fields), folder, chosen.resume, chosen.accelerator)
    print(f"{folder}  (ergosum score {folder}; ergosum report {folder})")


def _base_recipe(name: str) -> "tuple[Experiment, str]":
    """The recipe to start from, and a YAML file that overrides it ('' for none)."""
    from ergosum.recipes import find
    from ergosum.settings import Experiment

    if Path(name).suffix not in (".yaml", ".yml", ".json"):
        return find(name), ""
    if not Path(name).is_file():
        raise FileNotFoundError(f"No such recipe file: {name}.")
    return Experiment(name=Path(name).stem), name


def _run(experiment: "Experiment", folder: Path, resume: bool, accelerator: str, seconds: float | None = None) -> None:
    """Train with a progress bar; `seconds` stops early and keeps what was learnt."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ergosum.training.loop import train

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    quiet = int(os.environ.get("LOCAL_RANK", "0")) > 0
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(experiment.name, total=experiment.optimiser.iterations, status="")
        updates = train(experiment, folder, resume, accelerator)
        with contextlib.closing(updates):
            for update in updates:
                progress.update(task, completed=update.iteration, status=_status(update))
                marks = max(1, experiment.optimiser.iterations // 10)
                if not console.is_terminal and not quiet and update.iteration % marks == 0:
                    console.print(f"{experiment.name} {update.iteration} {_status(update)}", highlight=False)
                if seconds is not None and update.seconds > seconds:
                    break


def _status(update: "Update") -> str:
    share = update.error / max(update.copy_error, 1e-12)
    return f"loss {update.loss:.5f}  error {share:6.1%} of copying  {update.images_per_s:5.0f} images/s"


def _default_source() -> str:
    """MNIST where its files are at hand, else the bundled digits: scoring never downloads by itself."""
    root = os.environ.get("ERGOSUM_DATA", "")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ergosum"
    files = [Path(f) / "mnist" for f in (root, cache) if f] + ([Path(root)] if root else [])
    return "mnist" if any((f / "t10k-images-idx3-ubyte.gz").exists() for f in files) else "digits"


def _score(arguments: list[str]) -> None:
    parser = _parser("score", "Score a run or card on held-out digits, beside baselines.")
    parser.add_argument("run", type=str, help="run folder, or name of a card such as digits-colour")
    parser.add_argument("--json", action="store_true", help="print one JSON object alone")
    parser.add_argument("--seed", type=int, default=0, help="other held-out digits and trajectories")
    parser.add_argument(
        "--n", type=int, default=200, help="sequences in the table, >= 1; control uses an eighth of them"
    )
    parser.add_argument("--source", type=str, default="", help=SOURCES_HELP)
    chosen = parser.parse_args(arguments)
    result = _scored(chosen.run, chosen.source or _default_source(), chosen.n, chosen.seed)
    if chosen.json:
        print(json.dumps(result, indent=1))
    else:
        _print_score(result)


def _scored(name: str, source: str, n: int, seed: int, save: bool = True) -> dict[str, Any]:
    from ergosum import zoo
    from ergosum.evaluation.summary import assignment, summarise
    from ergosum.runfolder import load_predictor, write_json
    from ergosum.settings import FACTORS

    folder = zoo.find(name)
    experiment, predictor = load_predictor(folder)
    held = tuple(c for c in predictor.components if c in FACTORS)  # type: ignore[union-attr]
    if any("+" in c for c in predictor.components):  # type: ignore[union-attr]
        raise ValueError(f"{name} learned joint changes; it is the reference that composition is scored against.")
    if not held:
        result = {"card": name, "source": source, "n": n, "seed": seed, **assignment(predictor, source, n, seed)}
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
            classify=zoo.judge(),
        )
    if save and folder.parent != zoo.CARDS:
        write_json(folder / "scores.json", result)
    return result


def _print_score(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 180)
    console.print(f"[bold]{result['card']}[/]  {result['source']}, n = {result['n']}, seed = {result['seed']}")
    if "rows" in result:
        keys = ("mse", "psnr", "skill", "psnr_12", "sharpness", "sharpness_12", "identity", "ffrl", "ffrl_skill")
        table = Table("factor", "set", "row", *keys, box=None)
        for r in result["rows"]:
            cells = ["–" if r[k] is None else f"{r[k]:.5f}" if k == "mse" else f"{r[k]:.3f}" for k in keys]
            table.add_row(r["factor"], r["set"], r["row"], *cells)
        console.print(table)
    if "response" in result:
        table = Table("levels per frame", *result["response_factors"], box=None)
        for name, row in zip(result["response_rows"], result["response"], strict=True):
            table.add_row(name, *(f"{v:.3f}" for v in row))
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


def _start_frame(start: str, scale: float, canvas: int) -> "Tensor":
    """`digits:7`, `mnist:7@12` (the 13th held-out 7), or an image file, as a frame (1, 3, side, side)."""
    import torch

    from ergosum.data.render import render
    from ergosum.data.sources import load_digits, load_image

    if not 0.1 <= scale <= 1.8:
        raise ValueError(f"--scale {scale:g}: expected 0.1 .. 1.8.")
    source, colon, wanted = start.partition(":")
    if not colon or Path(start).exists():
        return load_image(start, canvas)[None]
    digit, _, index = wanted.partition("@")
    if not digit.isdigit() or int(digit) > 9 or (index and not index.isdigit()):
        raise ValueError(f"--start {start!r}: expected SOURCE:DIGIT, such as digits:7 or mnist:7@12, or an image file.")
    held_out = load_digits(source, "test", canvas)
    same = held_out.images[held_out.labels == int(digit)]
    place = int(index or 0)
    if place >= len(same):
        raise ValueError(f"--start {start!r}: there are only {len(same)} held-out {digit}s in {source}.")
    return render(same[place : place + 1], torch.tensor([[0.0, 0.0, scale]]))


def _control(arguments: list[str]) -> None:
    parser = _parser("control", "Steer a digit with energies trained apart.")
    parser.add_argument("runs", type=str, nargs="*", help="runs or cards; default: the shipped colour, angle and scale")
    parser.add_argument("--timeline", type=str, required=True, help='such as "scale:3 colour:9" or "colour+angle:-4"')
    parser.add_argument("--start", type=str, default="digits:7", help="SOURCE:DIGIT[@N] or an image file")
    parser.add_argument("--scale", type=float, default=0.8, help="scale of a SOURCE:DIGIT start, 0.4 .. 1.8")
    parser.add_argument(
        "--how", choices=["split", "sum"], default="split", help="several factors at once: in turn, or as one sum"
    )
    parser.add_argument("--out", type=str, default="strip.png", help="picture to write: .png strip or .gif animation")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.control import Bank
    from ergosum.report.animation import save_animation, save_strip
    from ergosum.report.strips import strip
    from ergosum.runfolder import load_predictor
    from ergosum.timeline import parse

    out = Path(chosen.out)
    if out.suffix not in (".png", ".gif"):
        raise ValueError(f"--out {chosen.out}: expected a name that ends in .png or .gif.")
    runs = chosen.runs or ["digits-colour", "digits-angle", "digits-scale"]
    bank = Bank([load_predictor(zoo.find(r))[1] for r in runs])
    timeline = parse(chosen.timeline, bank.factors)
    frame = _start_frame(chosen.start, chosen.scale, bank.canvas)
    frames = bank.play(frame, timeline, chosen.how)[0]
    if out.suffix == ".gif":
        save_animation(frames, out)
    else:
        save_strip(strip(frames, zoom=4), out)
    print(out)


def _report(arguments: list[str]) -> None:
    parser = _parser("report", "Write a run's report.html: one file that opens offline.")
    parser.add_argument("run", type=str, help="run folder, or name of a card")
    parser.add_argument("--n", type=int, default=64, help="sequences to score if the run has no scores.json yet")
    parser.add_argument("--seed", type=int, default=0, help="held-out digits to draw")
    parser.add_argument("--source", type=str, default="", help=SOURCES_HELP)
    parser.add_argument("--out", type=str, default="", help="folder for report.html; default: the run's own")
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.runfolder import read_json
    from ergosum.stories.run import tell

    folder = zoo.find(chosen.run)
    source = chosen.source or _default_source()
    stored = read_json(folder / "scores.json") if (folder / "scores.json").exists() else {}
    scores = stored.get(source, stored)  # a card holds scores for every source, a run those measured last
    if (scores.get("source"), scores.get("seed")) != (source, chosen.seed):
        scores = _scored(chosen.run, source, chosen.n, chosen.seed)
    out = Path(chosen.out) if chosen.out else (Path("runs") / folder.name if folder.parent == zoo.CARDS else folder)
    print(tell(folder, out, f"ergosum report {chosen.run}", source, chosen.seed, scores))


def _demo(arguments: list[str]) -> None:
    parser = _parser("demo", "Train the colour energy live, add the shipped scale and angle energies, steer, report.")
    parser.add_argument("--out", type=str, default="runs/demo", help="folder for the run and its report")
    parser.add_argument("--seconds", type=float, default=85.0, help="longest training time")
    chosen = parser.parse_args(arguments)
    from ergosum.stories.demo import demo

    demo(Path(chosen.out), chosen.seconds, _run)


def _data(arguments: list[str]) -> None:
    parser = _parser("data", "Look at a data set.")
    parser.add_argument("action", choices=["show"], help="show: draw a sheet")
    parser.add_argument("name", type=str, help="sequences: every factor, all together, and the other modes")
    parser.add_argument("--out", type=str, required=True, help="picture to write (.png)")
    parser.add_argument("--source", type=str, default="digits", help=SOURCES_HELP)
    parser.add_argument("--seed", type=int, default=0, help="digits and trajectories to draw")
    parser.add_argument("--canvas", type=int, default=28, help="side of a frame in pixels, a multiple of 4")
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.stories.sheets import SHEETS

    if chosen.name not in SHEETS:
        raise ValueError(f"There is no data set {chosen.name!r} to show; expected one of {', '.join(SHEETS)}.")
    save_strip(SHEETS[chosen.name](chosen.source, chosen.seed, chosen.canvas), Path(chosen.out))
    print(chosen.out)


if __name__ == "__main__":
    sys.exit(main())
