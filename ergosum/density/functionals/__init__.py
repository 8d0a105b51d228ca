"""Loss functionals: what it costs that the right answer has not the lowest energy; one file each.

`functional.py` says what a functional is and which of them allow a collapse.
"""

from ergosum.density.functionals.energy import EnergyLoss
from ergosum.density.functionals.functional import Functional, Margin, offending
from ergosum.density.functionals.hinge import HingeLoss
from ergosum.density.functionals.log import LogLoss
from ergosum.density.functionals.lvq2 import Lvq2Loss
from ergosum.density.functionals.mce import MceLoss
from ergosum.density.functionals.nll import NllLoss
from ergosum.density.functionals.perceptron import PerceptronLoss
from ergosum.density.functionals.square_exponential import SquareExponentialLoss
from ergosum.density.functionals.square_square import SquareSquareLoss

__all__ = [
    "EnergyLoss",
    "Functional",
    "HingeLoss",
    "LogLoss",
    "Lvq2Loss",
    "Margin",
    "MceLoss",
    "NllLoss",
    "PerceptronLoss",
    "SquareExponentialLoss",
    "SquareSquareLoss",
    "offending",
]  # fmt: skip
