"""Factors of change found without labels: searched for, steered, scored, and what they are compared with."""

from ergosum.temporal.discovery.dictionary import Fitting
from ergosum.temporal.discovery.energy import GroupTransport
from ergosum.temporal.discovery.library import Library, centre_of_canvas, centre_of_mass
from ergosum.temporal.discovery.model import Discovered
from ergosum.temporal.discovery.search import Found, Search
from ergosum.temporal.discovery.task import Discovery

__all__ = [
    "Discovered",
    "Discovery",
    "Fitting",
    "Found",
    "GroupTransport",
    "Library",
    "Search",
    "centre_of_canvas",
    "centre_of_mass",
]
