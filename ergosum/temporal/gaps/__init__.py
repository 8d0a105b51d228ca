"""Films with gaps: the energy of a whole path of frames, minimised over what was not seen."""

from ergosum.temporal.gaps.path import Filled, PathEnergy, PathSearch, fill

__all__ = ["Filled", "PathEnergy", "PathSearch", "fill"]
