"""Objectives: one training signal per file."""

from ergosum.density.objectives.denoising import DenoisingScore

__all__ = ["DenoisingScore"]
