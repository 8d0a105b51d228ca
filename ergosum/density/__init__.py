"""Densities: energies with a landscape, normalised over noise levels where that is shown, and what trains them."""

from ergosum.density.conditions import Attributes, Classes, Vectors
from ergosum.density.denoiser import (
    Denoiser,
    VarianceExploding,
    VariancePreserving,
    from_denoiser,
    from_diffusers,
)
from ergosum.density.family import LevelEnergy, LowNoiseWarning
from ergosum.density.forms import DenoiserDistance, Homogeneous, InnerProduct, Scalar
from ergosum.density.functionals import (
    EnergyLoss,
    HingeLoss,
    LogLoss,
    Lvq2Loss,
    MceLoss,
    NllLoss,
    PerceptronLoss,
    SquareExponentialLoss,
    SquareSquareLoss,
)
from ergosum.density.landscape import Landscape
from ergosum.density.logits import LevelLogits
from ergosum.density.model import Density
from ergosum.density.objectives import (
    ContrastiveDivergence,
    DenoisingJem,
    DenoisingScore,
    Discriminative,
    FromData,
    FromNoise,
    GaussianNoise,
    Jem,
    MaskedScore,
    NoiseContrastive,
    Recovery,
    Replay,
    SlicedScoreMatching,
    UniformNoise,
)
from ergosum.density.offsets import absorb, fit_offsets
from ergosum.density.space import Codes, Pixels
from ergosum.density.table import NotNormalisedWarning, measure
from ergosum.density.task import Densities
from ergosum.density.trained_codec import TrainedCodec

__all__ = [
    "Attributes",
    "Classes",
    "Codes",
    "ContrastiveDivergence",
    "Denoiser",
    "DenoiserDistance",
    "DenoisingJem",
    "DenoisingScore",
    "Densities",
    "Density",
    "Discriminative",
    "EnergyLoss",
    "FromData",
    "FromNoise",
    "GaussianNoise",
    "HingeLoss",
    "Homogeneous",
    "InnerProduct",
    "Jem",
    "Landscape",
    "LevelEnergy",
    "LevelLogits",
    "LogLoss",
    "LowNoiseWarning",
    "Lvq2Loss",
    "MaskedScore",
    "MceLoss",
    "NllLoss",
    "NoiseContrastive",
    "NotNormalisedWarning",
    "PerceptronLoss",
    "Pixels",
    "Recovery",
    "Replay",
    "Scalar",
    "SlicedScoreMatching",
    "SquareExponentialLoss",
    "SquareSquareLoss",
    "TrainedCodec",
    "UniformNoise",
    "VarianceExploding",
    "VariancePreserving",
    "Vectors",
    "absorb",
    "fit_offsets",
    "from_denoiser",
    "from_diffusers",
    "measure",
]  # fmt: skip
