"""`ergosum sample`: draws of a formula of energies in the plane or of trained ones, and whether they tell the truth."""

import json
import sys
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ergosum.cli.arguments import Parser, UsageError, add_trust, named_by, parser_for, trusted
from ergosum.cli.start import add_start, start_frame

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.training.task import Samples

__all__ = ["run"]

PLANE = ("sampler", "steps", "chains", "step_size", "extent", "seed")
"""Options of formulas in the plane."""
COMMON = ("model", "out", "json", "trust")
GIVEN = ("runs", "shelf")
"""What a task may take that is no option: what the models are called, and what ships."""
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
    if not chosen.formula.strip():
        raise ValueError(
            "formula: expected one such as 'ring & ~box', or the name of a run or card alone; got nothing."
        )
    if not chosen.model and _names_model(chosen.formula):
        chosen.model, chosen.formula = [chosen.formula], ""
    made = _trained(chosen, given) if chosen.model else _planar(chosen, given)
    if made is None:  # one of several processes, not the first
        return
    from ergosum.report.tables import as_text

    _save(made, Path(chosen.out))
    if chosen.json:
        print(json.dumps(made.numbers, indent=1))
        return
    for table in made.tables:
        print(as_text(table))
    print(chosen.out)


def _names_model(text: str) -> bool:
    """Whether the first argument is no formula but a card, or the folder of a run."""
    from ergosum.training.runfolder import CARDS

    return any((folder / "recipe.json").is_file() for folder in (Path(text), CARDS / text))


def _save(made: "Samples", out: Path) -> None:
    """The picture as PNG, or how it was drawn as GIF."""
    from ergosum.report.animation import save_animation, save_strip

    if out.suffix.lower() != ".gif":
        save_strip(made.image, out)
    elif made.film:
        save_animation(made.film, out)
    else:
        raise ValueError(f"--out {out}: there is no film of these draws; expected a name that ends in .png.")


def _parser() -> Parser:
    parser = parser_for("sample", "Sample a formula of planar or, with --model, of trained energies; draw what came.")
    parser.add_argument(
        "formula",
        help='such as "ring & ~box", or with --model "three | seven & ~zero"; --list names planar energies. Or the '
        "name of a run or card alone, such as mnist-density, to draw what it learned",
    )
    parser.add_argument("--out", default="chain.png", help="image to write (.png), or a film of the draws (.gif)")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object alone")
    steps = (
        "steps, >= 10, of which the first fifth is discarded (default: 500); with --model frames ahead (default: 1), "
        "or noise levels of a density, >= 2 (default: 60)"
    )
    parser.add_argument("--steps", type=int, default=SUPPRESS, help=steps)
    plane = parser.add_argument_group("in the plane")
    plane.add_argument("--sampler", default="mala", help="a name that --list shows, or a class: my_package.MySampler")
    plane.add_argument("--chains", type=int, default=200, help="chains, >= 2; torchrun divides them into blocks of 200")
    plane.add_argument("--step_size", type=float, default=0.0, help="> 0; 0: found in a warm-up, or the preset")
    plane.add_argument("--extent", type=float, default=4.0, help="half the side of the image, > 0")
    models = parser.add_argument_group("with trained energies, where they take it")
    models.add_argument("--model", nargs="+", default=[], help="runs or cards whose energies the formula names")
    models.add_argument("--n", type=int, default=SUPPRESS, help="draws, >= 1 (default: 1000; of a density 64)")
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
    densities = parser.add_argument_group("of densities")
    densities.add_argument("--condition", default=SUPPRESS, help="class, by its name or number (default: none)")
    densities.add_argument(
        "--sigma", type=float, default=SUPPRESS, help="noise level to end at, of those trained on (default: the lowest)"
    )
    densities.add_argument(
        "--corrections", type=int, default=SUPPRESS,
        help="steps of a chain at each level, >= 0 (default: 4 where something is joined by &, else 1)",
    )  # fmt: skip
    densities.add_argument(
        "--particles", type=int, default=SUPPRESS, help="for each draw, kept by their weights, >= 1 (default: 1)"
    )
    add_start(parser, "seed of starts, choices and noise")
    add_trust(parser)
    return parser


def _planar(chosen: Any, given: set[str]) -> "Samples | None":
    """A formula in the plane: image and numbers."""
    from ergosum.report.sampling import sample_plane
    from ergosum.training.task import Samples

    _check_planar(chosen.formula)  # before the options: who names trained energies gives theirs
    _refuse_others(given, PLANE, "a formula in the plane takes {}; the others need --model RUN")

    made = sample_plane(
        chosen.formula, _sampler(chosen), getattr(chosen, "steps", 500), chosen.chains, chosen.seed,
        chosen.step_size or None, chosen.extent, progress=sys.stderr.isatty() and not chosen.json,
    )  # fmt: skip
    if made is None:
        return None
    return Samples(made.image, made.numbers, film=made.film() if Path(chosen.out).suffix.lower() == ".gif" else ())


def _trained(chosen: Any, given: set[str]) -> "Samples":
    """A formula of trained energies: what their task makes of it, with those of the options that it takes."""
    from ergosum.part import parameters
    from ergosum.training.runfolder import load_predictor
    from ergosum.zoo import Zoo

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
    own = [name for name in takes if name not in ("models", "formula", *GIVEN)]
    _refuse_others(given, {*own, *(START if "start" in own else ())}, f"{chosen.model[0]} takes {{}}")
    options = {name: getattr(chosen, name) for name in own if name != "start" and hasattr(chosen, name)}

    def start(side: int) -> "Tensor":
        return start_frame(chosen.start, chosen.scale, side, chosen.seed, chosen.invert, chosen.colour).frame

    told = {"start": start, "runs": chosen.model, "shelf": Zoo()}
    models = [model for _, model in loaded]
    with named_by(chosen.model):
        return sample(models, chosen.formula, **options, **{k: v for k, v in told.items() if k in takes})


def _check_planar(formula: str) -> None:
    """Refuse a formula that the plane cannot read, or that was meant as a run folder or card and is none."""
    from difflib import get_close_matches

    from ergosum.formula import parse_formula
    from ergosum.report.sampling import planar_names
    from ergosum.training.runfolder import CARDS, locate

    try:
        with named_by(()):
            parse_formula(formula, planar_names())
    except ValueError:
        cards = [path.parent.name for path in CARDS.glob("*/recipe.json")]
        if "/" in formula or get_close_matches(formula, cards, 1, 0.8):
            locate(formula)  # says that there is none, and what there is
        raise


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
    from ergosum.report.sampling import BROKEN, SAMPLERS
    from ergosum.samplers.state import Sampler

    parts = {part.__name__ for part in exported()}
    if chosen.sampler in SAMPLERS | BROKEN or not ("." in chosen.sampler or chosen.sampler in parts):
        return chosen.sampler
    cls = resolve(chosen.sampler, trusted(chosen.trust), Sampler, "--sampler")
    return Part(cls).build(**({"step_size": chosen.step_size} if chosen.step_size else {}))


def _list() -> None:
    from ergosum.report.sampling import BROKEN, PLANE, SAMPLERS

    print("energies:", ", ".join(PLANE))
    print("samplers:", ", ".join(SAMPLERS))
    print("broken, to see what bias looks like:", ", ".join(BROKEN))
