"""Recipes of discovery: digits whose factors move one at a time, as random subsets, or by Laplace steps; and shapes."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.temporal.discovery.dictionary import Fitting
from ergosum.temporal.discovery.model import Discovered
from ergosum.temporal.discovery.search import Search
from ergosum.temporal.discovery.task import Discovery
from ergosum.training.experiment import Experiment, Optimiser

__all__ = ["HEADLINES", "digits", "recipes"]

CPU = "one thread of a 2-core x86-64 CPU"
HEADLINES = ("discovered",)


def recipes() -> dict[str, Callable[[], Experiment]]:
    """Recipe functions by name."""
    made: list[Callable[[], Experiment]] = [partial(digits, m) for m in ("single", "sparse", "laplace")]
    return {make().name: make for make in made}


def digits(mode: Literal["single", "sparse", "laplace"] = "single") -> Experiment:
    """Colour, angle and scale of digits, found in clips without a label."""
    how = {"single": "one factor moves in a clip", "sparse": "a random subset moves", "laplace": "Laplace steps"}[mode]
    return Experiment(
        name="discovered" if mode == "single" else f"discovered-{mode}",
        shows=f"factors found without labels, one energy each, and steered; {how}",
        cost=f"{13 if mode == 'single' else 20} min on {CPU}",
        task=Part(
            Discovery,
            data=Part(DigitSequences, source="digits+mnist", mode=mode),
            model=Part(Discovered, price=0.01 if mode == "laplace" else 0.03),
            search=Part(Search, fitting=Part(Fitting, most=2 if mode == "single" else 3)),
            pool=6000 if mode == "single" else 3000,
        ),
        optimiser=Optimiser(iterations=1500 if mode == "single" else 2000),
    )
