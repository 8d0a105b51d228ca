"""Objectives: one training signal per file."""

from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.masked import MaskedScore
from ergosum.density.objectives.recovery import Recovery

__all__ = ["ContrastiveDivergence", "DenoisingScore", "MaskedScore", "Recovery"]
