"""Densities: energies with a landscape, normalised over noise levels where that is shown, and what trains them."""

from ergosum.density.conditions import Attributes, Classes, Vectors
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import DenoiserDistance, Homogeneous, InnerProduct, Scalar
from ergosum.density.landscape import Landscape
from ergosum.density.model import Density
from ergosum.density.objectives import DenoisingScore, MaskedScore, Recovery
from ergosum.density.space import Codes, Pixels
from ergosum.density.task import Densities

__all__ = [
    "Attributes",
    "Classes",
    "Codes",
    "DenoiserDistance",
    "DenoisingScore",
    "Densities",
    "Density",
    "Homogeneous",
    "InnerProduct",
    "Landscape",
    "LevelEnergy",
    "MaskedScore",
    "Pixels",
    "Recovery",
    "Scalar",
    "Vectors",
]  # fmt: skip
