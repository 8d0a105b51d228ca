r"""Bayes' rule: which class an image is of, from the energies of all classes.

$$ p(c | x) \propto \pi_c \exp(-E_\sigma(x + \sigma z | c)), $$

with the same noise z for all classes, equal shares, and log-densities averaged over several z and several levels: at
the lowest levels energies of images err most, at the highest no class is left to see. Which levels are used is found on
training images, by the likelihood of their labels, never on those that are scored.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.density.model import Density

__all__ = ["Posterior", "choose_levels", "log_densities", "posterior"]

ROWS = 2048
"""Noisy images, one for each class, that a family sees at once, which bounds memory."""
DRAWS = 4
"""Noise drawn for each image and level."""
CANDIDATES = 8
"""Levels that are tried, evenly in log sigma over the lower part of the range."""
UPPER = 2.0
"""The highest of them, in deviations of the data."""


class Posterior(NamedTuple):
    """Levels that Bayes' rule uses, and how training images were read at each that was tried.

    Attributes:
        levels: used; none of a family without noise levels. tried: for each candidate, its levels, accuracy and mean
            negative log-probability of the label, in nats.
    """

    levels: tuple[float, ...]
    tried: list[tuple[tuple[float, ...], float, float]]


@torch.no_grad()
def log_densities(
    model: Density, x: Tensor, levels: Sequence[float], generator: Generator | None = None, draws: int = DRAWS
) -> Tensor:
    r"""Log-densities of every class and of the prior, (levels, n, K + 1), the prior last, in nats.

    Args:
        x: points of the model's space, (n, *event). levels: at which the points are noised; none for a family that has
            no noise, whose energies are taken in units of its temperature. draws: of noise, averaged over.
    """
    if not levels:
        return _members(model, model.family, x)[None]
    found = []
    for sigma in levels:
        family, total = model.family.at_noise(sigma), torch.zeros(())
        for _ in range(draws):
            noise = torch.randn(x.shape, generator=generator).to(x)
            total = total + _members(model, family, x + sigma * noise)
        found.append(total / draws)
    return torch.stack(found)


def _members(model: Density, family: Any, x: Tensor) -> Tensor:
    """Log-densities at points of all classes and the prior, (n, K + 1)."""
    count = len(model.names)
    told = []
    for part in x.split(max(1, ROWS // (count + 1))):
        conditions = torch.tensor([*range(count), -1]).repeat(len(part))
        energy = family(conditions).in_units()
        told.append(-energy(part.repeat_interleave(count + 1, 0)).unflatten(0, (len(part), count + 1)))
    return torch.cat(told)


def posterior(told: Tensor) -> Tensor:
    """p(c | x), (n, K), from log-densities (levels, n, K + 1) averaged over levels, with equal shares of classes."""
    return told[..., :-1].mean(0).softmax(1)


def choose_levels(model: Density, x: Tensor, labels: Tensor, generator: Generator | None = None) -> Posterior:
    """The levels, one or two neighbours or all, at which training images get their labels with the highest likelihood.

    Args:
        x: (n, *event), points of training images. labels: (n,).
    """
    family = model.family
    if not hasattr(family, "lowest"):
        return Posterior((), [])
    top = min(family.highest, max(UPPER * float(family.deviation), 4 * family.lowest))
    levels = torch.linspace(0, 1, CANDIDATES).mul(torch.tensor(top / family.lowest).log()).exp().mul(family.lowest)
    held = tuple(round(v, 4) for v in levels.tolist())
    held = (family.lowest, *held[1:])
    told = log_densities(model, x, held, generator, draws=1)
    candidates = [(k,) for k in range(len(held))] + list(pairwise(range(len(held)))) + [tuple(range(len(held)))]
    tried = []
    for chosen in candidates:
        read = posterior(told[list(chosen)])
        hit = (read.argmax(1) == labels).float().mean().item()
        tried.append((tuple(held[k] for k in chosen), hit, nll(read, labels)))
    return Posterior(min(tried, key=lambda row: row[2])[0], tried[: len(held)])


def nll(probabilities: Tensor, labels: Tensor) -> float:
    """Mean negative log-probability of the labels, in nats; a probability that rounds to 0 counts as 1e-30."""
    return F.nll_loss(probabilities.double().clamp(min=1e-30).log(), labels).item()
