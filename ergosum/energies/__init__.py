"""Energies in closed form, whose normaliser, moments and exact samples are known: ground truth for samplers.

Each has `log_z`, `mean`, `variance` and `draw(n, generator)`, except those that are about minima (`Masked`, which
leaves pixels free, and `Clauses`, a count) and `Score`, an energy of which the gradient alone is known.
"""

from ergosum.energies.box import Box
from ergosum.energies.experts import Experts
from ergosum.energies.funnel import Funnel
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.masks import Masked
from ergosum.energies.mixture import Mixture
from ergosum.energies.ring import Ring
from ergosum.energies.sat import Clauses
from ergosum.energies.score import Score, as_score
from ergosum.energies.well import DoubleWell

__all__ = [
    "Box",
    "Clauses",
    "DoubleWell",
    "Experts",
    "Funnel",
    "Gaussian",
    "Masked",
    "Mixture",
    "Ring",
    "Score",
    "as_score",
]
