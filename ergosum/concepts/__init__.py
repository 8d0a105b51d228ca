"""Concepts: densities of images under values of their attributes, which compose by AND, OR and NOT."""

from ergosum.concepts.codec import AttributeCodec
from ergosum.concepts.conditions import Values
from ergosum.concepts.energy import ConceptEnergy, ToldPart, WholeEnergy
from ergosum.concepts.grown_codes import GrownCodes
from ergosum.concepts.grown_model import Grown, GrownEnergy
from ergosum.concepts.grown_task import GrownDensities
from ergosum.concepts.local import LocalLifts
from ergosum.concepts.model import Concepts
from ergosum.concepts.object_model import Objects
from ergosum.concepts.objects import ObjectDensities
from ergosum.concepts.space import AttributeCodes
from ergosum.concepts.task import ConceptDensities
from ergosum.concepts.windows import WindowEnergy

__all__ = [
    "AttributeCodec",
    "AttributeCodes",
    "ConceptDensities",
    "ConceptEnergy",
    "Concepts",
    "Grown",
    "GrownCodes",
    "GrownDensities",
    "GrownEnergy",
    "LocalLifts",
    "ObjectDensities",
    "Objects",
    "ToldPart",
    "Values",
    "WholeEnergy",
    "WindowEnergy",
]
