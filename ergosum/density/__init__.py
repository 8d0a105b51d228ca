"""Densities: energies with a landscape, normalised over noise levels where that is shown, and what trains them."""

from ergosum.density.conditions import Attributes, Classes, Vectors
from ergosum.density.denoiser import (
    Denoiser,
    VarianceExploding,
    VariancePreserving,
    from_denoiser,
    from_diffusers,
)
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import DenoiserDistance, Homogeneous, InnerProduct, Scalar
from ergosum.density.landscape import Landscape
from ergosum.density.model import Density
from ergosum.density.objectives import DenoisingScore, MaskedScore, Recovery
from ergosum.density.offsets import absorb, fit_offsets
from ergosum.density.space import Codes, Pixels
from ergosum.density.table import NotNormalisedWarning, measure
from ergosum.density.task import Densities

__all__ = [
    "Attributes",
    "Classes",
    "Codes",
    "Denoiser",
    "DenoiserDistance",
    "DenoisingScore",
    "Densities",
    "Density",
    "Homogeneous",
    "InnerProduct",
    "Landscape",
    "LevelEnergy",
    "MaskedScore",
    "NotNormalisedWarning",
    "Pixels",
    "Recovery",
    "Scalar",
    "VarianceExploding",
    "VariancePreserving",
    "Vectors",
    "absorb",
    "fit_offsets",
    "from_denoiser",
    "from_diffusers",
    "measure",
]  # fmt: skip
