"""ergosum: compositional energy-based models. Train small energies, add them up."""

__version__ = "0.1.0"
