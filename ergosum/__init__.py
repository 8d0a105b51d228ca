"""ergosum: compositional energy-based models. Train small energies, add them up, steer the sum.

The names below are imported when first used, so that `import ergosum` stays quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "compose": ("And", "Not", "Or", "Scaled", "conjunction", "disjunction", "negation", "terms"),
    "energy": ("Conditional", "Energy", "as_energy"),
    "composition_file": ("load", "save"),
    "formula": ("parse_formula",),
    "partition": ("annealed_importance", "bridge", "log_z_difference", "weighted"),
    "calibration": ("calibrate",),
    "energies": (
        "Box", "Clauses", "DoubleWell", "Experts", "Funnel", "Gaussian", "Masked", "Mixture", "Ring", "as_score",
    ),
    "samplers": (
        "Annealed", "Descent", "GibbsWithGradients", "Hmc", "Langevin", "Mala", "ParallelTempering", "ShortRun",
        "UnderdampedLangevin", "run", "sample", "tempered_smc", "warm_up",
    ),
    "part": ("Part",),
    "training": ("Experiment", "Optimiser", "Losses", "Run", "Task", "fit", "load_predictor", "train"),
    "data": ("DigitSequences",),
    "temporal": ("Bank", "TemporalDecomposer", "Timeline", "parse_timeline"),
    "decomposition": ("ImageDecomposer",),
}  # fmt: skip
"""Room or module -> the names that it gives."""
_FOUND = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_FOUND)  # pyright: ignore


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        return getattr(import_module(f"ergosum.{_FOUND[name]}"), name)
    raise AttributeError(f"module 'ergosum' has no attribute {name!r}")
