"""`ergosum sample`: chains on a formula of planar energies, and whether they tell the truth."""

import json
from pathlib import Path

from ergosum.cli.arguments import parser_for

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Sample, compare with quadrature, draw."""
    parser = parser_for("sample", "Sample a formula of planar energies; draw density, chains and diagnostics.")
    parser.add_argument("formula", help='such as "ring & ~box"; --list names the energies and samplers')
    parser.add_argument("--sampler", default="mala", help="descent, langevin, mala, hmc or tempering")
    parser.add_argument("--steps", type=int, default=500, help="steps, >= 10; the first fifth is discarded")
    parser.add_argument("--chains", type=int, default=200, help="chains, >= 2")
    parser.add_argument("--step_size", type=float, default=0.0, help="> 0; 0: found in a warm-up, or the preset")
    parser.add_argument("--extent", type=float, default=4.0, help="half the side of the picture, > 0")
    parser.add_argument("--seed", type=int, default=0, help="seed of starts and noise")
    parser.add_argument("--out", default="chain.png", help="picture to write (.png)")
    parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object alone")
    if arguments == ["--list"]:
        _list()
        return
    chosen = parser.parse_args(arguments)
    import sys

    from ergosum.report.animation import save_strip
    from ergosum.report.sampling import sample_plane

    told = sample_plane(
        chosen.formula, chosen.sampler, chosen.steps, chosen.chains, chosen.seed, chosen.step_size or None,
        chosen.extent, progress=sys.stderr.isatty() and not chosen.json,
    )  # fmt: skip
    save_strip(told.image, Path(chosen.out))
    print(json.dumps(told.numbers, indent=1) if chosen.json else chosen.out)


def _list() -> None:
    from ergosum.report.sampling import PLANE, SAMPLERS

    print("energies:", ", ".join(PLANE))
    print("samplers:", ", ".join(SAMPLERS))
