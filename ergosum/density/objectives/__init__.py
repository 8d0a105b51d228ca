"""Objectives: one training signal per file."""

from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.masked import MaskedScore

__all__ = ["DenoisingScore", "MaskedScore"]
