"""`ergosum sample`: draws of a formula of energies in the plane or of trained ones, and whether they tell the truth."""

import json
import sys
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import Parser, UsageError, add_trust, parser_for, trusted
from ergosum.cli.start import add_start, start_frame

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["run"]

PLANE = ("sampler", "steps", "chains", "step_size", "extent", "seed")
"""Options of formulas in the plane."""
COMMON = ("model", "out", "json", "trust")
START = ("start", "scale", "seed", "invert", "colour")
"""Options that say where trained energies start, of those that start somewhere."""


def run(arguments: list[str]) -> None:
    """Sample, compare with what is known, draw."""
    parser = _parser()
    if arguments == ["--list"]:
        _list()
        return
    chosen = parser.parse_args(arguments)
    given = {a.partition("=")[0].removeprefix("--") for a in arguments if a.startswith("--")}
    made = _trained(chosen, given) if chosen.model else _planar(chosen, given)
    if made is None:  # one of several processes, not the first
        return
    image, numbers, tables = made
    from ergosum.report.animation import save_strip
    from ergosum.report.tables import as_text

    save_strip(image, Path(chosen.out))
    if chosen.json:
        print(json.dumps(numbers, indent=1))
        return
    for table in tables:
        print(as_text(table))
    print(chosen.out)


def _parser() -> Parser:
    parser = parser_for("sample", "Sample a formula of planar or, with --model, of trained energies; draw what came.")
    parser.add_argument(
        "formula", help='such as "ring & ~box", or with --model "colour | angle_back"; --list names planar energies'
    )
    parser.add_argument("--out", default="chain.png", help="image to write (.png)")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object alone")
    steps = "steps, >= 10, of which the first fifth is discarded (default: 500); with --model frames ahead (default: 1)"
    parser.add_argument("--steps", type=int, default=SUPPRESS, help=steps)
    plane = parser.add_argument_group("in the plane")
    plane.add_argument("--sampler", default="mala", help="a name that --list shows, or a class: my_package.MySampler")
    plane.add_argument("--chains", type=int, default=200, help="chains, >= 2; torchrun divides them into blocks of 200")
    plane.add_argument("--step_size", type=float, default=0.0, help="> 0; 0: found in a warm-up, or the preset")
    plane.add_argument("--extent", type=float, default=4.0, help="half the side of the image, > 0")
    models = parser.add_argument_group("with trained energies, where they take it")
    models.add_argument("--model", nargs="+", default=[], help="runs or cards whose energies the formula names")
    models.add_argument("--n", type=int, default=SUPPRESS, help="draws, >= 1 (default: 1000)")
    models.add_argument(
        "--shares", type=_numbers, default=SUPPRESS,
        help="probability of each alternative, such as 0.7,0.3 (default: the formula's weights, or equal)",
    )  # fmt: skip
    models.add_argument(
        "--temperature", type=float, default=SUPPRESS, help="of the energies, > 0; variance of a pixel (default: 1e-4)"
    )
    models.add_argument(
        "--choose", choices=["once", "each"], default=SUPPRESS,
        help="of several frames ahead: keep to one alternative, or choose anew in each frame (default: once)",
    )  # fmt: skip
    add_start(parser, "seed of starts, choices and noise")
    add_trust(parser)
    return parser


def _planar(chosen: Any, given: set[str]) -> tuple[Any, dict[str, Any], tuple[()]] | None:
    """A formula in the plane: image and numbers."""
    _refuse_others(given, PLANE, "a formula in the plane takes {}; the others need --model RUN")
    from ergosum.report.sampling import sample_plane

    made = sample_plane(
        chosen.formula, _sampler(chosen), getattr(chosen, "steps", 500), chosen.chains, chosen.seed,
        chosen.step_size or None, chosen.extent, progress=sys.stderr.isatty() and not chosen.json,
    )  # fmt: skip
    return None if made is None else (made.image, made.numbers, ())


def _trained(chosen: Any, given: set[str]) -> Any:
    """A formula of trained energies: what their task makes of it, with those of the options that it takes."""
    from ergosum.part import parameters
    from ergosum.training.runfolder import load_predictor

    loaded = [load_predictor(run, trusted(chosen.trust)) for run in chosen.model]
    tasks = [experiment.built() for experiment, _ in loaded]
    for run, task in zip(chosen.model, tasks, strict=True):
        if type(task) is not type(tasks[0]):
            raise ValueError(f"--model: {chosen.model[0]} and {run} are of two systems; give energies of one.")
        if not hasattr(task, "sample"):
            raise ValueError(
                f"{run}: its task, {type(task).__name__}, has no energies that a formula can be drawn from."
            )
    sample = tasks[0].sample  # type: ignore[attr-defined]
    takes = parameters(sample)
    own = [name for name in takes if name not in ("models", "formula")]
    _refuse_others(given, {*own, *(START if "start" in own else ())}, f"{chosen.model[0]} takes {{}}")
    options = {name: getattr(chosen, name) for name in own if name != "start" and hasattr(chosen, name)}

    def start(side: int) -> "Tensor":
        return start_frame(chosen.start, chosen.scale, side, chosen.seed, chosen.invert, chosen.colour).frame

    return sample(
        [model for _, model in loaded], chosen.formula, **options, **({"start": start} if "start" in own else {})
    )


def _refuse_others(given: set[str], takes: Iterable[str], what: str) -> None:
    """Refuse options that would be passed over."""
    known = sorted({*takes, *COMMON})
    others = sorted(given - {*known, "list"})
    if others:
        told = what.format(", ".join(f"--{name}" for name in known))
        raise UsageError(f"{', '.join(f'--{name}' for name in others)}: {told}.")


def _numbers(text: str) -> tuple[float, ...]:
    """`0.7,0.3` as numbers."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"expected numbers such as 0.7,0.3, got {text!r}") from error


def _sampler(chosen: Any) -> Any:
    """A sampler's name, or one of a class, the package's or the user's own, with its step size."""
    from ergosum.part import Part, exported, resolve
    from ergosum.report.sampling import SAMPLERS
    from ergosum.samplers.state import Sampler

    parts = {part.__name__ for part in exported()}
    if chosen.sampler in SAMPLERS or not ("." in chosen.sampler or chosen.sampler in parts):
        return chosen.sampler
    cls = resolve(chosen.sampler, trusted(chosen.trust), Sampler, "--sampler")
    return Part(cls).build(**({"step_size": chosen.step_size} if chosen.step_size else {}))


def _list() -> None:
    from ergosum.report.sampling import PLANE, SAMPLERS

    print("energies:", ", ".join(PLANE))
    print("samplers:", ", ".join(SAMPLERS))
