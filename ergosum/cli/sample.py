"""`ergosum sample`: chains on a formula of planar energies, and whether they tell the truth."""

import json
import sys
from pathlib import Path
from typing import Any

from ergosum.cli.arguments import add_trust, parser_for, trusted

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Sample, compare with quadrature, draw."""
    parser = parser_for("sample", "Sample a formula of planar energies; draw density, chains and diagnostics.")
    parser.add_argument("formula", help='such as "ring & ~box"; --list names the energies and samplers')
    parser.add_argument("--sampler", default="mala", help="a name that --list shows, or a class: my_package.MySampler")
    parser.add_argument("--steps", type=int, default=500, help="steps, >= 10; the first fifth is discarded")
    parser.add_argument(
        "--chains", type=int, default=200, help="chains, >= 2; torchrun divides them into blocks of 200"
    )
    parser.add_argument("--step_size", type=float, default=0.0, help="> 0; 0: found in a warm-up, or the preset")
    parser.add_argument("--extent", type=float, default=4.0, help="half the side of the image, > 0")
    parser.add_argument("--seed", type=int, default=0, help="seed of starts and noise")
    parser.add_argument("--out", default="chain.png", help="image to write (.png)")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object alone")
    add_trust(parser)
    if arguments == ["--list"]:
        _list()
        return
    chosen = parser.parse_args(arguments)
    from ergosum.report.animation import save_strip
    from ergosum.report.sampling import sample_plane

    made = sample_plane(
        chosen.formula, _sampler(chosen), chosen.steps, chosen.chains, chosen.seed, chosen.step_size or None,
        chosen.extent, progress=sys.stderr.isatty() and not chosen.json,
    )  # fmt: skip
    if made is None:  # one of several processes, not the first
        return
    save_strip(made.image, Path(chosen.out))
    print(json.dumps(made.numbers, indent=1) if chosen.json else chosen.out)


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
