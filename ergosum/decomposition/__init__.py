"""Images decomposed into energies, one for each object or factor, and recombined; and the published baselines.

`task.py` trains, `model.py` holds encoder and energies, `objective.py` the loss; `recombination.py` is what is done
with a trained model, `batch.py` does it to folders of any size, and `scores.py` and `figures.py` report on it.
"""

from ergosum.decomposition.baselines import (
    Additive,
    BetaVae,
    FactorVae,
    ImageBaseline,
    InfoGan,
    Monet,
    SlotAttention,
)
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.objective import RecompositionLoss, RecompositionObjective
from ergosum.decomposition.task import Coding, Recomposition

__all__ = [
    "Additive",
    "BetaVae",
    "Coding",
    "FactorVae",
    "ImageBaseline",
    "ImageDecomposer",
    "InfoGan",
    "Monet",
    "Recomposition",
    "RecompositionLoss",
    "RecompositionObjective",
    "SlotAttention",
]  # fmt: skip
