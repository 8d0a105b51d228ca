"""Objectives: one training signal per file."""

from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.denoising_jem import DenoisingJem
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.density.objectives.jem import Jem
from ergosum.density.objectives.masked import MaskedScore
from ergosum.density.objectives.noise_contrastive import NoiseContrastive
from ergosum.density.objectives.recovery import Recovery
from ergosum.density.objectives.sliced import SlicedScoreMatching
from ergosum.density.objectives.starts import FromData, FromNoise, GaussianNoise, Noise, Replay, Start, UniformNoise

__all__ = [
    "ContrastiveDivergence",
    "DenoisingJem",
    "DenoisingScore",
    "Discriminative",
    "FromData",
    "FromNoise",
    "GaussianNoise",
    "Jem",
    "MaskedScore",
    "Noise",
    "NoiseContrastive",
    "Recovery",
    "Replay",
    "SlicedScoreMatching",
    "Start",
    "UniformNoise",
]  # fmt: skip
