"""ergosum: compositional energy-based models. Train small energies, add them up, steer the sum.

The nouns below are imported when first used, so that `import ergosum` stays quick.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "And": "compose",
    "Bank": "control",
    "Conditional": "energy",
    "Decomposer": "decomposer",
    "Descent": "samplers.descent",
    "Energy": "energy",
    "Experiment": "settings",
    "Hmc": "samplers.hmc",
    "Langevin": "samplers.langevin",
    "Mala": "samplers.mala",
    "Not": "compose",
    "Or": "compose",
    "SequenceData": "data.sequences",
    "Timeline": "timeline",
    "as_energy": "energy",
    "load_predictor": "runfolder",
    "parse_formula": "formula",
    "sample": "samplers.chain",
    "train": "training.loop",
}

__all__ = [
    "And",
    "Bank",
    "Conditional",
    "Decomposer",
    "Descent",
    "Energy",
    "Experiment",
    "Hmc",
    "Langevin",
    "Mala",
    "Not",
    "Or",
    "SequenceData",
    "Timeline",
    "as_energy",
    "load_predictor",
    "parse_formula",
    "sample",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ergosum.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ergosum' has no attribute {name!r}")
