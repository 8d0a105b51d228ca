r"""A classifier whose logits are a density: cross-entropy for $p(y | x)$, contrastive divergence for p(x).

$$ \log p(x, y) = \log p(x) + \log p(y | x), \qquad E(x) = -\log \sum_y \exp f_y(x) $$

Source: Grathwohl et al. 2020.
"""

from math import isfinite
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.density.functionals import NllLoss
from ergosum.density.objective import Objective
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["Jem"]


class Jem(Objective):
    """The cross-entropy of the classes plus `weight` times a contrastive loss of the prior.

    Args:
        chains: the contrastive loss, whose chains and data have no class. weight: of it, >= 0.
    Raises:
        ValueError: if the weight is negative.
    """

    levels = False

    def __init__(
        self,
        chains: Part[ContrastiveDivergence] = Part(ContrastiveDivergence),  # noqa: B008
        weight: float = 1.0,
    ) -> None:
        if not (isfinite(weight) and weight >= 0):
            raise ValueError(f"Jem: expected weight >= 0, got {weight!r}.")
        self.chains, self.weight = chains.build(), weight
        self.classifier = Discriminative(functional=Part(NllLoss))

    @property
    def temperature(self) -> float | None:
        """T of the chains."""
        return self.chains.temperature

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """Both losses; the error is the share of wrong classes."""
        density = self.chains.loss(family, x, torch.full_like(c, -1), generator, progress)
        classes = self.classifier.loss(family, x, c, generator, progress)
        health = {**density.health, "cross_entropy": classes.loss.detach()}
        return Losses(classes.loss + self.weight * density.loss, classes.error, health=health)

    def state(self) -> dict[str, Tensor]:
        """The chains."""
        return self.chains.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up chains."""
        self.chains.load(state)
