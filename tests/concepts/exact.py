"""Concepts whose densities are known: parts of a code that are Gaussian mixtures, one Gaussian for each value."""

import math

import torch
from torch import nn

from ergosum.concepts.conditions import Values
from ergosum.concepts.model import Concepts
from ergosum.data.attributed import Attribute
from ergosum.density.family import AtLevel, LevelEnergy
from ergosum.density.space import Space
from ergosum.part import Part

ATTRIBUTES = (
    Attribute("colour", ("red", "green", "blue")), Attribute("shape", ("ball", "box")), Attribute("place", numbers=2),
)  # fmt: skip
DEVIATION, PLACE = 0.2, 0.02


class Line(Space):
    """Points as they are: colour on the first axis, shape on the second, place on the other two."""

    event = (4,)
    parts = (slice(0, 1), slice(1, 2), slice(2, 4))

    def __init__(self, channels: int = 1, side: int = 4, attributes=()) -> None:
        super().__init__()

    def encode(self, images, generator=None):
        return images.flatten(1)[:, :4]

    def decode(self, x):
        return nn.functional.pad(x, (0, 12)).view(-1, 1, 4, 4)


class ExactConcepts(LevelEnergy):
    """Log-densities in closed form: colours at -2, 0, 2, shapes at -1.5, 1.5, a place where it is, all of deviation .2;
    colours have shares .5, .3, .2, shapes .5 each; a place is where it is, within .02, and anywhere within 1 of 0."""

    def __init__(self, event, attributes=(), parts=(), independent=True) -> None:
        super().__init__(event, Part(Values, attributes=attributes), lowest=0.05, highest=10.0)
        self.independent = independent

    @property
    def log_z(self):
        return 0.0

    def normalised(self, sigma: float) -> bool:
        return True

    def log_density(self, x, log_sigma, c):
        v = DEVIATION**2 + (2 * log_sigma).exp()
        shares = (torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.5, 0.5]))
        middles = (torch.tensor([-2.0, 0.0, 2.0]), torch.tensor([-1.5, 1.5]))
        total = torch.zeros(len(x)).to(x)
        for axis, (share, middle) in enumerate(zip(shares, middles, strict=True)):
            each = _normal(x[:, axis, None], middle.to(x), v[:, None])
            whole = (each + share.to(x).log()).logsumexp(1)
            known = ~c[:, axis].isnan()
            own = each.gather(1, c[:, axis].nan_to_num().long()[:, None])[:, 0]
            total = total + torch.where(known, own, whole)
        known = ~c[:, 2:].isnan().any(1)
        scatter = PLACE**2 + (2 * log_sigma).exp()[:, None]
        near = _normal(x[:, 2:], c[:, 2:].nan_to_num().to(x), scatter).sum(1)
        far = _normal(x[:, 2:], torch.zeros(2).to(x), 1 + (2 * log_sigma).exp()[:, None]).sum(1)
        return total + torch.where(known, near, far)


def _normal(x, middle, v):
    return -((x - middle) ** 2) / (2 * v) - (v * 2 * math.pi).log() / 2


def exact(independent: bool = True) -> Concepts:
    model = Concepts(ATTRIBUTES, 1, 4, space=Part(Line), family=Part(ExactConcepts, independent=independent)).double()
    model.shares.copy_(torch.tensor([0.5, 0.3, 0.2, 0.5, 0.5]))
    return model


__all__ = ["ATTRIBUTES", "AtLevel", "ExactConcepts", "Line", "exact"]
